"""Cosmos behind the contract: what is its own. What all systems promise is in tests/baselines/test_systems.py."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines import registry
from baselines.contract import Budget, UserError
from baselines.latent_diffusion.cosmos import CosmosFullSystem, CosmosSystem
from baselines.latent_diffusion.ld4lg import LD4LGSystem
from baselines.latent_diffusion.tencdm import TEncDMSystem
from cosmos.recipes import RECIPES
from cosmos.text.encoder import TextEncoder

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import CORPUS, FEW_LATENT_STEPS, LIMITS, PAIRS, REQUESTS, TWO_STAGES, Trained, few, fit, make

SOURCES = [source for source, _ in PAIRS]


def weights(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted((folder / "model").rglob("*")) if p.is_file()}


def cosmos(encoder: Path, **changes: Any) -> CosmosSystem:
    system = make("cosmos", encoder, **{**TWO_STAGES, **changes})
    assert isinstance(system, CosmosSystem)
    return system


def test_the_first_stage_learns_from_passages_too(encoder_folder: Path, tmp_path: Path) -> None:
    corpus = dataclasses.replace(CORPUS, passages=[" . ".join(SOURCES[:3]), SOURCES[4]])
    budget = Budget(8, "steps")
    fitted = fit(cosmos(encoder_folder), tmp_path, budget, corpus=corpus)
    assert fitted.notes["passages"] == 2
    assert fitted.notes["documents"] == 20
    assert fit(cosmos(encoder_folder), tmp_path, budget, corpus=corpus) == fitted  # read back
    with pytest.raises(UserError, match="checkpoint of other documents"):
        fit(cosmos(encoder_folder), tmp_path, budget)


@pytest.mark.parametrize("name", few(("cosmos", "tencdm", "ld4lg")))
def test_all_documents_are_learnt_from_where_states_are_computed_in_the_loop(
    name: str, encoder_folder: Path, tmp_path: Path
) -> None:
    encoder = TextEncoder(str(encoder_folder))
    texts = [text for pair in PAIRS[:20] for text in pair]
    cost = encoder.flops(encoder.ids(texts, 14)[0])
    budget = Budget(50 * cost, "flops")
    for states, documents in (("stored", 9), ("loop", 20)):
        system = make(
            name, encoder_folder, states=states, encoding_share=0.01, **TWO_STAGES
        )  # which half of the documents cost
        fitted = fit(system, tmp_path / states, budget)
        assert abs(fitted.notes["documents"] - documents) < 3
        assert fitted.flops <= budget.amount


@pytest.mark.parametrize("name", few(("cosmos", "tencdm", "ld4lg")))
def test_where_nobody_says_states_are_stored_if_all_are_paid_for_and_fit(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TextEncoder(str(encoder_folder))
    budget = Budget(25 * encoder.flops(encoder.ids([text for pair in PAIRS[:20] for text in pair], 14)[0]), "flops")

    def spent(states: str, share: float, folder: str) -> tuple[float, float, int]:
        system = make(name, encoder_folder, states=states, encoding_share=share, **TWO_STAGES)
        fitted = fit(system, tmp_path / folder, budget)
        assert fitted.notes["documents"] == 20
        return fitted.flops, fitted.notes["encoding_flops"], fitted.steps

    stored, loop = spent("stored", 0.5, "stored"), spent("loop", 0.01, "loop")
    assert stored[1] > loop[1]  # sources are encoded before training, too
    assert spent("auto", 0.5, "paid") == stored
    assert spent("auto", 0.01, "unpaid") == loop
    monkeypatch.setattr("baselines.latent_diffusion.encoding_budget.MOST_STORED", 100.0)
    assert spent("auto", 0.5, "large")[1] == spent("loop", 0.5, "loop-too")[1] < stored[1]


def test_where_states_come_from_is_the_same_for_all_who_have_an_encoder() -> None:
    for preset in ("nano", "small", "base"):
        places = {kind.presets[preset].states for kind in (CosmosSystem, TEncDMSystem, LD4LGSystem)}
        assert places == {"stored" if preset == "nano" else "auto"}


def test_its_networks_and_what_it_leaves(trained: Callable[[str], Trained]) -> None:
    system, folder = trained("cosmos")
    assert list(system.presets) == ["nano", "small", "base"]
    assert list(system.settings)[:2] == ["dpmpp_2m-20", "release-200"]
    assert list(system.networks()) == ["denoiser", "decompressor", "condition_encoder", "text_encoder"]
    assert not any(value.requires_grad for value in system.networks()["text_encoder"].parameters())
    left = {"config.json", "fit.json", "grids.json", "model", "students", "training"}
    assert {path.name for path in folder.iterdir()} == left
    logs = {"autoencoder.jsonl", "diffusion.jsonl"}
    assert {path.name for path in (folder / "training").iterdir()} >= logs  # and no caches
    assert {path.suffix for path in (folder / "training").rglob("*")} == {".jsonl"}


def test_the_recipes_have_the_releases_settings() -> None:
    small, base = RECIPES["small"].model, RECIPES["base"].model
    assert (small.autoencoder.text_width, small.autoencoder.layers, small.denoiser.layers) == (384, 6, 12)
    release = RECIPES["base"].diffusion_training
    assert (release.learning_rate, release.final_learning_rate, release.warmup_steps) == (2e-4, 2e-4, 1000)
    assert (release.betas, release.eps, release.weight_decay, release.clip_norm) == ((0.9, 0.98), 1e-6, 1e-5, 1.0)
    assert (release.ema_decay, release.batch_size) == (0.9999, 512)
    assert RECIPES["base"].autoencoder_training.clip_norm == 10.0
    assert not base.denoiser.positions  # the release has none
    full = RECIPES["nano"].model.corruption
    assert full.drop_share + full.noise_share == full.latent_share == 1.0
    assert min(full.drop_rate, 1 - full.noise_keep, full.latent_rate, full.mse_weight) > 0


class StoppedError(Exception):
    """A process that ends here."""


def test_a_fit_with_passages_that_was_stopped_ends_with_the_same_bytes(encoder_folder: Path, tmp_path: Path) -> None:
    corpus, budget = dataclasses.replace(CORPUS, passages=SOURCES[:6]), Budget(16, "steps")
    fit(cosmos(encoder_folder), tmp_path / "whole", budget, corpus=corpus)
    calls = 0

    def progress(now: str, reached: float, loss: float | None) -> None:
        nonlocal calls
        calls += 1
        if calls in (3, 9, 20):  # while texts are encoded, in the first stage, in the second
            stopped.append(now)
            raise StoppedError

    stopped: list[str] = []
    for _ in range(3):
        with pytest.raises(StoppedError):
            fit(cosmos(encoder_folder), tmp_path / "cut", budget, corpus=corpus, progress=progress)
    assert stopped == ["encode", "autoencoder", "diffusion"]
    fit(cosmos(encoder_folder), tmp_path / "cut", budget, corpus=corpus, progress=progress)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_encoding_takes_its_share_of_a_small_budget(encoder_folder: Path, tmp_path: Path) -> None:
    everything = fit(cosmos(encoder_folder), tmp_path / "all", Budget(3e8, "flops"))
    assert (everything.notes["documents"], everything.notes["validation_documents"]) == (20, 4)
    few = fit(cosmos(encoder_folder, encoding_share=0.002), tmp_path / "few", Budget(3e8, "flops"))
    assert 0 < few.notes["documents"] < 20
    paid = few.notes["encoding_flops"]
    assert 0 < paid < 0.1 * 3e8  # states, and the latents and the linear start made of them
    assert few.flops == paid + sum(few.notes[name]["flops"] for name in ("autoencoder", "diffusion"))
    assert 0.8 * 3e8 < few.flops < 1.2 * 3e8
    unseen = dataclasses.replace(CORPUS, validation=[])
    alone = fit(cosmos(encoder_folder), tmp_path / "alone", Budget(3e8, "flops"), corpus=unseen)
    assert alone.notes["validation_documents"] == 0
    assert (alone.steps, alone.flops) == (everything.steps, everything.flops)  # validation costs no FLOPs
    with pytest.raises(UserError, match="does not pay for encoding one document"):
        fit(cosmos(encoder_folder, encoding_share=1e-7), tmp_path / "none", Budget(3e8, "flops"))
    with pytest.raises(UserError, match="encoding_share must lie between 0 and 1"):
        cosmos(encoder_folder, encoding_share=1.0)


def test_without_compression_there_is_a_latent_for_every_position(encoder_folder: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(cosmos(encoder_folder).recipe, full=True)
    system = CosmosFullSystem(recipe, LIMITS)
    fit(system, tmp_path, Budget(8, "steps"))
    system.load(tmp_path, device="cpu", dtype="float32")
    shape = system.model.decoder.config
    assert shape.latents == shape.max_tokens > recipe.model.autoencoder.latents
    assert len(system.generate(REQUESTS[:2], FEW_LATENT_STEPS)) == 2


@pytest.mark.parametrize("latents", [8, 16, 32, 64, 128])
def test_other_numbers_of_latents_are_contestants_of_their_own(latents: int) -> None:
    system = registry.find(f"cosmos-{latents}")
    assert system.settings == CosmosSystem.settings
    for name, recipe in system.presets.items():
        assert recipe.model.autoencoder.latents == recipe.model.denoiser.latents == latents
        usual = RECIPES[name].model
        parts = {
            part: dataclasses.replace(getattr(recipe.model, part), latents=getattr(usual, part).latents)
            for part in ("autoencoder", "denoiser")
        }
        schedule = recipe.model.diffusion.schedule
        assert (schedule.name, schedule.d) == ("tan", 7.0 if latents == 64 else 5.0)  # as the release has it
        parts["diffusion"] = usual.diffusion
        assert dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, **parts)) == RECIPES[name]
