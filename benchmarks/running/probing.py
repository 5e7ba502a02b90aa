"""What a cell's texts take besides time: passes after all timing, and what is said of the machine's noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from baselines.contract import Request
from benchmarks.records.schema import Cell, Json
from benchmarks.running.generation import CellGeneration
from benchmarks.timing import noise_floor
from benchmarks.timing.phases import can_look

if TYPE_CHECKING:
    from benchmarks.timing.passes import Probed


def probe(made: CellGeneration, cell: Cell) -> Probed | None:
    """Make the passes with the first batch of a cell whose texts are all made; of a floor, which has no networks, there
    is nothing to probe."""
    if not can_look(made.networks):
        return None
    from benchmarks.timing import passes  # loads torch, which a floor does without

    def renewed(requests: Sequence[Request]) -> list[Request]:
        return made.stand_ins.again(requests, len(requests))

    batch = passes.ProbedBatch(
        made.system, made.networks, made.setting, made.requests[: made.size], renewed, cell.device
    )
    return passes.probe(batch, matrix_flops_per_second(cell.device, cell.dtype))


def joined(verdict: Json, probed: Probed | None) -> Json:
    """The verdict on what was timed, with what is said of memory and of energy."""
    if probed is None:
        return verdict
    return {**verdict, "quantities": {**verdict["quantities"], **probed.verdicts}}


@cache
def matrix_flops_per_second(device: str, dtype: str) -> float | None:
    """The ceiling of a device, measured once a process; see `benchmarks.timing.passes.ceiling`."""
    from benchmarks.timing import passes

    return passes.ceiling(device, dtype)


def floor_summary(device: str) -> Json:
    """What headers say of the machine's noise floor; nothing where it was not measured."""
    kept = noise_floor.here(device)
    return {} if kept is None else kept.summary
