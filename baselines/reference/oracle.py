"""The source itself as a system: draws a target from P(target | source), which a built-in source knows exactly.

The best that any sampler can do where many answers are right: its distance from the references is what chance leaves,
and its likelihood is the source's own entropy. `reference` returns the one answer on file instead.

The law comes from outside, since this package knows no data: the harness calls `law` before `generate`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from baselines.contract import Request
from baselines.reference.trivial import Floor

Law = Callable[[str | None, int], str]
"""`law(source, seed)`: a text drawn from P(target | source), or from P(target) where the source is None. It depends on
nothing else."""


class OracleSystem(Floor):
    """A draw from the true conditional distribution."""

    needs_source: ClassVar[bool] = False

    def law(self, sample: Law) -> None:
        self.sample = sample

    def text(self, request: Request) -> str:
        return self.sample(request.source, request.seed)
