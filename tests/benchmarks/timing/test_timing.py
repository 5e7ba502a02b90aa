"""Timing: counted calls, warm-up, the latency pass, verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from baselines.contract import Request, Sample
from benchmarks.records import seals
from benchmarks.records.schema import SampleRecord, TimingRecord
from benchmarks.records.validity import LATENCY, throughput
from benchmarks.timing import clock, probes
from benchmarks.timing.clock import Clock
from benchmarks.timing.probes import OtherLoad, counting, measure
from benchmarks.timing.protocol import Call, Protocol, batches, shares, timed, wanted, warm_up
from benchmarks.timing.verdict import OTHERS, Evidence, Rules, doubted, judge, spread


def test_calls_of_modules_are_counted_and_hooks_removed() -> None:
    first, second = torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.Linear(2, 2))
    with counting({"first": first, "second": second}) as calls:
        for _ in range(3):
            first(torch.zeros(1, 2))
        second(torch.zeros(1, 2))
    assert calls == {"first": 3, "second": 1}
    first(torch.zeros(1, 2))
    assert calls["first"] == 3
    assert not first._forward_hooks


def test_hooks_are_removed_when_generating_fails() -> None:
    module = torch.nn.Linear(2, 2)
    with pytest.raises(RuntimeError), counting({"m": module}):
        raise RuntimeError
    assert not module._forward_hooks


def test_parameters_are_counted_and_frozen_ones_told_apart() -> None:
    module = torch.nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    network = measure({"m": module})["m"]
    assert (network.parameters, network.trainable) == (8, 6)


class Timed:
    """Takes a known time, by a clock of the test's own."""

    def __init__(self, seconds: float = 0.0, shuffled: bool = False) -> None:
        self.seconds, self.shuffled, self.clock = seconds, shuffled, Clock("cpu")
        self.clock.now = lambda: self.time  # type: ignore[method-assign]
        self.time = 100.0

    def generate(self, requests: Any, setting: Any) -> list[Sample]:
        self.time += self.seconds
        samples = [Sample(r.id, "text", 1, True) for r in requests]
        return samples[::-1] if self.shuffled else samples


REQUESTS = [Request(str(n), "source", n, 8) for n in range(7)]


def test_a_call_takes_what_the_system_takes() -> None:
    system = Timed(0.02)
    assert timed(system, {}, REQUESTS, None, system.clock).seconds == pytest.approx(0.02)  # type: ignore[arg-type]


def test_the_clock_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    assert Clock("cuda:0").now() <= Clock("cuda:0").now()
    assert waited == ["cuda:0"] * 2
    Clock("cpu").now()
    assert len(waited) == 2


class Device:
    """In place of torch's CUDA: what it was asked for, in order, and events that it passes when it is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        device = self

        class Event:
            made = 0

            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing
                Event.made += 1
                self.name = f"event {Event.made}"

            def record(self, stream: str) -> None:
                device.asked.append(f"{self.name} on {stream}")

            def synchronize(self) -> None:
                device.asked.append(f"{self.name} passed")

            def elapsed_time(self, other: Event) -> float:
                assert device.asked[-1] == f"{other.name} passed", "an event must be passed before it tells the time"
                return 250.0

        def wall() -> float:
            self.asked.append("wall")
            return float(self.asked.count("wall"))

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: self.asked.append("finished"))
        monkeypatch.setattr(clock.time, "perf_counter", wall)


def test_between_the_readings_of_the_wall_is_what_is_timed_and_a_wait_and_nothing_of_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, measuring = Device(monkeypatch), Clock("cuda:1")
    started = measuring.start()
    device.asked.append("work")
    took = measuring.stop(started)
    before, within, after = (
        ["event 1 on stream of cuda:1", "finished"],
        ["work", "finished"],
        "event 2 on stream of cuda:1",
    )
    assert device.asked == [*before, "wall", *within, "wall", after, "event 2 passed"]
    assert (took.seconds, took.device_seconds) == (1.0, 0.25)


def test_answers_out_of_order_are_a_broken_promise() -> None:
    system = Timed(shuffled=True)
    with pytest.raises(AssertionError, match="in order"):
        timed(system, {}, REQUESTS, None, system.clock)  # type: ignore[arg-type]


def test_batches_keep_the_order() -> None:
    parts = batches(REQUESTS, 3)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [r for part in parts for r in part] == REQUESTS


@pytest.mark.parametrize(
    ("durations", "calls"),
    [
        ([1.0, 1.05], 2),  # two in a row agree
        ([9.0, 3.0, 1.0, 1.0], 1),  # the first alone uses up the seconds
        ([2.0, 1.0, 0.5, 0.51], 4),
        ([1.0, 0.5, 1.0, 0.5, 1.0, 0.5], 5),  # never more than five
    ],
)
def test_warm_up_ends_when_durations_agree(durations: list[float], calls: int) -> None:
    left = iter(durations)
    made = list(warm_up(lambda: Call((), next(left), {}), Protocol()))
    assert len(made) == calls


@pytest.mark.parametrize(
    ("count", "spent", "more"), [(2, 99.0, True), (3, 99.0, False), (3, 1.0, True), (9, 0.0, False)]
)
def test_calls_are_bounded_by_count_and_by_time(count: int, spent: float, more: bool) -> None:
    assert wanted(count, spent, (3, 9), 5.0) == more


def test_places_are_dealt_in_order_and_evenly() -> None:
    assert [list(part) for part in shares(7, 3)] == [[0, 1], [2, 3], [4, 5, 6]]
    assert [list(part) for part in shares(2, 9)] == [[0], [1]]


def timings(kind: Any, seconds: list[float], texts: int = 2, calls: list[int] | None = None) -> list[TimingRecord]:
    ids = tuple(str(n) for n in range(texts))
    made = calls or [1] * len(seconds)
    texts_of = seals.texts_sha256(["text 0"]) if kind == "latency" else ""
    return [
        TimingRecord(kind, n, ids, s, {"network": count}, cpu_seconds=s, texts=texts_of)
        for n, (s, count) in enumerate(zip(seconds, made, strict=True))
    ]


GOOD = [*timings("batch", [1.0] * 5), *timings("latency", [0.5] * 5, 1)]
SAMPLES = [SampleRecord(str(n), f"text {n}", 2, True, n, {}) for n in range(2)]
BATCHES = throughput(2)


def judged(rows: list[TimingRecord], **more: Any) -> dict[str, Any]:
    rules = more.pop("rules", Rules())
    return judge(Evidence(SAMPLES, rows, 2, ("network",), **more), rules)


def test_texts_of_unequal_length_are_not_unsteady() -> None:
    """An autoregressive system takes a call per token: 10 ms each here, 8 to 19 of them."""
    calls = [8, 14, 19, 9, 8, 15, 10, 19]
    seconds = [0.010 * count for count in calls]
    assert spread(seconds) > Rules().spread
    steady = [*timings("batch", seconds, calls=calls), *timings("latency", seconds, 1, calls)]
    assert judged(steady)["valid"]
    assert judged(steady)["quantities"][LATENCY]["spread"] == pytest.approx(0.0)
    shaken = [replace(t, seconds=t.seconds * (1 + t.index % 2), cpu_seconds=None) for t in steady]
    assert not judged(shaken)["valid"]


def test_steady_timings_of_the_same_texts_are_valid() -> None:
    verdict = judged(GOOD)
    assert verdict["valid"]
    assert (verdict["singles"], verdict["singles_equal"], verdict["batches"]) == (5, 5, 5)


ALL = "all quantities"


def beside(kind: str, *cores: float, slowed: dict[str, float] | None = None, **seen: float) -> list[TimingRecord]:
    """The good timings with what was seen beside the calls of a kind, in one turn for each number of busy cores."""
    return [
        replace(
            t,
            round=t.index,
            beside={"watched": 1.0, **seen, **({"busy_cores": cores[t.index % len(cores)]} if cores else {})},
            slowed=slowed or {},
        )
        if t.kind == kind
        else t
        for t in GOOD
    ]


HALF = {"others": 50.0, "available": 100.0}


@pytest.mark.parametrize(
    ("rows", "more", "quantity", "said"),
    [
        (GOOD[1:], {}, BATCHES, "too few rounds: 4 timed calls, 5 are needed"),
        (GOOD[:-1], {}, LATENCY, "too few rounds: 4 timed calls, 5 are needed"),
        ([*timings("batch", [1, 1, 1.5, 1.6, 1.9]), *GOOD[5:]], {}, BATCHES, "unsteady: timings spread by 40%"),
        ([replace(t, texts="0") for t in GOOD], {}, LATENCY, "audit: 5 of 5 texts differ when generated alone"),
        (GOOD, {"changed": 3}, BATCHES, "audit: 3 texts differed when an interrupted batch was made again"),
        (beside("batch", 0.0, 0.9, 0.8, 0.8, 0.9), {}, ALL, "audit: 0.8 cores were busy"),
        (GOOD, {"unnamed": ("Linear",)}, ALL, "audit: modules ran that its networks do not contain: Linear"),
        (beside("batch", **HALF), {}, ALL, "not alone: other processes used 50%"),  # all that is known of the process
        (beside("batch", gpu_processes=2.0), {}, BATCHES, "not alone: 2 other processes were at work"),
        (beside("batch", slowed={"power cap": 0.06}), {}, BATCHES, "slowed: power cap"),
        ([replace(t, calls={"network": 0}) for t in GOOD], {}, ALL, "audit: no call of a network was counted"),
        (GOOD, {"rules": Rules(processes=4)}, ALL, "too few processes: 1 timed it, 4 are needed"),
    ],
)
def test_each_reason_is_said_of_what_it_concerns(
    rows: list[TimingRecord], more: dict[str, Any], quantity: str, said: str
) -> None:
    verdict = judged(rows, **more)
    assert not verdict["valid"]
    for name in (BATCHES, LATENCY):
        found = verdict["quantities"][name]
        if quantity in (name, ALL):
            assert not found["valid"] and len(found["reasons"]) == 1 and found["reasons"][0].startswith(said)
            assert f"{name}: {found['reasons'][0]}" in verdict["reasons"]
        else:
            assert found["valid"] and found["reasons"] == []


def seen(timing: TimingRecord, others: float, **more: Any) -> TimingRecord:
    return replace(timing, beside={"watched": 10.0, "others": others, "available": 100.0}, **more)


def test_what_was_seen_beside_a_quantity_is_of_its_own_calls() -> None:
    """Whatever kind of call they are: a batch that was asked alone has others of another kind in its place."""
    rows = [seen(t, 50.0 if t.kind == "sweep" else 0.0) for t in [*timings("sweep", [1.0] * 5), *GOOD[5:]]]
    verdict = judged(rows)
    assert verdict["quantities"][BATCHES]["reasons"] == [
        "not alone: other processes used 50% of the machine, 20% is allowed"
    ]
    assert verdict["quantities"][LATENCY]["valid"]
    assert (verdict["quantities"][BATCHES]["other_load"], verdict["quantities"][LATENCY]["other_load"]) == (0.5, 0.0)


def test_one_busy_process_of_four_is_not_averaged_away() -> None:
    rows = [seen(t, 40.0 if p == 2 else 0.0, process=p, index=t.index + 5 * p) for t in GOOD for p in range(4)]
    assert sum(t.beside["others"] for t in rows) < Rules().load * sum(t.beside["available"] for t in rows)
    assert judged(rows)["quantities"][BATCHES]["other_load"] == 0.4
    assert not judged(rows)["valid"]


def test_a_stalled_call_says_nothing_of_those_that_count() -> None:
    stood = seen(replace(GOOD[4], seconds=20.0, cpu_seconds=1.0), 90.0)
    rows = [*(seen(t, 0.0) for t in [*GOOD[:4], *timings("sweep", [1.0])]), stood, *(seen(t, 0.0) for t in GOOD[5:])]
    assert judged(rows)["quantities"][BATCHES]["other_load"] == 0.0


def test_what_is_not_known_is_said() -> None:
    assert judged(GOOD)["quantities"][BATCHES]["unknown"] == [OTHERS]
    known = [seen(t, 0.0) for t in GOOD]
    assert judged(known)["quantities"][BATCHES]["unknown"] == []
    of_one = [replace(t, process=1, index=t.index + 5) for t in GOOD]
    assert judged(sorted([*known, *of_one], key=lambda t: t.kind))["quantities"][BATCHES]["unknown"] == [OTHERS]


def test_another_reason_doubts_everything() -> None:
    verdict = doubted(judged(GOOD), "another machine")
    assert verdict["reasons"] == ["another machine"]
    assert all(not q["valid"] and q["reasons"] == ["another machine"] for q in verdict["quantities"].values())


def test_a_smaller_last_batch_does_not_count_as_a_repeat() -> None:
    verdict = judged([*timings("batch", [0.1], 1), *GOOD])
    assert verdict["valid"]
    assert (verdict["batches"], verdict["quantities"][BATCHES]["calls"]) == (6, 6)


def test_spread_is_the_interquartile_range_over_the_median() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert spread([1.0]) == 0.0


def test_our_own_work_is_not_other_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.os, "cpu_count", lambda: 4)
    now = iter([(100.0, 50.0, 900.0), (110.0, 62.0, 920.0)])  # wall, our CPU seconds, everyone's CPU seconds
    wall, own, busy = next(now)
    monkeypatch.setattr(probes.time, "monotonic", lambda: wall)
    monkeypatch.setattr(probes, "_own_seconds", lambda: own)
    monkeypatch.setattr(probes, "_busy_seconds", lambda: busy)
    load = OtherLoad()
    wall, own, busy = next(now)
    assert load.share() == pytest.approx((20 - 12) / (10 * 4))
    busy = None  # type: ignore[assignment]
    assert load.share() is None


def test_the_machine_tells_its_load() -> None:
    share = OtherLoad().share()
    assert share is None or 0.0 <= share <= 1.0
