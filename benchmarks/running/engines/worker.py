"""What a worker does with an order: one stage of one cell, as `run --cell` does it, in the run's folder or a copy."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.planning import plan as plans
from benchmarks.planning.run_config import Choices
from benchmarks.records import store
from benchmarks.records.claims import FOLDER
from benchmarks.running import runner
from benchmarks.running.engines import parcels
from benchmarks.running.engines.logs import LogReporter, log_of, logged
from benchmarks.running.engines.orders import TOKEN, Answer, WorkOrder
from cosmos.io.files import WriteError

PATIENCE_SECONDS = 120.0
"""How long a cell may still be held by a worker that was lost: a server of files finds out after a while."""

Watcher = Callable[[str, float, float | None], None]
Ending = tuple[str, str]


def obey(order: WorkOrder, node: str, watcher: Watcher) -> Answer:
    """Carry out an order, and say how that ended; nothing but an interrupt is raised."""
    run = Path(order["run"])
    if sees(run, order["token"]):
        ending, said = _within(order, run, node, watcher)
        return _answer(ending, said, node, None)
    if order["parcel"] is None:
        return _answer("apart", f"{node} does not see {run}", node, None)
    try:
        with tempfile.TemporaryDirectory(prefix="cosmos-bench-") as scratch:
            folder = Path(scratch) / "run"
            parcels.unpack(order["parcel"], folder)
            ending, said = _within(order, folder, node, watcher)
            cells = _planned(order, folder)[1]
            names = [name for name in parcels.names_for(order["stage"], cells) if name != store.PLAN]
            return _answer(ending, said, node, parcels.packed(folder, names))
    except (WriteError, OSError) as error:
        return _answer("full", str(error), node, None)


def sees(run: Path, token: str) -> bool:
    """Whether this machine sees the folder in which the launch has left its token."""
    try:
        return (run / FOLDER / TOKEN).read_text() == token
    except OSError:
        return False


def _answer(ending: Any, said: str, node: str, parcel: bytes | None) -> Answer:
    return Answer(ending=ending, said=said, node=node, parcel=parcel)


def _within(order: WorkOrder, run: Path, node: str, watcher: Watcher) -> Ending:
    """Do the work in a folder, logged."""
    first, *others = order["cells"]
    try:
        for cell_id in others:
            with logged(log_of(run, cell_id), f"{order['stage']} on {node}: see {log_of(run, first).name}"):
                pass
        with logged(log_of(run, first), f"{order['stage']} on {node}, try {order['attempt']}"):
            return _done(order, run, node, watcher)
    except WriteError as error:
        return "full", str(error)


def _done(order: WorkOrder, run: Path, node: str, watcher: Watcher) -> Ending:
    try:
        with _threads(order["threads"]):
            plan, cells = _planned(order, run)
            if len(cells) < len(order["cells"]):
                raise UserError(
                    f"{node} makes other cells of the same flags: its data, its weights or its packages are not those "
                    "of the machine that gave the command."
                )
            outcome = runner.run(
                plan,
                LogReporter(watcher),
                (order["stage"],),
                only=cells,
                beside=order["beside"],
                patience=PATIENCE_SECONDS,
            )
    except WriteError as error:
        print(error, file=sys.stderr)
        return "full", str(error)
    except UserError as error:
        print(error, file=sys.stderr)
        return "refused", str(error)
    except Exception as error:  # a fault of ours ends this cell, and no other
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {error}".splitlines()[0]
    if outcome.failed:
        return "failed", outcome.failed[0]
    return ("refused", outcome.refused[0]) if outcome.refused else ("done", "")


def _planned(order: WorkOrder, run: Path) -> tuple[plans.Plan, list[plans.PlannedCell]]:
    """The plan of the command, and those of its cells that are ordered."""
    plan = _plan(order["choices"], run, order["device"])
    return plan, [planned for planned in plan.cells if planned.cell.id in order["cells"]]


@functools.lru_cache(maxsize=1)
def _plan(choices: bytes, run: Path, device: str) -> plans.Plan:
    """A process has many cells of one plan made."""
    chosen: Choices = pickle.loads(choices)
    return plans.make(dataclasses.replace(chosen, out=str(run)), device)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """With so many threads; None for as many as the libraries take by themselves."""
    if count is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
