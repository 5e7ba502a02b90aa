"""Texts of cells made on several devices at once, by a process for each; see `benchmarks.running.devices.shards`.

What is timed says so: of every batch, on which device it was made while others worked, and of a cell, how long all
devices took together. None of it is a single device's speed, and the verdict tells that there is none.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from baselines.contract import UserError
from benchmarks.planning.plan import PlannedCell
from benchmarks.records import seals, store
from benchmarks.records.schema import Json, Network, TimingRecord
from benchmarks.running import seating
from benchmarks.running.devices import shards
from benchmarks.running.devices.worker import Failure, Progress, Share, ShareWork, make_share
from benchmarks.running.sitting import Occasion
from benchmarks.timing.protocol import batches

_LOOK_SECONDS = 0.5  # between looks at whether all processes are there


class ShardError(Exception):
    """A process that made a share of a cell has failed; the message says which and why."""


@dataclass(frozen=True)
class Generated:
    """What the header says of how the texts of a cell were made; as `CellGeneration` says it of one device."""

    cold_start: Mapping[str, float]
    verdict: Json

    def finish(self) -> Json:
        return self.verdict


@dataclass(frozen=True)
class ShardedSeat:
    """A cell whose texts are all there, as `benchmarks.running.sitting.Seat` is one."""

    planned: PlannedCell
    generation: Generated
    load_seconds: float
    parameters: Mapping[str, Network]
    total: Network | None
    no_likelihood: str | None
    probed: None = None


def hold(occasion: Occasion, groups: Sequence[Sequence[PlannedCell]], finish: Callable[[ShardedSeat], None]) -> None:
    """Make the texts of cells, one cell after the other, each on all devices at once; one that fails does not end the
    others."""
    waiting = [planned for group in groups for planned in group]
    while waiting:
        sharing = _Sharing(occasion, waiting)
        try:
            for planned in list(waiting):
                with occasion.outcome.guarded([planned]):
                    waiting.remove(planned)
                    finish(sharing.made(planned))
                    shards.forget(store.cell_folder(occasion.plan.folder, planned.cell.id))
                if sharing.failed:
                    break
        finally:
            sharing.end()


class _Sharing:
    """Processes, one for each device, that make cells one after the other until one of them fails."""

    def __init__(self, occasion: Occasion, cells: Sequence[PlannedCell]) -> None:
        self.occasion, self.devices = occasion, cells[0].cell.devices
        self.failed = False
        self.ended: dict[tuple[str, int], Share | Failure] = {}  # by cell and process: one may be a cell ahead
        plan, context = occasion.plan, multiprocessing.get_context("spawn")
        self.answers: Any = context.Queue()
        ids = [planned.cell.id for planned in cells]
        work = ShareWork(plan.choices, cells[0].cell.device, self.devices, ids, plan.folder)
        self.together = context.Barrier(len(self.devices))  # kept, as it ends with who made it
        self.processes = [
            context.Process(target=make_share, args=(work, number, self.together, self.answers), daemon=True)
            for number in range(len(self.devices))
        ]
        for process in self.processes:
            process.start()

    def made(self, planned: PlannedCell) -> ShardedSeat:
        """Wait for a cell, and put its texts together.

        Raises:
            UserError, ShardError: a process has failed.
        """
        cell, shares = planned.cell, self._shares(planned)
        folder, made = store.cell_folder(self.occasion.plan.folder, cell.id), self._made(planned)
        seconds = max(share.ended for share in shares) - min(share.started for share in shares)
        all_at_once = sum(share.batches for share in shares) == len(made)
        shards.merge(folder, made, self._whole(made, seconds) if all_at_once else None)
        slowest = {
            "first_call": 0.0,
            "warm_up": max(share.warm_up_seconds for share in shares),
        }
        said = f"made on {len(self.devices)} devices at once, which is no single one's speed"
        verdict = {"valid": False, "reasons": [said], "batch_size": cell.batch_size}
        first = shares[0]
        return ShardedSeat(
            planned,
            Generated(slowest, verdict),
            max(share.load_seconds for share in shares),
            first.networks,
            first.total,
            first.no_likelihood,
        )

    def _shares(self, planned: PlannedCell) -> list[Share]:
        """What every process says of its share of a cell, by number; what is said of later cells is kept for them."""
        cell = planned.cell
        while True:
            ended = [self.ended.get((cell.id, number)) for number in range(len(self.devices))]
            for failure in ended:
                if isinstance(failure, Failure):
                    self.failed = True
                    said = f"on {self.devices[failure.number]}: {failure.reason}"
                    raise UserError(said) if failure.mended else ShardError(f"{said}\n{failure.trace}")
            shares = [share for share in ended if isinstance(share, Share)]
            if len(shares) == len(ended):
                return shares
            answer = self._answer(planned)
            if isinstance(answer, Progress):
                self.occasion.voice.progress(f"{cell.system} {cell.setting} generating", answer.share, None)
            else:
                self.ended[answer.cell, answer.number] = answer

    def _answer(self, planned: PlannedCell) -> Share | Failure | Progress:
        while True:
            try:
                answer: Share | Failure | Progress = self.answers.get(timeout=_LOOK_SECONDS)
                return answer
            except queue.Empty:
                for number, process in enumerate(self.processes):
                    owing = (planned.cell.id, number) not in self.ended
                    if owing and process.exitcode not in (None, 0):
                        reason = f"its process ended with exit code {process.exitcode}"
                        return Failure(planned.cell.id, number, reason, False, reason)

    def _made(self, planned: PlannedCell) -> dict[int, shards.Made]:
        cell, occasion = planned.cell, self.occasion
        groups = batches(seating.requests_for(occasion.plan, cell, occasion.tests), cell.batch_size)
        return shards.read_made(store.cell_folder(occasion.plan.folder, cell.id), groups)

    def _whole(self, made: Mapping[int, shards.Made], seconds: float) -> TimingRecord:
        timings = [made[index].timing for index in sorted(made)]
        ids = tuple(name for timing in timings for name in timing.ids)
        kept = {name: sum(timing.kept.get(name, 0) for timing in timings) for name in timings[0].kept}
        whole = TimingRecord("whole", 0, ids, seconds, {}, kept=kept, device=",".join(self.devices))
        return replace(whole, seal=seals.timing_seal(whole, ()))

    def end(self) -> None:
        """No process of these is left."""
        for process in self.processes:
            if self.failed or process.is_alive():
                process.join(timeout=0 if self.failed else _LOOK_SECONDS)
            if process.is_alive():
                process.terminate()
            process.join()
