"""What a machine can do at best, measured: a large matrix product, and a large copy from memory to the same memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

from benchmarks.records.ceilings import Ceilings
from benchmarks.records.environment import made_with
from benchmarks.timing.clock import Clock

# Large enough to fill a GPU and to be several times its cache; on a CPU, to outlast the start of its threads.
MATRIX = {"cuda": 8192, "cpu": 1024}
COPY_BYTES = {"cuda": 4 << 30, "cpu": 256 << 20}
REPEATS = 10


def measure(device: str, dtype: str) -> Ceilings:
    """Rates of the fastest kernels there are, on random data (on zeros a GPU runs faster than any work would).

    Returns:
        FLOPs per second of a square matrix product in `dtype`; bytes per second of a copy, both those read and those
        written counted.
    """
    kind = torch.device(device).type
    size, length = MATRIX[kind], COPY_BYTES[kind]
    rate = matrix_flops_per_second(device, dtype)
    random = torch.Generator(device).manual_seed(0)
    source = torch.randint(-128, 128, (length,), generator=random, device=device, dtype=torch.int8)
    target = torch.empty_like(source)
    copy = _seconds(lambda: target.copy_(source), Clock(device))
    return Ceilings(rate, 2.0 * length / copy, size, length, dtype, made_with(device))


def matrix_flops_per_second(device: str, dtype: str) -> float:
    """FLOPs per second of a square matrix product in `dtype`, "float32" or "bfloat16"."""
    size, number = MATRIX[torch.device(device).type], {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
    random = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(size, size, generator=random, device=device).to(number) for _ in range(2))
    product = torch.empty_like(left)
    return 2.0 * size**3 / _seconds(lambda: torch.mm(left, right, out=product), Clock(device))


def _seconds(run: Callable[[], object], clock: Clock) -> float:
    """The median of several runs, each timed alone, after two that do not count."""
    durations = []
    for _ in range(2 + REPEATS):
        started = clock.now()
        run()
        durations.append(clock.now() - started)
    return statistics.median(durations[2:])
