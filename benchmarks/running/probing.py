"""What a cell's texts take besides time: passes after all timing, and what is said of the machine's noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from baselines.contract import Request
from benchmarks.records import store
from benchmarks.records.schema import Cell, Json
from benchmarks.running.generation import CellGeneration
from benchmarks.timing import noise_floor
from benchmarks.timing.phases import can_look

if TYPE_CHECKING:
    from benchmarks.timing.passes import Probed

APART = 0.1  # share of network calls by which a pass may differ from what was timed


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
    found = passes.probe(batch, matrix_flops_per_second(cell.device, cell.dtype))
    if passes.capture_of(made.setting) != "off":  # a captured loop may look more seldom whether all texts are done
        return found
    asked = tuple(request.id for request in batch.requests)
    timings = store.read_timings(made.folder)
    return doubted(found, next((t.calls for t in timings if t.kind == "batch" and t.ids == asked), None))


def doubted(probed: Probed, timed: Mapping[str, int] | None) -> Probed:
    """Figures of passes that made more or fewer network calls than the timed batch of the same texts are not believed.

    Args:
        timed: network calls of that batch; None where it was not timed.
    """
    counted = probed.results.calls
    if timed is None or not counted or all(abs(timed.get(n, 0) - c) <= APART * c for n, c in counted.items()):
        return probed
    said = f"audit: {_listed(counted)} network calls in the passes, {_listed(timed)} when the same texts were timed"
    verdicts = {
        name: {**verdict, "valid": False, "reasons": [*verdict["reasons"], said]}
        for name, verdict in probed.verdicts.items()
    }
    return replace(
        probed,
        results=replace(probed.results, flops_per_text=None, reasons={**probed.results.reasons, "flops": said}),
        verdicts=verdicts,
    )


def _listed(calls: Mapping[str, int]) -> str:
    return " + ".join(map(str, calls.values()))


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
