"""Timing in processes of their own, really: spawned, with the outside package, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import store
from benchmarks.records.validity import throughput
from benchmarks.running import fresh_processes, runner

Make = Callable[..., Plan]


def test_three_processes_time_again_and_score_nothing(planned: Make, quiet: Any, tmp_path: Path) -> None:
    plain = planned("batch_size=10", out=str(tmp_path / "plain"))
    runner.run(plain, quiet, ("fit", "generate"))
    plan = planned("batch_size=10", "sweep=4", timing="fresh")
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    folders = [store.cell_folder(tmp_path / "run", made.cell.id) for made in plan.cells]
    for folder, before in zip(folders, plain.cells, strict=True):
        record = store.read_cell(folder)
        assert record.samples == store.read_samples(store.cell_folder(tmp_path / "plain", before.cell.id))
        for process in (1, 2, 3):
            own = [timing for timing in record.timings if timing.process == process]
            assert {timing.kind for timing in own} == {"sweep", "latency"}
            assert {len(timing.ids) for timing in own} == {1, 4, 10}
            assert {timing.round for timing in own} == set(range(5))
            assert all({"watched", "busy_cores"} <= set(timing.beside) for timing in own)
        indices = [(timing.kind, timing.index) for timing in record.timings]
        assert len(indices) == len(set(indices))
        reasons = record.header.verdict["quantities"][throughput(10)]["reasons"]
        assert not any("processes" in reason and "few" in reason for reason in reasons)
    assert not list((tmp_path / "run").glob("timings-of-process-*"))


def test_processes_that_fail_are_said_and_doubt_what_they_should_have_timed(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh_processes, "measure", _fails)
    plan = planned("batch_size=10", timing="fresh", setting="default")
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    said = [line for line in quiet.lines if "ended with exit code 3" in line]
    assert len(said) == 3
    header = store.read_header(store.cell_folder(tmp_path / "run", plan.cells[0].cell.id))
    assert header is not None
    assert "too few processes: 1 timed it, 4 are needed" in header.verdict["quantities"][throughput(10)]["reasons"]


def _fails(*_: object) -> None:
    raise SystemExit(3)


def test_another_way_to_time_is_refused(planned: Make) -> None:
    with pytest.raises(UserError, match="timing"):
        planned(timing="quick")
