"""Whether each measured quantity may be believed, and if not, why not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.records import seals
from benchmarks.records.schema import Json, SampleRecord, TimingRecord
from benchmarks.records.validity import LATENCY, calls_in, size_of, throughput
from benchmarks.timing.audit.work import less_work
from benchmarks.timing.protocol import per_network_call
from benchmarks.timing.stalls import stalled
from benchmarks.timing.surroundings import around, busy_outside
from cosmos.io.counting import agreeing
from cosmos.io.counting import counted as so_many

OTHERS = "what other processes used"  # may not be known: where nobody tells, or of a time too short to tell


@dataclass(frozen=True)
class Rules:
    """When a quantity is not valid.

    Attributes:
        repeats: fewest calls of single texts, and of batches as large as the scored ones.
        sweep_repeats: the same of other sizes.
        spread: largest interquartile range over median, of seconds per network call: a system whose short texts take
            fewer calls is not unsteady for that.
        slowest: how many times the median the slowest batch may take, likewise; a median of single texts knows none.
        stalled: largest share of calls that may have stalled.
        clocks: largest share by which the wall and events on the device may disagree.
        settled: how many times the median of timed calls the faster of the last two warm-up calls may take.
        cores: how many cores may be busy for the system while nothing is asked of it.
        shorter: how much fewer words a text may have than the scored ones, beyond the noise of their lengths.
        faster: how much faster batches of requests that were not asked before may be than others.
        load: largest share of the machine that other processes may have used.
        processes: fewest processes that have timed a quantity.
        exact: whether a text must come out the same alone as among others. Rounding in bfloat16 depends on how many are
            made at once, so that there the share that do is told and held against nobody.
    """

    repeats: int = 5
    sweep_repeats: int = 3
    spread: float = 0.25
    slowest: float = 2.0
    stalled: float = 0.25
    clocks: float = 0.02
    settled: float = 1.5
    cores: float = 0.5
    shorter: float = 0.05
    faster: float = 0.3
    load: float = 0.2
    processes: int = 1
    exact: bool = True


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on.

    Attributes:
        samples: the texts that are scored.
        timings: of all calls, in the order in which they were made.
        size: how many texts the scored ones were made at once.
        networks: names of the system's networks; none: a floor.
        changed: texts that came out differently when an interrupted batch was made again.
        unnamed: modules that ran though the system's networks do not contain them, by class.
    """

    samples: Sequence[SampleRecord]
    timings: Sequence[TimingRecord]
    size: int
    networks: tuple[str, ...] = ()
    changed: int = 0
    unnamed: tuple[str, ...] = ()


def judge(evidence: Evidence, rules: Rules) -> Json:
    """The verdict as the header holds it.

    Returns:
        "valid" and "reasons" of all together, "quantities" with those of each, "stalled" calls, which count for
        nothing, and the figures they rest on.
    """
    timings, size = evidence.timings, evidence.size
    sizes = sorted({len(timing.ids) for timing in timings if timing.kind == "sweep"} | {size})
    names = [LATENCY, *map(throughput, sizes)]
    stood = [(t, why) for name in names for t, why in stalled(_like(calls_in(timings, size, name), size))]
    still: set[tuple[str, int]] = {(timing.kind, timing.index) for timing, _ in stood}
    texts = {sample.id: sample.text for sample in evidence.samples}
    alone = _made_alone(timings, texts)
    whole = _of_the_whole(evidence, rules)
    quantities: dict[str, Json] = {}
    for name in names:
        every = calls_in(timings, size, name)
        others = _other_texts(name, evidence, alone) if rules.exact else []
        reasons = [*_of_one(name, every, still, evidence, rules), *others, *less_work(name, timings, size), *whole]
        beside = around([t for t in every if (t.kind, t.index) not in still], timings)
        counted = [timing for timing in every if (timing.kind, timing.index) not in still]
        quantities[name] = {
            "valid": not reasons,
            "reasons": reasons,
            "calls": len(counted),
            "spread": spread([_each(timing) for timing in _like(counted, size)]),
            "other_load": beside.other_cpu,
            "unknown": [] if beside.everywhere else [OTHERS],
        }
    said = [f"{name}: {reason}" for name, found in quantities.items() for reason in found["reasons"]]
    every_load = [load for found in quantities.values() if (load := found["other_load"]) is not None]
    return {
        "valid": not said,
        "reasons": said,
        "quantities": quantities,
        "stalled": [{"kind": t.kind, "index": t.index, "reason": why} for t, why in stood],
        "batches": sum(timing.kind == "batch" for timing in timings),
        "singles": len(alone),
        "singles_equal": sum(alone),
        "other_load": max(every_load, default=None),
    }


def _like(calls: Sequence[TimingRecord], size: int) -> list[TimingRecord]:
    """Those that can be compared: a smaller last batch is no repeat of a whole one."""
    full = max((len(timing.ids) for timing in calls), default=0)
    return [timing for timing in calls if len(timing.ids) == full]


def _of_one(
    name: str, every: Sequence[TimingRecord], still: set[tuple[str, int]], evidence: Evidence, rules: Rules
) -> list[str]:
    """What speaks against one quantity alone."""
    size = size_of(name)
    calls = [timing for timing in _like(every, evidence.size) if (timing.kind, timing.index) not in still]
    each = [_each(timing) for timing in calls]
    least = rules.sweep_repeats if size not in (None, evidence.size) else rules.repeats
    reasons = []
    if len(calls) < least:
        reasons.append(f"too few rounds: {so_many(len(calls), 'timed call')}, {least} are needed")
    if (processes := len({timing.process for timing in calls})) < rules.processes:
        reasons.append(f"too few processes: {processes} timed it, {rules.processes} are needed")
    if (stood := len(every) - sum((t.kind, t.index) not in still for t in every)) > rules.stalled * len(every):
        reasons.append(f"stalls: {stood} of {so_many(len(every), 'call')} stood still, {rules.stalled:.0%} may")
    if (found := spread(each)) > rules.spread:
        reasons.append(f"unsteady: timings spread by {found:.0%}, {rules.spread:.0%} is allowed")
    middle = statistics.median(each) if each else 0.0
    if size is not None and middle and max(each) > rules.slowest * middle:
        reasons.append(
            f"unsteady: the slowest call took {max(each) / middle:.1f} times the median, {rules.slowest:g} are allowed"
        )
    apart = [
        abs(t.seconds - t.device_seconds) / t.seconds for t in calls if t.device_seconds is not None and t.seconds > 0
    ]
    if apart and statistics.median(apart) > rules.clocks:
        reasons.append(
            f"clocks: the wall and events on the device disagree by {statistics.median(apart):.1%}, "
            f"{rules.clocks:.0%} is allowed"
        )
    reasons += _warm(calls, middle, evidence, rules)
    beside = around([t for t in every if (t.kind, t.index) not in still], evidence.timings)
    if beside.other_cpu is not None and beside.other_cpu > rules.load:
        reasons.append(
            f"not alone: other processes used {beside.other_cpu:.0%} of the machine, {rules.load:.0%} is allowed"
        )
    if count := beside.other_gpu_processes:
        others = f"{so_many(count, 'other process', 'other processes')} {agreeing(count, 'was', 'were')}"
        reasons.append(f"not alone: {others} at work on the GPU")
    if beside.slowed_by:
        reasons.append(f"slowed: {', '.join(beside.slowed_by)}")
    if evidence.networks and any(not sum(timing.calls.values()) for timing in calls):
        reasons.append("audit: no call of a network was counted, though the system has networks")
    if size is not None and (quicker := _faster_again(calls, rules)):
        reasons.append(quicker)
    if shorter := _shorter(calls, evidence.samples, rules):
        reasons.append(shorter)
    return reasons


def _warm(calls: Sequence[TimingRecord], middle: float, evidence: Evidence, rules: Rules) -> list[str]:
    """Whether the last calls that did not count were still much slower than those that do."""
    texts = len(calls[0].ids) if calls else 0
    before = [_each(t) for t in evidence.timings if t.kind == "warmup" and len(t.ids) == texts][-2:]
    if not middle or not before or min(before) <= rules.settled * middle:
        return []
    return [f"not warmed up: the last calls before it took {min(before) / middle:.1f} times as long"]


def _faster_again(calls: Sequence[TimingRecord], rules: Rules) -> str | None:
    """Whether batches whose sources had been asked before were faster than those that were asked first."""
    first, again = ([_each(t) for t in calls if (t.kind == "batch") == scored] for scored in (True, False))
    if len(first) < 2 or not again:
        return None
    share = statistics.median(again) / statistics.median(first)
    return f"audit: asked again it is {1 / share:.1f} times as fast" if share < 1 - rules.faster else None


def _shorter(calls: Sequence[TimingRecord], samples: Sequence[SampleRecord], rules: Rules) -> str | None:
    """Whether timed texts that are not scored are shorter than those that are."""
    rows = [t for t in calls if t.kind == "sweep" and "words" in t.kept]
    texts = sum(len(timing.ids) for timing in rows)
    words = [len(sample.text.split()) for sample in samples]
    if not texts or len(words) < 2:
        return None
    mean, scored = sum(t.kept["words"] for t in rows) / texts, statistics.fmean(words)
    noise = statistics.stdev(words) * math.sqrt(1 / texts + 1 / len(words))
    if scored - mean <= max(rules.shorter * scored, 4 * noise):
        return None
    return f"audit: texts cut short: {mean:.1f} words in texts that are only timed, {scored:.1f} in those scored"


def _other_texts(name: str, evidence: Evidence, alone: Sequence[bool]) -> list[str]:
    """Whether timed texts are others than the scored ones."""
    reasons = []
    if name == LATENCY and (differing := len(alone) - sum(alone)):
        differ = f"{so_many(len(alone), 'text')} {agreeing(differing, 'differs', 'differ')}"
        reasons.append(f"audit: {differing} of {differ} when generated alone")
    if name == throughput(evidence.size) and evidence.changed:
        texts = so_many(evidence.changed, "text")
        reasons.append(f"audit: {texts} differed when an interrupted batch was made again")
    return reasons


def _of_the_whole(evidence: Evidence, rules: Rules) -> list[str]:
    """What speaks against every quantity."""
    reasons = []
    outside = busy_outside(evidence.timings)
    busy = statistics.median(outside) if outside else 0.0
    if busy > rules.cores:
        reasons.append(f"audit: {busy:.1f} cores were busy while nothing was asked of the system")
    if evidence.unnamed:
        reasons.append(f"audit: modules ran that its networks do not contain: {', '.join(evidence.unnamed)}")
    return reasons


def _made_alone(timings: Sequence[TimingRecord], texts: Mapping[str, str]) -> list[bool]:
    """Of every single text that is scored too, whether it came out the same."""
    rows = [t for t in timings if t.kind == "latency" and t.ids[0] in texts and t.texts]
    return [t.texts == seals.texts_sha256([texts[t.ids[0]]]) for t in rows]


def _each(timing: TimingRecord) -> float:
    return per_network_call(timing.seconds, timing.calls)


def doubted(verdict: Json, reason: str) -> Json:
    """A verdict with one more reason not to believe any of the timings."""
    quantities = {
        name: {**found, "valid": False, "reasons": [*found["reasons"], reason]}
        for name, found in verdict.get("quantities", {}).items()
    }
    return {**verdict, "valid": False, "reasons": [*verdict["reasons"], reason], "quantities": quantities}


def spread(seconds: Sequence[float]) -> float:
    """Interquartile range over median; 0 for fewer than two durations."""
    if len(seconds) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / middle if middle > 0 else 0.0
