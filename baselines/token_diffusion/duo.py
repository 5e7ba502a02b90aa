"""The uniform-state rival: Duo (Sahoo et al., "The Diffusion Duality", 2025, arXiv:2506.10892), built on UDLM (Schiff
et al., 2024, arXiv:2412.10193).

Tokens are noised by redrawing them, so every token can be revised at every step. Objective and reverse step:
`baselines.token_diffusion.uniform`; sampler: `baselines.token_diffusion.uniform_samplers`; losses:
`baselines.token_diffusion.duo_losses`. Training has three stages inside one budget:
    1. curriculum: the bound at z = argmax(w), with softmax(w / temperature) of the Gaussian w as the network's input
       and gamma uniform between two bounds: gradients of lower variance;
    2. the bound itself, on redrawn tokens;
    3. discrete consistency distillation: two noisy texts of one Gaussian path (same noise); the student's prediction at
       the noisier is drawn to the frozen teacher's at the cleaner, KL(student || teacher). The path is cut into
       `parts`; the distance is one part in the first round and doubles with each, when the student becomes the
       teacher.

Departures, and why: the sequence, the trunk, tokenizer, optimiser and the schedule of the rate are those of the
comparison (`baselines.token_diffusion.system`; stage 1 holds the rate that stage 2 lets fall, as one schedule would);
1 - alpha enters as the time, added in every block, not by adaLN, as in all rivals that have a time input; bounds on
gamma, which the authors chose for 30,522 tokens, are translated to this vocabulary by their alpha; distillation draws t
between one distance and 1, where theirs moves the last piece of [0, 1] onto 1; its rounds and parts are fewer, to fit
the budget, and every setting samples the distilled weights (`distillation.share=0` trains undistilled ones). Noise of
shape [B, L, V] is affordable with the small vocabularies here. V counts the rows of the (padded) vocabulary; a row
without a token is learnt to be noise and never read.

Axis legend: B rows (texts), S source positions, L sequence positions, V tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn

from baselines.common.sampling import check_top_p
from baselines.common.transformer import trunk_of
from baselines.contract import Budget, Progress, UserError
from baselines.token_diffusion.duo_losses import SCHEDULE, bound, curriculum_loss, distillation_loss
from baselines.token_diffusion.gaussian_duality import same_noise
from baselines.token_diffusion.system import (
    PAPER_TRAINING,
    TokenDenoiser,
    TokenDiffusionRecipe,
    TokenDiffusionSystem,
    at_strata,
)
from baselines.token_diffusion.uniform_samplers import ancestral
from cosmos.config import check_steps
from cosmos.recipes import NANO, SMALL
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG
from cosmos.training.loop import Dataset, Loss, TrainingConfig, TrainingResult, train

CURRICULUM_GAMMA = (-3.5, -1.75)  # the authors' bounds, for `AUTHORS_VOCABULARY`
DISTILLATION_GAMMA = (-4.0, -1.0)


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
        """See `baselines.contract.DeclaresIgnoredKeys`."""
        why = "nothing is distilled; set {}share above 0"
        return dict.fromkeys(("rounds", "parts", "training"), why) if self.share == 0 else {}


@dataclass(frozen=True)
class DuoRecipe(TokenDiffusionRecipe):
    """Sizes and training of one preset."""

    distillation: Distillation
    curriculum_share: float = 0.5  # of what distillation leaves of the budget
    temperature: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.curriculum_share < 1:
            raise UserError(f"The share of the curriculum must lie in [0, 1), not {self.curriculum_share:g}.")
        if not self.temperature > 0:
            raise UserError(f"The temperature must be positive, not {self.temperature:g}.")

    def ignored_keys(self) -> dict[str, str]:
        """See `baselines.contract.DeclaresIgnoredKeys`."""
        why = "there is no curriculum; set {}curriculum_share above 0"
        return {"temperature": why} if self.curriculum_share == 0 else {}


@dataclass(frozen=True)
class Revising(Capturable):
    """How to generate: steps (each one network call), whether the last takes the most probable tokens, and the mass of
    the nucleus that the others draw from."""

    steps: int
    greedy_tail: bool = False
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_top_p(self.top_p)

    def ignored_keys(self) -> dict[str, str]:
        """See `baselines.contract.DeclaresIgnoredKeys`."""
        why = "the only step takes the most probable tokens; set {}greedy_tail=false or more {}steps"
        return {"top_p": why} if self.greedy_tail and self.steps == 1 else {}


class DuoSystem(TokenDiffusionSystem):
    """Duo behind the contract."""

    name: ClassVar[str] = "duo"
    takes_time: ClassVar[bool | None] = True
    presets: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "nano": DuoRecipe(
                trunk=trunk_of("nano", inner=480, time_width=16),
                source_layers=0,
                training=NANO,
                distillation=Distillation(
                    share=0.15,
                    rounds=3,
                    parts=32,
                    training=TrainingConfig(batch_size=32, learning_rate=5e-4, ema_decay=0.9, validations=1),
                ),
                budget=Budget(3e12, "flops"),
            ),
            "small": DuoRecipe(
                trunk=trunk_of("small", inner=1792, time_width=64, dropout=0.1),
                source_layers=6,
                training=SMALL,
                distillation=Distillation(
                    share=0.15,
                    rounds=4,
                    parts=64,
                    training=TrainingConfig(
                        cuda_graph=True, batch_size=128, learning_rate=1e-4, ema_decay=0.99, validations=1
                    ),
                ),
                budget=Budget(600, "seconds"),
            ),
            # The paper's training: batches of 512 at a constant rate, then five rounds of 10,000 steps.
            "base": DuoRecipe(
                trunk=trunk_of("base", inner=3584, time_width=128, dropout=0.1),
                source_layers=12,
                training=PAPER_TRAINING,
                distillation=Distillation(
                    share=50_000 / 1_050_000,
                    rounds=5,
                    parts=512,
                    training=TrainingConfig(
                        compile=True,
                        batch_size=128,
                        learning_rate=6e-5,
                        final_learning_rate=6e-5,
                        warmup_steps=500,
                        ema_decay=0.999,
                        validations=1,
                    ),
                ),
                budget=Budget(1_050_000, "steps"),
            ),
        }
    )
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"greedy_tail-16": Revising(16, greedy_tail=True), "ancestral-32": Revising(32)}
    )
    other_settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "greedy_tail-4": Revising(4, greedy_tail=True),
            "greedy_tail-8": Revising(8, greedy_tail=True),
            "greedy_tail-32": Revising(32, greedy_tail=True),
            "ancestral-8": Revising(8),
            "ancestral-128": Revising(128),
        }
    )

    @staticmethod
    def external_weights(recipe: DuoRecipe) -> Sequence[str]:
        return ()

    def losses(self) -> tuple[Loss, Loss]:
        return at_strata(bound)

    def optimise(
        self,
        model: nn.Module,
        data: Dataset,
        validation: Dataset,
        budget: Budget,
        workdir: Path,
        *,
        seed: int,
        device: str,
        progress: Progress,
    ) -> TrainingResult:
        """The three stages; see the module's docstring. Each is resumable, and a finished one is read back."""
        assert isinstance(model, TokenDenoiser)
        recipe: DuoRecipe = self.recipe
        config, size = recipe.training, model.tokens.num_embeddings
        exact, validation_loss = self.losses()
        stages: list[tuple[TrainingResult, float]] = []

        def stage(name: str, loss: Loss, config: TrainingConfig, share: float) -> None:
            if share == 0:
                return
            trained = train(
                model,
                loss,
                data,
                config=config,
                budget=budget.part(share),
                workdir=workdir,
                seed=seed,
                device=device,
                validation=validation,
                validation_loss=validation_loss,
                stage=f"{self.name}-{name}",
                progress=progress,
            )
            stages.append((trained, share))

        rest = 1.0 - recipe.distillation.share
        soft = curriculum_loss(recipe.temperature, *(same_noise(gamma, size) for gamma in CURRICULUM_GAMMA))
        constant = replace(config, final_learning_rate=config.learning_rate)
        stage("curriculum", soft, constant, rest * recipe.curriculum_share)
        falling = config if recipe.curriculum_share == 0 else replace(config, warmup_share=0.01, warmup_steps=None)
        stage("bound", exact, falling, rest * (1.0 - recipe.curriculum_share))
        low, high = (same_noise(gamma, size) for gamma in DISTILLATION_GAMMA)
        for number in range(recipe.distillation.rounds):
            teacher = copy.deepcopy(model).eval().requires_grad_(False)
            loss = distillation_loss(teacher, 2**number / recipe.distillation.parts, low, high)
            share = recipe.distillation.share / recipe.distillation.rounds
            stage(f"distillation_{number + 1}", loss, recipe.distillation.training, share)
        return _together(stages)

    def sample(self, setting: Revising, seeds: Tensor, source: Tensor) -> Tensor:
        source_kv = self.model.encode(source)

        def predict(noisy: Tensor, alpha: Tensor) -> Tensor:
            logits: Tensor = self.model(noisy, source_kv, 1.0 - alpha)
            return logits

        return ancestral(
            predict,
            length=self.loaded_shape["length"],
            vocabulary=self.loaded_shape["vocabulary"],
            steps=setting.steps,
            schedule=SCHEDULE,
            seeds=CounterRNG(seeds, setting.compiled),
            greedy_tail=setting.greedy_tail,
            top_p=setting.top_p,
        )


def _together(stages: Sequence[tuple[TrainingResult, float]]) -> TrainingResult:
    """What several stages cost as one.

    Args:
        stages: what each cost, and its share of the budget.

    Returns:
        Sums of steps, seconds and FLOPs; the validation loss of the last; steps and shares counted from the first on.
    """
    history: list[list[float]] = []
    steps, share, best, best_share = 0, 0.0, float("inf"), None
    for trained, part in stages:
        losses = [loss for _, loss in trained.notes["validation_losses"]]
        if losses and min(losses) < best:
            best, best_share = min(losses), share + part * trained.notes["best_share"]
        history += [[steps + step, loss] for step, loss in trained.notes["validation_losses"]]
        steps, share = steps + trained.steps, share + part
    return TrainingResult(
        steps=steps,
        seconds=sum(trained.seconds for trained, _ in stages),
        flops=sum(trained.flops for trained, _ in stages),
        validation_loss=stages[-1][0].validation_loss,
        notes={"best_share": best_share, "validation_losses": history},
    )
