"""The audit of a cell: what its records say, and what its system says when it is loaded and asked again.

All of it is bounded: so many texts are made again, and no further check is begun after so many seconds. A small part is
made in every run (`in_a_run`).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from baselines.contract import Request, System
from benchmarks.records.schema import Record
from benchmarks.running.stand_ins import StandIns
from benchmarks.timing import memory
from benchmarks.timing.audit import generated, idle, recorded
from benchmarks.timing.audit.checked import Checked
from benchmarks.timing.clock import Clock

TokenCounts = Callable[[list[str]], list[int]]
LOOKING = 5.0  # times as long as usual that texts take while every operation is looked at, at most
IN_A_RUN = "network calls"  # what voids timings by itself: direct calls are counted
MOST_SECONDS = 3.0  # that the part may take which every run makes of every cell


@dataclass(frozen=True)
class Bounds:
    """How much an audit does.

    Attributes:
        texts: scored ones that are made again at once, at most; the largest batch of the run is filled up with others.
        singles: of them made alone.
        compared: of them, and of others, whose work is counted, each alone.
        repeated: batches that are asked twice.
        watched: texts that are made while every operation is looked at.
        seconds: no further check of a cell is begun after so long.
    """

    texts: int = 64
    singles: int = 4
    compared: int = 6
    repeated: int = 3
    watched: int = 2
    seconds: float = 120.0


@dataclass(frozen=True)
class Audited:
    """A system that is audited, and what it is asked.

    Attributes:
        largest: texts at once in the largest batch that the run timed.
        capture: with which texts are compared with those of the setting as it is.
        token_counts: of texts in the tokenizer of the run, their ends counted.
        before: what there was before the system was loaded.
    """

    system: System
    setting: Any
    asked: generated.Asked
    device: str
    largest: int
    capture: str
    token_counts: TokenCounts
    before: idle.Bystanders


def of_records(record: Record) -> list[Checked]:
    """What records alone say of a cell."""
    exact = record.header.cell.dtype == "float32"
    return [
        *recorded.timed_texts(record.samples, record.timings, exact=exact),
        recorded.counted_calls(record.header, record.timings),
        recorded.timed_lengths(record.samples, record.timings),
        recorded.timed_work(record.header, record.timings),
        recorded.believed(record.header),
    ]


def of_system(audited: Audited, bounds: Bounds, clock: Clock, look: Callable[[str], idle.Idle]) -> list[Checked]:
    """What a system says when it is asked again; checks for which no time is left cannot tell."""
    began = clock.now()
    findings: list[Checked] = []
    for name, check in _checks(audited, bounds, clock, look):
        if clock.now() - began > bounds.seconds:
            said = f"no time was left after {bounds.seconds:g} s; give more with --seconds"
            findings.append(Checked(name, "cannot tell", said))
        else:
            findings += _within_memory(name, check)
    return findings


def _within_memory(name: str, check: Callable[[], list[Checked]]) -> list[Checked]:
    try:
        return check()
    except Exception as error:
        if not memory.is_exhausted(error):
            raise
    memory.free()  # outside of the handler, whose error holds on to what was being computed
    return [Checked(name, "cannot tell", "the device's memory did not suffice")]


def _checks(
    audited: Audited, bounds: Bounds, clock: Clock, look: Callable[[str], idle.Idle]
) -> Iterator[tuple[str, Callable[[], list[Checked]]]]:
    """The checks in their order, each by the name of what it looks at."""
    system, setting, device = audited.system, audited.setting, audited.device
    asked = replace(
        audited.asked,
        requests=audited.asked.requests[: bounds.texts],
        texts=audited.asked.texts[: bounds.texts],
    )
    fresh = StandIns(asked.requests)
    texts: list[str] = []
    known = generated.Took(0.0, 0.0)

    def untimed() -> list[Checked]:
        nonlocal known
        _, asking = generated.clocked(clock, system.networks)  # first, as a run does
        made, known = generated.clocked(clock, lambda: system.generate(asked.requests, setting))
        texts.extend(str(sample.text) for sample in made)
        return [
            generated.networks_asked(asking, known),
            generated.plain_answers(made),
            generated.untimed_texts(made, asked),
            generated.lengths(made, asked.requests, audited.token_counts),
        ]

    company = fresh.again(asked.requests, max(0, audited.largest - len(asked.requests)))
    some = asked.requests[: bounds.compared]
    pair = (some, fresh.again(some, bounds.compared))
    groups = [fresh.like(asked.requests) for _ in range(bounds.repeated)]
    yield "untimed texts", untimed
    yield "batch sizes", lambda: generated.alone_and_together(system, setting, asked, company, bounds.singles)
    yield (
        "compiled and eager",
        lambda: [generated.compiled_and_eager(system, setting, asked, texts, audited.capture)],
    )
    yield "repeats", lambda: generated.repeats(system, setting, groups, known, clock, bounds.seconds / 2)
    yield "equal work", lambda: [generated.equal_work(system, setting, pair)]
    watched = asked.requests[: bounds.watched]
    yield "network calls", lambda: generated.weights_used(system, setting, fresh.like(watched), fresh.like(watched))
    yield "outside the clock", lambda: [generated.outside_the_clock(audited.before, look(device))]


def in_a_run(
    system: System, setting: Any, networks: Mapping[str, Any], asked: Sequence[Request], seconds: Sequence[float]
) -> tuple[str, ...]:
    """The cheap part, which every run makes of every cell, when all is timed: which weights work while a text is made
    that nobody asked for.

    It is left out where it would take more than some seconds.

    Args:
        asked: two requests that nobody asked before: one is made, the other only where the first is suspect.
        seconds: how long texts took alone.

    Returns:
        what was found, a sentence each.
    """
    if not networks or not seconds or LOOKING * statistics.median(seconds) > MOST_SECONDS:
        return ()
    try:
        found = generated.weights_used(system, setting, asked[:1], asked[1:], networks, twice=False)
    except Exception as error:
        if not memory.is_exhausted(error):
            raise
        memory.free()
        return ()
    told = [finding for finding in found if finding.outcome == "found" and finding.check == IN_A_RUN]
    return tuple(f"audit: {finding.check}: {finding.said}" for finding in told)
