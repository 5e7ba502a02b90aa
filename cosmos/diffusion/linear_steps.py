"""A step of a linear solver, x' = state * x + estimate * D + previous * D_before + noise * eps, and noise for many.

As it is, a step is a few kernels; compiled, it is one. Noise comes from streams of the texts' own
(`cosmos.runtime.rng.CounterRNG`), so it can be made before the step that adds it, for as many steps as memory allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG, normal_like

Generator = torch.Generator | CounterRNG

DRAWN_AHEAD, DRAWN_AHEAD_FUSED = 1 << 20, 1 << 26
"""Numbers of noise that are drawn at once, of one step at least; where they are not made in one pass over memory, each
takes several times its own size meanwhile."""


class Coefficients(NamedTuple):
    """One step of a linear solver; see the module's docstring."""

    state: float
    estimate: float
    noise: float = 0.0
    previous: float = 0.0

    def at(self, temperature: float) -> Coefficients:
        """The same step with the deviation of its noise times a temperature."""
        return self._replace(noise=temperature * self.noise)


def linear_step(
    x: Tensor, estimate: Tensor, before: Tensor | None, noise: Tensor | None, weights: Coefficients
) -> Tensor:
    """The combination of the module's docstring, without what is None, in the dtype of x."""
    x = torch.add(weights.state * x, estimate, alpha=weights.estimate)
    if before is not None:
        x = torch.add(x, before, alpha=weights.previous)
    return x if noise is None else torch.add(x, noise, alpha=weights.noise)


def compiled_step(
    x: Tensor, estimate: Tensor, before: Tensor | None, noise: Tensor | None, weights: Coefficients
) -> Tensor:
    """`linear_step` as one kernel. Coefficients are tensors on the host, whose values are arguments of the kernel: as
    plain numbers they would be part of its code."""
    numbers = (torch.tensor(weight, dtype=torch.float32, device="cpu") for weight in weights)
    result: Tensor = compiled_if(True, _sum)(x, estimate, before, noise, *numbers)
    return result


def _sum(
    x: Tensor,
    estimate: Tensor,
    before: Tensor | None,
    noise: Tensor | None,
    of_state: Tensor,
    of_estimate: Tensor,
    of_noise: Tensor,
    of_before: Tensor,
) -> Tensor:
    total = of_state * x + of_estimate * estimate.to(x.dtype)
    if before is not None:
        total = total + of_before * before.to(x.dtype)
    return total if noise is None else total + of_noise * noise


def noises(x: Tensor, count: int, generator: Generator | None) -> Iterator[Tensor]:
    """The noise of `count` steps, each like x; the numbers are those of as many draws of their own."""
    assert generator is not None or count == 0, "a stochastic solver needs a generator"
    if isinstance(generator, CounterRNG):
        ahead = max(1, (DRAWN_AHEAD_FUSED if generator.fused else DRAWN_AHEAD) // max(1, x.numel()))
        for first in range(0, count, ahead):
            yield from generator.normals(min(ahead, count - first), *x.shape[1:], dtype=x.dtype)
    elif generator is not None:
        yield from (normal_like(x, generator) for _ in range(count))
