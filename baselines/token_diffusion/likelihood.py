"""Likelihood bounds of systems that noise the tokens of a sequence, by Monte Carlo.

Each is an integral over the chance u that a token has been changed, of an expectation over which tokens were. Two
things keep its estimate's variance finite and small, where independent changes at uniform u would have an infinite one
(a rare change at small u counts by 1 / u). The integral is cut into as many strata as there are draws, one draw in
each. And one of the L positions, or none, each with probability 1 / (L + 1), is changed for certain, the others with
chance u: a set of m positions is then drawn with probability u^(m-1) (1-u)^(L-m) (m + u) / (L + 1) instead of
u^m (1-u)^(L-m), which the weight u (L + 1) / (m + u) makes good. The estimate is unbiased. (With all u drawn alike, the
number of changes is all but uniform, as in equation 6 of Nie et al., 2025, arXiv:2502.09992.)

A sequence has a fixed length and ends in [SEP]s, so its probability is at most that of the text that is cut at the
first: the bound stays one.

Axis legend: B rows (texts), L sequence positions, V tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from baselines.common.likelihood import target_likelihoods
from baselines.common.token_rows import TokenPairs
from baselines.contract import Document, Likelihood
from baselines.token_diffusion.system import TokenDenoiser, TokenDiffusionSystem
from cosmos.runtime.rng import CounterRNG

DRAWS = 16
"""Per text, each one network call: fewer than generating it takes at any setting that is run by default but Duo's
shortest, which takes as many. What so few leave to chance is in the interval of the mean over texts."""

Integrand = Callable[[Tensor, Tensor, Tensor, CounterRNG], Tensor]
"""`integrand(sequence, changed, chance, seeds)` of int64 [B, L], bool [B, L] and float64 [B]: nats per unit of what is
integrated over, float64 [B]."""

Levels = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From v in (0, 1) to the chance of a change, and the derivative by v of what is integrated over; all float64 [B]."""


def uniform_levels(v: Tensor) -> tuple[Tensor, Tensor]:
    """The integral over the chance itself."""
    return v, torch.ones_like(v)


def changed_positions(chance: Tensor, length: int, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """Which positions were changed, bool [B, L], and the weight of the draw, float64 [B]; see above."""
    certain = (seeds.uniform() * (length + 1)).long()  # the last is none
    positions = torch.arange(length, device=chance.device)
    changed = (seeds.uniform(length) < chance[:, None]) | (positions == certain[:, None])
    return changed, chance * (length + 1) / (changed.sum(1) + chance)


def estimated_bound(
    integrand: Integrand, sequence: Tensor, seeds: CounterRNG, levels: Levels = uniform_levels, draws: int = DRAWS
) -> Tensor:
    """An unbiased estimate of the bound of each sequence, float64 [B], from its own seed alone."""
    total = torch.zeros(len(sequence), dtype=torch.float64, device=sequence.device)
    for stratum in range(draws):
        v = ((stratum + seeds.uniform()) / draws).clamp_max(1.0 - 1e-12)
        chance, slope = levels(v)
        changed, weight = changed_positions(chance, sequence.shape[1], seeds)
        total += slope * weight * integrand(sequence, changed, chance, seeds)
    return total / draws


class BoundsLikelihood(TokenDiffusionSystem):
    """A system whose objective bounds -log P(target | source) (`baselines.contract.HasLikelihood`)."""

    @abstractmethod
    def integrand(self, model: TokenDenoiser, source: Tensor) -> Integrand:
        """Of its bound, given encoded sources int64 [B, S]; logits are taken in float64."""

    def levels(self) -> Levels:
        return uniform_levels

    @torch.inference_mode()
    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        def nats(pairs: TokenPairs, places: list[int]) -> Tensor:
            rows = {name: rows.to(self.device) for name, rows in self.batches(pairs, self.loaded_shape).tensors.items()}
            streams = CounterRNG(torch.tensor([seeds[place] for place in places]).to(self.device))
            integrand = self.integrand(self.model, rows["source"])
            return estimated_bound(integrand, rows["sequence"], streams, self.levels())

        longest = self.loaded_shape["length"]
        return target_likelihoods(
            documents, self.vocabulary, self.limits, nats, longest=longest, kind="bound", draws=DRAWS
        )
