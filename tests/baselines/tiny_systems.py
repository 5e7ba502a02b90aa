"""Every trained system at sizes at which it trains in a second, and what tests of systems behind the contract share:
two dozen documents, a short training, few steps of generation, a count of calls."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from baselines.autoregressive.gpt2 import Beam, Decoding, GPT2Recipe, GPT2System, PlainGenerate
from baselines.common.system import TrainedSystem
from baselines.common.transformer import TrunkConfig
from baselines.contract import Budget, Corpus, Document, Limits, Request, TrainingResult
from baselines.embedding_diffusion.diffuseq import DiffuSeqRecipe, DiffuSeqSystem, EmbeddingSampling
from baselines.latent_diffusion.cosmos import CosmosSystem
from baselines.latent_diffusion.cosmos_joint import CosmosJointSystem
from baselines.latent_diffusion.ld4lg import LD4LGRecipe, LD4LGSystem
from baselines.latent_diffusion.settings import LatentSamplingSetting
from baselines.latent_diffusion.tencdm import TEncDMRecipe, TEncDMSystem
from baselines.token_diffusion.duo import Distillation, DuoRecipe, DuoSystem, Revising
from baselines.token_diffusion.mdlm import MDLMSystem, Unmasking
from baselines.token_diffusion.sedd import Scoring, SEDDRecipe, SEDDSystem
from baselines.token_diffusion.system import TokenDiffusionRecipe
from benchmarks.timing.probes import counting
from cosmos.config import DenoiserConfig, DiffusionConfig, ScheduleConfig
from cosmos.joint_recipes import JointConfig, JointPreset, JointRecipe
from cosmos.recipes import DistillationConfig
from cosmos.training.loop import TrainingConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
from tiny_cosmos import AUTOENCODER, TRAINING, tiny_recipe

LIMITS = Limits(source_tokens=16, target_tokens=14)
WHO, WHAT = ["anna", "ben", "the old man", "my sister"], ["lamp", "red chair", "book"]
PAIRS = [
    (f"{who} broke the {n} {what} .", f"{who} broke {what} .") for n in ("damn", "dumb") for who in WHO for what in WHAT
]
DOCUMENTS = [Document(str(i), source, target, (target,)) for i, (source, target) in enumerate(PAIRS)]
CORPUS = Corpus(DOCUMENTS[:20], DOCUMENTS[20:])
REQUESTS = [Request(d.id, d.source, 50 + i, 14) for i, d in enumerate(DOCUMENTS)]
BUDGET = Budget(40, "steps")  # whose parts are whole numbers of steps
TRUNK = TrunkConfig(32, 2, 2, 64)
TIMED_TRUNK = dataclasses.replace(TRUNK, time_width=8)
DENOISER = DenoiserConfig(6, 16, 32, 2, 2, output_norm=False, source_layers=1, positions=True)
SEDD = SEDDRecipe(TIMED_TRUNK, 1, TRAINING, BUDGET)
STUDENTS = DistillationConfig(0.3, calls=(4, 2, 1), teacher_calls=8, training=TRAINING)
ROUNDS = ("distilled-4", "distilled-2", "distilled-1")
DISTILLATION = Distillation(0.25, 2, 8, dataclasses.replace(TRAINING, learning_rate=1e-3))
TWO_STAGES = {  # changes that leave latent diffusion nothing but its first stage and its denoiser
    "adaptation_share": 0.0,
    "distillation": dataclasses.replace(STUDENTS, share=0.0),
    "grid_share": 0.0,
}
ADAPTATION_SHARE = 0.2  # of latent diffusion; at nano no decoder is adapted
FEW_LATENT_STEPS = LatentSamplingSetting("dpmpp_2m", 3, "log_snr", final_x0=True)


@dataclass(frozen=True)
class TinySystem:
    """A trained system at tiny sizes.

    Attributes:
        recipe: given the folder of a tiny text encoder; what is optional at nano is on here too.
        other: fields of a recipe to which none of its checkpoints fits.
        settings: that are tried besides those that users can name.
        stages: the names of its trainings, in their order.
    """

    system: type[TrainedSystem]
    recipe: Callable[[str], Any]
    other: Mapping[str, Any]
    settings: Sequence[Any]
    stages: Sequence[str]


def _tencdm(encoder: str) -> TEncDMRecipe:
    return TEncDMRecipe(
        text_encoder=encoder,
        denoiser=DENOISER,
        decoder_layers=1,
        diffusion=DiffusionConfig(ScheduleConfig(d=9.0), times="stratified"),
        decoder_training=TRAINING,
        denoiser_training=TRAINING,
        decoder_share=0.3,
        budget=BUDGET,
        decoder_weight=4.0,
        adaptation_share=ADAPTATION_SHARE,
        distillation=dataclasses.replace(STUDENTS, method="consistency"),
        grid_share=0.15,
    )


def _ld4lg(encoder: str) -> LD4LGRecipe:
    return LD4LGRecipe(
        text_encoder=encoder,
        autoencoder=AUTOENCODER,
        decoder_layers=1,
        denoiser=DENOISER,
        diffusion=DiffusionConfig(ScheduleConfig("cosine")),
        decoder_training=TRAINING,
        denoiser_training=TRAINING,
        decoder_share=0.5,  # with less its texts are all alike
        budget=BUDGET,
        start_linear=True,
        adaptation_share=ADAPTATION_SHARE,
        distillation=dataclasses.replace(STUDENTS, method="moments"),
        grid_share=0.15,
    )


def _joint(encoder: str) -> JointRecipe:
    joint = JointConfig(time_bins=8, loss_decay=0.9, refresh_steps=3, decoder_noise=0.2, noise_draws=2)
    model = JointPreset(encoder, AUTOENCODER, DENOISER, DiffusionConfig(ScheduleConfig(d=3.0)), joint)
    return JointRecipe(model, TRAINING, BUDGET, start_linear=True)


SYSTEMS: Mapping[str, TinySystem] = {
    "gpt2": TinySystem(
        GPT2System,
        lambda _: GPT2Recipe(32, 2, 2, 128, 0.1, dataclasses.replace(TRAINING, keep="best"), BUDGET),
        {"width": 64},
        (
            Decoding(greedy=True),
            Decoding(temperature=0.8, top_p=0.9),
            PlainGenerate(temperature=0.8, top_p=0.9),
            Beam(3),
        ),
        ("gpt2",),
    ),
    "mdlm": TinySystem(
        MDLMSystem,
        lambda _: TokenDiffusionRecipe(TRUNK, 1, TRAINING, BUDGET),
        {"source_layers": 2},
        (Unmasking("ancestral", 5), Unmasking("confidence", 4)),
        ("mdlm",),
    ),
    "sedd": TinySystem(
        SEDDSystem,
        lambda _: SEDD,
        {"source_layers": 2},
        (Scoring("analytic", 5), Scoring("euler", 4)),
        ("sedd",),
    ),
    "sedd_uniform": TinySystem(
        SEDDSystem,
        lambda _: dataclasses.replace(SEDD, transition="uniform"),
        {"transition": "absorb"},
        (Scoring("analytic", 5), Scoring("euler", 4)),
        ("sedd",),
    ),
    "duo": TinySystem(
        DuoSystem,
        lambda _: DuoRecipe(TIMED_TRUNK, 1, TRAINING, BUDGET, DISTILLATION),
        {"curriculum_share": 0.4},
        (Revising(5), Revising(4, greedy_tail=True, top_p=0.9)),
        ("duo-curriculum", "duo-bound", "duo-distillation_1", "duo-distillation_2"),
    ),
    "diffuseq": TinySystem(
        DiffuSeqSystem,
        lambda _: DiffuSeqRecipe(16, TIMED_TRUNK, TRAINING, BUDGET),
        {"embedding": 8},
        (
            EmbeddingSampling("dpmpp_2m", 4, "log_snr", final_x0=True),
            EmbeddingSampling("ddpm", 4, candidates=3),
        ),
        ("diffuseq",),
    ),
    "tencdm": TinySystem(
        TEncDMSystem,
        _tencdm,
        {"decoder_layers": 2},
        (
            LatentSamplingSetting("release", 4),
            LatentSamplingSetting("release", 4, guidance=1.5),
            LatentSamplingSetting("release", 4, guidance=1.5, self_guidance=1.5),
        ),
        ("decoder", "denoiser", *ROUNDS, "adaptation"),
    ),
    "ld4lg": TinySystem(
        LD4LGSystem,
        _ld4lg,
        {"decoder_layers": 2},
        (LatentSamplingSetting("ddpm", 4), LatentSamplingSetting("dpmpp_2m", 4, "log_snr", final_x0=True)),
        ("decoder", "denoiser", *ROUNDS, "adaptation"),
    ),
    "cosmos": TinySystem(
        CosmosSystem,
        lambda encoder: tiny_recipe(
            Path(encoder), adaptation_share=ADAPTATION_SHARE, distillation=STUDENTS, grid_share=0.15
        ),
        {"start_linear": False},
        (FEW_LATENT_STEPS,),
        ("autoencoder", "diffusion", *ROUNDS, "adaptation"),
    ),
    "cosmos-joint": TinySystem(
        CosmosJointSystem,
        _joint,
        {"start_linear": False},
        (FEW_LATENT_STEPS,),
        ("joint",),
    ),
}


OF_EACH_FAMILY = ("gpt2", "mdlm", "diffuseq", "cosmos")


def marks_of(name: str) -> tuple[pytest.MarkDecorator, ...]:
    """The mark of a test that is repeated for each system: left to the slow but for one of each family."""
    return () if name in OF_EACH_FAMILY else (pytest.mark.slow,)


def few(names: Iterable[str]) -> list[Any]:
    """Parameters of a test for each of these systems."""
    return [pytest.param(name, marks=marks_of(name), id=name) for name in names]


class Trained(NamedTuple):
    """A tiny system that has been trained and loaded, and its checkpoint."""

    system: TrainedSystem
    folder: Path


def make(name: str, encoder: Path, limits: Limits = LIMITS, **changes: Any) -> Any:
    """A tiny system with changes of its recipe's fields, not trained."""
    tiny = SYSTEMS[name]
    return tiny.system(dataclasses.replace(tiny.recipe(str(encoder)), **changes), limits)


def fit(system: TrainedSystem, folder: Path, budget: Budget = BUDGET, **given: Any) -> TrainingResult:
    """Train it on the documents, or on what is given."""
    return system.fit(given.pop("corpus", CORPUS), budget, folder, seed=given.pop("seed", 1), device="cpu", **given)


def with_training(recipe: Any, **changes: Any) -> Any:
    """The recipe with all its trainings changed."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, TrainingConfig):
            values[field.name] = dataclasses.replace(value, **changes)
        elif dataclasses.is_dataclass(value):
            values[field.name] = with_training(value, **changes)
    return dataclasses.replace(recipe, **values)


def brief(setting: Any) -> Any:
    """The setting with few steps, where it has steps."""
    return dataclasses.replace(setting, steps=min(4, setting.steps)) if hasattr(setting, "steps") else setting


def all_named(kind: Any) -> list[Any]:
    """All settings that users can name, in few steps."""
    return list(dict.fromkeys(map(brief, {**kind.settings, **getattr(kind, "other_settings", {})}.values())))


def count_calls(system: TrainedSystem, setting: Any) -> int:
    """Calls of the first network while it answers all requests."""
    with counting(system.networks()) as calls:
        system.generate(REQUESTS, setting)
    return next(iter(calls.values()))
