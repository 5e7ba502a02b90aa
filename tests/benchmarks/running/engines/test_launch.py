"""A launch: what may begin, what is tried again, and what becomes of machines that cannot; with a stand-in for Ray."""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import claims, store
from benchmarks.records.files import StoreError
from benchmarks.running import runner, sitting
from benchmarks.running.cell_status import ERROR
from benchmarks.running.engines import cluster, launch, orders, parcels, worker
from benchmarks.running.engines.logs import log_of
from benchmarks.running.engines.needs import Shares
from tests.benchmarks.running.engines.ray_stand_in import RayError, StandIn, WorkerCrashedError, installed

Make = Callable[..., Plan]
TWO = {"a1": (2, 0), "b2": (2, 0)}

pytestmark = pytest.mark.usefixtures("no_power_cuts")


@contextmanager
def ray(
    nodes: dict[str, tuple[int, int]] = TWO, at: Callable[[str, str], None] = lambda node, task: None
) -> Iterator[StandIn]:
    with installed(StandIn(nodes, at), sys.modules) as stand_in:
        yield stand_in


def made(folder: Path) -> dict[str, bytes]:
    """Samples and scores."""
    names = (store.SAMPLES, store.SCORES)
    return {str(path.relative_to(folder)): path.read_bytes() for name in names for path in folder.rglob(name)}


def test_a_launch_makes_what_one_process_makes_whether_or_not_workers_see_the_folder(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.run(planned(out=str(tmp_path / "local"), limit="3"), quiet).exit_code == 0
    with ray() as stand_in:
        plan = planned(out=str(tmp_path / "shared"), limit="3")
        assert launch.run(plan, quiet).exit_code == 0
        stages = [task.split()[0] for task, _, _ in stand_in.given if " " in task]
        assert {node for _, node, _ in stand_in.given} == {"a1", "b2"}
    count = len(plan.cells)
    assert (stages.count("generate"), stages.count("score")) == (count, count) and 0 < stages.count("fit") <= count
    assert made(tmp_path / "shared") == made(tmp_path / "local")
    assert all(log_of(tmp_path / "shared", p.cell.id).read_text().count("== generate on ") == 1 for p in plan.cells)
    assert any("which write into the run folder" in line for line in quiet.lines)

    folder = tmp_path / "apart"
    monkeypatch.setattr(worker, "sees", lambda run, token: False)
    with ray():
        assert launch.run(planned(out=str(folder), limit="3"), quiet).exit_code == 0
    assert made(folder) == made(tmp_path / "local")
    assert all(store.read_cell(store.cell_folder(folder, p.cell.id)).header.status == "done" for p in plan.cells)
    assert any(log_of(folder, p.cell.id).exists() for p in plan.cells)
    assert not list(folder.rglob("*.partial")) and not (folder / claims.FOLDER / orders.TOKEN).exists()


def test_what_is_there_is_not_given_again(planned: Make, quiet: Any) -> None:
    plan = planned(system="toy", setting="fast", limit="2")
    with ray():
        assert launch.run(plan, quiet).exit_code == 0
    with ray() as stand_in:
        assert launch.run(plan, quiet).exit_code == 0
        assert [task for task, _, _ in stand_in.given if " " in task] == []


def test_work_of_a_lost_worker_is_taken_up_again(planned: Make, quiet: Any, tmp_path: Path) -> None:
    lost = {"fit": 1, "generate": 2, "score": 1}

    def at(node: str, task: str) -> None:
        stage = task.split()[0]
        if lost.get(stage):
            lost[stage] -= 1
            raise WorkerCrashedError("gone")

    with ray(at=at):
        assert launch.run(planned(system="toy", setting="fast", limit="3"), quiet).exit_code == 0
    assert set(lost.values()) == {0}
    assert sum("is taken up again: its worker was lost" in line for line in quiet.lines) == 4
    assert all(record.header.status == "done" for record in store.read_run(tmp_path / "run"))


def test_a_cell_whose_worker_is_lost_each_time_fails_and_the_rest_goes_on(
    planned: Make, quiet: Any, tmp_path: Path
) -> None:
    def at(node: str, task: str) -> None:
        if task.startswith("fit") and task.endswith(doomed.cell.id):
            raise WorkerCrashedError("gone")

    plan = planned(system="toy,knowing", limit="3")
    doomed = plan.cells[0]
    with ray(at=at) as stand_in:
        outcome = launch.run(plan, quiet)
        assert [task for task, _, _ in stand_in.given].count(f"fit {doomed.cell.id}") == 3
    assert outcome.exit_code == 1
    status = {r.header.cell.system: r.header.status for r in store.read_run(tmp_path / "run")}
    assert status["knowing"] == "done" and status.get("toy", "failed") == "failed"
    assert outcome.failed and all(
        "its worker was lost (WorkerCrashedError); 3 tries, log: " in s for s in outcome.failed
    )


def test_a_cell_that_always_fails_is_tried_three_times_and_the_rest_goes_on(
    planned: Make, quiet: Any, tmp_path: Path
) -> None:
    plan = planned(system="toy,broken", limit="3")
    with ray():
        outcome = launch.run(plan, quiet)
    assert outcome.exit_code == 1
    broken = [p for p in plan.cells if p.cell.system == "broken"]
    assert len(outcome.failed) == len(broken)
    log = log_of(tmp_path / "run", broken[0].cell.id)
    assert str(log) in outcome.failed[0] and "RuntimeError: no memory left" in outcome.failed[0]
    assert re.findall(r"== generate on .*, try (\d)", log.read_text()) == ["1", "2", "3"]
    records = {r.header.cell.id: r.header for r in store.read_run(tmp_path / "run")}
    assert {records[p.cell.id].status for p in plan.cells if p.cell.system != "broken"} == {"done"}
    assert {records[p.cell.id].status for p in broken} == {"failed"}


@pytest.mark.parametrize("shared", [True, False])
def test_a_machine_without_space_gets_no_more_work(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    within = worker._within

    def full(order: Any, run: Path, node: str, watcher: Any) -> Any:
        return (
            ("full", "There is no space left to write /scratch/x")
            if "b2" in node
            else within(order, run, node, watcher)
        )

    monkeypatch.setattr(worker, "_within", full)
    if not shared:
        monkeypatch.setattr(worker, "sees", lambda run, token: False)
    with ray() as stand_in:
        assert launch.run(planned(system="toy", setting="fast", limit="2"), quiet).exit_code == 0
        assert sum(node == "b2" and " " in task for task, node, _ in stand_in.given) == 1
    (said,) = (line for line in quiet.lines if "gets no more work" in line)
    assert "b2" in said and "no space left" in said


def test_a_folder_that_no_machine_can_write_ends_the_launch_with_its_sentence(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(order: Any, run: Path, node: str, watcher: Any) -> Any:
        raise StoreError(
            "There is no space left to write X; free some and run the same command again, nothing is lost."
        )

    monkeypatch.setattr(worker, "_done", full)
    with ray(), pytest.raises(UserError, match=r"no space left .* nothing is lost"):
        launch.run(planned(system="toy", setting="fast", limit="2"), quiet)


def test_a_machine_with_another_version_is_refused_and_both_are_named(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = orders.this_version()

    def at(node: str, task: str) -> None:
        monkeypatch.setattr(orders, "this_version", lambda: ("0.0.1", None) if node == "b2" else ours)

    plan = planned(system="toy", setting="fast", limit="2")
    with ray(at=at), pytest.raises(UserError) as refused:
        launch.run(plan, quiet)
    assert "host-b2" in str(refused.value) and "has cosmos-bench 0.0.1" in str(refused.value)
    assert f"this command is of {orders.named(ours)}" in str(refused.value)
    assert not (tmp_path / "run" / store.PLAN).exists()


def test_a_machine_with_another_version_that_comes_later_gets_no_work(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = orders.this_version()

    def at(node: str, task: str) -> None:
        later = node == "b2" and " " in task
        monkeypatch.setattr(orders, "this_version", lambda: ("0.0.1", None) if later else ours)

    with ray(at=at) as stand_in:
        assert launch.run(planned(system="toy", setting="fast", limit="2"), quiet).exit_code == 0
        assert sum(node == "b2" and " " in task for task, node, _ in stand_in.given) == 1
    (said,) = (line for line in quiet.lines if "gets no more work" in line)
    assert "cosmos-bench 0.0.1" in said and orders.named(ours) in said


def test_a_machine_that_comes_later_and_does_not_see_the_folder_is_sent_what_it_needs(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = planned(system="toy", setting="fast", limit="2")
    with ray() as stand_in:
        monkeypatch.setattr(worker, "sees", lambda run, token: stand_in.here != "b2")
        assert launch.run(plan, quiet).exit_code == 0
    assert all(record.header.status == "done" for record in store.read_run(tmp_path / "run"))


def test_a_cell_that_failed_elsewhere_and_goes_well_when_tried_again_keeps_no_trace_of_it(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(system="toy", setting="fast", limit="2")
    folder = store.cell_folder(tmp_path / "run", plan.cells[0].cell.id)
    generate, failed = sitting.hold, []

    def once(*given: Any) -> None:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a bad moment")

        with monkeypatch.context() as patch:
            if not failed:
                patch.setattr(sitting.Seat, "__init__", fails)
            generate(*given)
        failed.append((folder / ERROR).exists())

    monkeypatch.setattr(worker, "sees", lambda run, token: False)
    monkeypatch.setattr(sitting, "hold", once)
    with ray():
        assert launch.run(plan, quiet).exit_code == 0
    assert any("is taken up again" in line and "a bad moment" in line for line in quiet.lines) and failed[1]
    assert store.read_cell(folder).header.status == "done"
    assert not (folder / ERROR).exists()


def test_only_what_is_void_is_removed_with_what_comes_back(tmp_path: Path) -> None:
    here, there = (tmp_path / name / "cells/x" for name in ("here", "there"))
    for folder, names in ((here, (ERROR, store.SCORES, "audit.json")), (there, ("header.json",))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name)
    empty = parcels.packed(tmp_path / "there", ["cells/y"])
    parcels.unpack(empty, tmp_path / "here", ["x"])
    assert (here / ERROR).exists(), "nothing of the cell came back"
    parcels.unpack(parcels.packed(tmp_path / "there", ["cells/x"]), tmp_path / "here", ["x"])
    assert sorted(path.name for path in here.iterdir()) == ["audit.json", "header.json"]


def test_where_no_machine_is_left_that_has_what_a_stage_takes_that_is_said(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "SAY_SECONDS", 0.0)
    looks: list[float] = []

    def waits(refs: Any, num_returns: int, timeout: float) -> Any:
        if len(looks) > 9:
            pytest.fail("it waits without end")
        looks.append(timeout)
        return [], list(refs)

    def at(node: str, task: str) -> None:
        if task.startswith("generate"):
            stand_in.known = {"a1": (2, 0)}
            stand_in.wait = waits  # type: ignore[method-assign]

    said = r"left of the cluster has the 4 cores that generate takes; start one"
    with ray({"a1": (2, 0), "b2": (4, 0)}, at) as stand_in, pytest.raises(UserError, match=said):
        launch.run(planned(system="toy", setting="fast", limit="2"), quiet)
    assert looks.count(launch.POLL_SECONDS) == 2, "a machine may come back until the second look"


def test_timed_cells_say_that_they_shared_a_device_where_that_was_asked_for(
    planned: Make, quiet: Any, tmp_path: Path
) -> None:
    for name, shares in (("alone", Shares(cpus=1)), ("beside", Shares(cpus=1, timed=True))):
        plan = planned(system="toy", setting="fast", limit="3", out=str(tmp_path / name))
        with ray() as stand_in:
            assert launch.run(plan, quiet, shares=shares).exit_code == 0
            taken = {task.split()[0]: options["num_cpus"] for task, _, options in stand_in.given if " " in task}
        assert taken == {"fit": 1, "generate": 2 if name == "alone" else 1, "score": 1}
        reasons = [record.header.verdict["reasons"] for record in store.read_run(tmp_path / name)]
        assert all(("made beside other work on its device" in " ".join(each)) == (name == "beside") for each in reasons)
    assert made(tmp_path / "alone") == made(tmp_path / "beside")


def test_an_interrupt_takes_back_what_was_given(planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(system="toy,knowing", limit="3")
    cancelled: list[int] = []
    with ray() as stand_in:
        monkeypatch.setattr(stand_in, "cancel", lambda ref, force=False: cancelled.append(ref))

        def interrupted(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(launch._Launch, "settle", interrupted)
            with pytest.raises(KeyboardInterrupt):
                launch.run(plan, quiet)
        assert launch.run(plan, quiet).exit_code == 0
    assert cancelled


def test_two_launches_on_one_folder_are_one_too_many(planned: Make, quiet: Any) -> None:
    plan = planned(system="toy", setting="fast", limit="2")
    plan.folder.mkdir()
    with ray(), claims.launch(plan.folder), pytest.raises(UserError, match=f"being made by process {os.getpid()}"):
        launch.run(plan, quiet)


def test_a_node_that_does_not_answer_is_named(planned: Make, quiet: Any) -> None:
    def at(node: str, task: str) -> None:
        if node == "b2":
            raise RayError("the node died")

    with ray(at=at), pytest.raises(UserError, match=r"host-b2 .* cannot work \(the node died\)"):
        launch.run(planned(system="toy", setting="fast", limit="2"), quiet)


def test_what_leads_out_of_a_run_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "run" / "cells").mkdir(parents=True)
    (tmp_path / "run" / "cells" / "x").write_text("x")
    parcel = parcels.packed(tmp_path / "run", ["cells"])
    assert parcel == parcels.packed(tmp_path / "run", ["cells"])
    parcels.unpack(parcel, tmp_path / "other")
    assert (tmp_path / "other" / "cells" / "x").read_text() == "x"
    for name in ("../evil", "/evil"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name))
        with pytest.raises(UserError, match="no file of a run"):
            parcels.unpack(stream.getvalue(), tmp_path / "other")


def test_nodes_are_named_by_host_address_and_id() -> None:
    with ray({"n1": (4, 1)}):
        (node,) = cluster.nodes()
    assert node.name == "host-n1 (n1, node n1)" and (node.machine.cpus, node.machine.gpus) == (4, 1)
