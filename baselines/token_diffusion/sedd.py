"""The score-entropy rival: SEDD (Lou, Meng and Ermon, 2024, arXiv:2310.16834), absorbing or uniform.

The network gives logarithms of the ratios p_t(y) / p_t(x) of texts that differ in one token. Objective and samplers:
`baselines.token_diffusion.score_entropy`. Noise is the authors': log-linear for absorbing transitions, geometric for
uniform ones. As theirs, the absorbing network's outputs are shifted by log(alpha / (1 - alpha)) - log(V - 1), so that
outputs of order one are right at every noise level, and the entry of the token at hand is zero.

Departures, and why: the sequence, the trunk, tokenizer and the schedule of the rate are those of the comparison
(`baselines.token_diffusion.system`); time enters as t itself and is added in every block, not by adaLN of sigma, as in
all rivals that have a time input; V counts the rows of the (padded) vocabulary; outputs are read where they cost
something only, but for recorded steps; the last sampling step is one of the `steps`. At base optimiser, rate, batch,
average and steps are the authors'.

Axis legend: B rows (texts), S source positions, L sequence positions, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from baselines.common.static_shapes import masked_positions
from baselines.contract import UserError, unknown
from baselines.token_diffusion.likelihood import Integrand, Levels, uniform_levels
from baselines.token_diffusion.masked import LogLinear, TokenSchedule, nodes
from baselines.token_diffusion.reading import LogitReading, RowReader
from baselines.token_diffusion.released import MayBeReleased, Published, number
from baselines.token_diffusion.score_entropy import (
    Geometric,
    Step,
    absorb_entropy,
    absorb_log_ratio,
    rate,
    sample_absorb,
    sample_uniform,
    uniform_entropy,
)
from baselines.token_diffusion.system import (
    TokenDenoiser,
    TokenDiffusionRecipe,
    at_strata,
    presets_of,
    target_tokens,
)
from baselines.token_diffusion.uniform import redraw
from cosmos.config import check_steps
from cosmos.models.token_head import chunked_loss, take, widened
from cosmos.recipes import NANO
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import MASK
from cosmos.training.loop import Batch, Loss

Transition = Literal["absorb", "uniform"]
ABSORBING, UNIFORM = LogLinear(), Geometric()
SCHEDULES: Mapping[str, TokenSchedule] = MappingProxyType({"absorb": ABSORBING, "uniform": UNIFORM})


@dataclass(frozen=True)
class SEDDRecipe(TokenDiffusionRecipe):
    transition: Transition = "absorb"
    released: str | None = None  # the folder of published weights, used as they are; all else is then theirs

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
    states = model.states(sequence.masked_fill(masked, MASK), model.encode(batch["source"]), t)
    index, counts = masked_positions(masked, batch.static_shapes, seeds)  # an open position costs nothing
    levels = alpha[:, None].expand(sequence.shape).flatten()[index].float()
    weights = rate(schedule, t)[:, None].expand(sequence.shape).flatten()[index] * counts  # float64
    columns = (sequence.flatten()[index], levels, weights, counts)
    read = take(states.flatten(0, 1), index, counts)
    total = chunked_loss(absorb_rows, read, model.tokens.weight, columns, compiled=seeds.fused)
    return total, target_tokens(sequence)


def log_scores(logits: Tensor, noisy: Tensor, level: Tensor | None) -> Tensor:
    """What a sampler wants, float32 [..., V]: 0 at the token at hand, int64 [...]. `level` is alpha, a scalar, under
    absorbing transitions; under uniform ones logits are the log-scores."""
    scores = logits.float() if level is None else absorb_log_scores(logits.float(), level)
    return scores.scatter(-1, noisy[..., None], 0.0)


def of_log_scores(
    logits: Tensor, noisy: Tensor, *columns: Tensor, level: Tensor | None, rows: RowReader, **constants: Any
) -> tuple[Tensor, ...]:
    """What `rows` makes of `log_scores`, as rows of a `baselines.token_diffusion.reading.LogitReading` themselves."""
    return rows(log_scores(logits, noisy, level), *columns, **constants)


def absorb_rows(logits: Tensor, clean: Tensor, levels: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
    """The score entropy of masked positions at levels alpha, times weights, summed
    (`cosmos.models.token_head.RowLoss`)."""
    kept = torch.where(counts[:, None], widened(logits), 0.0)  # nothing keeps those of open positions from overflowing
    return (weights * absorb_entropy(absorb_log_scores(kept, levels), clean, levels, MASK)).sum()


def uniform_bound(model: nn.Module, batch: Batch, t: Tensor, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound under uniform noise (`baselines.token_diffusion.system.Bound`)."""
    assert isinstance(model, TokenDenoiser)
    sequence, schedule = batch["sequence"], SCHEDULES["uniform"]
    alpha = schedule.alpha(t)
    noisy = redraw(sequence, alpha, model.tokens.num_embeddings, seeds)
    states = model.states(noisy, model.encode(batch["source"]), t).flatten(0, 1)  # [B * L, W]
    levels, weights = (value[:, None].expand(sequence.shape).flatten() for value in (alpha.float(), rate(schedule, t)))
    columns = (noisy.flatten(), sequence.flatten(), levels, weights)
    total = chunked_loss(uniform_rows, states, model.tokens.weight, columns, compiled=seeds.fused)
    return total, target_tokens(sequence)


def uniform_rows(log_scores: Tensor, noisy: Tensor, clean: Tensor, levels: Tensor, weights: Tensor) -> Tensor:
    """The score entropy under uniform noise at levels alpha, times weights, summed
    (`cosmos.models.token_head.RowLoss`)."""
    return (weights * uniform_entropy(widened(log_scores), noisy, clean, levels)).sum()


def absorb_integrand(model: TokenDenoiser, source: Tensor) -> Integrand:
    """Integrated over alpha = 1 - chance from 0 to 1, where d sigma = -d alpha / alpha; the network is asked at the
    time that training gave this alpha, and at 1 where it is lower."""
    source_kv = model.encode(source)

    def integrand(sequence: Tensor, changed: Tensor, chance: Tensor, seeds: CounterRNG) -> Tensor:
        alpha = 1.0 - chance
        logits = model(torch.where(changed, MASK, sequence), source_kv, ABSORBING.time(alpha)).double()  # [B, L, V]
        levels = alpha[:, None].expand(sequence.shape)
        entropy = absorb_entropy(absorb_log_scores(logits, levels), sequence, levels, MASK)
        return torch.where(changed, entropy, 0.0).sum(1) / alpha

    return integrand


def uniform_integrand(model: TokenDenoiser, source: Tensor) -> Integrand:
    """Integrated over sigma = -log(1 - chance), the network asked at its time, or at 0 where there is less noise."""
    source_kv = model.encode(source)

    def integrand(sequence: Tensor, changed: Tensor, chance: Tensor, seeds: CounterRNG) -> Tensor:
        size = model.tokens.num_embeddings
        noisy = torch.where(changed, (seeds.uniform(sequence.shape[1]) * size).long(), sequence)
        log_scores = model(noisy, source_kv, UNIFORM.time(-torch.log1p(-chance)).clamp(0.0, 1.0)).double()  # [B, L, V]
        alpha = (1.0 - chance)[:, None].expand(sequence.shape)
        return uniform_entropy(log_scores, noisy, sequence, alpha).sum(1)

    return integrand


def geometric_levels(v: Tensor) -> tuple[Tensor, Tensor]:
    """Times from -1 to 1: sigma from 5e-10, below which a text of a thousand tokens has under 1e-4 nats, to the end."""
    sigma = UNIFORM.sigma(2.0 * v - 1.0)
    return -torch.expm1(-sigma), 2.0 * math.log(UNIFORM.high / UNIFORM.low) * sigma


class SEDDSystem(MayBeReleased):
    """SEDD behind the contract."""

    name = "sedd"
    presets = presets_of(
        SEDDRecipe, (480, 1792, 3584), 1_300_000, source_layers=(0, 6, 12),
        nano_training=replace(NANO, learning_rate=2e-3, batch_size=8),
    )  # fmt: skip
    settings = MappingProxyType({"analytic-32": Scoring("analytic", 32)})
    other_settings = MappingProxyType(
        {
            "analytic-16": Scoring("analytic", 16),
            "analytic-128": Scoring("analytic", 128),
            "euler-32": Scoring("euler", 32),
            "euler-128": Scoring("euler", 128),
        }
    )

    counts_tokens = True  # outputs are shifted by log(V - 1)

    @staticmethod
    def read_published(config: Mapping[str, Any], path: Path) -> Published:
        """As the authors' models are on the hub, of absorbing transitions under log-linear noise."""
        kinds = {"graph": "absorb", "noise": "loglinear"}
        for part, kind in kinds.items():
            said = config.get(part)
            if not isinstance(said, Mapping) or said.get("type") != kind:
                raise UserError(f"{path} is of no published SEDD of {part} {kind}; give the folder of one.")
        model = config.get("model")
        if not isinstance(model, Mapping) or model.get("scale_by_sigma") is not True:
            raise UserError(f"The outputs of the model in {path.parent} are not shifted by its noise; give another.")
        keys = ("length", "hidden_size", "n_blocks", "n_heads", "cond_dim")
        return Published(
            number(config, "tokens", path) + 1, *(number(config, f"model.{key}", path) for key in keys), prefix=""
        )

    def check_setting(self, setting: Scoring) -> None:
        """Refuse Euler steps under absorbing transitions: alpha is linear in t there, so they are the analytic ones."""
        if setting.step == "euler" and self.recipe.transition == "absorb":
            raise UserError("Under absorbing transitions an Euler step is the analytic one; use step=analytic.")

    def losses(self) -> tuple[Loss, Loss]:
        return at_strata(absorb_bound if self.recipe.transition == "absorb" else uniform_bound)

    def integrand(self, model: TokenDenoiser, source: Tensor) -> Integrand:
        return (absorb_integrand if self.recipe.transition == "absorb" else uniform_integrand)(model, source)

    def levels(self) -> Levels:
        return uniform_levels if self.recipe.transition == "absorb" else geometric_levels

    def sample(self, setting: Scoring, seeds: Tensor, source: Tensor) -> Tensor:
        source_kv, transition = self.model.encode(source), self.recipe.transition
        schedule = SCHEDULES[transition]
        streams = CounterRNG(seeds, setting.compiled)
        how: dict[str, Any] = {"steps": setting.steps, "step": setting.step, "schedule": schedule, "seeds": streams}
        # Each step makes one call, in their order, at the time at which it begins.
        known = self.model.time_inputs(nodes(setting.steps, seeds.device)[:-1])
        rows = map(known.row, range(setting.steps))

        def read(noisy: Tensor, t: Tensor, reading: LogitReading) -> tuple[Tensor, ...]:
            level = schedule.alpha(t[0]) if transition == "absorb" else None
            constants = {**reading.constants, "level": level, "rows": reading.rows}
            scored = replace(reading, rows=of_log_scores, columns=(noisy, *reading.columns), constants=constants)
            found: tuple[Tensor, ...] = self.model(noisy, source_kv, next(rows), read=scored)
            return found

        if transition == "absorb":
            return sample_absorb(read, self.masks(len(seeds)), mask_id=MASK, **how)
        return sample_uniform(read, **self.loaded_shape, **how)
