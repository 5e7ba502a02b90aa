"""The probes: what must hold at their ends, masks that matter, JSON and figure."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cosmos.io.errors import UserError
from cosmos.pipeline import Pipeline
from cosmos.probes import ProbeConfig, agreement, figure, probe
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import PAD, SEP

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import SOURCES, TARGETS, tiny_autoencoder, tiny_diffusion, tiny_encoder

CONFIG = ProbeConfig(
    mixtures=5, interpolation_times=(0.0, 0.3), noises=(0.0, 1.0, 8.0), kicks=(0.0, 0.05, 0.5), sampler_steps=10
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("trained")
    encoder = TextEncoder(str(tiny_encoder(folder / "encoder")))
    return tiny_diffusion(tiny_autoencoder(encoder, folder)[0], folder)[0]


def test_agreement_looks_up_to_the_longer_end() -> None:
    rows = torch.tensor([[7, 8, SEP, 5, 5], [7, 8, 9, SEP, PAD], [7, 8, SEP, 6, 6], [7, 7, 7, 7, 7]])
    assert agreement(rows[:1], rows[2:3]).tolist() == [1.0]  # what follows the end token does not count
    assert agreement(rows[:1], rows[1:2]).tolist() == [0.5]
    assert agreement(rows[3], rows[0]).tolist() == pytest.approx(0.2)


def test_the_ends_of_every_probe(pipeline: Pipeline) -> None:
    found = probe(pipeline, TARGETS[:6], SOURCES[:6], config=CONFIG)
    between = found["interpolation"]["agreement_with_nearer"]["0"]
    assert between[0] == between[-1] == 1.0
    assert 0.0 < found["interpolation"]["largest_jump"]["0"] <= 1.0
    kept = found["decompressor"]["agreement"]
    assert kept[0] == 1.0
    assert kept[0] > kept[1] > kept[2]
    shifts = found["sampler"]["mean_squared_shift"]
    assert set(shifts["0"]) == {0.0}  # no kick, no shift
    assert all(0 < small < large for small, large in zip(shifts["0.05"], shifts["0.5"], strict=True))
    back = [written.text for written in pipeline.reconstruct(TARGETS[:6]).written]
    assert back == TARGETS[:6]
    assert found["re_encoding"]["real"] == pytest.approx(0, abs=1e-4)  # what comes back word for word has not moved
    assert found["re_encoding"]["generated"] > 0.01
    assert found == probe(pipeline, TARGETS[:6], SOURCES[:6], config=CONFIG)


def test_a_denoiser_that_knows_no_estimates_is_called_once_a_point(pipeline: Pipeline) -> None:
    assert pipeline.denoiser is not None and pipeline.diffusion is not None
    calls: list[int] = []
    hook = pipeline.denoiser.register_forward_hook(lambda *_: calls.append(1))
    probe(pipeline, TARGETS[:2], SOURCES[:2], config=CONFIG)
    self_conditioned = len(calls)
    blind = replace(pipeline, diffusion=replace(pipeline.diffusion, self_conditioning="off"))
    probe(blind, TARGETS[:2], SOURCES[:2], config=CONFIG)
    hook.remove()
    assert self_conditioned - (len(calls) - self_conditioned) == CONFIG.mixtures  # at the one time above 0


def test_json_and_figure(pipeline: Pipeline, tmp_path: Path) -> None:
    found = probe(pipeline, TARGETS[:3], SOURCES[:3], config=CONFIG)
    again = json.loads(json.dumps(found))
    assert again == found
    figure(again, tmp_path / "probes.png")
    assert (tmp_path / "probes.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match="at least two"):
        probe(pipeline, TARGETS[:1], SOURCES[:1])
    with pytest.raises(UserError, match="needs a source"):
        probe(pipeline, TARGETS[:2], None)
