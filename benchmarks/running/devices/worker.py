"""What a process does that makes its share of the texts of every cell, on a device of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any, Protocol

from baselines.contract import UserError
from benchmarks.planning.run_config import Choices
from benchmarks.records import seals, store
from benchmarks.records.schema import Network

_VISIBLE = "CUDA_VISIBLE_DEVICES"


class Answers(Protocol):
    """Where a process leaves what it has to say, as `multiprocessing.Queue` does."""

    def put(self, answer: Any) -> None: ...


@dataclass(frozen=True)
class ShareWork:
    """What all processes are told.

    Attributes:
        devices: by number.
        cells: ids, in the order in which they are made.
    """

    choices: Choices
    device: str
    devices: Sequence[str]
    cells: Sequence[str]
    folder: Path


@dataclass(frozen=True)
class Share:
    """A process's share of a cell is made.

    Attributes:
        batches: how many this process has made; none of those that an earlier attempt left.
        started, ended: on the clock that all processes of a machine have in common, in seconds.
        networks, total, no_likelihood: what the header says of the system; the first process says it.
    """

    cell: str
    number: int
    batches: int
    started: float
    ended: float
    load_seconds: float
    warm_up_seconds: float
    networks: Mapping[str, Network] = field(default_factory=dict)
    total: Network | None = None
    no_likelihood: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far the first process is with its share of a cell."""

    cell: str
    share: float


@dataclass(frozen=True)
class Failure:
    """A process could not make its share; `mended` says whether its user can do something about it."""

    cell: str
    number: int
    reason: str
    mended: bool
    trace: str


def make_share(work: ShareWork, number: int, together: Barrier, answers: Answers) -> None:
    """Make every cell's batches that are this process's; all begin a cell at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits for this one answers it
    end_with_parent()
    cell = work.cells[0]  # which fails where nothing can be begun
    try:
        see_only(work.devices[number])
        made = _Shares(work, number, together, answers)
        for cell in work.cells:
            made.make(cell)
    except BrokenBarrierError:  # another one failed
        return
    except BaseException as error:
        together.abort()
        mended = isinstance(error, UserError)
        reason = str(error) if mended else f"{type(error).__name__}: {error}".splitlines()[0]
        answers.put(Failure(cell, number, reason, mended, "".join(traceback.format_exception(error))))


def end_with_parent() -> None:
    """Let this process end at once when the one that started it is gone, however that ended: it would go on to write
    into a folder that the next command takes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def see_only(device: str) -> None:
    """Let this process see no other GPU, before anything asks which there are."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        visible = [name for name in os.environ.get(_VISIBLE, "").split(",") if name]
        os.environ[_VISIBLE] = visible[int(index)] if visible else index


class _Shares:
    """One process at work; a system is loaded once for all cells of its checkpoint."""

    def __init__(self, work: ShareWork, number: int, together: Barrier, answers: Answers) -> None:
        from benchmarks.planning import plan as plans
        from benchmarks.running import seating
        from cosmos.text import round_trip

        self.work, self.number, self.together, self.answers = work, number, together, answers
        self.plan = plans.make(work.choices, work.device)
        self.cells = {planned.cell.id: planned for planned in self.plan.cells}
        self.tests = self.plan.source.load(self.plan.task.name, "test", work.choices.limit)
        self.others = seating.other_documents(self.plan, self.tests)
        self.tokenizer = round_trip.find(self.plan.cells[0].cell.tokenizer)
        self.loaded: tuple[str, Any, float] | None = None

    def system(self, cell_id: str) -> tuple[Any, float]:
        """The loaded system of a cell, and the seconds that loading it took."""
        from benchmarks.running import seating
        from benchmarks.timing import memory

        planned = self.cells[cell_id]
        if self.loaded is None or self.loaded[0] != planned.cell.checkpoint_id:
            self.loaded = None
            memory.free()
            loaded = seating.load(self.plan, planned, [*self.others, *self.tests])
            self.loaded = planned.cell.checkpoint_id, *loaded
        return self.loaded[1], self.loaded[2]

    def make(self, cell_id: str) -> None:
        from benchmarks.records import claims

        with claims.share(self.work.folder, cell_id, self.number):
            self.make_held(cell_id)

    def make_held(self, cell_id: str) -> None:
        """Make this process's share of a cell; nobody else adds to it meanwhile."""
        from benchmarks.running import seating
        from benchmarks.running.cell_timing import record_of
        from benchmarks.running.devices import shards
        from benchmarks.running.sample_records import sample_records
        from benchmarks.running.sizes.warming import warmed
        from benchmarks.running.stand_ins import StandIns
        from benchmarks.timing.clock import Clock
        from benchmarks.timing.protocol import Call, batches, timed

        planned = self.cells[cell_id]
        cell, folder = planned.cell, store.cell_folder(self.work.folder, cell_id)
        system, load_seconds = self.system(cell_id)
        networks, clock = system.networks(), Clock(cell.device)
        requests = seating.requests_for(self.plan, cell, self.tests)
        conditions = seating.conditions(self.plan, cell, self.others)
        groups = batches(requests, cell.batch_size)
        known = shards.read_made(folder, groups)
        todo = shards.own_batches(len(groups), self.number, len(self.work.devices), known)
        stand_ins = StandIns(requests, conditions.others, stream=f"shard {self.number}")

        def call(asked: Sequence[Any]) -> Call:
            return timed(system, networks, asked, planned.setting, clock)

        began = clock.now()
        if todo:
            own = [groups[index] for index in todo]
            warmed(lambda group: call(stand_ins.like(group)), own, requests, conditions.protocol)
        warm_up_seconds = clock.now() - began
        self.together.wait()
        started = time.monotonic()
        with shards.keeping(folder, self.number) as kept:
            for place, index in enumerate(todo, start=1):
                done = call(groups[index])
                samples = tuple(sample_records(groups[index], done))
                timing = record_of("shard", index, done, 0, conditions.token_counts, process=self.number)
                timing = replace(timing, device=self.work.devices[self.number])
                timing = replace(timing, seal=seals.timing_seal(timing, samples))
                kept.append([shards.Made(timing, samples).as_json()])
                if self.number == 0:
                    self.answers.put(Progress(cell_id, place / len(todo)))
        ended = time.monotonic()
        self.together.wait()  # what comes now slows nobody who is still timed
        share = Share(cell_id, self.number, len(todo), started, ended, load_seconds, warm_up_seconds)
        self.answers.put(self.about(share, system, networks, folder) if self.number == 0 else share)

    def about(self, share: Share, system: Any, networks: Mapping[str, Any], folder: Path) -> Share:
        """The same with what is said once of a cell; likelihoods are left in its folder."""
        from benchmarks.running.likelihoods import TargetLikelihoods
        from benchmarks.timing import probes

        seed = self.cells[share.cell].cell.seed
        likelihoods = TargetLikelihoods(system, self.tests, seed, self.tokenizer.token_counts, lambda share: None)
        return replace(
            share,
            networks=probes.measure(networks),
            total=probes.total(networks),
            no_likelihood=likelihoods.keep(folder),
        )
