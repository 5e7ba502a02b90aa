"""Whether timings may be believed, and if not, why not."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.records.schema import Json, SampleRecord, TimingRecord


@dataclass(frozen=True)
class Rules:
    """When timings are not valid.

    Attributes:
        repeats: fewest durations of each kind.
        spread: largest interquartile range over median, of seconds per network call: a system whose short texts take
            fewer calls is not unsteady for that.
        load: largest share of the machine that other processes may have used.
        exact: whether a text must come out the same alone as among others. Rounding in bfloat16 depends on how many are
            made at once, so that there the share that do is told and held against nobody.
    """

    repeats: int = 5
    spread: float = 0.25
    load: float = 0.2
    exact: bool = True


def judge(
    samples: Sequence[SampleRecord],
    timings: Sequence[TimingRecord],
    singles: Mapping[str, str],
    changed: int,
    load: float | None,
    rules: Rules,
) -> Json:
    """The verdict as the header holds it.

    Args:
        samples: the texts that are scored.
        singles: document id -> the text generated alone.
        changed: texts that came out differently when an interrupted batch was made again.
        load: share of the machine that other processes used meanwhile, None if unknown.

    Returns:
        "valid", "reasons" (sentences), and the figures they rest on.
    """
    full = max((len(t.ids) for t in timings if t.kind == "batch"), default=0)
    durations = {
        "batch": [_per_call(t) for t in timings if t.kind == "batch" and len(t.ids) == full],
        "latency": [_per_call(t) for t in timings if t.kind == "latency"],
    }
    reasons = []
    spreads = {}
    for kind, seconds in durations.items():
        if len(seconds) < rules.repeats:
            reasons.append(f"too few repeats: {len(seconds)} {kind} timings, {rules.repeats} are needed")
        spreads[kind] = spread(seconds)
        if spreads[kind] > rules.spread:
            reasons.append(f"unsteady: {kind} timings spread by {spreads[kind]:.0%}, {rules.spread:.0%} is allowed")
    if load is not None and load > rules.load:
        reasons.append(f"not alone: other processes used {load:.0%} of the machine, {rules.load:.0%} is allowed")
    texts = {sample.id: sample.text for sample in samples}
    differing = sum(texts.get(key) != text for key, text in singles.items())
    if differing and rules.exact:
        reasons.append(f"audit: {differing} of {len(singles)} texts differ when generated alone")
    if changed and rules.exact:
        reasons.append(f"audit: {changed} texts differed when an interrupted batch was made again")
    return {
        "valid": not reasons,
        "reasons": reasons,
        "batches": len(durations["batch"]),
        "singles": len(singles),
        "singles_equal": len(singles) - differing,
        "batch_spread": spreads["batch"],
        "latency_spread": spreads["latency"],
        "other_load": load,
    }


def _per_call(timing: TimingRecord) -> float:
    """Seconds per call of the first network, or of the whole where there is none."""
    return timing.seconds / max(1, next(iter(timing.calls.values()), 1))


def doubted(verdict: Json, reason: str) -> Json:
    """A verdict with one more reason not to believe the timings."""
    return {**verdict, "valid": False, "reasons": [*verdict["reasons"], reason]}


def spread(seconds: Sequence[float]) -> float:
    """Interquartile range over median; 0 for fewer than two durations."""
    if len(seconds) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / middle if middle > 0 else 0.0
