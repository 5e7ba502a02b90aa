"""How much trainings that differ by their seed alone differ in score: as measured, for answers that do not cover it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from benchmarks.records.schema import Cell

METRIC = "exact_j"


@dataclass(frozen=True)
class MeasuredNoise:
    """The standard deviation of `METRIC` between trainings of one system, read with one setting."""

    system: str
    setting: str
    deviation: float


PROVENANCE = "in the default run of detox, preset nano, three training seeds"
"""Of the records in reports/published/2026-11-30-tuning and 2026-12-01-nano; docs/tracking.md, "Training seeds", has
these numbers."""
_RUN = {"task": "detox", "source": "world", "preset": "nano", "budget": "3e+12flops"}

MEASURED = (
    MeasuredNoise("gpt2", "greedy", 0.013),
    MeasuredNoise("gpt2", "nucleus-0.9", 0.028),
    MeasuredNoise("gpt2", "sample", 0.022),
    MeasuredNoise("mdlm", "cached-32", 0.025),
    MeasuredNoise("mdlm", "confidence-24", 0.010),
    MeasuredNoise("duo", "ancestral-32", 0.028),
    MeasuredNoise("duo", "greedy_tail-16", 0.030),
    MeasuredNoise("sedd", "analytic-32", 0.032),
    MeasuredNoise("diffuseq", "dpmpp_2m-20", 0.053),
    MeasuredNoise("cosmos", "dpmpp_2m-20", 0.032),
    MeasuredNoise("cosmos", "release-200", 0.028),
    MeasuredNoise("ld4lg", "ddpm-250", 0.054),
    MeasuredNoise("ld4lg", "dpmpp_2m-20", 0.019),
    MeasuredNoise("tencdm", "dpmpp_2m-20", 0.042),
    MeasuredNoise("tencdm", "euler-50", 0.040),
)


def not_covered(cell: Cell, quantities: Collection[str]) -> str:
    """The sentence for an entry with one training seed on a side: what is not covered, and how large it can be.

    Args:
        quantities: what is compared of it; without `METRIC` there is nothing to be said of its size.
    """
    more = "Several seeds on both sides (--seeds 3) make it a part of the level."
    if METRIC not in quantities:
        return f"One training seed on a side: how another training would end is not covered. {more}"
    same_run = all(getattr(cell, name) == value for name, value in _RUN.items())
    own = [noise for noise in MEASURED if same_run and (noise.system, noise.setting) == (cell.system, cell.setting)]
    if own:
        size = f"{METRIC} of this entry had a standard deviation of {own[0].deviation:.3f} between trainings"
    else:
        deviations = [noise.deviation for noise in MEASURED]
        size = (
            f"{METRIC} of {len(MEASURED)} entries, of which this is none, had standard deviations of "
            f"{min(deviations):.3f} to {max(deviations):.3f} between trainings"
        )
    return f"One training seed on a side: how another training would end is not covered; {PROVENANCE}, {size}. {more}"
