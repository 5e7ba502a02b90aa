"""The source itself as a system."""

from __future__ import annotations

from collections.abc import Callable

from baselines.contract import Request
from baselines.reference.trivial import Floor


class OracleSystem(Floor):
    """A draw from P(target | source), which a built-in source knows exactly: the best that any sampler can do.

    Its distance from the references is what chance leaves, and its likelihood is the source's own entropy.
    """

    def law(self, sample: Callable[[str | None, int], str]) -> None:
        """Take `sample(source, seed)`, a text drawn from it (P(target) where the source is None); as `answers`."""
        self.sample = sample

    def text(self, request: Request) -> str:
        return self.sample(request.source, request.seed)
