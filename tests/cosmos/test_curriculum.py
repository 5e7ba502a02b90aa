"""Corruption that grows with the budget used: clean at first, the release's from where the recipe says."""

from __future__ import annotations

import dataclasses
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from cosmos.config import LADDER, PRESETS, CorruptionConfig
from cosmos.io.errors import UserError
from cosmos.models.corruption import corrupt
from cosmos.recipes import RECIPES
from cosmos.runtime.rng import CounterRNG
from cosmos.text.encoder import TextEncoder
from cosmos.training.budget import Budget

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import tiny_autoencoder, tiny_encoder

TEXTS, LENGTH, WIDTH, LATENTS = 4000, 20, 6, (3, 5)
GROWING = dataclasses.replace(LADDER["latent"], full_from=0.5)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.mark.parametrize(("progress", "strength"), [(0.0, 0.0), (0.125, 0.25), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)])
def test_rates_grow_evenly_from_none_to_those_of_the_config(progress: float, strength: float) -> None:
    states, mask = torch.randn(TEXTS, LENGTH, WIDTH), torch.ones(TEXTS, LENGTH, dtype=torch.bool)
    streams = CounterRNG(torch.arange(TEXTS))
    drawn = corrupt(states, mask, LATENTS, GROWING, streams, torch.tensor(progress))
    noised = CounterRNG(torch.arange(TEXTS)).uniform() >= GROWING.drop_share
    assert drawn.keep is not None
    assert float((~drawn.visible)[~noised].double().mean()) == pytest.approx(0.3 * strength, abs=0.01)
    assert float((~drawn.keep).double().mean()) == pytest.approx(0.4 * strength, abs=0.01)
    kept = float((drawn.states * states)[noised].mean() / states[noised].square().mean())
    assert kept == pytest.approx(1.0 - 0.3 * strength, abs=0.01)
    assert float(drawn.states[noised].var()) == pytest.approx(1.0, abs=0.02)
    if strength == 1.0:
        full = corrupt(states, mask, LATENTS, LADDER["latent"], CounterRNG(torch.arange(TEXTS)))
        torch.testing.assert_close(drawn.states, full.states)
        assert torch.equal(drawn.visible, full.visible)


def test_without_a_curriculum_progress_changes_nothing() -> None:
    states, mask = torch.randn(50, LENGTH, WIDTH), torch.ones(50, LENGTH, dtype=torch.bool)
    found = [
        corrupt(states, mask, LATENTS, LADDER["latent"], CounterRNG(torch.arange(50)), progress)
        for progress in (None, torch.tensor(0.1))
    ]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_training_tells_how_far_it_is_and_ends_with_the_same_bytes_where_it_was_stopped(
    encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    seen: list[float] = []

    def watched(*given: Any) -> Any:
        if given[-1] is not None:  # as where a step is priced
            seen.append(float(given[-1]))
        return corrupt(*given)

    def stop(stage: str, share: float, loss: float | None) -> None:
        if stage == "autoencoder" and share >= 0.4:
            raise StoppedError

    def weights(folder: Path, **given: Any) -> dict[str, torch.Tensor]:
        pipeline, _ = tiny_autoencoder(encoder, folder, Budget(20, "steps"), **{"corruption": GROWING, **given})
        return pipeline.autoencoder.state_dict()

    with monkeypatch.context() as patch:
        patch.setattr("cosmos.models.autoencoder.corrupt", watched)
        calm = weights(tmp_path / "calm")
    assert seen == pytest.approx([(step + 0.5) / 20 for step in range(20)])
    with pytest.raises(StoppedError):
        weights(tmp_path / "stopped", progress=stop)
    resumed = weights(tmp_path / "stopped")
    assert all(torch.equal(value, resumed[name]) for name, value in calm.items())
    full = weights(tmp_path / "full", corruption=LADDER["latent"])
    assert not all(torch.equal(value, full[name]) for name, value in calm.items())


def test_no_preset_has_a_curriculum() -> None:
    assert PRESETS["small"].corruption == PRESETS["base"].corruption == LADDER["latent"]
    assert {preset.corruption.full_from for preset in PRESETS.values()} == {0.0}


def test_what_makes_no_curriculum_is_refused() -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        CorruptionConfig(full_from=1.5)
    assert "full_from" in CorruptionConfig(full_from=0.5).ignored_keys()
    assert "full_from" not in GROWING.ignored_keys()


def test_what_is_said_of_weights_kept_before_corruption_is_full_is_of_the_record() -> None:
    root = Path(__file__).parents[2]
    shares = set()
    with tarfile.open(root / "reports/published/2026-11-28-h200/detox-480s/records.tar.xz") as packed:
        for member in packed:
            file = packed.extractfile(member) if member.name.endswith("header.json") else None
            stage = json.load(file)["training"]["notes"].get("autoencoder") if file is not None else None
            if stage:
                shares.add(stage["notes"]["best_share"])
    [share] = shares
    small = RECIPES["small"]
    assert small.autoencoder_training.keep == "best"
    strength = share / GROWING.full_from
    page = (root / "docs/cosmos.md").read_text(encoding="utf-8").replace("\n", " ")
    assert f"was best after {share:.0%} of its budget".replace("%", " %") in page
    assert f"corruption that grows until the half is at {strength:.0%}.".replace("%", " %") in page
