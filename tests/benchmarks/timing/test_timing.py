"""Timing: counted calls, warm-up, the latency pass, verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from baselines.contract import Request, Sample
from benchmarks.records.schema import SampleRecord, TimingRecord
from benchmarks.timing import probes
from benchmarks.timing.clock import Clock
from benchmarks.timing.probes import OtherLoad, counting, measure
from benchmarks.timing.protocol import Call, Protocol, batches, single, timed, warm_up
from benchmarks.timing.verdict import Rules, judge, spread


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

    def networks(self) -> dict[str, Any]:
        self.time += 7.0  # what happens before and after a call does not count
        return {}

    def generate(self, requests: Any, setting: Any) -> list[Sample]:
        self.time += self.seconds
        samples = [Sample(r.id, "text", 1, True) for r in requests]
        return samples[::-1] if self.shuffled else samples


REQUESTS = [Request(str(n), "source", n, 8) for n in range(7)]


def test_a_call_takes_what_the_system_takes() -> None:
    system = Timed(0.02)
    assert timed(system, REQUESTS, None, system.clock).seconds == pytest.approx(0.02)  # type: ignore[arg-type]


def test_the_clock_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    assert Clock("cuda:0").now() <= Clock("cuda:0").now()
    assert waited == ["cuda:0"] * 2
    Clock("cpu").now()
    assert len(waited) == 2


def test_answers_out_of_order_are_a_broken_promise() -> None:
    system = Timed(shuffled=True)
    with pytest.raises(AssertionError, match="in order"):
        timed(system, REQUESTS, None, system.clock)  # type: ignore[arg-type]


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


@pytest.mark.parametrize(("seconds", "calls"), [(0.1, 7), (4.0, 5), (3.9, 6), (100.0, 5)])
def test_single_texts_are_bounded_by_time_but_five_at_least(seconds: float, calls: int) -> None:
    made = list(single(lambda request: Call((), seconds, {}), REQUESTS, Protocol()))
    assert len(made) == calls


def timings(kind: Any, seconds: list[float], texts: int = 2) -> list[TimingRecord]:
    ids = tuple(str(n) for n in range(texts))
    return [TimingRecord(kind, n, ids, s, {}) for n, s in enumerate(seconds)]


GOOD = [*timings("batch", [1.0] * 5), *timings("latency", [0.5] * 5, 1)]
SAMPLES = [SampleRecord(str(n), f"text {n}", 2, True, n, {}) for n in range(2)]


def test_texts_of_unequal_length_are_not_unsteady() -> None:
    """An autoregressive system takes a call per token: 10 ms each here, 8 to 19 of them."""
    calls = [8, 14, 19, 9, 8, 15, 10, 19]
    steady = [
        TimingRecord(kind, n, ("0",), 0.010 * count, {"network": count, "encoder": 1})
        for kind in ("batch", "latency")
        for n, count in enumerate(calls)
    ]
    assert spread([timing.seconds for timing in steady]) > Rules().spread
    verdict = judge(SAMPLES, steady, {"0": "text 0"}, 0, 0.0, Rules())
    assert verdict["valid"], verdict["reasons"]
    assert verdict["latency_spread"] == pytest.approx(0.0)
    shaken = [replace(t, seconds=t.seconds * (1 + t.index % 2)) for t in steady]
    assert not judge(SAMPLES, shaken, {"0": "text 0"}, 0, 0.0, Rules())["valid"]


def test_steady_timings_of_the_same_texts_are_valid() -> None:
    verdict = judge(SAMPLES, GOOD, {"0": "text 0", "1": "text 1"}, 0, 0.0, Rules())
    assert verdict["valid"]
    assert (verdict["singles"], verdict["singles_equal"], verdict["batches"]) == (2, 2, 5)


@pytest.mark.parametrize(
    ("rows", "singles", "changed", "load", "said"),
    [
        (GOOD[1:], {}, 0, None, "too few repeats: 4 batch timings"),
        (GOOD[:-1], {}, 0, None, "too few repeats: 4 latency timings"),
        ([*timings("batch", [1, 1, 1, 2, 2]), *GOOD[5:]], {}, 0, None, "unsteady: batch timings spread by 100%"),
        (GOOD, {"0": "other", "1": "text 1"}, 0, None, "audit: 1 of 2 texts differ"),
        (GOOD, {}, 3, None, "audit: 3 texts differed"),
        (GOOD, {}, 0, 0.5, "not alone: other processes used 50%"),
    ],
)
def test_each_reason_is_said(rows: Any, singles: dict[str, str], changed: int, load: float | None, said: str) -> None:
    verdict = judge(SAMPLES, rows, singles, changed, load, Rules())
    assert not verdict["valid"]
    assert len(verdict["reasons"]) == 1
    assert verdict["reasons"][0].startswith(said)


def test_a_smaller_last_batch_does_not_count_as_a_repeat() -> None:
    verdict = judge(SAMPLES, [*GOOD, *timings("batch", [0.1], 1)], {}, 0, None, Rules())
    assert verdict["valid"]
    assert verdict["batches"] == 5


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
