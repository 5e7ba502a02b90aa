"""The score-entropy rival: SEDD (Lou, Meng and Ermon, 2024, arXiv:2310.16834), absorbing or uniform.

The network gives logarithms of the ratios p_t(y) / p_t(x) of texts that differ in one token. Objective and samplers:
`baselines.token_diffusion.score_entropy` and `baselines.token_diffusion.score_samplers`. Noise is the authors':
log-linear for absorbing transitions, geometric for uniform ones. As theirs, the absorbing network's outputs are shifted
by log(alpha / (1 - alpha)) - log(V - 1), so that outputs of order one are right at every noise level, and the entry of
the token at hand is zero.

Departures, and why: the sequence, the trunk, tokenizer and the schedule of the rate are those of the comparison
(`baselines.token_diffusion.system`); time enters as t itself and is added in every block, not by adaLN of sigma, as in
all rivals that have a time input; V counts the rows of the (padded) vocabulary; outputs are read where they cost
something only, but for recorded steps; the last sampling step is one of the `steps`
(`baselines.token_diffusion.score_samplers`).

Axis legend: B rows (texts), S source positions, L sequence positions, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from baselines.common.static_shapes import positions_to_score
from baselines.common.transformer import trunk_of
from baselines.contract import Budget, UserError, unknown
from baselines.token_diffusion.masked import LogLinear, TokenSchedule, mask_out
from baselines.token_diffusion.score_entropy import Geometric, absorb_entropy, absorb_log_ratio, rate, uniform_entropy
from baselines.token_diffusion.score_samplers import Step, sample_absorb, sample_uniform
from baselines.token_diffusion.system import (
    PAPER_TRAINING,
    TokenDenoiser,
    TokenDiffusionRecipe,
    TokenDiffusionSystem,
    at_strata,
    target_tokens,
)
from baselines.token_diffusion.uniform import redraw
from cosmos.config import check_steps
from cosmos.recipes import NANO, SMALL
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import MASK
from cosmos.training.loop import Batch, Loss

Transition = Literal["absorb", "uniform"]
SCHEDULES: Mapping[str, TokenSchedule] = MappingProxyType({"absorb": LogLinear(), "uniform": Geometric()})


@dataclass(frozen=True)
class SEDDRecipe(TokenDiffusionRecipe):
    """Sizes and training of one preset."""

    transition: Transition = "absorb"

    def __post_init__(self) -> None:
        if self.transition not in get_args(Transition):
            raise unknown("transition", self.transition, get_args(Transition))


@dataclass(frozen=True)
class Scoring(Capturable):
    """How to generate: the kind of step, and how many (each one network call)."""

    step: Step
    steps: int

    def __post_init__(self) -> None:
        if self.step not in get_args(Step):
            raise unknown("step", self.step, get_args(Step))
        check_steps(self.steps)


def absorb_log_scores(logits: Tensor, alpha: Tensor) -> Tensor:
    """Log-scores at masked positions from the network's outputs [..., V]; alpha [...]."""
    return logits + (absorb_log_ratio(alpha) - math.log(logits.shape[-1] - 1)).to(logits.dtype)[..., None]


def absorb_bound(model: nn.Module, batch: Batch, t: Tensor, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound under absorbing noise (`baselines.token_diffusion.system.Bound`)."""
    assert isinstance(model, TokenDenoiser)
    sequence, schedule = batch["sequence"], SCHEDULES["absorb"]
    alpha = schedule.alpha(t)
    masked = seeds.uniform(sequence.shape[1]) < (1.0 - alpha)[:, None]  # [B, L]
    states = model.states(mask_out(sequence, masked, MASK), model.encode(batch["source"]), t)
    read = positions_to_score(masked, batch.static_shapes)
    logits = model.lm_head(states[read]).float()  # [masked, V] or [B, L, V]
    logits = torch.where(masked[read][..., None], logits, 0.0)  # nothing keeps those of open positions from overflowing
    levels = alpha[:, None].expand(sequence.shape)[read].float()
    entropy = absorb_entropy(absorb_log_scores(logits, levels), sequence[read], levels, MASK)
    weights = rate(schedule, t)[:, None].expand(sequence.shape)[read]  # float64
    return (weights * torch.where(masked[read], entropy, 0.0)).sum(), target_tokens(
        sequence
    )  # an open one costs nothing


def uniform_bound(model: nn.Module, batch: Batch, t: Tensor, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound under uniform noise (`baselines.token_diffusion.system.Bound`)."""
    assert isinstance(model, TokenDenoiser)
    sequence, schedule = batch["sequence"], SCHEDULES["uniform"]
    alpha = schedule.alpha(t)
    noisy = redraw(sequence, alpha, model.tokens.num_embeddings, seeds)
    log_scores = model(noisy, model.encode(batch["source"]), t).float()  # [B, L, V]
    entropy = uniform_entropy(log_scores, noisy, sequence, alpha.float()[:, None].expand(sequence.shape))  # [B, L]
    return (rate(schedule, t) * entropy.double().sum(1)).sum(), target_tokens(sequence)


class SEDDSystem(TokenDiffusionSystem):
    """SEDD behind the contract."""

    name: ClassVar[str] = "sedd"
    takes_time: ClassVar[bool | None] = True
    presets: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "nano": SEDDRecipe(
                trunk=trunk_of("nano", inner=480, time_width=16),
                source_layers=0,
                training=NANO,
                budget=Budget(3e12, "flops"),
            ),
            "small": SEDDRecipe(
                trunk=trunk_of("small", inner=1792, time_width=64, dropout=0.1),
                source_layers=6,
                training=SMALL,
                budget=Budget(600, "seconds"),
            ),
            # The paper's training, of batches of 512 at a constant rate.
            "base": SEDDRecipe(
                trunk=trunk_of("base", inner=3584, time_width=128, dropout=0.1),
                source_layers=12,
                training=PAPER_TRAINING,
                budget=Budget(1_300_000, "steps"),
            ),
        }
    )
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({"analytic-32": Scoring("analytic", 32)})
    other_settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "analytic-16": Scoring("analytic", 16),
            "analytic-128": Scoring("analytic", 128),
            "euler-32": Scoring("euler", 32),
            "euler-128": Scoring("euler", 128),
        }
    )

    @staticmethod
    def external_weights(recipe: SEDDRecipe) -> Sequence[str]:
        return ()

    def check_setting(self, setting: Scoring) -> None:
        """Refuse Euler steps under absorbing transitions: alpha is linear in t there, so they are the analytic ones."""
        if setting.step == "euler" and self.recipe.transition == "absorb":
            raise UserError("Under absorbing transitions an Euler step is the analytic one; use step=analytic.")

    def losses(self) -> tuple[Loss, Loss]:
        return at_strata(absorb_bound if self.recipe.transition == "absorb" else uniform_bound)

    def sample(self, setting: Scoring, seeds: Tensor, source: Tensor) -> Tensor:
        source_kv = self.model.encode(source)
        length, size = self.loaded_shape["length"], self.loaded_shape["vocabulary"]
        transition = self.recipe.transition
        schedule = SCHEDULES[transition]

        def predict(noisy: Tensor, t: Tensor) -> Tensor:
            logits = self.model(noisy, source_kv, t).float()  # [B, L, V]
            if transition == "absorb":
                logits = absorb_log_scores(logits, schedule.alpha(t)[:, None])
            return logits.scatter(-1, noisy[..., None], 0.0)

        if transition == "absorb":
            masks = torch.full((len(seeds), length), MASK, device=self.device)
            return sample_absorb(
                predict,
                masks,
                steps=setting.steps,
                step=setting.step,
                schedule=schedule,
                mask_id=MASK,
                seeds=CounterRNG(seeds, setting.compiled),
            )
        return sample_uniform(
            predict,
            length=length,
            vocabulary=size,
            steps=setting.steps,
            step=setting.step,
            schedule=schedule,
            seeds=CounterRNG(seeds, setting.compiled),
        )
