"""What a killed or failing command leaves of texts made on several devices, and how the next one goes on."""

from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.planning.run_config import Choices
from benchmarks.records import claims, environment, store
from benchmarks.running import runner
from benchmarks.running.cell_status import CellStatus
from benchmarks.running.devices import generating, shards
from benchmarks.running.sitting import Occasion
from cosmos.text import round_trip

Make = Callable[..., Plan]
KILLED = """
import multiprocessing, os, signal, time
from pathlib import Path
from benchmarks.planning.run_config import Choices
from benchmarks.running.devices import worker

class Works:
    def __init__(self, work, number, together, answers):
        answers.put(os.getpid())
        time.sleep(600)

worker._Shares = Works
context = multiprocessing.get_context("fork")
answers = context.Queue()
work = worker.ShareWork(Choices(), "cpu", ["cpu:0"], ["cell"], Path())
context.Process(target=worker.make_share, args=(work, 0, context.Barrier(1), answers), daemon=True).start()
print(answers.get(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
FLAGS = {"system": "toy", "setting": "fast", "devices": "cpu:0,cpu:1"}


class Thread(threading.Thread):
    """What a process is here, so that nothing heavy is imported anew."""

    exitcode: int | None = None

    def run(self) -> None:
        try:
            super().run()
            self.exitcode = 0
        except BaseException:
            self.exitcode = 1

    def terminate(self) -> None:
        """Threads here end by themselves."""


class Threads:
    """Stands in for the context of `multiprocessing`."""

    Queue, Barrier, Process = queue.Queue, threading.Barrier, Thread


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generating.multiprocessing, "get_context", lambda name: Threads)  # type: ignore[attr-defined]
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)


def killed(plan: Plan, quiet: Any, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a plan of one cell until a function is called; gives the cell's folder."""

    def die(*words: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(KeyboardInterrupt):
            runner.run(plan, quiet, ("fit", "generate"))
    return store.cell_folder(plan.folder, plan.cells[0].cell.id)


def test_a_command_killed_before_the_header_of_a_cell_is_done_goes_on(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("batch_size=4", **FLAGS)
    folder = killed(plan, quiet, runner._RunExecution, "finish", monkeypatch)
    before = (folder / store.SAMPLES).read_bytes()
    assert len(store.read_cell(folder).samples) == 23 and (folder / shards.FOLDER).exists()
    (folder / store.TIMINGS).unlink()  # the same, had it been killed between the two files
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0, quiet.lines
    assert (folder / store.SAMPLES).read_bytes() == before
    assert [timing.kind for timing in store.read_timings(folder)] == ["shard"] * 6
    assert not (folder / shards.FOLDER).exists()
    (folder / shards.FOLDER).mkdir()  # as if it had been killed after the header
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0
    assert not (folder / shards.FOLDER).exists()


def test_shards_are_sealed_with_their_texts(planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned("batch_size=4", **FLAGS)
    folder = killed(plan, quiet, runner._RunExecution, "finish", monkeypatch)
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0, quiet.lines
    (folder / store.SAMPLES).unlink()  # lost, so the cell is made again
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0, quiet.lines
    killed(planned("batch_size=4", **FLAGS, seeds="2"), quiet, runner._RunExecution, "finish", monkeypatch)
    begun = next(h for h in store.read_headers(plan.folder) if h.status == "started")
    path = store.cell_folder(plan.folder, begun.cell.id) / store.SAMPLES
    path.write_text(path.read_text().replace("word test 3", "word test 33"))
    with pytest.raises(UserError, match="was changed after it was written"):
        runner.run(planned("batch_size=4", **FLAGS, seeds="2"), quiet, ("generate",))


def test_texts_that_other_code_left_in_shards_are_noted(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, made_with = planned("batch_size=4", **FLAGS), environment.made_with
    with monkeypatch.context() as patch:
        patch.setattr(environment, "made_with", lambda device: {**made_with(device), "commit": "0" * 40})
        folder = killed(plan, quiet, shards, "merge", monkeypatch)
    assert not (folder / store.SAMPLES).exists() and (folder / shards.FOLDER).exists()
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0, quiet.lines
    header = store.read_cell(folder).header
    assert [before["commit"] for before in header.earlier] == ["0" * 40]
    assert any("taken up again with other code" in reason for reason in header.verdict["reasons"])


def test_a_process_that_fails_while_it_starts_says_its_sentence(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("batch_size=4", **FLAGS)
    assert runner.run(plan, quiet, ("fit",)).exit_code == 0
    work = generating.ShareWork

    def other(choices: Choices, *words: Any) -> generating.ShareWork:
        return work(dataclasses.replace(choices, preset="bsae"), *words)

    monkeypatch.setattr(generating, "ShareWork", other)
    outcome = runner.run(plan, quiet, ("generate",))
    assert outcome.exit_code == 2 and "bsae" in outcome.refused[0] and "exit code" not in outcome.refused[0]


def test_what_a_process_says_of_the_next_cell_is_no_answer_for_this_one(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is done with a cell may fail at the next before others have said that they are done too."""

    class Scripted(Thread):
        def run(self) -> None:
            work, number, _, answers = self._args  # type: ignore[attr-defined]
            first, *later = work.cells
            if later and number == 1:
                answers.put(generating.Share(first, 1, 0, 0.0, 1.0, 0.0, 0.0))
                answers.put(generating.Failure(later[0], 1, "no memory for it", True, ""))
                answers.put(generating.Share(first, 0, 0, 0.0, 1.0, 0.0, 0.0))
            self.exitcode = 1  # that it has ended is held against it only where it owes an answer

    monkeypatch.setattr(Threads, "Process", Scripted)
    monkeypatch.setattr(shards, "merge", lambda *words: None)
    monkeypatch.setattr(generating._Sharing, "_made", lambda *words: {})
    monkeypatch.setattr(generating._Sharing, "_whole", lambda *words: None)
    plan, finished = planned("batch_size=4", **{**FLAGS, "setting": "fast,default"}), []
    occasion = Occasion(
        plan, (), (), round_trip.find(plan.cells[0].cell.tokenizer), quiet, CellStatus(plan.folder, quiet)
    )
    for each in plan.cells:
        store.cell_folder(plan.folder, each.cell.id).mkdir(parents=True)
    generating.hold(occasion, [plan.cells], lambda seat: finished.append(seat.planned.cell.setting))
    assert finished == [plan.cells[0].cell.setting]
    assert len(occasion.outcome.refused) == 1 and "on cpu:1: no memory for it" in occasion.outcome.refused[0]


def test_no_speed_is_said_of_texts_that_others_made_meanwhile(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of a killed command may add to a cell after the next command has looked what is there."""
    plan = planned("batch_size=4", **FLAGS)
    folder = killed(plan, quiet, shards, "merge", monkeypatch)
    aside = folder.rename(folder.with_name("aside"))

    class Late(Thread):
        def start(self) -> None:
            if not (folder / shards.FOLDER).exists():
                shutil.copytree(aside / shards.FOLDER, folder / shards.FOLDER)
            super().start()

    monkeypatch.setattr(Threads, "Process", Late)
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0, quiet.lines
    assert [timing.kind for timing in store.read_timings(folder)] == ["shard"] * 6


def test_a_share_is_held_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_END_SECONDS", 0.0)
    with claims.share(tmp_path, "cell", 0), claims.share(tmp_path, "cell", 1):
        refused = pytest.raises(UserError, match=f"still being made by process {os.getpid()} on")
        with refused, claims.share(tmp_path, "cell", 0):
            pass
    with claims.share(tmp_path, "cell", 0):
        pass


def test_processes_end_with_a_command_that_is_killed() -> None:
    """What a process writes to is closed when it has ended; else this would wait for the ten minutes that it works."""
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        pid = int(command.stdout.readline())
        try:
            rest, _ = command.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.kill(pid, signal.SIGKILL)
            raise
    assert command.returncode == -signal.SIGKILL and rest == ""
