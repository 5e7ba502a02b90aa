"""The masked-diffusion rival: MDLM (Sahoo et al., 2024, arXiv:2406.07524).

Tokens of a sequence (`baselines.token_diffusion.system`) are masked independently, and the network predicts the clean
ones. Under SUBS (section 3.2.3) the bound is a weighted cross-entropy of masked tokens (equation 10). Objective and
samplers: `baselines.token_diffusion.masked` and `baselines.token_diffusion.masked_settings`; no time input, as there.

Departures, and why: the sequence ends in [SEP]s that are part of the loss (as LLaDA does: left out, the network would
never learn to stop), and the source, which the paper has none of, is never masked; the trunk (RMS norm, SwiGLU, tied
embeddings, learned positions besides rotary ones) is the one rivals share, without the adaLN layers
of DDiT that a constant time would feed; sizes, tokenizer and schedule of the rate are those of the comparison; a text
is cut at its first end token; t is stratified with one uniform number per row, not one per batch, since every row has
its own stream; the last step of ancestral sampling draws what is left, where theirs takes the most probable token at t
= 1e-5, by when nearly nothing is left. At base optimiser, rate, batch, average and steps are the authors'.

Axis legend: B rows (texts), L sequence positions, V tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.static_shapes import masked_positions
from baselines.common.transformer import SourceKV
from baselines.contract import UserError
from baselines.token_diffusion.ddit import DDiT
from baselines.token_diffusion.likelihood import Integrand
from baselines.token_diffusion.masked import LogLinear, token_nll, weight
from baselines.token_diffusion.masked_samplers import Read, threshold_steps, until_open
from baselines.token_diffusion.masked_settings import MaskedSetting, Remasking, ThresholdUnmasking, Unmasking, unmask
from baselines.token_diffusion.released import MayBeReleased, Published, number
from baselines.token_diffusion.system import (
    TokenDenoiser,
    TokenDiffusionRecipe,
    at_strata,
    presets_of,
    target_tokens,
)
from cosmos.models.blocks import TimeInputs
from cosmos.models.token_head import chunked_loss, take, widened
from cosmos.recipes import NANO
from cosmos.runtime.capture import captured
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import MASK
from cosmos.training.loop import Batch, Loss

SCHEDULE = LogLinear()


def bound(model: nn.Module, batch: Batch, t: Tensor, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound (`baselines.token_diffusion.system.Bound`)."""
    assert isinstance(model, TokenDenoiser)
    sequence = batch["sequence"]
    masked = seeds.uniform(sequence.shape[1]) < (1.0 - SCHEDULE.alpha(t))[:, None]  # [B, L]
    states = model.states(sequence.masked_fill(masked, MASK), model.encode(batch["source"]))  # [B, L, W]
    index, counts = masked_positions(masked, batch.static_shapes, seeds)  # an open position costs nothing
    weights = weight(SCHEDULE, t)[:, None].expand(sequence.shape).flatten()[index] * counts  # float64 [M]
    columns = (sequence.flatten()[index], weights)
    read = take(states.flatten(0, 1), index, counts)
    return chunked_loss(masked_nll, read, model.tokens.weight, columns, compiled=seeds.fused), target_tokens(sequence)


def masked_nll(logits: Tensor, clean: Tensor, weights: Tensor) -> Tensor:
    """-log p(clean token) of masked positions under SUBS, times weights, summed: a `RowLoss`."""
    open_tokens = torch.arange(logits.shape[-1], device=logits.device) != MASK
    nll = functional.cross_entropy(widened(logits).where(open_tokens, -torch.inf), clean, reduction="none")
    return (weights * nll).sum()


def masked_integrand(model: TokenDenoiser, source: Tensor) -> Integrand:
    """The bound is the same under every schedule, so alpha = 1 - chance is integrated from 0 to 1, ends included: the
    sum of -log p of masked tokens, times 1 / chance."""
    source_kv = model.encode(source)

    def integrand(sequence: Tensor, changed: Tensor, chance: Tensor, seeds: CounterRNG) -> Tensor:
        noisy = torch.where(changed, MASK, sequence)
        logits = model(noisy, source_kv).double()  # [B, L, V]
        return token_nll(logits, noisy, sequence, MASK).sum(1) / chance

    return integrand


@dataclass(frozen=True)
class MDLMRecipe(TokenDiffusionRecipe):
    released: str | None = None  # the folder of published weights, used as they are; all else is then theirs


class MDLMSystem(MayBeReleased):
    """MDLM behind the contract."""

    name = "mdlm"
    takes_time = False
    presets = presets_of(
        MDLMRecipe, (480, 1856, 3712), 1_000_000, time_width=(0, 0, 0), source_layers=(0, 6, 12),
        nano_training=replace(NANO, learning_rate=2e-3, batch_size=8), nano_dropout=0.1,
    )  # fmt: skip
    settings = MappingProxyType({"confidence-24": Unmasking("confidence", 24), "cached-32": Unmasking("cached", 32)})
    other_settings = MappingProxyType(
        {
            "ancestral-32": Unmasking("ancestral", 32),  # the texts of "cached-32", with calls that change nothing
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

    @staticmethod
    def read_published(config: Mapping[str, Any], path: Path) -> Published:
        """As the authors' models are on the hub."""
        if config.get("model_type") != "mdlm":
            raise UserError(f"{path} is of no published MDLM (its model_type is not mdlm); give the folder of one.")
        if config.get("time_conditioning", False):
            raise UserError(f"The model in {path.parent} is told the time, and MDLM here is not; give another.")
        keys = ("vocab_size", "model_length", "hidden_dim", "n_blocks", "n_heads", "cond_dim")
        return Published(*(number(config, key, path) for key in keys), prefix="backbone.")

    def losses(self) -> tuple[Loss, Loss]:
        return at_strata(bound)

    def integrand(self, model: TokenDenoiser, source: Tensor) -> Integrand:
        return masked_integrand(model, source)

    def tokens(self, setting: MaskedSetting, seeds: Tensor, source: Tensor) -> Tensor:
        """Where the end depends on the predictions, the calls between two looks are captured, and the looks are not.
        Where a mask is left, all of it is made again, to the same texts but for that."""
        if setting.capture == "off" or not isinstance(setting, ThresholdUnmasking):
            found = super().tokens(setting, seeds, source)
            if bool((found == MASK).any()):
                found = captured(self, self.sample_everywhere, setting.capture, setting)(seeds, source)
            return found
        sequence = self.masks(len(seeds))
        calls = min(setting.steps, sequence.shape[1])  # each opens at least one position
        setting = replace(setting, steps=calls)
        source_kv = captured(self, self.encode, setting.capture)(source)

        def steps(sequence: Tensor, first: Tensor, count: int) -> Tensor:
            return captured(self, self.threshold_steps, setting.capture, setting, count)(sequence, first, *source_kv)

        return until_open(steps, sequence, calls, MASK)

    def encode(self, source: Tensor) -> tuple[Tensor, ...]:
        """The encoded source as a row of tensors; none for an unconditional model."""
        source_kv = self.model.encode(source)
        return () if source_kv is None else (source_kv.mask, *itertools.chain(*source_kv.keys_values))

    def no_noise(self) -> TimeInputs | None:
        """What the published network makes of the noise level that all of its calls are told; ours is told none."""
        return self.model.time_inputs(None) if isinstance(self.model, DDiT) else None

    def threshold_steps(
        self, setting: ThresholdUnmasking, count: int, sequence: Tensor, first: Tensor, *source_kv: Tensor
    ) -> Tensor:
        """`count` steps from the step `first` (a scalar) on; `source_kv` is from `encode`."""
        pairs = tuple(zip(source_kv[1::2], source_kv[2::2], strict=True))
        known = SourceKV(source_kv[0], pairs) if source_kv else None
        rule = {"steps": setting.steps, "threshold": setting.threshold, "compiled": setting.compiled}
        return threshold_steps(self.reader(known), sequence, first, count, mask_id=MASK, **rule)

    def reader(self, source_kv: SourceKV | None) -> Read:
        """A call of the network, given what `encode` of the model made of the source."""
        network, time = self.model, self.no_noise()
        return lambda sequence, reading: network(sequence, source_kv, time=time, read=reading)

    def sample(self, setting: MaskedSetting, seeds: Tensor, source: Tensor) -> Tensor:
        return self._unmasked(setting, seeds, source, everywhere=False)

    def sample_everywhere(self, setting: MaskedSetting, seeds: Tensor, source: Tensor) -> Tensor:
        """As `sample`, with no mask left."""
        return self._unmasked(setting, seeds, source, everywhere=True)

    def _unmasked(self, setting: MaskedSetting, seeds: Tensor, source: Tensor, everywhere: bool) -> Tensor:
        read, streams = self.reader(self.model.encode(source)), CounterRNG(seeds, setting.compiled)
        return unmask(setting, read, self.masks(len(seeds)), SCHEDULE, MASK, streams, everywhere)
