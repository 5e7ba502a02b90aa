"""A cell that is timed in a process of its own."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from baselines.contract import Request, System
from benchmarks.planning.plan import Plan
from benchmarks.records.schema import TimingRecord
from benchmarks.running import seating
from benchmarks.running.cell_timing import Kind, record_of
from benchmarks.running.generation import Conditions
from benchmarks.running.sizes.warming import warmed
from benchmarks.running.stand_ins import StandIns
from benchmarks.timing.clock import Clock
from benchmarks.timing.gpu_state import open_gpu
from benchmarks.timing.protocol import Call, timed, wanted, warm_up
from benchmarks.timing.surroundings import Watch


@dataclass
class TimedAgain:
    """A cell whose system is loaded and warm.

    Attributes:
        sizes: numbers of texts at once, that of the run first.
    """

    id: str
    system: System
    networks: Mapping[str, Any]
    setting: Any
    requests: Sequence[Request]
    conditions: Conditions
    sizes: Sequence[int]
    process: int
    _spent: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    _made: Counter[Kind] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.clock, self._watch = Clock(self.conditions.device), Watch(open_gpu(self.conditions.device))
        self.stand_ins = StandIns(self.requests, self.conditions.others, stream=f"process {self.process}")

    def warm_up(self) -> None:
        """As in the first process."""
        groups, protocol = [self.requests[: self.sizes[0]]], self.conditions.protocol
        warmed(lambda group: self._call(self.stand_ins.like(group)), groups, self.requests, protocol)
        for size in self.sizes[1:]:
            for _ in warm_up(partial(self._again, size), protocol):
                pass

    def take_turn(self, turn: int, turns: int) -> Iterator[TimingRecord]:
        """A call of every size, as far as there is time, and single texts."""
        protocol = self.conditions.protocol
        self._watch.busy_cores = self.clock.busy_outside()
        for size in self.sizes:
            if turn == 0 or self._spent[size] < protocol.again_seconds:
                call = self._again(size)
                self._spent[size] += call.seconds
                yield self._record("sweep", call, turn)
        least, most = (math.ceil(texts / turns) for texts in (protocol.latency_texts[0], protocol.tail_texts))
        made, spent, seconds = 0, 0.0, protocol.tail_seconds / turns if self.networks else 0.0
        while wanted(made, spent, (least, most), seconds):
            call = self._again(1)
            made, spent = made + 1, spent + call.seconds
            yield self._record("latency", call, turn)

    def _again(self, size: int) -> Call:
        return self._call(self.stand_ins.again(self.requests, size))

    def _call(self, requests: Sequence[Request]) -> Call:
        return self._watch.over(lambda: timed(self.system, self.networks, requests, self.setting, self.clock))

    def _record(self, kind: Kind, call: Call, turn: int) -> TimingRecord:
        self._made[kind] += 1
        return record_of(
            kind, self._made[kind] - 1, call, turn, self.conditions.token_counts, process=self.process, scored=False
        )


def timed_again(plan: Plan, sizes: Mapping[str, Sequence[int]], process: int) -> list[TimedAgain]:
    """The cells of a plan that are named, loaded and warm."""
    tests = plan.source.load(plan.task.name, "test", plan.choices.limit)
    others = seating.other_documents(plan, tests)
    cells: list[TimedAgain] = []
    named = [planned for planned in plan.cells if planned.cell.id in sizes]
    for _, group in itertools.groupby(named, key=lambda planned: planned.cell.checkpoint_id):
        of_one = list(group)
        system, _ = seating.load(plan, of_one[0], [*others, *tests])
        networks = system.networks()
        for planned in of_one:
            cell = planned.cell
            conditions = seating.conditions(plan, cell, others)
            requests = seating.requests_for(plan, cell, tests)
            cells.append(
                TimedAgain(cell.id, system, networks, planned.setting, requests, conditions, sizes[cell.id], process)
            )
            cells[-1].warm_up()
    return cells
