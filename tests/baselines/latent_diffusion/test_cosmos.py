"""Cosmos behind the contract: fit, resume, check, load, generate."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.contract import Budget, Corpus, Document, Limits, Request, System, UserError
from baselines.latent_diffusion.cosmos import CosmosFullSystem, CosmosSystem
from baselines.latent_diffusion.system import LatentSamplingSetting
from cosmos.recipes import RECIPES

sys.path.insert(0, str(Path(__file__).parents[2] / "cosmos"))
from tiny_cosmos import SOURCES, TARGETS, tiny_encoder, tiny_recipe

LIMITS = Limits(source_tokens=16, target_tokens=14)
DOCUMENTS = [Document(str(i), s, t, (t,)) for i, (s, t) in enumerate(zip(SOURCES, TARGETS, strict=True))]
CORPUS = Corpus(DOCUMENTS[:20], DOCUMENTS[20:])
REQUESTS = [Request(d.id, d.source, 50 + i, 14) for i, d in enumerate(DOCUMENTS)]
BUDGET = Budget(80, "steps")
QUICK = LatentSamplingSetting("dpmpp_2m", steps=3, grid="log_snr", final_x0=True)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def make(encoder: Path, limits: Limits = LIMITS, **changes: Any) -> CosmosSystem:
    return CosmosSystem(tiny_recipe(encoder, **changes), limits)


def fit(system: CosmosSystem, folder: Path, budget: Budget = BUDGET, **given: Any) -> Any:
    return system.fit(given.pop("corpus", CORPUS), budget, folder, seed=1, device="cpu", **given)


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CosmosSystem, Path]:
    """Fitted undisturbed, and loaded."""
    folder, system = tmp_path_factory.mktemp("cosmos"), make(encoder)
    fit(system, folder)
    system.load(folder, device="cpu", dtype="float32")
    return system, folder


def weights(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted((folder / "model").rglob("*")) if p.is_file()}


def test_the_first_stage_learns_from_passages_too(encoder: Path, tmp_path: Path) -> None:
    corpus = dataclasses.replace(CORPUS, passages=[" . ".join(SOURCES[:3]), SOURCES[4]])
    fitted = fit(make(encoder), tmp_path, corpus=corpus)
    assert fitted.notes["passages"] == 2
    assert fitted.notes["documents"] == 20
    assert fit(make(encoder), tmp_path, corpus=corpus) == fitted  # found finished
    with pytest.raises(UserError, match="checkpoint of other documents"):
        fit(make(encoder), tmp_path)


def test_it_meets_the_contract(trained: tuple[CosmosSystem, Path]) -> None:
    system, folder = trained
    assert isinstance(system, System)
    assert list(system.presets) == ["nano", "small", "base"]
    assert list(system.settings)[:2] == ["dpmpp_2m-20", "release-200"]
    assert list(system.networks()) == ["denoiser", "decompressor", "condition_encoder", "text_encoder"]
    assert not any(value.requires_grad for value in system.networks()["text_encoder"].parameters())
    known = json.loads((folder / "fit.json").read_text())["fitted"]
    assert known["steps"] == 80
    assert known["flops"] > 0
    assert {path.name for path in folder.iterdir()} == {"config.json", "fit.json", "model"}  # no caches are left


def test_the_recipes_are_those_of_the_issue() -> None:
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


def test_a_finished_fit_returns_the_same_at_once(encoder: Path, trained: tuple[CosmosSystem, Path]) -> None:
    def never(stage: str, share: float, loss: float | None) -> None:
        raise AssertionError("nothing is trained again")

    assert fit(make(encoder), trained[1], progress=never) == fit(make(encoder), trained[1], progress=never)


class StoppedError(Exception):
    """A process that ends here."""


def test_a_fit_that_was_stopped_ends_with_the_same_bytes(
    encoder: Path, trained: tuple[CosmosSystem, Path], tmp_path: Path
) -> None:
    def stop_at(stage: str, share: float) -> Callable[[str, float, float | None], None]:
        def progress(now: str, reached: float, loss: float | None) -> None:
            if now == stage and reached >= share:
                raise StoppedError

        return progress

    for stage, share in (("encode", 0.1), ("autoencoder", 0.5), ("diffusion", 0.3), ("diffusion", 1.0)):
        with pytest.raises(StoppedError):
            fit(make(encoder), tmp_path, progress=stop_at(stage, share))
        with pytest.raises(UserError, match="no finished checkpoint"):
            make(encoder).check(tmp_path)
    fitted = fit(make(encoder), tmp_path)
    assert weights(tmp_path) == weights(trained[1])
    known = json.loads((trained[1] / "fit.json").read_text())["fitted"]
    assert (fitted.steps, fitted.flops, fitted.validation_loss) == (
        known["steps"],
        known["flops"],
        known["validation_loss"],
    )


def test_a_fit_with_passages_that_was_stopped_ends_with_the_same_bytes(encoder: Path, tmp_path: Path) -> None:
    corpus = dataclasses.replace(CORPUS, passages=SOURCES[:6])
    fit(make(encoder), tmp_path / "whole", corpus=corpus)
    calls = 0

    def progress(now: str, reached: float, loss: float | None) -> None:
        nonlocal calls
        calls += 1
        if calls in (3, 20, 60):
            raise StoppedError

    for _ in range(3):
        with pytest.raises(StoppedError):
            fit(make(encoder), tmp_path / "cut", corpus=corpus, progress=progress)
    fit(make(encoder), tmp_path / "cut", corpus=corpus, progress=progress)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_text_does_not_depend_on_its_batch_mates(trained: tuple[CosmosSystem, Path]) -> None:
    system, _ = trained
    together = system.generate(REQUESTS, QUICK)
    assert [sample.id for sample in together] == [request.id for request in REQUESTS]
    assert system.generate(REQUESTS[::-1], QUICK) == together[::-1]
    for request, sample in zip(REQUESTS[::5], together[::5], strict=True):
        assert system.generate([request], QUICK) == [sample]
    assert system.generate([], QUICK) == []


def test_the_limit_of_a_request_holds(trained: tuple[CosmosSystem, Path]) -> None:
    for sample in trained[0].generate([dataclasses.replace(request, max_tokens=2) for request in REQUESTS], QUICK):
        assert sample.tokens <= 2 - sample.finished


def test_global_randomness_is_untouched(encoder: Path, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    system = make(encoder)
    fit(system, tmp_path, Budget(8, "steps"))
    system.load(tmp_path, device="cpu", dtype="bfloat16")
    assert len(system.generate(REQUESTS[:2], QUICK)) == 2
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_unconditional_task_works(encoder: Path, tmp_path: Path) -> None:
    parts = ([dataclasses.replace(d, source=None) for d in part] for part in (CORPUS.train, CORPUS.validation))
    system = make(encoder, Limits(0, 14))
    fit(system, tmp_path, Budget(8, "steps"), corpus=Corpus(*parts))
    system.load(tmp_path, device="cpu", dtype="float32")
    assert list(system.networks()) == ["denoiser", "decompressor"]
    assert len(system.generate([dataclasses.replace(r, source=None) for r in REQUESTS], QUICK)) == len(REQUESTS)


def test_encoding_takes_its_share_of_a_small_budget(encoder: Path, tmp_path: Path) -> None:
    everything = fit(make(encoder), tmp_path / "all", Budget(3e8, "flops"))
    assert (everything.notes["documents"], everything.notes["validation_documents"]) == (20, 4)
    few = fit(make(encoder, encoding_share=0.002), tmp_path / "few", Budget(3e8, "flops"))
    assert 0 < few.notes["documents"] < 20
    paid = few.notes["encoding_flops"]
    assert 0 < paid < 0.1 * 3e8  # states, and the latents and the linear start made of them
    assert few.flops == paid + sum(few.notes[name]["flops"] for name in ("autoencoder", "diffusion"))
    assert 0.8 * 3e8 < few.flops < 1.2 * 3e8
    unseen = dataclasses.replace(CORPUS, validation=[])
    alone = fit(make(encoder), tmp_path / "alone", Budget(3e8, "flops"), corpus=unseen)
    assert alone.notes["validation_documents"] == 0
    assert (alone.steps, alone.flops) == (everything.steps, everything.flops)  # validation costs no FLOPs
    with pytest.raises(UserError, match="does not pay for encoding one document"):
        fit(make(encoder, encoding_share=1e-7), tmp_path / "none", Budget(3e8, "flops"))
    with pytest.raises(UserError, match="encoding_share must lie between 0 and 1"):
        tiny_recipe(encoder, encoding_share=1.0)


def test_without_compression_there_is_a_latent_for_every_position(encoder: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe(encoder), full=True)
    system = CosmosFullSystem(recipe, LIMITS)
    fit(system, tmp_path, Budget(8, "steps"))
    system.load(tmp_path, device="cpu", dtype="float32")
    shape = system.model.decoder.config
    assert shape.latents == shape.max_tokens > recipe.model.autoencoder.latents
    assert len(system.generate(REQUESTS[:2], QUICK)) == 2


@pytest.mark.parametrize("latents", [8, 16, 32])
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
        assert dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, **parts)) == RECIPES[name]


def test_a_checkpoint_that_does_not_fit_is_refused(
    encoder: Path, trained: tuple[CosmosSystem, Path], tmp_path: Path
) -> None:
    _, folder = trained
    with pytest.raises(UserError, match="another recipe"):
        make(encoder, start_linear=False).check(folder)
    with pytest.raises(UserError, match="another limits"):
        make(encoder, Limits(16, 10)).check(folder)
    with pytest.raises(UserError, match="other seed"):
        make(encoder).fit(CORPUS, BUDGET, folder, seed=2, device="cpu")
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model" / "denoiser" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="truncated"):
        make(encoder).check(tmp_path / "copy")
    with pytest.raises(UserError, match="nothing to train"):
        fit(make(encoder), tmp_path / "new", corpus=Corpus([], []))
