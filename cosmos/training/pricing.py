"""The price of a training step: the FLOPs of steps that the training will make, counted before it begins.

Steps differ, as batches are trimmed to their longest text and some losses read out as many positions as noise has
chosen. So the mean is that of the whole run, on the batches and the noise that its steps will have, in training mode
and with the shapes of recorded steps where steps are recorded. Counting a step costs somewhat more than the step, and
looking at the size of its batch next to nothing: so few are counted, many are looked at, and the mean is the height of
the line through the counted ones at the mean size (the regression estimator of survey sampling; Cochran, "Sampling
Techniques", 1977, section 7.1). A training of very few steps has all of them counted, as a line through two or three
would be some percent off.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from cosmos.runtime.flops import measure_flops
from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import Batch, Rows, hashed
from cosmos.training.budget import Budget
from cosmos.training.config import total_steps
from cosmos.training.step import OptimiserStep

LOOKED_AT = 256  # steps at most
COUNTED_SHARE, FEWEST, MOST = 1 / 200, 2, 16  # of the steps; besides the first
COUNTED_FOR_SECONDS = 4  # where time is the budget, the price goes into the record and nowhere else


def flops_per_step(
    step: OptimiserStep,
    loss: Callable[[nn.Module, Batch, CounterRNG], tuple[Tensor, Tensor]],
    batch: Callable[[int], Rows],
    budget: Budget,
    epoch: int,
) -> float:
    """Mean FLOPs of a step: loss and gradients, as `measure_flops` counts.

    However many processes share a batch, the price is that of one that works on all of it, and a budget buys the same
    steps: what each of several does over again (what no row is needed for, and what fixed shapes add to every part) is
    not charged. All of them count at once, as a loss may ask the others. Global generators are left as they were, and
    the model without gradients.

    Args:
        batch: the whole batch of a step, on the CPU.
        epoch: steps until all data have been seen; a budget in seconds does not say how many there will be.
    """

    def counted(number: int) -> float:
        return step_flops(step, loss, batch(number), number)

    def size(number: int) -> int:  # which grows with the length of its texts
        return sum(value.numel() for value in batch(number).values())

    if budget.unit == "seconds":
        return statistics.fmean(counted(number) for number in _evenly(range(epoch), COUNTED_FOR_SECONDS))
    # Where the budget is in FLOPs, the price says how many steps there will be; that of one, about how many.
    flops = {0: counted(0)}
    steps = total_steps(budget, flops[0])
    assert steps is not None
    sizes = {number: size(number) for number in _evenly(range(steps), LOOKED_AT)}
    most = steps if steps <= MOST else min(MOST, max(FEWEST, round(steps * COUNTED_SHARE)))
    counted_steps = _evenly(sorted(sizes, key=lambda number: sizes[number]), most)
    flops |= {number: counted(number) for number in counted_steps if number not in flops}
    return _mean([size(number) for number in flops], list(flops.values()), statistics.fmean(sizes.values()))


def step_flops(
    step: OptimiserStep,
    loss: Callable[[nn.Module, Batch, CounterRNG], tuple[Tensor, Tensor]],
    rows: Rows,
    number: int,
) -> float:
    """FLOPs of step `number` on its rows, which lie on the CPU; what is left is as in `flops_per_step`."""
    model, device = step.model.train(), step.device
    moved = Batch(rows, step.static_shapes).to(device)
    seeds = CounterRNG(step.rows + hashed(step.seed, "noise", number))

    def run() -> None:
        for part, streams in step.parts(moved, seeds):
            with step.autocast():
                total, _ = loss(model, part, streams)
            total.backward()

    # One of several processes has memory for its part of a batch, and no more.
    keeping = nullcontext() if step.processes.count == 1 else keeping_shapes()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), keeping:  # dropout draws
        flops = measure_flops(run)
    model.zero_grad(set_to_none=True)
    return flops


def keeping_shapes() -> AbstractContextManager[Any]:
    """Forward passes keep the shapes of activations alone, of which backward passes then take zeros: their work is as
    much, for next to no memory, and their gradients mean nothing. Whole numbers, such as places of rows, stay."""

    def pack(value: Tensor) -> tuple[torch.device, Tensor | tuple[torch.Size, tuple[int, ...], torch.dtype]]:
        floating = value.is_floating_point()
        return value.device, (value.shape, value.stride(), value.dtype) if floating else value.to("cpu")

    def unpack(kept: tuple[torch.device, Any]) -> Tensor:
        device, value = kept
        if isinstance(value, Tensor):
            return value.to(device)
        shape, strides, dtype = value
        extent = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) if all(shape) else 0
        return torch.zeros(extent, dtype=dtype, device=device).as_strided(shape, strides)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def _mean(sizes: Sequence[int], flops: Sequence[float], mean_size: float) -> float:
    """FLOPs at the mean size, from those at some sizes."""
    if len(set(sizes)) == 1:
        return statistics.fmean(flops)
    line = statistics.linear_regression(sizes, flops)
    return line.intercept + line.slope * mean_size


def _evenly(items: Sequence[int], most: int) -> list[int]:
    """At most so many of the items, from the middles of parts of equal length."""
    count = min(most, len(items))
    return [items[len(items) * (2 * place + 1) // (2 * count)] for place in range(count)]
