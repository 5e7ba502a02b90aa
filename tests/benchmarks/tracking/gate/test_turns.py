"""Turns of two sides, and the processes that take them."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.records.schema import Cell
from benchmarks.stats.ratios import LEAST_ROUNDS
from benchmarks.tracking.gate import code_trees, side_process
from benchmarks.tracking.gate.code_trees import CodeTree
from benchmarks.tracking.gate.interleaving import AGAIN, A, B, Design, taken
from benchmarks.tracking.gate.side_process import TimedSide, TimingJob

OUTSIDE = Path(__file__).parents[2] / "outside"


class Noted:
    """A side that notes when it was asked."""

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self.name, self.log = name, log

    def seconds(self, size: int, start: int = 0) -> float:
        self.log.append((self.name, size))
        return {A: 1.0, B: 1.1, AGAIN: 1.0}[self.name] * size


def noted(name: str, log: list[tuple[str, int]]) -> AbstractContextManager[TimedSide]:
    @contextmanager
    def side() -> Iterator[TimedSide]:
        yield Noted(name, log)

    return side()


@pytest.mark.parametrize("names", [(A, B), (A, B, AGAIN)])
def test_each_side_is_first_and_before_each_other_equally_often(names: tuple[str, ...]) -> None:
    log: list[tuple[str, int]] = []
    sides = {name: partial(noted, name, log) for name in names}
    turns = taken(sides, (25, 1), Design(processes=1, rounds=12), itertools.count().__next__)
    order = [name for name, size in log if size == 25]
    rounds = [tuple(order[i : i + len(names)]) for i in range(0, len(order), len(names))]
    assert all(sorted(each) == sorted(names) for each in rounds) and len(rounds) == 12
    assert set(Counter(each[0] for each in rounds).values()) == {12 // len(names)}
    for one, other in itertools.permutations(names, 2):
        assert sum(each.index(one) < each.index(other) for each in rounds) == 6
    assert turns.seconds(B, 25) == pytest.approx(27.5) and turns.rounds == 12


def test_the_ratio_is_of_seconds_and_equal_times_differ_by_nothing() -> None:
    sides = {name: partial(noted, name, []) for name in (A, B, AGAIN)}
    turns = taken(sides, (1,), Design(processes=3, rounds=5), itertools.count().__next__)
    assert turns.ratio(1).change == pytest.approx(1.1)
    assert turns.ratio(1, AGAIN, A).change == 1.0 and turns.floor(1).ratio == pytest.approx(1.0)
    assert (turns + turns).rounds == 30


def test_a_process_ends_when_its_time_is_up_but_not_before_it_says_something() -> None:
    sides = {name: partial(noted, name, []) for name in (A, B)}
    turns = taken(sides, (1,), Design(processes=2, rounds=10, seconds=0.5), itertools.count().__next__)
    assert turns.rounds == 2 * LEAST_ROUNDS


def job(folder: Path, system: str) -> TimingJob:
    recipe = {"width": 4, "rate": {"start": 0.1, "betas": [0.9, 0.98]}, "kind": "plain", "budget": "10steps"}
    cell = Cell(
        "echo",
        "1",
        "lines",
        {},
        system,
        "nano",
        recipe,
        "10steps",
        "default",
        {"steps": 3},
        None,
        2,
        "cpu",
        "float32",
        0,
    )
    asked = [{"id": str(n), "source": "a b", "seed": n, "max_tokens": 8} for n in range(4)]
    (folder / "weights.json").write_text('{"width": 4}')
    limits = {"source_tokens": 8, "target_tokens": 8}
    return TimingJob(CodeTree(code_trees.HERE, "this code"), cell, folder, limits, asked, (2, 1))


@pytest.fixture
def _outside(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(OUTSIDE), str(installed)]))


@pytest.mark.usefixtures("_outside")
def test_a_process_generates_and_says_how_long_it_took(tmp_path: Path) -> None:
    with side_process.started(job(tmp_path, "toy")) as side:
        assert side.seconds(2) > 0 and side.seconds(1, 3) > 0
        with pytest.raises(
            UserError, match=r"^The code of this code cannot generate these texts \(.*asked for 2 texts"
        ):
            side.seconds(2, 3)


@pytest.mark.usefixtures("_outside")
def test_what_cannot_be_loaded_or_is_other_code_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The toy is not to be loaded"), side_process.started(job(tmp_path, "fussy")):
        pass
    with pytest.raises(UserError, match="cannot generate these texts"), side_process.started(job(tmp_path, "nobody")):
        pass


def test_a_tree_finds_its_own_packages_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(code_trees.HERE), "/elsewhere"]))
    path = CodeTree(tmp_path, "other code").environment["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(tmp_path), "/elsewhere"]
