"""What rivals that write a whole canvas at once share: the network, the canvas as data, and draws of time for their
loss.

A target is a canvas of fixed length: its tokens, then [SEP] up to the end, all of it in the loss (left out, the network
would never learn to stop). The source stands beside the canvas and is never noised; a text is cut at its first end
token.

Axis legend: B rows (texts), S source positions, L canvas positions, W width, V tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from baselines.contract import Request
from baselines.fitting import Rival
from baselines.sequence import Pairs, TokenBatches, encode_sources
from baselines.trunk import Trunk, TrunkConfig
from cosmos.blocks import Rotary
from cosmos.randomness import Seeds
from cosmos.training import Batch, Batches, Loss
from cosmos.vocabulary import PAD, SEP

EARLIEST = 1e-3  # losses draw t from [EARLIEST, 1], as the authors' codes do
VALIDATION_TIMES = 8  # per text
MARGIN = 2  # positions of the canvas beyond the longest training target

Bound = Callable[[nn.Module, Batch, Tensor, Seeds], tuple[Tensor, Tensor]]
"""`bound(model, batch, t, seeds)` at times t [B]: its sum over rows in nats, and the number of target tokens."""


class CanvasModel(nn.Module):
    """Logits at every canvas position, given the noisy canvas, the whole source, and the time where the trunk takes
    one.

    Canvas and source each count positions from 0, and a learned vector tells which of the two a token stands in; so a
    word of the target is near its counterpart in the source, however long either is.
    """

    def __init__(self, config: TrunkConfig, vocabulary: int, canvas: int, source: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.side = nn.Parameter(torch.zeros(2, config.width))  # of the canvas, of the source
        positions = torch.cat([torch.arange(canvas), torch.arange(source)])  # [L + S]
        self.rotary = Rotary(config.width // config.heads, max(canvas, source))
        self.rotary.cos, self.rotary.sin = self.rotary.cos[positions], self.rotary.sin[positions]
        self.trunk = Trunk(config)
        nn.init.normal_(self.tokens.weight, std=config.width**-0.5)

    def forward(self, canvas: Tensor, source: Tensor, time: Tensor | None = None) -> Tensor:
        """Args:
            canvas: int64 [B, L], or a mixture of tokens at each position, [B, L, V].
            source: int64 [B, S] padded with [PAD].
            time: [B] in [0, 1].

        Returns:
            Logits [B, L, V].
        """
        return self.read(self.states(canvas, source, time))

    def states(self, canvas: Tensor, source: Tensor, time: Tensor | None = None) -> Tensor:
        """Hidden states of the canvas, [B, L, W]."""
        length = canvas.shape[1]
        embedded = canvas @ self.tokens.weight if canvas.is_floating_point() else self.tokens(canvas)  # [B, L, W]
        seen = torch.cat([source.new_ones(len(canvas), length, dtype=torch.bool), source != PAD], 1)  # [B, L + S]
        both = torch.cat([embedded + self.side[0], self.tokens(source) + self.side[1]], 1)  # [B, L + S, W]
        return self.trunk(both, self.rotary, seen, time)[:, :length]

    def read(self, states: Tensor) -> Tensor:
        """Hidden states [..., W] -> logits [..., V]."""
        return states @ self.tokens.weight.T


def at_strata(bound: Bound) -> tuple[Loss, Loss]:
    """Losses from a bound at given times: for training, one time per row, one from each of B equal strata of
    [EARLIEST, 1]; for validation, several times per row, one from each of as many strata.

    Where several processes share a batch, each has strata of its own, as in the authors' codes.
    """

    def training(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
        return bound(model, batch, spread(strata(batch["canvas"], seeds)), seeds)

    def validation(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
        draws = []
        for stratum in range(VALIDATION_TIMES):
            draws.append(bound(model, batch, spread((stratum + seeds.uniform()) / VALIDATION_TIMES), seeds))
        return torch.stack([total for total, _ in draws]).mean(), draws[0][1]

    def spread(uniform: Tensor) -> Tensor:
        return EARLIEST + (1.0 - EARLIEST) * uniform

    return training, validation


def strata(canvas: Tensor, seeds: Seeds) -> Tensor:
    """One number per row, from each of B equal strata of [0, 1]; float64 [B]."""
    return (torch.arange(len(canvas), device=canvas.device) + seeds.uniform()) / len(canvas)


def target_tokens(canvas: Tensor) -> Tensor:
    """The number of tokens up to and with the first end token of each row."""
    return (canvas != SEP).sum() + len(canvas)


class CanvasRival(Rival):
    """A rival that writes a canvas; it adds its losses and its sampler."""

    @abstractmethod
    def trunk(self) -> TrunkConfig:
        """Sizes of the trunk."""

    def shape(self, train: Pairs) -> dict[str, int]:
        return {"canvas": min(self.limits.target_tokens - 1, train.targets.shape[1] + MARGIN)}

    def build(self, shape: Mapping[str, int]) -> nn.Module:
        return CanvasModel(self.trunk(), shape["vocabulary"], shape["canvas"], max(1, self.limits.source_tokens))

    def batches(self, pairs: Pairs, shape: Mapping[str, int]) -> Batches:
        canvas = torch.full((len(pairs.targets), shape["canvas"]), SEP)
        width = min(canvas.shape[1], pairs.targets.shape[1])
        canvas[:, :width] = pairs.targets[:, :width].where(pairs.targets[:, :width] != PAD, SEP)
        return TokenBatches({"source": pairs.sources, "canvas": canvas})

    def given(self, requests: Sequence[Request]) -> tuple[Tensor, Seeds]:
        """The requests' sources, int64 [B, S], and their streams of random numbers."""
        source, _ = encode_sources([request.source for request in requests], self.vocabulary, self.limits)
        return source.to(self.device), Seeds(torch.tensor([request.seed for request in requests], device=self.device))
