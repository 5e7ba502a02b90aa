"""Ratios of speeds: over processes, rounds and calls, held against timings that are made up with known noise; what is
not valid, or of another machine, is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_runs import MadeRun, documents, per_text

from benchmarks.tracking import speed
from benchmarks.tracking.comparison import compare
from benchmarks.tracking.schema import ComparedEntry
from benchmarks.tracking.sides import read_side
from benchmarks.tracking.speed import PlacedCall
from reports.comparison import report

REPEATS = 300
QUALITY = per_text("quality", [0.5] * 60)


def timed(
    generator: np.random.Generator, mean: float, processes: int = 5, rounds: int = 4, apart: float = 0.03
) -> list[PlacedCall]:
    """Calls of three texts, which take as long on both sides, in processes that differ by chance."""
    lengths = {("x",): 1.0, ("y",): 1.5, ("z",): 0.7}
    calls = []
    for process, luck in enumerate(generator.normal(0, apart, processes)):
        for number in range(rounds):
            for ids, length in lengths.items():
                noise = np.exp(luck + generator.normal(0, 0.02))
                calls.append(PlacedCall(("run", process), 0, number, ids, mean * length * float(noise)))
    return calls


@pytest.mark.parametrize("ratio", [1.0, 1.1])
def test_processes_hold_a_ratio_and_find_none_where_there_is_none(ratio: float) -> None:
    generator = np.random.default_rng(1)
    held, told = [], []
    for _ in range(REPEATS):
        a, b = timed(generator, 0.01), timed(generator, 0.01 * ratio)
        found = speed._row(("latency", 1), a, b)
        assert (found.covers, found.n) == ("processes", 5)
        limits = found.evidence.interval()
        held.append(limits.low <= ratio <= limits.high)
        told.append(found.p_raw <= 0.05)
    assert np.mean(held) >= 0.915  # of 300, 0.95 less three standard errors
    assert np.mean(told) <= 0.09 if ratio == 1 else np.mean(told) > 0.9


def test_one_process_does_not_pass_for_several() -> None:
    """Two processes of the same code, that differ as processes do: many steady calls must not tell them apart."""
    generator = np.random.default_rng(2)
    told = []
    for _ in range(REPEATS):
        a, b = (timed(generator, 0.01, processes=1, rounds=8, apart=speed.PROCESS_DEVIATION) for _ in range(2))
        found = speed._row(("latency", 1), a, b)
        assert found.covers == "rounds" and "one process" in found.notes[0]
        told.append(found.p_raw <= 0.05)
    assert np.mean(told) <= 0.09


def test_values_are_milliseconds_and_texts_per_second_and_their_ratio_is_the_change() -> None:
    generator = np.random.default_rng(3)
    a, b = timed(generator, 0.01), timed(generator, 0.02)
    slower, fewer = speed._row(("latency", 1), a, b), speed._row(("throughput", 8), a, b)
    assert slower.a == pytest.approx(1000 * np.exp(np.mean([np.log(call.seconds) for call in a])))
    assert slower.b / slower.a == pytest.approx(slower.change) and 1.8 < slower.change < 2.2
    assert (slower.unit, slower.direction, slower.title) == ("ms", "lower", "latency")
    assert fewer.b / fewer.a == pytest.approx(fewer.change) and 0.45 < fewer.change < 0.55
    assert (fewer.unit, fewer.direction, fewer.title) == ("texts/s", "higher", "throughput@8")
    assert 1.01 < slower.evidence.detectable() < 1.2


def test_only_texts_that_both_sides_were_timed_on_count() -> None:
    generator = np.random.default_rng(4)
    a, b = timed(generator, 0.01), timed(generator, 0.01)
    long = [PlacedCall(call.process, 0, call.round, ("long",), 9.0) for call in a]
    assert speed._row(("latency", 1), [*a, *long], b) == speed._row(("latency", 1), a, b)


def test_calls_of_the_same_texts_are_pairs_where_there_were_no_rounds() -> None:
    a = [PlacedCall(("a", 0), 0, 0, (str(n),), 0.01 * (n + 1)) for n in range(6)]
    b = [PlacedCall(("b", 0), 0, 0, (str(n),), 0.012 * (n + 1) * (1 + 0.001 * n)) for n in range(6)]
    found = speed._row(("latency", 1), a, b)
    assert (found.covers, found.n) == ("calls", 6)
    assert found.p_raw < 0.05  # though texts differ sixfold among themselves
    few = speed._row(("latency", 1), a[:2], b[:2])
    assert few.evidence is None and "too few: 2 calls" in few.reason


def test_two_seeds_are_too_few_and_the_rounds_within_them_tell() -> None:
    """A side of two seeds of six rounds each is not blind: what is repeated often enough is what counts."""
    generator = np.random.default_rng(5)
    sides = [
        [replace(call, process=("run", 0), seed=seed) for seed in range(2) for call in timed(generator, mean, 1, 6)]
        for mean in (0.01, 0.02)
    ]
    found = speed._row(("latency", 1), *sides)
    assert (found.covers, found.n, found.reason) == ("rounds", 6, None)
    assert found.p_raw < 0.05
    in_one_round = [[replace(call, round=0) for call in side] for side in sides]
    found = speed._row(("latency", 1), *in_one_round)
    assert (found.covers, found.n, found.reason) == ("calls", 3, None)


# From here on records on disk.

STEADY = {"latency": tuple(0.01 + 0.0001 * n for n in range(9)), "batches": tuple(0.03 + 0.0001 * n for n in range(8))}
SLOW = {name: tuple(2 * seconds for seconds in values) for name, values in STEADY.items()}


def entry(made: MadeRun, tmp_path: Path, header: dict[str, Any], **changes: Any) -> ComparedEntry:
    """A against a B of twice the time, whose header is changed."""
    a, b = MadeRun(made.documents), MadeRun(made.documents)
    a.add("gpt2", "greedy", QUALITY, **STEADY).write(tmp_path / "a")
    b.add("gpt2", "greedy", QUALITY, header=header, **{**SLOW, **changes}).write(tmp_path / "b")
    [found] = compare(read_side(str(tmp_path / "a")), read_side(str(tmp_path / "b"))).entries
    return found


def titles(found: ComparedEntry) -> list[str]:
    return [one.title for one in found.quantities if one.kind == "speed"]


def test_a_side_that_is_half_as_fast_is_worse(made: MadeRun, tmp_path: Path) -> None:
    found = entry(made, tmp_path, {})
    rows = {one.title: one for one in found.quantities}
    assert titles(found) == ["latency", "throughput@4"]
    assert rows["latency"].outcome == rows["throughput@4"].outcome == "worse"
    assert rows["latency"].change == pytest.approx(2) and rows["throughput@4"].change == pytest.approx(0.5)


MACHINE = {"name": "An ordinary CPU", "cores": 2, "threads": 1, "python": "3.11.7"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"device": {**MACHINE, "name": "Another CPU"}}, "device “An ordinary CPU” against “Another CPU”"),
        ({"device": {**MACHINE, "threads": 2}}, "threads “1” against “2”"),
        ({"device": {**MACHINE, "python": "3.12.1"}}, "python “3.11” against “3.12”"),
        ({"packages": {"torch": "2.12.0", "transformers": "5.0"}}, "torch “2.11.0” against “2.12.0”"),
        ({"device": {}}, "the device is not known"),
    ],
)
def test_speeds_of_unlike_machines_are_refused_and_scores_are_not(
    made: MadeRun, tmp_path: Path, header: dict[str, Any], said: str
) -> None:
    found = entry(made, tmp_path, header)
    assert [one.title for one in found.quantities] == ["quality", "calls"]
    [reason] = found.refused
    assert reason.startswith("speed: machine class") and said in reason


def test_a_patch_of_python_is_the_same_machine(made: MadeRun, tmp_path: Path) -> None:
    assert titles(entry(made, tmp_path, {"device": {**MACHINE, "python": "3.11.9"}})) == ["latency", "throughput@4"]


def test_a_speed_that_is_not_valid_is_refused_by_its_own_verdict(made: MadeRun, tmp_path: Path) -> None:
    verdict = {
        "valid": False,
        "reasons": ["all in all"],
        "quantities": {
            "latency": {"valid": False, "reasons": ["unsteady: by 80 %"]},
            "throughput@4": {"valid": True, "reasons": []},
        },
    }
    found = entry(made, tmp_path, {"verdict": verdict})
    assert titles(found) == ["throughput@4"]
    assert found.refused == ("latency: not valid, side B: unsteady: by 80 %",)


def test_a_verdict_on_all_that_was_timed_holds_for_each(made: MadeRun, tmp_path: Path) -> None:
    found = entry(made, tmp_path, {"verdict": {"valid": False, "reasons": ["not alone"]}})
    assert titles(found) == []
    assert found.refused == ("latency, throughput@4: not valid, side B: not alone",)


def test_sizes_of_batches_are_compared_with_their_like(made: MadeRun, tmp_path: Path) -> None:
    found = entry(made, tmp_path, {}, batches=())
    assert titles(found) == ["latency"]
    assert found.refused == ("throughput@4: not timed on side B",)


def test_a_batch_of_all_texts_is_judged_by_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Four texts were made at once where sixty-four were asked for: the verdict is that of sixty-four."""
    verdict = {"valid": True, "reasons": [], "quantities": {"throughput@64": {"valid": True, "reasons": []}}}
    for name in "ab":
        run = MadeRun(documents(6))
        asked = {"header": {"verdict": verdict}, "cell": {"batch_size": 64}}
        run.add("gpt2", "greedy", per_text("quality", [0.5] * 6), **asked, batches=(2.0,)).write(tmp_path / name)
    [found] = compare(read_side(str(tmp_path / "a")), read_side(str(tmp_path / "b"))).entries
    [rate] = [one for one in found.quantities if one.kind == "speed"]
    assert (rate.title, rate.a) == ("throughput@64", pytest.approx(2.0))  # four texts in two seconds
    assert "too few" in rate.reason


def test_rounds_and_processes_of_newer_records_are_read() -> None:
    """Fields that a record may lack: without them all was one round of one process."""
    cell: Any = SimpleNamespace(run=Path("run"), header=SimpleNamespace(cell=SimpleNamespace(seed=3)))
    old: Any = SimpleNamespace(kind="latency", index=0, ids=("x",), seconds=0.1)
    new: Any = SimpleNamespace(kind="latency", index=0, ids=("x",), seconds=0.1, round=2, process=1)
    assert speed._call(cell, old) == PlacedCall(("run", 0), 3, 0, ("x",), 0.1)
    assert speed._call(cell, new) == PlacedCall(("run", 1), 3, 2, ("x",), 0.1)


@pytest.mark.parametrize(("of_both", "said"), [(True, "sides A and B: "), (False, "side B: ")])
def test_what_a_verdict_could_not_look_at_is_said_beside_the_row(
    made: MadeRun, tmp_path: Path, of_both: bool, said: str
) -> None:
    """Besides what is said of any row, and of that quantity alone."""
    known = {"valid": True, "reasons": [], "unknown": []}
    latency = {**known, "unknown": ["what other processes used"]}
    verdict = {"valid": True, "reasons": [], "quantities": {"latency": latency, "throughput@4": known}}
    for name, header in (("a", {"verdict": verdict} if of_both else {}), ("b", {"verdict": verdict})):
        run = MadeRun(made.documents).add("gpt2", "greedy", QUALITY, header=header, **STEADY)
        run.write(tmp_path / name)
    comparison = compare(read_side(str(tmp_path / "a")), read_side(str(tmp_path / "b")))
    rows = {one.title: one for one in comparison.entries[0].quantities}
    sentence = f"{said}not known while this was timed: what other processes used"
    assert rows["latency"].notes[-1] == sentence and rows["latency"].outcome == "cannot tell"
    assert not any("not known" in note for note in rows["throughput@4"].notes)
    assert sentence in report.terminal(comparison, width=200)
