"""The harness: plans cells, trains or loads systems, times what they generate, scores exactly those texts.

`load` reads what a run left into a pandas frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.records.results import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`load`, when it is asked for: pandas takes a second that help and training need not wait for."""
    if name == "load":
        from benchmarks.records.results import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
