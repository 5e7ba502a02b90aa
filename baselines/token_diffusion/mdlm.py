"""The masked-diffusion rival: MDLM (Sahoo et al., 2024, arXiv:2406.07524).

Tokens of a canvas (`baselines.token_diffusion.system`) are masked independently, and the network predicts the clean
ones. Under SUBS (section 3.2.3) the bound is a weighted cross-entropy of masked tokens (equation 10). Objective and
samplers: `baselines.token_diffusion.masked` and `baselines.token_diffusion.masked_settings`; no time input (the paper's
own default).

Departures, and why: the canvas ends in [SEP]s that are part of the loss (as LLaDA does: left out, the network would
never learn to stop), and the source, which the paper has none of, is never masked; the trunk (RMS norm, SwiGLU, tied
embeddings, learned positions besides rotary ones; no dropout at nano) is the one rivals share, without the adaLN layers
of DDiT that a constant time would feed; sizes, tokenizer and schedule of the rate are those of the comparison; a text
is cut at its first end token; t is stratified with one uniform number per row, not one per batch, since every row has
its own stream.

Axis legend: B rows (texts), L canvas positions, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.common.static_shapes import chosen
from baselines.common.transformer import Memory, trunk_of
from baselines.contract import Budget
from baselines.token_diffusion.masked import LogLinear, mask_out, token_nll, weight
from baselines.token_diffusion.masked_samplers import threshold_steps, until_open
from baselines.token_diffusion.masked_settings import Remasking, Setting, ThresholdUnmasking, Unmasking, unmask
from baselines.token_diffusion.system import (
    PAPER_TRAINING,
    CanvasModel,
    CanvasRecipe,
    CanvasRival,
    at_strata,
    target_tokens,
)
from cosmos.recipes import NANO, SMALL
from cosmos.runtime.capture import captured
from cosmos.runtime.rng import Seeds
from cosmos.text.vocabulary import MASK
from cosmos.training.loop import Batch, Loss

SCHEDULE = LogLinear()


def bound(model: nn.Module, batch: Batch, t: Tensor, seeds: Seeds) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound (`baselines.token_diffusion.system.Bound`); padding is part of what is
    predicted."""
    assert isinstance(model, CanvasModel)
    canvas = batch["canvas"]
    masked = seeds.uniform(canvas.shape[1]) < (1.0 - SCHEDULE.alpha(t))[:, None]  # [B, L]
    noisy = mask_out(canvas, masked, MASK)
    read = chosen(masked, batch.static_shapes)  # an open position costs nothing
    logits = model.read(model.states(noisy, model.encode(batch["source"]))[read]).float()  # [masked, V] or [B, L, V]
    nll = token_nll(logits, noisy[read], canvas[read], MASK)
    weights = weight(SCHEDULE, t)[:, None].expand(canvas.shape)[read]  # float64
    return (weights * nll).sum(), target_tokens(canvas)


class MDLMSystem(CanvasRival):
    """MDLM behind the contract."""

    name: ClassVar[str] = "mdlm"
    takes_time: ClassVar[bool | None] = False
    presets: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "nano": CanvasRecipe(
                trunk_of("nano", inner=480),
                source_layers=0,
                training=NANO,
                budget=Budget(3e12, "flops"),
            ),
            "small": CanvasRecipe(
                trunk_of("small", inner=1856, dropout=0.1),
                source_layers=6,
                training=SMALL,
                budget=Budget(600, "seconds"),
            ),
            # The paper's training, of batches of 512 at a constant rate.
            "base": CanvasRecipe(
                trunk_of("base", inner=3712, dropout=0.1),
                source_layers=12,
                training=PAPER_TRAINING,
                budget=Budget(1_000_000, "steps"),
            ),
        }
    )
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"confidence-24": Unmasking("confidence", 24), "cached-32": Unmasking("cached", 32)}
    )
    other_settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
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
    def external_weights(recipe: CanvasRecipe) -> Sequence[str]:
        return ()

    def losses(self) -> tuple[Loss, Loss]:
        return at_strata(bound)

    def tokens(self, setting: Setting, seeds: Tensor, source: Tensor) -> Tensor:
        """One canvas per text; where its end depends on the predictions, so many calls as lie between two looks are
        captured together, and the looks are not.
        """
        if setting.capture == "off" or not isinstance(setting, ThresholdUnmasking):
            return super().tokens(setting, seeds, source)
        canvas = self.masks(len(seeds))
        calls = min(setting.steps, canvas.shape[1])  # each opens at least one position
        setting = replace(setting, steps=calls)
        memory = captured(self, self.encode, setting.capture)(source)

        def steps(canvas: Tensor, first: Tensor, count: int) -> Tensor:
            return captured(self, self.threshold_steps, setting.capture, setting, count)(canvas, first, *memory)

        return until_open(steps, canvas, calls, MASK)

    def encode(self, source: Tensor) -> tuple[Tensor, ...]:
        """The encoded source as a row of tensors; none for an unconditional model."""
        memory = self.model.encode(source)
        return () if memory is None else (memory.mask, *(tensor for pair in memory.keys_values for tensor in pair))

    def threshold_steps(
        self, setting: ThresholdUnmasking, count: int, canvas: Tensor, first: Tensor, *memory: Tensor
    ) -> Tensor:
        """`count` steps from the step `first` (a scalar) on; `memory` is from `encode`."""
        source = Memory(memory[0], tuple(zip(memory[1::2], memory[2::2], strict=True))) if memory else None

        def predict(noisy: Tensor) -> Tensor:
            logits: Tensor = self.model(noisy, source)
            return logits

        return threshold_steps(
            predict,
            canvas,
            first,
            count,
            steps=setting.steps,
            mask_id=MASK,
            threshold=setting.threshold,
            compiled=setting.compiled,
        )

    def masks(self, rows: int) -> Tensor:
        """An empty canvas for each row, int64 [B, L]."""
        return torch.full((rows, self.loaded_shape["canvas"]), MASK, device=self.device)

    def draw(self, setting: Setting, seeds: Tensor, source: Tensor) -> Tensor:
        memory = self.model.encode(source)

        def predict(noisy: Tensor) -> Tensor:
            logits: Tensor = self.model(noisy, memory)
            return logits

        canvas = self.masks(len(seeds))
        streams = Seeds(seeds, setting.compiled)
        return unmask(setting, predict, canvas, schedule=SCHEDULE, mask_id=MASK, seeds=streams)
