"""What a cell's texts take besides time: passes after all timing, and what is said of the machine's noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

from baselines.contract import Request, System
from benchmarks.records.probe_results import ProbeResults
from benchmarks.records.schema import Cell, Json
from benchmarks.running.seeds import request_seed
from benchmarks.timing import noise_floor


def probe(
    system: System,
    networks: Mapping[str, Any],
    setting: Any,
    requests: Sequence[Request],
    cell: Cell,
    verdict: Json,
) -> tuple[ProbeResults | None, Json]:
    """Make the passes with the first batch of a cell.

    Args:
        networks: what `System.networks` gave; with none there is nothing to probe.
        verdict: on the timings, which says how many texts really fit at once.

    Returns:
        The figures, and the verdict with what is said of memory and of energy.
    """
    if not networks:
        return None, verdict
    from benchmarks.timing import passes  # loads torch, which a floor does without

    batch = requests[: verdict.get("batch_size", cell.batch_size)]
    probed = passes.probe(
        passes.ProbedBatch(system, networks, setting, batch, Renewal().renewed, cell.device),
        matrix_flops_per_second(cell.device, cell.dtype),
    )
    return probed.results, {**verdict, "quantities": {**verdict.get("quantities", {}), **probed.verdicts}}


@cache
def matrix_flops_per_second(device: str, dtype: str) -> float | None:
    """The ceiling of a device, measured once a process; see `benchmarks.timing.passes.ceiling`."""
    from benchmarks.timing import passes

    return passes.ceiling(device, dtype)


class Renewal:
    """Gives requests with seeds that were never asked before."""

    def __init__(self) -> None:
        self._turns = count()

    def renewed(self, requests: Sequence[Request]) -> list[Request]:
        """The same requests, each with a new seed."""
        return [
            replace(request, seed=request_seed(request.seed, f"energy\x1f{next(self._turns)}")) for request in requests
        ]


def floor_summary(device: str) -> Json:
    """What headers say of the machine's noise floor; nothing where it was not measured."""
    kept = noise_floor.here(device)
    return {} if kept is None else kept.summary
