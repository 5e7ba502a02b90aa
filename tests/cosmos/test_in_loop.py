"""States and latents that are computed in the training loop: the numbers of stored ones, paid for each time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosmos.data.loop_states import LoopStates
from cosmos.data.state_cache import cache_states
from cosmos.io.errors import UserError
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.train import train_diffusion
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import TARGETS, TRAINING, tiny_autoencoder, tiny_diffusion, tiny_encoder, tiny_recipe

FEW = Budget(40, "steps")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


def losses(folder: Path, stage: str) -> list[float]:
    """All that a stage's log says of losses."""
    lines = [json.loads(line) for line in (folder / stage / f"{stage}.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("loss", "validation_loss") if name in line]


def test_a_text_has_the_states_that_are_stored(encoder: TextEncoder, tmp_path: Path) -> None:
    stored, loop = cache_states(encoder, TARGETS, tmp_path, 7), LoopStates.of(encoder, TARGETS, 7)
    index = torch.tensor([3, 0, 17, 3])
    assert (len(loop), loop.cut, loop.longest_of(index)) == (len(stored), stored.cut, stored.longest_of(index))
    for mine, theirs in zip(loop.rows(index, 9), stored.rows(index, 9), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)  # stored as float16


@pytest.mark.parametrize("latents", ["stored", "loop"])
def test_losses_are_those_of_stored_states(latents: str, encoder: TextEncoder, tmp_path: Path) -> None:
    found = {}
    for states in ("stored", "loop"):
        folder = tmp_path / states
        changes: dict[str, Any] = {"states": states, "clean_latents": latents if states == "loop" else "stored"}
        pipeline, first = tiny_autoencoder(encoder, folder, FEW, **changes)
        _, second = tiny_diffusion(pipeline, folder, FEW, **changes)
        notes = [first.notes["token_accuracy"], first.notes["cut"], second.notes["cut_sources"]]
        found[states] = [*losses(folder, "autoencoder"), *losses(folder, "diffusion"), *notes]
    assert len(found["loop"]) == 11
    log = (tmp_path / "loop" / "autoencoder" / "autoencoder.jsonl").read_text().splitlines()
    accuracies = [json.loads(line).get("token_accuracy") for line in log]
    assert [value for value in accuracies if value is not None][-1] == pytest.approx(found["loop"][8], abs=1e-6)
    assert found["loop"] == pytest.approx(found["stored"], rel=3e-3)


def test_each_batch_pays_for_its_own_states(encoder: TextEncoder, tmp_path: Path) -> None:
    def cost(states: str, folder: Path) -> tuple[float, float]:
        pipeline, first = tiny_autoencoder(encoder, folder, FEW, states=states, start_linear=False)
        _, second = tiny_diffusion(pipeline, folder, FEW, states=states, clean_latents="stored")
        return tuple(stage.flops - stage.notes["encoding_flops"] for stage in (first, second))

    stored, loop = (cost(states, tmp_path / states) for states in ("stored", "loop"))
    texts = cache_states(encoder, TARGETS[:20], tmp_path / "targets", 12).cost.flops / 20
    assert loop[0] - stored[0] == pytest.approx(40 * TRAINING.batch_size * texts, rel=0.1)
    assert loop[1] > stored[1]  # for the sources


def test_a_command_that_no_share_limits_encodes_in_the_loop_where_nobody_says(
    encoder: TextEncoder, tmp_path: Path
) -> None:
    loop, auto = (tiny_autoencoder(encoder, tmp_path / states, FEW, states=states)[1] for states in ("loop", "auto"))
    assert auto.flops == loop.flops and auto.notes["encoding_flops"] == loop.notes["encoding_flops"]


def test_nothing_is_stored_but_a_sample(encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmos.data.encoding.SAMPLE", 5)
    pipeline, _ = tiny_autoencoder(encoder, tmp_path, FEW, states="loop")
    tiny_diffusion(pipeline, tmp_path, FEW, states="loop", clean_latents="loop")
    for stage in ("autoencoder", "diffusion"):
        about = [json.loads(path.read_text()) for path in (tmp_path / stage).rglob("states.json")]
        assert {len(each["lengths"]) for each in about} == {5, 4}  # the sample, and what is validated on
    assert len(np.load(tmp_path / "diffusion" / "sample_latents" / "latents.npy")) == 5


@pytest.mark.parametrize("at", [("autoencoder", 0.5), ("diffusion", 0.5)])
def test_stopped_and_taken_up_it_ends_with_the_same_bytes(
    at: tuple[str, float], encoder: TextEncoder, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(stage: str, share: float, loss: float | None) -> None:
        if stage == at[0] and share >= at[1]:
            raise StoppedError

    def both(folder: Path, **given: Any) -> dict[str, torch.Tensor]:
        changes = {"states": "loop", "clean_latents": "loop", **given}
        pipeline, _ = tiny_autoencoder(encoder, folder, FEW, **changes)
        pipeline, _ = tiny_diffusion(pipeline, folder, FEW, **changes)
        assert pipeline.denoiser is not None
        return {**pipeline.autoencoder.state_dict(), **pipeline.denoiser.state_dict()}

    with pytest.raises(StoppedError):
        both(tmp_path / "stopped", progress=stop)
    calm, resumed = both(tmp_path / "calm"), both(tmp_path / "stopped")
    assert all(torch.equal(value, resumed[name]) for name, value in calm.items())


@pytest.mark.parametrize(("budget", "place"), [(1.2e9, "loop"), pytest.param(2e10, "stored", marks=pytest.mark.slow)])
def test_latents_are_stored_where_that_leaves_half_of_the_budget(
    budget: float, place: str, encoder: TextEncoder, tmp_path: Path
) -> None:
    pipeline, _ = tiny_autoencoder(encoder, tmp_path / "first", FEW, states="loop")
    recipe = tiny_recipe(encoder.folder, states="loop")
    texts, run = Texts(TARGETS[:20] * 200, None), TrainingRun(tmp_path / "second", 3, "cpu")
    _, trained = train_diffusion(pipeline, texts, Texts([], None), recipe, Budget(budget, "flops"), run)
    assert trained.steps > 20
    assert (tmp_path / "second" / "latents").exists() == (place == "stored")
    assert (tmp_path / "second" / "sample_latents").exists()
    assert trained.flops == pytest.approx(budget, rel=0.02)


def test_a_place_that_there_is_not_is_refused(encoder: TextEncoder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean loop"):
        tiny_autoencoder(encoder, tmp_path, states="loops")
