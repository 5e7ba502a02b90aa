"""The two stages: they learn, pay for all they do, and end with the same bytes however often they are stopped."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cosmos.config import LADDER
from cosmos.data.state_cache import cache_states
from cosmos.io.errors import UserError
from cosmos.io.files import read_json
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.linear_init import linear_start, linear_start_compressor, tokens_per_latent
from cosmos.pipeline import Pipeline
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingResult

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import (
    AUTOENCODER,
    DENOISER,
    SOURCES,
    TARGETS,
    TRAINING,
    tiny_autoencoder,
    tiny_diffusion,
    tiny_encoder,
)

Stages = tuple[Pipeline, TrainingResult, TrainingResult]


FEW = Budget(4, "steps")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture(scope="module")
def trained(encoder: TextEncoder, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Both stages, undisturbed."""
    folder = tmp_path_factory.mktemp("trained")
    pipeline, first = tiny_autoencoder(encoder, folder)
    pipeline, second = tiny_diffusion(pipeline, folder)
    return pipeline, first, second


def digest(pipeline: Pipeline) -> str:
    """A hash of all weights."""
    found = hashlib.sha256()
    for module in (pipeline.standardiser, pipeline.autoencoder, pipeline.denoiser):
        for name, tensor in sorted(module.state_dict().items()):
            found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


class StoppedError(Exception):
    """A process that ends here."""


def stop_at(stage: str, share: float) -> Callable[[str, float, float | None], None]:
    def progress(now: str, reached: float, loss: float | None) -> None:
        if now == stage and reached >= share:
            raise StoppedError

    return progress


def both_stages(encoder: TextEncoder, folder: Path, progress: Callable[[str, float, float | None], None]) -> None:
    pipeline, _ = tiny_autoencoder(encoder, folder, progress=progress)
    tiny_diffusion(pipeline, folder, progress=progress)


def test_both_stages_learn(encoder: TextEncoder, trained: Stages, tmp_path: Path) -> None:
    pipeline, first, second = trained
    few, few_stage = tiny_autoencoder(encoder, tmp_path, budget=Budget(1, "steps"), start_linear=False)
    _, early = tiny_diffusion(few, tmp_path, budget=Budget(1, "steps"))
    assert first.notes["token_accuracy"] > 0.8 > 2 * few_stage.notes["token_accuracy"]
    assert second.validation_loss < 0.95 * early.validation_loss
    again = pipeline.reconstruct(TARGETS[20:])
    assert sum(w.text == t for w, t in zip(again.written, TARGETS[20:], strict=True)) >= 2


def test_validation_is_under_clean_input(encoder: TextEncoder, tmp_path: Path) -> None:
    losses = []
    for name, corruption in (("clean", LADDER["mse"]), ("all", dataclasses.replace(LADDER["latent"], latent_rate=1.0))):
        still = dataclasses.replace(TRAINING, learning_rate=1e-12, validations=1)
        _, stage = tiny_autoencoder(encoder, tmp_path / name, corruption=corruption, training=still, budget=FEW)
        losses.append(stage.validation_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    "moments",
    [
        [("encode", 0.5), ("autoencoder", 0.0), ("autoencoder", 0.5)],
        [("autoencoder", 1.0), ("diffusion", 0.0), ("diffusion", 0.6), ("diffusion", 1.0)],
    ],
)
def test_stopped_anywhere_it_ends_with_the_same_bytes(
    moments: list[tuple[str, float]],
    encoder: TextEncoder,
    trained: Stages,
    tmp_path: Path,
) -> None:
    for stage, share in moments:
        with pytest.raises(StoppedError):
            both_stages(encoder, tmp_path, stop_at(stage, share))
    pipeline, first = tiny_autoencoder(encoder, tmp_path)
    pipeline, second = tiny_diffusion(pipeline, tmp_path)
    undisturbed, *stages = trained
    assert digest(pipeline) == digest(undisturbed)
    for mine, theirs in zip((first, second), stages, strict=True):
        assert (mine.steps, mine.flops, mine.validation_loss) == (theirs.steps, theirs.flops, theirs.validation_loss)


def test_a_stage_goes_on_with_its_own_texts_and_objective_alone(
    encoder: TextEncoder, trained: Stages, tmp_path: Path
) -> None:
    """As many other texts, or another corruption of the states, are another training."""
    with pytest.raises(StoppedError):
        both_stages(encoder, tmp_path, stop_at("autoencoder", 0.6))
    refused = pytest.raises(UserError, match="began with other settings: made_of was")
    with refused:
        tiny_autoencoder(encoder, tmp_path, corruption=LADDER["mse"])
    with pytest.raises(StoppedError):
        tiny_diffusion(trained[0], tmp_path, progress=stop_at("diffusion", 0.6))
    with refused:
        tiny_diffusion(trained[0], tmp_path, texts=Texts(TARGETS[19::-1], SOURCES[19::-1]))


def test_each_stage_pays_for_encoding_its_own_texts_out_of_its_budget(encoder: TextEncoder, tmp_path: Path) -> None:
    def states(texts: list[str], limit: int, name: str) -> float:
        return cache_states(encoder, texts, tmp_path / name, limit).cost.flops

    def latents(name: str) -> float:
        return float(read_json(tmp_path / "diffusion" / name / "latents.json")["flops"])

    targets = states(TARGETS[:20], 12, "targets")
    pipeline, first = tiny_autoencoder(encoder, tmp_path, budget=Budget(2e8, "flops"), start_linear=False)
    assert first.notes["encoding_flops"] == targets > 0
    assert 0.8e8 < first.flops <= 2e8
    _, second = tiny_diffusion(pipeline, tmp_path)
    assert second.notes["encoding_flops"] == targets + states(SOURCES[:20], 16, "sources") + latents("latents")
    assert latents("validation_latents") > 0  # validation is charged in seconds alone
    with pytest.raises(UserError, match="uses up"):
        tiny_autoencoder(encoder, tmp_path / "poor", budget=Budget(1e3, "flops"))


def test_a_model_without_a_source(encoder: TextEncoder, tmp_path: Path) -> None:
    pipeline, _ = tiny_autoencoder(encoder, tmp_path, FEW)
    pipeline, stage = tiny_diffusion(
        pipeline, tmp_path, FEW, texts=Texts(TARGETS[:20], None), validation_texts=Texts([], None)
    )
    assert pipeline.denoiser.config.source_width is None
    assert stage.notes["cut_targets"] == 0


def test_cut_texts_are_counted(encoder: TextEncoder, tmp_path: Path) -> None:
    short = dataclasses.replace(AUTOENCODER, max_tokens=6)
    pipeline, stage = tiny_autoencoder(encoder, tmp_path, FEW, autoencoder=short)
    assert stage.notes["cut"] == sum(len(text.split()) + 1 > 4 for text in TARGETS[:20])  # the full stop is a token
    config = dataclasses.replace(DENOISER, max_source_tokens=6)
    _, stage = tiny_diffusion(pipeline, tmp_path, FEW, denoiser=config)
    assert stage.notes["cut_sources"] == 20


def test_bad_input_is_said_in_one_sentence(encoder: TextEncoder, trained: Stages, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="position table of 4 rows"):
        tiny_autoencoder(encoder, tmp_path, autoencoder=dataclasses.replace(AUTOENCODER, max_tokens=4))
    with pytest.raises(UserError, match="3 sources do not pair"):
        tiny_diffusion(trained[0], tmp_path, texts=Texts(TARGETS[:20], SOURCES[:3]))
    wild = dataclasses.replace(TRAINING, learning_rate=1e30, clip_norm=1e30, ema_decay=None)
    with pytest.raises(UserError, match="not finite at step"):
        tiny_autoencoder(encoder, tmp_path, training=wild)


def test_a_linear_start_reads_tokens_before_any_step(encoder: TextEncoder, tmp_path: Path) -> None:
    assert tokens_per_latent(AUTOENCODER) == 2
    still = dataclasses.replace(TRAINING, learning_rate=1e-12)
    accuracy = {}
    for start in (False, True):
        _, stage = tiny_autoencoder(encoder, tmp_path / str(start), FEW, training=still, start_linear=start)
        accuracy[start] = stage.notes["token_accuracy"]
        assert stage.notes["start_linear"] is start
    assert accuracy[True] > accuracy[False] + 0.2
    crowded = dataclasses.replace(AUTOENCODER, max_tokens=20)
    assert tokens_per_latent(crowded) is None
    _, stage = tiny_autoencoder(encoder, tmp_path / "crowded", autoencoder=crowded, training=still)
    assert stage.notes["start_linear"] is False


def test_the_compressor_alone_starts_as_it_does_with_its_decompressor() -> None:
    draws = torch.Generator().manual_seed(3)
    config = dataclasses.replace(AUTOENCODER, vocabulary=30)
    table = torch.randn(config.vocabulary, config.text_width, generator=draws)
    tokens = torch.randint(config.vocabulary, (40, config.max_tokens), generator=draws)
    states = table[tokens] + 0.1 * torch.randn(*tokens.shape, config.text_width, generator=draws)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        whole = Autoencoder(config)
        alone = copy.deepcopy(whole.compressor).eval()
    linear_start(whole, states, mask, tokens, seed=5)
    linear_start_compressor(alone, config, states, mask, tokens, seed=5)
    for name, value in whole.compressor.state_dict().items():
        assert torch.equal(value, alone.state_dict()[name]), name


def test_the_global_generator_is_left_alone(encoder: TextEncoder, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    pipeline, _ = tiny_autoencoder(encoder, tmp_path, budget=FEW)
    tiny_diffusion(pipeline, tmp_path, budget=FEW)
    assert torch.equal(before, torch.random.get_rng_state())
