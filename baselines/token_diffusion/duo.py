"""The uniform-state rival: Duo (Sahoo et al., "The Diffusion Duality", 2025, arXiv:2506.10892), built on UDLM (Schiff
et al., 2024, arXiv:2412.10193).

Tokens are noised by redrawing them, so every token can be revised at every step. Objective and sampler:
`baselines.token_diffusion.uniform`; losses: `baselines.token_diffusion.duo_losses`. Training has three stages inside
one budget:
    1. curriculum: the bound at z = argmax(w), with softmax(w / temperature) of the Gaussian w as the network's input
       and gamma uniform between two bounds: gradients of lower variance;
    2. the bound itself, on redrawn tokens;
    3. discrete consistency distillation: two noisy texts of one Gaussian path (same noise); the student's prediction at
       the noisier is drawn to the frozen teacher's at the cleaner, KL(student || teacher). The path is cut into
       `parts`; the distance is one part in the first round and doubles with each, when the student becomes the
       teacher.

Departures, and why: the sequence, the trunk, tokenizer, optimiser and the schedule of the rate are those of the
comparison (`baselines.token_diffusion.system`; stage 1 holds the rate that stage 2 lets fall, as one schedule would); 1
- alpha enters as the time, added in every block, not by adaLN, as in all rivals that have a time input; bounds on
gamma, which the authors chose for 30,522 tokens, are translated to this vocabulary by their alpha; distillation draws t
between one distance and 1, where theirs moves the last piece of [0, 1] onto 1; its rounds and parts are fewer but at
base, to fit the budget; every stage, and every round of the last, is a training of its own, so that each can be taken
up again and has its share of a budget in seconds: optimiser, average of the weights and warm-up begin anew (the authors
have one run with one warm-up for the first two, and one for all rounds), and what a stage hands on, the next one's
start and a round's teacher, is what every training here keeps, the average (theirs: `teacher_ema` false, the weights
themselves). And every setting samples the distilled weights (`distillation.share=0` trains undistilled ones). V counts
the rows of the (padded) vocabulary; a row without a token is learnt to be noise and never read.

Axis legend: B rows (texts), S source positions, L sequence positions, V tokens.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from baselines.common.sampling import check_top_p
from baselines.contract import Budget, TrainingResult, UserError
from baselines.token_diffusion.duo_losses import SCHEDULE, bound, curriculum_loss, distillation_loss
from baselines.token_diffusion.gaussian_duality import same_noise
from baselines.token_diffusion.likelihood import BoundsLikelihood, Integrand
from baselines.token_diffusion.system import TokenDenoiser, TokenDiffusionRecipe, at_strata, presets_of
from baselines.token_diffusion.uniform import ancestral, nodes, token_bound
from cosmos.config import check_steps
from cosmos.recipes import NANO
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import Loss, TrainingConfig, TrainingStage, check_shares, train

CURRICULUM_GAMMA = (-3.5, -1.75)  # the authors' bounds, for `AUTHORS_VOCABULARY`
DISTILLATION_GAMMA = (-4.0, -1.0)
DISTILLATION = TrainingConfig(batch_size=128, ema_decay=0.999, validations=1)
PAPER_DISTILLATION = replace(  # of five rounds of 10,000 steps
    DISTILLATION, compile=True, learning_rate=6e-5, final_learning_rate=6e-5, warmup_steps=500, betas=(0.9, 0.999)
)


@dataclass(frozen=True)
class Distillation:
    """The finishing stage. `share` is its part of the budget, 0 for none; a path has `parts` (the authors' T)."""

    share: float
    rounds: int
    parts: int
    training: TrainingConfig

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise UserError(f"The share of distillation must lie in [0, 1), not {self.share:g}.")
        if self.rounds < 1 or 2 ** (self.rounds - 1) >= self.parts:
            raise UserError(f"{self.rounds} rounds of doubling do not fit into {self.parts} parts; use fewer rounds.")

    def ignored_keys(self) -> dict[str, str]:
        why = "nothing is distilled; set {}share above 0"
        return dict.fromkeys(("rounds", "parts", "training"), why) if self.share == 0 else {}


@dataclass(frozen=True)
class DuoRecipe(TokenDiffusionRecipe):
    distillation: Distillation
    curriculum_share: float = 0.5  # of what distillation leaves of the budget
    temperature: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.curriculum_share < 1:
            raise UserError(f"The share of the curriculum must lie in [0, 1), not {self.curriculum_share:g}.")
        if not self.temperature > 0:
            raise UserError(f"The temperature must be positive, not {self.temperature:g}.")

    def ignored_keys(self) -> dict[str, str]:
        why = "there is no curriculum; set {}curriculum_share above 0"
        return {"temperature": why} if self.curriculum_share == 0 else {}


@dataclass(frozen=True)
class Revising(Capturable):
    """How to generate; see `baselines.token_diffusion.uniform.ancestral`."""

    steps: int
    greedy_tail: bool = False
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_top_p(self.top_p)

    def ignored_keys(self) -> dict[str, str]:
        why = "the only step takes the most probable tokens; set {}greedy_tail=false or more {}steps"
        return {"top_p": why} if self.greedy_tail and self.steps == 1 else {}


def redrawn_integrand(model: TokenDenoiser, source: Tensor) -> Integrand:
    """Integrated over alpha = 1 - chance from 0 to 1."""
    source_kv = model.encode(source)

    def integrand(sequence: Tensor, changed: Tensor, chance: Tensor, seeds: CounterRNG) -> Tensor:
        drawn = (seeds.uniform(sequence.shape[1]) * model.tokens.num_embeddings).long()
        noisy = torch.where(changed, drawn, sequence)
        log_probs = model(noisy, source_kv, chance).double().log_softmax(-1)  # [B, L, V]
        return token_bound(log_probs, sequence, noisy, (1.0 - chance)[:, None].expand(sequence.shape)).sum(1)

    return integrand


class DuoSystem(BoundsLikelihood):
    """Duo behind the contract."""

    name = "duo"
    presets = presets_of(
        DuoRecipe,
        (480, 1792, 3584),
        1_050_000,
        source_layers=(0, 6, 12),
        nano_training=replace(NANO, learning_rate=2e-3, batch_size=8),
        distillation=(  # their shares, rounds, parts and trainings
            Distillation(0.15, 3, 32, replace(DISTILLATION, batch_size=32, learning_rate=5e-4, ema_decay=0.9)),
            Distillation(
                0.15, 4, 64, replace(DISTILLATION, compile="auto", cuda_graph=True, learning_rate=1e-4, ema_decay=0.99)
            ),
            Distillation(50_000 / 1_050_000, 5, 512, PAPER_DISTILLATION),
        ),
    )
    settings = MappingProxyType({"greedy_tail-16": Revising(16, greedy_tail=True), "ancestral-32": Revising(32)})
    other_settings = MappingProxyType(
        {
            **{f"greedy_tail-{steps}": Revising(steps, greedy_tail=True) for steps in (4, 8, 32)},
            **{f"ancestral-{steps}": Revising(steps) for steps in (8, 128)},
        }
    )

    def losses(self) -> tuple[Loss, Loss]:
        return at_strata(bound)

    def optimise(self, stage: TrainingStage, budget: Budget, run: TrainingRun) -> TrainingResult:
        """The three stages; see the module's docstring. Each is resumable, and a finished one is read back."""
        recipe: DuoRecipe = self.recipe
        model: Any = stage.network
        config, distillation, size = recipe.training, recipe.distillation, model.tokens.num_embeddings
        stages: list[tuple[TrainingResult, float]] = []

        def add(name: str, loss: Loss, config: TrainingConfig, share: float) -> None:
            if share > 0:
                part = replace(stage, name=f"{self.name}-{name}", loss=loss)
                stages.append((train(part, config, budget.part(share), run), share))

        if distillation.share > 0 and distillation.rounds > 0:  # before the first stage is trained
            check_shares(f"{self.name}-distillation_1", model, distillation.training, find_processes(run.device))
        rest = 1.0 - distillation.share
        soft = curriculum_loss(recipe.temperature, *(same_noise(gamma, size) for gamma in CURRICULUM_GAMMA))
        constant = replace(config, final_learning_rate=config.learning_rate)
        add("curriculum", soft, constant, rest * recipe.curriculum_share)
        falling = config if recipe.curriculum_share == 0 else replace(config, warmup_share=0.01, warmup_steps=None)
        add("bound", self.losses()[0], falling, rest * (1.0 - recipe.curriculum_share))
        low, high = (same_noise(gamma, size) for gamma in DISTILLATION_GAMMA)
        for number in range(distillation.rounds):
            teacher = copy.deepcopy(model).eval().requires_grad_(False)
            loss = distillation_loss(teacher, 2**number / distillation.parts, low, high)
            share = distillation.share / distillation.rounds
            add(f"distillation_{number + 1}", loss, distillation.training, share)
        return _together(stages)

    def integrand(self, model: TokenDenoiser, source: Tensor) -> Integrand:
        return redrawn_integrand(model, source)

    def sample(self, setting: Revising, seeds: Tensor, source: Tensor) -> Tensor:
        source_kv, times = self.model.encode(source), nodes(setting.steps, setting.greedy_tail, seeds.device)
        known = self.model.time_inputs(1.0 - SCHEDULE.alpha(times[: setting.steps]))
        rows = map(known.row, range(setting.steps))  # one call takes one, in their order
        return ancestral(
            lambda noisy, _, reading: self.model(noisy, source_kv, next(rows), read=reading),
            **self.loaded_shape,
            steps=setting.steps,
            schedule=SCHEDULE,
            seeds=CounterRNG(seeds, setting.compiled),
            greedy_tail=setting.greedy_tail,
            top_p=setting.top_p,
            most_probable=lambda noisy, _: self.model(noisy, source_kv, next(rows), "best"),
        )


def _together(stages: Sequence[tuple[TrainingResult, float]]) -> TrainingResult:
    """What several stages, each with its share of the budget, cost as one: sums of steps, seconds and FLOPs, the
    validation loss of the last, and notes whose steps and shares are counted from the first on."""
    history: list[list[float]] = []
    steps, share, best, best_share = 0, 0.0, math.inf, None
    for trained, part in stages:
        losses = trained.notes["validation_losses"]
        if losses and (lowest := min(loss for _, loss in losses)) < best:
            best, best_share = lowest, share + part * trained.notes["best_share"]
        history += [[steps + step, loss] for step, loss in losses]
        steps, share = steps + trained.steps, share + part
    return TrainingResult(
        steps=steps,
        seconds=sum(trained.seconds for trained, _ in stages),
        flops=sum(trained.flops for trained, _ in stages),
        validation_loss=stages[-1][0].validation_loss,
        notes={"best_share": best_share, "validation_losses": history},
    )
