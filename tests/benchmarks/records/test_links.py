"""No file of a run is read or written through a symbolic link."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reports
from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import store
from benchmarks.running import runner
from benchmarks.running.merging import merge

Make = Callable[..., Plan]
NAMES = (".lock", "plan.json", "cells", "cells/ID/samples.jsonl", "cells/ID/header.json", "documents", "learnt",
         "checkpoints", "checkpoints/ID/weights.json", "report", "report/report.md")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the run, which the first test makes and all take copies of."""
    return tmp_path_factory.mktemp("made")


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_link_is_named_and_nothing_behind_it_is_touched(
    planned: Make, quiet: Any, tmp_path: Path, made: Path, name: str
) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    plan = planned(setting="fast")
    if not (made / "run").exists():
        assert runner.run(planned(setting="fast", out=str(made / "run")), quiet, ("fit", "generate")).exit_code == 0
    shutil.copytree(made / "run", run)
    cell = plan.cells[0].cell
    path = run / name.replace("ID", cell.id if name.startswith("cells") else cell.checkpoint_id)
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        shutil.move(path, outside)
    else:
        outside.write_text("mine")
    path.symlink_to(outside)
    before = _bytes(outside)
    calls: tuple[Callable[[], object], ...] = (
        lambda: runner.run(plan, quiet), lambda: store.read_run(run), lambda: reports.write(run),
        lambda: merge([run, tmp_path / "other"], tmp_path / "both"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(UserError, match=rf"^{path} is a link"):
            call()
    assert _bytes(outside) == before


def _bytes(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (place, *place.rglob("*")) if path.is_file()}


def test_the_folder_of_a_run_may_itself_be_a_link(planned: Make, quiet: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    assert runner.run(planned(setting="fast"), quiet, ("fit", "generate")).exit_code == 0
    assert len(store.read_run(tmp_path / "run")) == 1
