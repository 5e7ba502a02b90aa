"""Systems and settings that are in memory together, and take turns, so that what a machine does meets them alike."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.contract import Document, System
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import store
from benchmarks.records.schema import Network
from benchmarks.running import fresh_processes, probing, seating
from benchmarks.running.cell_status import CellStatus, ProgressReporter, label
from benchmarks.running.generation import CellGeneration
from benchmarks.running.likelihoods import TargetLikelihoods
from benchmarks.running.sizes.batch_size import TooMany
from benchmarks.timing import memory, probes
from cosmos.text.round_trip import RoundTrip

if TYPE_CHECKING:
    from benchmarks.timing.passes import Probed

MOST_SYSTEMS = 16  # in memory together
FREE = 0.5  # of the memory there is, below which no further system is loaded beside others

Guard = Callable[[Sequence[PlannedCell]], AbstractContextManager[None]]


@dataclass
class Seat:
    """One cell at work.

    Attributes:
        networks: what its system gave when it was asked, once; nothing when it is closed.
        load_seconds: how long loading its system took.
        failed: whether it dropped out.
        closed: whether all was done for which its system was needed.
        parameters, total, no_likelihood: what the header says of the system.
        probed: what its texts take besides time; None of a floor.
    """

    planned: PlannedCell
    generation: CellGeneration
    networks: Mapping[str, Any]
    likelihoods: TargetLikelihoods | None
    load_seconds: float
    failed: bool = False
    closed: bool = False
    parameters: Mapping[str, Network] = field(default_factory=dict)
    total: Network | None = None
    no_likelihood: str | None = None
    probed: Probed | None = None

    def close(self, folder: Path) -> None:
        """Do what else the system is needed for, and let go of it."""
        assert self.likelihoods is not None
        self.generation.look()
        self.probed = probing.probe(self.generation, self.planned.cell)
        self.no_likelihood = self.likelihoods.keep(folder)
        self.parameters, self.total = probes.measure(self.networks), probes.total(self.networks)
        self.generation.release()
        self.networks, self.likelihoods, self.closed = {}, None, True


@dataclass(frozen=True)
class Occasion:
    """What all sittings of a command share.

    Attributes:
        others: documents that stand in for the tests where nothing is timed yet.
        tokenizer: of all texts of the run.
    """

    plan: Plan
    tests: Sequence[Document]
    others: Sequence[Document]
    tokenizer: RoundTrip
    voice: ProgressReporter
    outcome: CellStatus


def hold(occasion: Occasion, groups: Sequence[Sequence[PlannedCell]], finish: Callable[[Seat], None]) -> None:
    """Make the texts of cells, by the checkpoints they share: systems that fit into memory together take turns.

    Args:
        finish: what becomes of a cell whose texts are all there.
    """
    waiting = deque(groups)
    while waiting:
        seats: list[Seat] = []
        systems = 0
        while waiting and (not systems or has_room(waiting[0][0].cell.device, systems)):
            seated = _seat(occasion, waiting[0], alone=not systems)
            if seated is None:  # memory ran out beside the others
                break
            waiting.popleft()
            systems, seats = systems + 1, seats + seated
        take_turns(seats, occasion.outcome.guarded)
        for seat in seats:
            if not seat.failed:
                with occasion.outcome.guarded([seat.planned]):
                    seat.close(store.cell_folder(occasion.plan.folder, seat.planned.cell.id))
        memory.free()
        closed = [seat for seat in seats if seat.closed]
        if closed and occasion.plan.choices.timing == "fresh":
            _time_again(occasion, closed)
        for seat in closed:
            with occasion.outcome.guarded([seat.planned]):
                finish(seat)


def _time_again(occasion: Occasion, seats: Sequence[Seat]) -> None:
    """Add what processes of their own time."""
    sizes = {seat.planned.cell.id: seat.generation.sizes for seat in seats}
    plan, device = occasion.plan, seats[0].planned.cell.device
    occasion.voice.say(f"timing again in {seating.PROCESSES} processes of their own")
    found = fresh_processes.measured(plan.choices, device, sizes, plan.folder, occasion.voice.say)
    for seat in seats:
        with occasion.outcome.guarded([seat.planned]):
            seat.generation.add(found.get(seat.planned.cell.id, []))


def _seat(occasion: Occasion, group: Sequence[PlannedCell], *, alone: bool) -> list[Seat] | None:
    """Load a system, and warm its cells up; those that cannot are left out. None if memory ran out beside others."""
    seats: list[Seat] = []
    crowded = False
    with occasion.outcome.guarded(group):
        system, seconds = seating.load(occasion.plan, group[0], [*occasion.others, *occasion.tests])
        networks, cell, too_many = system.networks(), group[0].cell, TooMany()
        likelihoods = TargetLikelihoods(
            system,
            occasion.tests,
            cell.seed,
            occasion.tokenizer.token_counts,
            lambda share: occasion.voice.progress(f"{cell.system} likelihoods", share, None),
        )
        for planned in group:
            with occasion.outcome.guarded([planned]):
                generation = _generation(occasion, system, networks, planned, too_many)
                try:
                    generation.prepare(alone=alone)
                except Exception as error:
                    if alone or not memory.is_exhausted(error):
                        raise
                    crowded = True
                    break
                seats.append(Seat(planned, generation, networks, likelihoods, seconds))
    if crowded:
        del system, networks, likelihoods, generation, seats
        memory.free()
        return None
    return seats


def _generation(
    occasion: Occasion, system: System, networks: Mapping[str, Any], planned: PlannedCell, too_many: TooMany
) -> CellGeneration:
    cell, voice = planned.cell, occasion.voice
    return CellGeneration(
        system,
        networks,
        planned.setting,
        seating.requests_for(occasion.plan, cell, occasion.tests),
        store.cell_folder(occasion.plan.folder, cell.id),
        seating.conditions(occasion.plan, cell, occasion.others),
        progress=lambda share: voice.progress(f"{cell.system} {cell.setting} generating", share, None),
        say=lambda text: voice.say(f"{label(cell)}: {text}"),
        too_many=too_many,
    )


def take_turns(seats: Sequence[Seat], guarded: Guard) -> None:
    """Let every cell make its texts, a turn each round; in every other round in the reverse order."""
    turn, waiting = 0, list(seats)
    while waiting:
        for seat in waiting if turn % 2 == 0 else reversed(waiting):
            seat.failed = True
            with guarded([seat.planned]):
                seat.generation.take_turn(turn)
                seat.failed = False
        waiting = [seat for seat in waiting if not seat.failed and seat.generation.unfinished]
        turn += 1


def has_room(device: str, systems: int) -> bool:
    """Whether another system may be loaded beside those that are there: there is as much memory again."""
    if systems >= MOST_SYSTEMS:
        return False
    gc.collect()
    free, whole = _memory(device)
    return whole == 0 or free >= FREE * whole


def _memory(device: str) -> tuple[int, int]:
    """Bytes that are free, and all there are; zeros where nobody tells."""
    torch: Any = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        torch.cuda.empty_cache()
        free, whole = torch.cuda.mem_get_info(device)
        return int(free), int(whole)
    try:
        rows = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        told = {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
        return told["MemAvailable"], told["MemTotal"]
    except (OSError, ValueError, KeyError):
        return 0, 0
