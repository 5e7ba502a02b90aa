"""Passes that measure what generating takes besides time: network calls, operations, memory, energy.

Each is a generation of its own after all timing is done, for whatever is watched is slowed by it: counting operations
goes through every one of them in Python, and energy needs seconds of the same work again and again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.contract import Request, System
from benchmarks.records.probe_results import ProbeResults
from benchmarks.records.schema import Json
from benchmarks.records.validity import ENERGY, MEMORY
from benchmarks.timing import ceilings, energy, memory
from benchmarks.timing.clock import Clock
from benchmarks.timing.gpu_state import GpuState, open_gpu
from benchmarks.timing.phases import uncaptured
from benchmarks.timing.probes import OtherLoad, counting
from cosmos.runtime.flops import measure_flops

FLOPS, CEILING = "flops", "ceiling"
_THERMAL = "thermal"

Renewed = Callable[[Sequence[Request]], Sequence[Request]]
"""Gives as many requests of the same shapes with seeds that were never asked before."""


@dataclass(frozen=True)
class EnergyRules:
    """How long energy is measured, and when it may be believed.

    Attributes:
        seconds: a pass lasts at least so long, as an H200's counter moves on every tenth of a second: then it is known
            to 2 %.
        batches: and makes so many batches at most.
        load: largest share of the machine that other processes may have used where the processor's energy counts.
    """

    seconds: float = 5.0
    batches: int = 2000
    load: float = 0.2


@dataclass(frozen=True)
class Probed:
    """Figures, and for memory and energy whether they may be believed: name -> "valid", "reasons", "calls"."""

    results: ProbeResults
    verdicts: Mapping[str, Json]


@dataclass(frozen=True)
class _Energy:
    joules: Mapping[str, float]
    seconds: float
    texts: int
    reasons: tuple[str, ...]


def capture_of(setting: Any) -> str:
    """How the setting captures its loop; "off" where it has no such switch."""
    return str(getattr(setting, "capture", "off"))


def with_capture(setting: Any, capture: str) -> Any | None:
    """The setting under another capture; None where it has no such switch and another than "off" is wanted."""
    if hasattr(setting, "capture"):
        return dataclasses.replace(setting, capture=capture)
    return setting if capture == "off" else None


@dataclass(frozen=True)
class ProbedBatch:
    """What passes are made of: a system at one setting, and a batch of requests.

    Attributes:
        networks: what `System.networks` gave.
        renewed: other requests in place of some, since the same ones again could come from a cache.
    """

    system: System
    networks: Mapping[str, Any]
    setting: Any
    requests: Sequence[Request]
    renewed: Renewed
    device: str

    def generate(self, setting: Any = None) -> None:
        self.system.generate(self.requests, self.setting if setting is None else setting)


def probe(
    batch: ProbedBatch,
    matrix_flops_per_second: float | None,
    rules: EnergyRules | None = None,
    *,
    nvml: Any = None,
    powercap: Path = energy.POWERCAP,
) -> Probed:
    """Make the passes, one after the other.

    A pass for which memory does not suffice leaves its figure out, with the reason; the others go on.

    Args:
        matrix_flops_per_second: the ceiling that shares are of, None where it could not be measured.
    """
    reasons: dict[str, str] = {}

    def guarded(name: str, run: Callable[[], Any]) -> Any:
        try:
            return run()
        except Exception as error:
            if not memory.is_exhausted(error):
                raise
        memory.free()  # outside of the handler, whose error holds on to everything that was being computed
        reasons[name] = "failed: the device's memory did not suffice"
        return None

    texts = len(batch.requests)
    calls, flops = guarded(FLOPS, lambda: count(batch)) or ({}, None)
    peak = guarded(MEMORY, lambda: peak_bytes(batch))
    if peak is None:
        reasons.setdefault(MEMORY, "not run: this system does not tell the peak of a process's memory")
    if matrix_flops_per_second is None:
        reasons[CEILING] = "not run: the device's memory did not hold the matrices"
    found = guarded(ENERGY, lambda: _energy(batch, rules or EnergyRules(), nvml, powercap))
    found = found or _Energy({}, 0.0, 0, (reasons.get(ENERGY, ""),))
    if not found.joules:
        reasons[ENERGY] = "; ".join(found.reasons)
    results = ProbeResults(
        texts=texts,
        calls=calls,
        flops_per_text=None if flops is None else flops / texts,
        peak_bytes=peak,
        joules={name: joules / found.texts for name, joules in found.joules.items()},
        energy_seconds=found.seconds if found.joules else None,
        energy_texts=found.texts if found.joules else 0,
        matrix_flops_per_second=matrix_flops_per_second,
        reasons=reasons,
    )
    doubts = {MEMORY: [reasons[MEMORY]] if MEMORY in reasons else [], ENERGY: list(found.reasons)}
    counted = {MEMORY: int(peak is not None), ENERGY: found.texts // texts}
    verdicts = {
        name: {"valid": not why, "reasons": why, "calls": counted[name]} for name, why in sorted(doubts.items())
    }
    return Probed(results, verdicts)


def count(batch: ProbedBatch) -> tuple[dict[str, int], float]:
    """Network calls and operations of one batch, as Python runs it: what a captured loop replays is the same."""
    plain = uncaptured(batch.setting)
    with counting(batch.networks) as calls:
        flops = measure_flops(lambda: batch.generate(plain))
    return calls, flops


def peak_bytes(batch: ProbedBatch) -> int | None:
    """The most memory that generating a batch needs, weights included, as Python runs it: what a captured loop works in
    was set aside when it was captured, and would not be seen. None where the system does not tell."""
    plain = uncaptured(batch.setting)
    grown = memory.growth_bytes(lambda: batch.generate(plain), batch.device)
    return None if grown is None else grown + weight_bytes(batch.networks)


def weight_bytes(networks: Mapping[str, Any]) -> int:
    """Bytes of all parameters and buffers; what two networks share counts once."""
    tensors = {
        id(tensor): tensor for network in networks.values() for tensor in (*network.parameters(), *network.buffers())
    }
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def ceiling(device: str, dtype: str) -> float | None:
    """FLOPs per second of a large matrix product; None where the device's memory does not hold it."""
    try:
        return ceilings.matrix_flops_per_second(device, dtype)
    except Exception as error:
        if not memory.is_exhausted(error):
            raise
        return None
    finally:
        memory.free()


def _energy(batch: ProbedBatch, rules: EnergyRules, nvml: Any, powercap: Path) -> _Energy:
    """Joules of batches made one after the other, each of other seeds, for as long as the rules say."""
    device = batch.device
    counters = energy.counters(device, nvml=nvml, powercap=powercap)
    if not counters:
        return _Energy({}, 0.0, 0, (f"not run: {energy.why_none(device, powercap=powercap)}",))
    gpu, clock, load = open_gpu(device, nvml), Clock(device), OtherLoad()
    first = None if gpu is None else gpu.read()
    started, before = clock.now(), energy.read(counters)
    made, seconds = 0, 0.0
    while made == 0 or (seconds < rules.seconds and made < rules.batches):
        batch.system.generate(batch.renewed(batch.requests), batch.setting)
        made += 1
        seconds = clock.now() - started
    joules = energy.used(counters, before, energy.read(counters))
    last = None if gpu is None else gpu.read()
    reasons = _doubts(joules, seconds, first, last, load.share(), rules)
    return _Energy(joules, seconds, made * len(batch.requests), reasons)


def _doubts(
    joules: Mapping[str, float],
    seconds: float,
    first: GpuState | None,
    last: GpuState | None,
    load: float | None,
    rules: EnergyRules,
) -> tuple[str, ...]:
    """Why energy may not be believed."""
    if not joules:
        return ("failed: the counters could not be read again",)
    reasons = []
    if seconds < rules.seconds:
        reasons.append(f"too short: {seconds:.2g} s of generating, {rules.seconds:g} s are needed for the counters")
    if min(joules.values()) <= 0:
        reasons.append("a counter did not move")
    if energy.CPU in joules and load is not None and load > rules.load:
        reasons.append(f"not alone: other processes used {load:.0%} of the machine, {rules.load:.0%} is allowed")
    states = [state for state in (first, last) if state is not None]
    others = max((state.other_processes or 0 for state in states), default=0)
    if energy.GPU in joules and others:
        reasons.append(f"not alone: {others} other process{'es' if others > 1 else ''} on the GPU")
    if first is not None and last is not None:
        hot = last.throttled_seconds.get(_THERMAL, 0.0) - first.throttled_seconds.get(_THERMAL, 0.0)
        if hot > 0:
            reasons.append(f"throttled: the GPU was too hot for {hot:.2g} s")
    return tuple(reasons)
