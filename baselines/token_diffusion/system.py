"""What rivals that write a whole sequence at once share: the network, the sequence as data, and draws of time for their
loss.

A target is a sequence of fixed length: its tokens, then [SEP] up to the end, all of it in the loss (left out, the
network would never learn to stop). The source is never noised; a text is cut at its first end token.

Axis legend: B rows (texts), S source positions, L sequence positions, W width, V tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.system import TokenSystem
from baselines.common.token_rows import TokenDataset, TokenPairs, encode_sources, samples_from_tokens
from baselines.common.transformer import SourceKV, Trunk, TrunkConfig, trunk_of
from baselines.contract import Budget, Limits, Request, Sample, UserError
from baselines.token_diffusion.reading import LogitReading
from cosmos.config import check_layers
from cosmos.models.blocks import Rotary, TimeInputs
from cosmos.models.fused_reading import read_tokens
from cosmos.models.token_reading import most_probable
from cosmos.recipes import NANO, SMALL
from cosmos.runtime.capture import Capturable, Capture, captured, place_of_inputs
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import MASK, PAD, SEP
from cosmos.training.loop import Batch, Dataset, Loss, TrainingConfig

EARLIEST = 1e-3  # losses draw t from [EARLIEST, 1], as the authors' codes do
VALIDATION_TIMES = 8  # per text
SOURCE_ENCODER = "source_encoder"
SOURCE_INNER = 4  # widths inside the feed-forward of the source encoder, as in Cosmos
MARGIN = 2  # positions of the sequence beyond the longest training target
PAPER_TRAINING = TrainingConfig(  # that of MDLM, SEDD and Duo: batches of 512 at a constant rate
    compile=True, batch_size=512, learning_rate=3e-4, final_learning_rate=3e-4, warmup_steps=2500, betas=(0.9, 0.999),
    ema_decay=0.9999,
)  # fmt: skip

ReadOut = Literal["logits", "best"] | LogitReading

Bound = Callable[[nn.Module, Batch, Tensor, CounterRNG], tuple[Tensor, Tensor]]
"""`bound(model, batch, t, seeds)` at times t [B]: its sum over rows in nats, and the number of target tokens."""


@dataclass(frozen=True)
class TokenDiffusionRecipe:
    """Sizes and training of one preset; `source_layers` are those of the source encoder."""

    trunk: TrunkConfig
    source_layers: int
    training: TrainingConfig
    budget: Budget

    def __post_init__(self) -> None:
        check_layers(source_layers=self.source_layers)


def presets_of(
    recipe: Callable[..., Any],
    inner: tuple[int, int, int],
    base_steps: int,
    base_training: TrainingConfig = PAPER_TRAINING,
    time_width: tuple[int, int, int] = (16, 64, 128),
    nano_training: TrainingConfig = NANO,
    nano_dropout: float = 0.0,
    small_training: TrainingConfig = SMALL,
    **own: tuple[Any, Any, Any],
) -> Mapping[str, Any]:
    """The recipes "nano", "small" and "base" of a method, of class `recipe` with fields of its `own`, and trunks with
    these `inner` and `time_width`; the first two have the training and the dropout that were tuned for the method (at
    small none was best for all), the last the budget and the training of its paper."""
    budgets = Budget(3e12, "flops"), Budget(600, "seconds"), Budget(base_steps, "steps")
    trainings, dropouts = (nano_training, small_training, base_training), (nano_dropout, 0.0, 0.1)
    return MappingProxyType(
        {
            name: recipe(
                trunk=trunk_of(name, inner[i], time_width[i], dropouts[i]),
                training=trainings[i],
                budget=budgets[i],
                **{field: values[i] for field, values in own.items()},
            )
            for i, name in enumerate(("nano", "small", "base"))
        }
    )


class TokenDenoiser(nn.Module):
    """Logits at every sequence position, given the noisy sequence, the source, and the time where the trunk takes one.

    The source, of at most `source` tokens (0: an unconditional model), is encoded once per text by bidirectional blocks
    of its own, and every block of the trunk attends to it. Sequence and source each count positions from 0; so a word
    of the target is near its counterpart in the source. Rotary positions are relative, and cannot tell equal rows apart
    without a source: the sequence has learned absolute ones besides, as Cosmos has.
    """

    compiles: ClassVar[tuple[str, ...]] = ("best",)  # see `cosmos.runtime.compilation`

    def __init__(self, config: TrunkConfig, vocabulary: int, length: int, source: int, source_layers: int) -> None:
        super().__init__()
        config = replace(config, cross_attention=source > 0)
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.positions = nn.Parameter(torch.empty(length, config.width).normal_(std=0.02))
        self.rotary = Rotary(config.width // config.heads, max(length, source))
        self.trunk = Trunk(config)
        inner = SOURCE_INNER * config.width
        encoder = TrunkConfig(config.width, source_layers, config.heads, inner, dropout=config.dropout)
        self.source_encoder = Trunk(encoder) if source > 0 else None
        nn.init.normal_(self.tokens.weight, std=config.width**-0.5)

    def forward(
        self,
        sequence: Tensor,
        source_kv: SourceKV | None,
        time: Tensor | TimeInputs | None = None,
        read: ReadOut = "logits",
    ) -> Any:
        """Args:
            sequence: int64 [B, L], or a mixture of tokens at each position, [B, L, V].
            source_kv: from `encode`; None for an unconditional model.
            time: [B] in [0, 1], or what `time_inputs` made of it.
            read: what is made of the states; but for "logits", without logits of all positions
                (`baselines.token_diffusion.reading`, `cosmos.models.fused_reading`).

        Returns:
            "logits": [B, L, V]. "best": the most probable token at each position, int64 [B, L]. A reading: what it
            makes of them, a tuple of tensors.
        """
        states = self.states(sequence, source_kv, time)
        if read == "logits":
            return self.lm_head(states)
        if read == "best":
            return read_tokens(self.best, states, self.tokens.weight, self.tokens.num_embeddings)
        return read.of(states, self.lm_head, self.tokens.num_embeddings)

    def best(self, states: Tensor) -> Tensor:
        """Of a chunk [R, W]: int64 [R]."""
        return most_probable(states, self.tokens.weight, self.tokens.num_embeddings)

    def encode(self, source: Tensor) -> SourceKV | None:
        """Sources, int64 [B, S] padded with [PAD], as every step uses them; None if the model takes none."""
        if self.source_encoder is None:
            return None
        seen = source != PAD
        states = self.source_encoder(self.tokens(source), self.rotary, seen)  # [B, S, W]
        return self.trunk.source_kv(states, seen, self.rotary)

    def time_inputs(self, time: Tensor) -> TimeInputs:
        """What the trunk makes of times [S] in [0, 1], to call with rows of it."""
        return self.trunk.time_inputs(time, self.tokens.weight.dtype)

    def states(self, sequence: Tensor, source_kv: SourceKV | None, time: Tensor | TimeInputs | None = None) -> Tensor:
        """Hidden states of the sequence, [B, L, W]."""
        embedded = sequence @ self.tokens.weight if sequence.is_floating_point() else self.tokens(sequence)  # [B, L, W]
        return self.trunk(embedded + self.positions[: sequence.shape[1]], self.rotary, None, time, source_kv)

    def lm_head(self, states: Tensor) -> Tensor:
        """Hidden states [..., W] -> logits [..., V]."""
        return states @ self.tokens.weight.T


def at_strata(bound: Bound) -> tuple[Loss, Loss]:
    """Losses from a bound at given times: for training, one time per row, one from each of B equal strata of
    [EARLIEST, 1] (B rows of the whole batch, whoever works on them); for validation, several per row, one from each of
    as many strata."""

    def training(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        return bound(model, batch, spread(strata(seeds)), seeds)

    def validation(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        times = (spread((stratum + seeds.uniform()) / VALIDATION_TIMES) for stratum in range(VALIDATION_TIMES))
        bounds = [bound(model, batch, t, seeds) for t in times]
        return torch.stack([total for total, _ in bounds]).mean(), bounds[0][1]

    def spread(uniform: Tensor) -> Tensor:
        return EARLIEST + (1.0 - EARLIEST) * uniform

    return training, validation


def strata(seeds: CounterRNG) -> Tensor:
    """One number per row, from each of as many equal strata of [0, 1] as the batch has rows; float64 [B]."""
    return (seeds.places + seeds.uniform()) / seeds.batch_rows


def target_tokens(sequence: Tensor) -> Tensor:
    """The number of tokens up to and with the first end token of each row."""
    return (sequence != SEP).sum() + len(sequence)


class TokenDiffusionSystem(TokenSystem):
    """A rival that writes a whole sequence; it adds its losses and its sampler.

    Raises:
        UserError: a trunk with a time input where the method has none, or without where it needs one.
    """

    takes_time: ClassVar[bool | None] = True

    def __init__(self, recipe: Any, limits: Limits) -> None:
        width = recipe.trunk.time_width
        if self.takes_time not in (None, width > 0):
            requirement = "a trunk with a time input" if self.takes_time else "a trunk without a time input"
            raise UserError(f"'{self.name}' needs {requirement}: trunk.time_width must not be {width}.")
        super().__init__(recipe, limits)

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        return ()

    def ignored_keys(self) -> dict[str, str]:
        reasons = {"trunk.cross_attention": "the trunk attends to a source where the task has one"}
        if self.limits.source_tokens == 0:
            reasons["source_layers"] = "the task has no source"
        return reasons

    def shape(self, train: TokenPairs) -> dict[str, int]:
        return {"length": min(self.limits.target_tokens - 1, train.targets.shape[1] + MARGIN)}

    def build(self, shape: Mapping[str, int]) -> nn.Module:
        sizes = shape["vocabulary"], shape["length"], self.limits.source_tokens, self.recipe.source_layers
        return TokenDenoiser(self.recipe.trunk, *sizes)

    def batches(self, pairs: TokenPairs, shape: Mapping[str, int]) -> Dataset:
        ended = pairs.targets.where(pairs.targets != PAD, SEP)
        added = (0, shape["length"] - ended.shape[1])  # negative: cut
        rows = {"source": pairs.sources, "sequence": functional.pad(ended, added, value=SEP)}
        return TokenDataset(rows, "source", max(1, self.limits.source_tokens))

    def networks(self) -> Mapping[str, Any]:
        """The network that is called at every step, then the encoder of sources where it has one."""
        encoder = getattr(self.model, SOURCE_ENCODER, None)
        return {self.name: self.model} if encoder is None else {self.name: self.model, SOURCE_ENCODER: encoder}

    def inputs(self, requests: Sequence[Request], capture: Capture) -> tuple[Tensor, Tensor]:
        """The requests' seeds, int64 [B], and sources, int64 [B, S]; where the loop is captured, S is the limit."""
        source, _ = encode_sources([request.source for request in requests], self.vocabulary, self.limits)
        if capture != "off":
            source = functional.pad(source, (0, max(1, self.limits.source_tokens) - source.shape[1]), value=PAD)
        seeds = torch.from_numpy(np.array([request.seed for request in requests], dtype=np.int64))
        place = place_of_inputs(capture, self.device)
        return seeds.to(place), source.to(place)

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        """All go through the network as one batch."""
        if not requests:
            return []
        return self.samples(requests, self.tokens(setting, *self.inputs(requests, setting.capture)))

    def samples(self, requests: Sequence[Request], tokens: Tensor) -> list[Sample]:
        """What rows of tokens, int64 [B, L], are as samples."""
        return samples_from_tokens(requests, tokens, self.vocabulary, whole=True)

    def candidates(self, setting: Any) -> int:
        """How many texts are made of each request, of which one is kept."""
        return 1

    def tokens(self, setting: Any, seeds: Tensor, source: Tensor) -> Tensor:
        """One sequence, int64 [B, L], for each of the seeds, int64 [B], and sources, int64 [B, S]."""
        alone = self.candidates(setting) == 1  # else the next ones are queued before these are read
        return captured(self, self.sample, setting.capture, setting, to_host=alone)(seeds, source)

    def masks(self, rows: int) -> Tensor:
        """Masked sequences, int64 [B, L]."""
        return torch.full((rows, self.loaded_shape["length"]), MASK, device=self.device)

    def repeated(
        self, network: str, arguments: Sequence[Any], keywords: Mapping[str, Any], capture: Capture
    ) -> Callable[[], object]:
        """As of any system; what is read is compiled where a setting of this capture has it so."""
        compiled = Capturable(capture=capture).compiled
        known = {k: replace(v, compiled=compiled) if isinstance(v, LogitReading) else v for k, v in keywords.items()}
        return super().repeated(network, arguments, known, capture)

    @abstractmethod
    def sample(self, setting: Any, seeds: Tensor, source: Tensor) -> Tensor:
        """`tokens`, as a function of tensors that waits for nothing and so can be captured."""
