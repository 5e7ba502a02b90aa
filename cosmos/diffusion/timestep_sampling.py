"""Times of training drawn so that the expected loss grows evenly with what is drawn (LDLM, 2605.07933).

Let l(t) be the expected denoising loss at time t, which grows with the noise. With u uniform in [0, 1] and t = F(u) for
F the inverse of (l(t) - l(0)) / (l(1) - l(0)), the expected loss is linear in u: as many times are drawn where the loss
rises as it rises there, and few where noise is so weak or so strong that more of it changes nothing. The density of t
is that share's derivative.

l is not known, and changes while the network learns. So [0, 1] is cut into bins; what is remembered of the losses in a
bin fades by a factor for each step; and every so many steps a density, constant within each bin, is made from the mean
losses anew. Means of few losses need not grow from bin to bin, so they are replaced by the non-decreasing sequence
nearest to them (isotonic regression, weighted by how many losses each mean is of). A share of all times is drawn from
everywhere, as what is remembered of a bin that is never drawn grows old.

Axis legend: B texts, K bins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class AdaptiveTimes(nn.Module):
    """The density of times and what is remembered of losses; all of it is kept with the weights.

    Nothing here waits for the device or has a shape that depends on data.

    Args:
        bins: K, of equal width.
        decay: of what is remembered, for each step.
        refresh_steps: steps between one density and the next.
        uniform_share: of all times, drawn from everywhere.
    """

    losses: Tensor
    weights: Tensor
    mass: Tensor
    steps: Tensor

    def __init__(self, bins: int, decay: float, refresh_steps: int, uniform_share: float = 0.05) -> None:
        super().__init__()
        self.decay, self.refresh_steps, self.uniform_share = decay, refresh_steps, uniform_share
        self.register_buffer("losses", torch.zeros(bins, dtype=torch.float64))  # sums of losses, faded
        self.register_buffer("weights", torch.zeros(bins, dtype=torch.float64))  # how many those are, faded
        self.register_buffer("mass", torch.full((bins,), 1.0 / bins, dtype=torch.float64))  # chance of each bin
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, uniform: Tensor) -> Tensor:
        """Uniform numbers [B] in [0, 1] -> times [B] of the density, in the same order."""
        u = uniform.to(self.mass.dtype)
        ends = self.mass.cumsum(0)
        # The chance of all bins is 1 but for rounding, and no number may fall behind the last.
        place = torch.searchsorted(ends, u.contiguous(), right=True).clamp_max(len(ends) - 1)
        before = ends[place] - self.mass[place]
        within = ((u - before) / self.mass[place]).clamp(0.0, 1.0)
        return ((place + within) / len(ends)).to(uniform.dtype)

    def density(self, t: Tensor) -> Tensor:
        """The density at times [...] in [0, 1]."""
        return self.mass[self._bin(t)] * len(self.mass)

    def _bin(self, t: Tensor) -> Tensor:
        return (t.double() * len(self.mass)).long().clamp(0, len(self.mass) - 1)

    def summed(self, t: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """What `update` takes of a batch: sums and numbers of losses [B] by the bin of their times [B], each [K]."""
        here = self._bin(t)[:, None] == torch.arange(len(self.mass), device=t.device)  # [B, K]
        return (here * losses.double()[:, None]).sum(0), here.double().sum(0)

    @torch.no_grad()
    def update(self, sums: Tensor, counts: Tensor) -> None:
        """Remember the losses of one step, and renew the density when its time has come."""
        self.losses.mul_(self.decay).add_(sums)
        self.weights.mul_(self.decay).add_(counts)
        self.steps += 1
        renewed = self.steps % self.refresh_steps == 0
        fresh = bin_masses(self.losses, self.weights)
        fresh = self.uniform_share / len(fresh) + (1.0 - self.uniform_share) * fresh
        self.mass.copy_(torch.where(renewed, fresh, self.mass))


def bin_masses(losses: Tensor, weights: Tensor) -> Tensor:
    """Each bin's share [K] of the rise of the loss, from sums of losses and their weights [K], of which one at least is
    positive.

    At the edge between two bins the loss is taken to be the mean of theirs, and beyond the middles of the first and
    last as the line through the two nearest middles has it.
    """
    means = isotonic(losses, weights)
    inner = (means[1:] + means[:-1]) / 2
    first, last = means[:1] - (inner[:1] - means[:1]), means[-1:] + (means[-1:] - inner[-1:])
    rises = torch.cat((first.clamp_min(0.0), inner, last)).diff()  # [K]
    total = rises.sum()
    flat = torch.full_like(rises, 1.0 / len(rises))
    return torch.where(total > 0, rises / total.clamp_min(1e-300), flat)


def isotonic(sums: Tensor, weights: Tensor) -> Tensor:
    """The non-decreasing [K] nearest to the means sums / weights in squares weighted so; no mean where a weight is 0.

    By the max-min formula: place i has the largest, over j <= i, of the smallest, over k >= i, of the means of j ... k
    (Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, theorem 1.4.4).
    """

    def between(values: Tensor) -> Tensor:  # [j, k]: the sum over j ... k
        ends = values.cumsum(0)
        return ends[None, :] - functional.pad(ends[:-1], (1, 0))[:, None]

    count = between(weights)
    order = torch.arange(len(sums), device=sums.device)
    known = (order[:, None] <= order) & (count > 1e-12 * weights.sum())
    mean = torch.where(known, between(sums) / count.clamp_min(1e-300), torch.inf)
    smallest = mean.flip(1).cummin(1).values.flip(1)  # [j, i]: over k >= i
    usable = (order[:, None] <= order) & smallest.isfinite()
    return torch.where(usable, smallest, -torch.inf).max(0).values
