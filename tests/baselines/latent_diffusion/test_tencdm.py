"""TEncDM: what its decoder is trained on, what it sees, and where its sampler stops."""

from __future__ import annotations

import dataclasses
import math
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from baselines.contract import UserError
from baselines.latent_diffusion.tencdm import (
    DECODER_TIMES,
    StateDataset,
    StateDecoder,
    TEncDMSystem,
    decoder_cross_entropy,
    noise_for_decoder,
    on_canvas,
)
from cosmos.config import DenoiserConfig
from cosmos.data.encoding import Encoding
from cosmos.data.loop_states import IDS
from cosmos.diffusion.schedule import Tangent, make_schedule
from cosmos.models.denoiser import SourceStates
from cosmos.runtime.flops import measure_flops
from cosmos.runtime.rng import CounterRNG
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.batches import Batch
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parents[2] / "cosmos"))
from tiny_cosmos import SOURCES, TARGETS, tiny_encoder

SCHEDULE = Tangent(9.0)
CONFIG = DenoiserConfig(latents=6, latent_width=8, width=16, layers=2, heads=2, source_width=8, source_layers=1)


def test_the_decoder_is_trained_on_the_forward_process_at_early_times() -> None:
    rows = 20_000
    states = torch.full((rows, 1, 8), 3.0, dtype=torch.float64)
    noisy = noise_for_decoder(states, SCHEDULE, CounterRNG(torch.arange(rows)))
    t = DECODER_TIMES * CounterRNG(torch.arange(rows)).uniform()  # the first draw of each stream
    assert 0.0 < float(t.min()) < 1e-4 and 0.1499 < float(t.max()) < 0.15
    alpha, sigma = SCHEDULE.alpha(t)[:, None, None], SCHEDULE.sigma(t)[:, None, None]
    noise = (noisy - alpha * states) / sigma
    assert abs(float(noise.mean())) < 4 / math.sqrt(noise.numel())
    assert abs(float(noise.var()) - 1) < 6 / math.sqrt(noise.numel())
    assert not torch.equal(noise_for_decoder(states[:2], SCHEDULE, CounterRNG(torch.tensor([7, 8]))), noisy[:2])
    assert torch.equal(noise_for_decoder(states[5:6], SCHEDULE, CounterRNG(torch.tensor([5]))), noisy[5:6])


def test_the_sampler_stops_within_the_noise_the_decoder_knows() -> None:
    for name, recipe in TEncDMSystem.presets.items():
        schedule = make_schedule(recipe.diffusion.schedule)
        latest = torch.tensor(DECODER_TIMES, dtype=torch.float64)
        known = float(schedule.sigma(latest) / schedule.alpha(latest))
        for setting in TEncDMSystem.settings.values():
            assert setting.end_noise < known, name
    euler = TEncDMSystem.settings["euler-50"]
    end = SCHEDULE.time(torch.tensor(-2 * math.log(euler.end_noise), dtype=torch.float64))
    assert float(end) == pytest.approx(0.01) and euler.steps == 50 and euler.solver == "release"


def decoder() -> StateDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return StateDecoder(CONFIG, 1, 12).eval().requires_grad_(False)


def test_the_readers_error_is_that_of_the_tokens_and_moves_the_estimate_alone() -> None:
    network, generator = decoder().requires_grad_(True), torch.Generator().manual_seed(5)
    states = torch.randn(2, 6, 8, generator=generator).requires_grad_(True)
    source = SourceStates(torch.randn(2, 4, 8, generator=generator), torch.ones(2, 4, dtype=torch.bool))
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    tokens = torch.randint(0, 12, (2, 6), generator=generator).masked_fill(~mask, 0)
    found = decoder_cross_entropy(network, states, source, {"tokens": tokens, "mask": mask})
    with torch.no_grad():
        every = torch.log_softmax(network.head(network.hidden(states, source)), -1)
    rows = ((0, 6), (1, 2))
    expected = sum(-every[row, :length].gather(-1, tokens[row, :length, None]).mean().item() for row, length in rows)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert states.grad is not None and float(states.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    with pytest.raises(UserError, match="must not be negative"):
        dataclasses.replace(TEncDMSystem.presets["nano"], decoder_weight=-1.0)


@pytest.mark.parametrize("conditional", [False, True])
def test_texts_are_read_and_encoded_at_their_own_length(conditional: bool, tmp_path: Path) -> None:
    """And are then, on the whole sequence, what they would be if they were as long."""
    encoder, canvas = TextEncoder(str(tiny_encoder(tmp_path / "encoder"))), 24
    texts = Texts(TARGETS[:12], SOURCES[:12] if conditional else None)
    run, vocabulary = TrainingRun(tmp_path, 0, "cpu"), Vocabulary.of(TARGETS, str(encoder.folder))
    data = {}
    for place in ("stored", "loop"):
        encoding = Encoding(encoder, vocabulary, canvas, 16, run, place)
        data[place] = encoding.corpus(texts, Texts([], None))
    stored, loop = (StateDataset(data[place].train, canvas) for place in ("stored", "loop"))
    index, prepare = torch.tensor([3, 0, 7]), data["loop"].prepare
    assert prepare is not None
    longest = int(data["loop"].train.targets.lengths[index].max())
    for length in (None, loop.longest):
        rows = loop.batch(index, length)
        assert rows[f"states{IDS}"].shape[1] == (length or longest) < canvas
        computed, expected = prepare(Batch(rows)), stored.batch(index, length)
        assert computed.keys() == expected.keys()
        assert expected["states"].shape[1] == (canvas if length else longest)
        computed["states"] = on_canvas(computed["states"], computed["mask"])
        expected["states"] = on_canvas(expected["states"], expected["mask"])
        for name, value in expected.items():
            torch.testing.assert_close(computed[name], value, rtol=2e-3, atol=2e-3)  # stored as float16
        wide = data["stored"].train.targets.batch(index, canvas)
        assert all(torch.equal(expected[name], value) for name, value in wide.items())
    rows, whole = loop.batch(index), data["loop"].train.targets.batch(index, canvas)
    targets = {name: value for name, value in rows.items() if not name.startswith("source")}
    costs = [measure_flops(partial(prepare, Batch(batch))) for batch in (targets, whole)]
    assert costs[0] < longest / canvas * 1.01 * costs[1]
    # What costs more where it is longer: of stored states, nothing but sources.
    assert bool((loop.lengths >= data["loop"].train.targets.lengths).all()) and len(loop.lengths) == 12
    sources = data["stored"].train.sources
    assert torch.equal(stored.lengths, torch.ones(12, dtype=torch.int64) if sources is None else sources.lengths)


def test_the_decoder_sees_all_states_and_the_source_without_its_padding() -> None:
    model, generator = decoder(), torch.Generator().manual_seed(4)
    states = torch.randn(2, 6, 8, generator=generator)
    given = torch.randn(2, 4, 8, generator=generator)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])

    def logits(states: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model.head(model.hidden(states, SourceStates(given, mask)))
        return found

    plain = logits(states, given)
    assert plain.shape == (2, 6, 12)
    assert torch.equal(model(states, SourceStates(given, mask), 5, 9), plain[:, 1:5, :9].argmax(-1))
    assert (logits(states, torch.where(mask[..., None], given, 99.0)) - plain).abs().max() < 1e-5
    assert (logits(states, given + 1.0) - plain).abs().max() > 1e-3
    moved = states.clone()
    moved[:, 5] += 1.0
    assert (logits(moved, given) - plain)[:, 0].abs().max() > 1e-4
