"""The masked-diffusion rival: MDLM (Sahoo et al., 2024, arXiv:2406.07524).

A target is a canvas of fixed length: its tokens, then [SEP] up to the end, all of it in the loss (as LLaDA does: left
out, the network would never learn to stop). The source stands beside the canvas and is never masked. Objective and
samplers: `baselines.masked_diffusion` and `baselines.unmasking`; no time input (the paper's own default).

Departures, and why: the trunk (RMS norm, SwiGLU, tied embeddings, no dropout) is the one rivals share, without the
adaLN layers of DDiT that a constant time would feed; sizes, tokenizer and schedule of the rate are those of the
comparison; a text is cut at its first end token; t is stratified with one uniform number per row, not one per batch,
since every row has its own stream.

Axis legend: B rows (texts), S source positions, L canvas positions, W width, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.contract import Budget, Request, Sample
from baselines.fitting import Rival
from baselines.masked_diffusion import LogLinear, mask_out, token_nll, weight
from baselines.sequence import Pairs, TokenBatches, encode_sources, read_samples
from baselines.trunk import Trunk, TrunkConfig
from baselines.unmasking import Remasking, Setting, ThresholdUnmasking, Unmasking, unmask
from cosmos.blocks import Rotary
from cosmos.randomness import Seeds
from cosmos.training import Batch, Batches, Loss, TrainingConfig
from cosmos.vocabulary import MASK, PAD, SEP

SCHEDULE = LogLinear()
EARLIEST = 1e-3  # training draws t from [EARLIEST, 1], as the paper's code does
VALIDATION_TIMES = 8  # per text
MARGIN = 2  # positions of the canvas beyond the longest training target


@dataclass(frozen=True)
class MDLMRecipe:
    """Sizes and training of one preset; `inner` is the width inside the feed-forward layers."""

    width: int
    layers: int
    heads: int
    inner: int
    training: TrainingConfig
    budget: Budget


class MaskedModel(nn.Module):
    """Logits over clean tokens at every canvas position, given the noisy canvas and the whole source.

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

    def forward(self, canvas: Tensor, source: Tensor) -> Tensor:
        """canvas int64 [B, L], source int64 [B, S] padded with [PAD] -> logits [B, L, V]."""
        return self.read(self.states(canvas, source))

    def states(self, canvas: Tensor, source: Tensor) -> Tensor:
        """Hidden states of the canvas, [B, L, W]."""
        length = canvas.shape[1]
        embedded = [self.tokens(canvas) + self.side[0], self.tokens(source) + self.side[1]]
        seen = torch.cat([torch.ones_like(canvas, dtype=torch.bool), source != PAD], 1)  # [B, L + S]
        return self.trunk(torch.cat(embedded, 1), self.rotary, seen)[:, :length]

    def read(self, states: Tensor) -> Tensor:
        """Hidden states [..., W] -> logits [..., V]."""
        return states @ self.tokens.weight.T


def bound(model: nn.Module, batch: Batch, t: Tensor, seeds: Seeds) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound at times t [B] float64: the sum over rows in nats, and the number of target
    tokens.

    Padding is part of what is predicted and so of the sum; tokens are counted up to and with the first end token.
    """
    assert isinstance(model, MaskedModel)
    canvas = batch["canvas"]
    masked = seeds.uniform(canvas.shape[1]) < (1.0 - SCHEDULE.alpha(t))[:, None]  # [B, L]
    noisy = mask_out(canvas, masked, MASK)
    # Only masked positions cost anything, so only they are read out.
    logits = model.read(model.states(noisy, batch["source"])[masked]).float()  # [masked, V]
    nll = token_nll(logits, noisy[masked], canvas[masked], MASK)  # [masked]
    weights = weight(SCHEDULE, t)[:, None].expand(canvas.shape)[masked]  # float64
    return (weights * nll).sum(), (canvas != SEP).sum() + len(canvas)


def training_loss(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
    """The bound at one time per row, one from each of B equal strata of [EARLIEST, 1] (`cosmos.training.Loss`).

    Where several processes share a batch, each has strata of its own, as in the authors' code.
    """
    rows = len(batch["canvas"])
    u = (torch.arange(rows, device=batch["canvas"].device) + seeds.uniform()) / rows
    return bound(model, batch, EARLIEST + (1.0 - EARLIEST) * u, seeds)


def validation_loss(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
    """The bound at several times per row, one from each of as many strata."""
    draws = []
    for stratum in range(VALIDATION_TIMES):
        u = (stratum + seeds.uniform()) / VALIDATION_TIMES
        draws.append(bound(model, batch, EARLIEST + (1.0 - EARLIEST) * u, seeds))
    return torch.stack([total for total, _ in draws]).mean(), draws[0][1]


class MDLMSystem(Rival):
    """MDLM behind the contract."""

    name: ClassVar[str] = "mdlm"
    presets: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "nano": MDLMRecipe(
                width=64,
                layers=3,
                heads=2,
                inner=192,
                training=TrainingConfig(batch_size=32, learning_rate=3e-3, ema_decay=0.99),
                budget=Budget(4e12, "flops"),
            )
        }
    )
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"confidence-24": Unmasking("confidence", 24), "ancestral-32": Unmasking("ancestral", 32)}
    )
    other_settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "cached-32": Unmasking("cached", 32),
            "cached-1000": Unmasking("cached", 1000),
            "first_hitting-24": Unmasking("first_hitting", 24),
            "first_hitting-8": Unmasking("first_hitting", 8),
            "threshold-24": ThresholdUnmasking(24),
            # The authors' eta, 0.008 and 0.015, is for 1024 steps; fewer steps need more to remask as often.
            "remdm_cap-64": Remasking("cap", 64, eta=0.04, top_p=0.9),
            "remdm_rescale-64": Remasking("rescale", 64, eta=0.04, top_p=0.9),
            "remdm_conf-64": Remasking("conf", 64, top_p=0.9),
            "remdm_loop-64": Remasking("loop", 64, eta=0.02, top_p=0.9),
        }
    )

    def shape(self, train: Pairs) -> dict[str, int]:
        return {"canvas": min(self.limits.target_tokens - 1, train.targets.shape[1] + MARGIN)}

    def build(self, shape: Mapping[str, int]) -> nn.Module:
        recipe: MDLMRecipe = self.recipe
        trunk = TrunkConfig(recipe.width, recipe.layers, recipe.heads, recipe.inner)
        return MaskedModel(trunk, shape["vocabulary"], shape["canvas"], max(1, self.limits.source_tokens))

    def batches(self, pairs: Pairs, shape: Mapping[str, int]) -> Batches:
        canvas = torch.full((len(pairs.targets), shape["canvas"]), SEP)
        width = min(canvas.shape[1], pairs.targets.shape[1])
        canvas[:, :width] = pairs.targets[:, :width].where(pairs.targets[:, :width] != PAD, SEP)
        return TokenBatches({"source": pairs.sources, "canvas": canvas})

    def losses(self) -> tuple[Loss, Loss]:
        return training_loss, validation_loss

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        """One text per request; all go through the network as one batch."""
        if not requests:
            return []
        source, _ = encode_sources([request.source for request in requests], self.vocabulary, self.limits)
        source = source.to(self.device)
        canvas = torch.full((len(requests), self.loaded_shape["canvas"]), MASK, device=self.device)
        seeds = Seeds(torch.tensor([request.seed for request in requests], device=self.device))

        def predict(noisy: Tensor) -> Tensor:
            logits: Tensor = self.model(noisy, source)
            return logits

        canvas = unmask(setting, predict, canvas, schedule=SCHEDULE, mask_id=MASK, seeds=seeds)
        return read_samples(requests, canvas, self.vocabulary)
