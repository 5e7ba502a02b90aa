"""The third stage: what the decoder learns from, that it alone is moved, and that this is worth something."""

from __future__ import annotations

import dataclasses
import math
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cosmos.adaptation import (
    ADAPTED,
    ReadDataset,
    adaptation_stage,
    decompressor_reads,
    denoised,
)
from cosmos.config import RELEASE_END_NOISE, AdaptationConfig, DiffusionConfig, Place, ScheduleConfig
from cosmos.data.datasets import LatentDataset
from cosmos.data.encoding import Encoding
from cosmos.diffusion.schedule import make_schedule
from cosmos.io.errors import UserError
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.pipeline import Pipeline, check
from cosmos.recipes import RECIPES
from cosmos.runtime.rng import CounterRNG
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.batches import Batch
from cosmos.training.buckets import RaggedDataset, positions_to_read
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import AUTOENCODER, DENOISER, PAIRS, SOURCES, TARGETS, tiny_autoencoder, tiny_diffusion, tiny_encoder
from tiny_training import TensorDataset

DIFFUSION = DiffusionConfig(ScheduleConfig(d=5.0))
SEEDS = CounterRNG(torch.arange(400))


def brought_back(denoiser: Any, *arguments: Any) -> Tensor:
    return denoised(denoiser, *arguments)


class Exact(nn.Module):
    """The posterior mean of clean numbers of distribution N(0, spread^2), in closed form; remembers its calls."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread, self.schedule = spread, make_schedule(DIFFUSION.schedule)
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor, estimate: Tensor, condition: Any) -> Tensor:
        assert condition is None and not torch.is_grad_enabled()
        self.calls.append((x, t, estimate))
        wide = t.double()[:, None, None]
        alpha, sigma = self.schedule.alpha(wide), self.schedule.sigma(wide)
        gain = alpha * self.spread**2 / (alpha**2 * self.spread**2 + sigma**2)
        return (gain * x).to(x.dtype)


def noise_at(t: Tensor) -> Tensor:
    """sigma/alpha."""
    schedule = make_schedule(DIFFUSION.schedule)
    return schedule.sigma(t.double()) / schedule.alpha(t.double())


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_each_text_is_noised_to_a_time_of_its_own_and_brought_back(calls: int) -> None:
    clean, denoiser = torch.randn(400, 3, 2, generator=torch.Generator().manual_seed(0)), Exact(1.0)
    config = AdaptationConfig(noise=4.0, calls=calls)
    brought_back(denoiser, clean, DIFFUSION, config, SEEDS)
    times = torch.stack([t for _, t, _ in denoiser.calls])  # [calls, B]
    assert len(times) == calls and len(times[0].unique()) == 400
    latest = 2 / math.pi * math.atan(4.0 / 5.0)
    assert 0.97 * latest < float(times[0].max()) <= latest
    assert float(times[0].mean()) == pytest.approx(latest / 2, rel=0.1)  # uniform
    # The first sees the latent under that noise; each later one the line to where samplers end, in log-SNR.
    first = denoiser.calls[0][0].double()
    spread = (first**2).mean()
    assert float(spread) == pytest.approx(1.0, rel=0.1)  # variance preserved
    noises = torch.stack([noise_at(t) for t in times])
    if calls > 1:
        torch.testing.assert_close(noises[-1], noises[0].clamp_max(RELEASE_END_NOISE), rtol=1e-4, atol=1e-6)
        steps = noises.log().diff(dim=0)
        torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=1e-2, atol=1e-3)
    assert float(denoiser.calls[0][2].abs().max()) == 0.0
    with torch.no_grad():  # each later one is handed the estimate before
        for (x, t, _), (_, _, handed_on) in pairwise(list(denoiser.calls)):
            torch.testing.assert_close(handed_on, Exact(1.0)(x, t, x, None))


def test_many_calls_follow_the_ode_of_a_gaussian() -> None:
    """Its probability-flow ODE keeps x / sqrt(alpha^2 s^2 + sigma^2), so the end is known."""
    spread, config = 0.7, AdaptationConfig(noise=4.0, calls=400)
    denoiser = Exact(spread)
    clean = spread * torch.randn(50, 2, 2, generator=torch.Generator().manual_seed(1)).double()
    estimate = brought_back(denoiser, clean, DIFFUSION, config, CounterRNG(torch.arange(50)))
    (begin, t, _), (_, last, _) = denoiser.calls[0], denoiser.calls[-1]
    schedule = denoiser.schedule

    def scale(t: Tensor) -> Tensor:
        wide = t.double()[:, None, None]
        return (schedule.alpha(wide).square() * spread**2 + schedule.sigma(wide).square()).sqrt()

    expected = begin * scale(last) / scale(t)
    with torch.no_grad():
        torch.testing.assert_close(estimate, Exact(spread)(expected, last, clean, None), rtol=1e-2, atol=1e-3)


def test_a_denoiser_without_self_conditioning_is_given_no_estimate() -> None:
    denoiser, clean = Exact(1.0), torch.ones(4, 2, 2)
    plain = dataclasses.replace(DIFFUSION, self_conditioning="off")
    brought_back(denoiser, clean, plain, AdaptationConfig(calls=3), CounterRNG(torch.arange(4)))
    assert all(float(earlier.abs().max()) == 0.0 for _, _, earlier in denoiser.calls)


def test_a_text_depends_on_its_own_stream_alone() -> None:
    clean, config = torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(2)), AdaptationConfig()
    together = brought_back(Exact(1.0), clean, DIFFUSION, config, CounterRNG(torch.arange(6)))
    alone = brought_back(Exact(1.0), clean[4:5], DIFFUSION, config, CounterRNG(torch.tensor([4])))
    torch.testing.assert_close(alone, together[4:5])


def test_only_the_decoder_is_moved() -> None:
    torch.manual_seed(0)
    autoencoder = Autoencoder(dataclasses.replace(AUTOENCODER, vocabulary=20))
    denoiser = Denoiser(dataclasses.replace(DENOISER, source_width=None))
    rows = {"tokens": torch.randint(20, (4, 7)), "mask": torch.ones(4, 7, dtype=torch.bool)}
    rows["states"] = torch.randn(4, 7, AUTOENCODER.text_width)

    def inputs(batch: Batch) -> tuple[Tensor, None]:
        return denoiser.normaliser.standardise(autoencoder.compress(batch["states"], batch["mask"])), None

    begun = autoencoder.decompressor
    data = TensorDataset(rows)
    stage = adaptation_stage(
        begun, decompressor_reads(denoiser), inputs, denoiser, DIFFUSION, AdaptationConfig(), data, data
    )
    total, weight = stage.loss(stage.network, Batch(rows), CounterRNG(torch.arange(4)))
    assert float(weight) == 28
    total.backward()
    for network in (autoencoder, denoiser):
        assert [name for name, value in network.named_parameters() if value.grad is not None] == []
    assert stage.network is not begun
    moved = {name for name, value in stage.network.named_parameters() if value.grad is not None and value.grad.any()}
    assert moved >= {"head.weight", "from_latent.weight", "to_text.weight"}


@pytest.mark.parametrize("compiled", [False, True])
def test_where_a_step_is_compiled_so_is_what_the_decoder_reads(compiled: bool) -> None:
    given, data = list[bool](), TensorDataset({"tokens": torch.zeros(4, 7, dtype=torch.int64)})

    def read(decoder: nn.Module, latents: Tensor, source: None, batch: Batch, compiled: bool) -> tuple[Tensor, Tensor]:
        given.append(compiled)
        return latents.sum(), latents.new_ones(())

    def inputs(batch: Batch) -> tuple[Tensor, None]:
        return torch.zeros(4, DENOISER.latents, DENOISER.latent_width), None

    denoiser = Denoiser(dataclasses.replace(DENOISER, source_width=None))
    stage = adaptation_stage(nn.Linear(1, 1), read, inputs, denoiser, DIFFUSION, AdaptationConfig(), data, None)
    seeds = CounterRNG(torch.arange(4))
    seeds.fused = compiled  # and nothing else of it, as a compiler is slow
    stage.loss(stage.network, Batch({}), seeds)
    assert given == [compiled]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture(scope="module")
def two(encoder: TextEncoder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Pipeline, Any]:
    """Pipelines of the same two stages, without and with a third, and what the latter noted."""
    folder = tmp_path_factory.mktemp("trained")
    plain, _ = tiny_diffusion(tiny_autoencoder(encoder, folder)[0], folder / "plain", Budget(30, "steps"))
    changes = {"adaptation_share": 0.5, "adaptation": AdaptationConfig(rate=1.0)}
    again = tiny_autoencoder(encoder, folder)[0]
    adapted, trained = tiny_diffusion(again, folder / "adapted", Budget(60, "steps"), **changes)
    return plain, adapted, trained


def test_the_other_networks_are_those_of_two_stages(two: tuple[Pipeline, Pipeline, Any]) -> None:
    plain, adapted, trained = two
    for name in ("autoencoder", "denoiser", "standardiser"):
        ours, theirs = (getattr(pipeline, name).state_dict() for pipeline in (plain, adapted))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name
    assert plain.adapted is None and adapted.adapted is not None
    assert not torch.equal(adapted.adapted.head.weight, adapted.autoencoder.decompressor.head.weight)
    assert trained.steps == 60 and trained.notes["adaptation"]["steps"] == 30
    assert trained.flops == pytest.approx(trained.notes["adaptation"]["flops"], rel=1.0) and trained.flops > 0


def test_the_loss_on_denoised_latents_falls(two: tuple[Pipeline, Pipeline, Any], encoder: TextEncoder) -> None:
    _, adapted, trained = two
    denoiser, config = adapted.denoiser, AdaptationConfig()
    assert denoiser is not None and adapted.adapted is not None and adapted.diffusion is not None
    [states, mask] = adapted.encode(TARGETS[:20], 12)
    sources = adapted.encode(SOURCES[:20], 16)
    tokens = adapted.vocabulary.encode(TARGETS[:20], 12).tokens
    losses = []
    with torch.no_grad():
        clean = denoiser.normaliser.standardise(adapted.autoencoder.compress(states, mask))
        for decompressor in (adapted.autoencoder.decompressor, adapted.adapted):
            source, seeds = SourceStates(*sources), CounterRNG(torch.arange(20))
            estimate = denoised(denoiser, clean, adapted.diffusion, config, seeds, source)
            batch = Batch({"tokens": tokens[:, : mask.shape[1]], "mask": mask})
            total, weight = decompressor_reads(denoiser)(decompressor, estimate, source, batch, False)
            losses.append(float(total / weight))
    assert losses[1] < 0.9 * losses[0]
    history = [loss for _, loss in trained.notes["adaptation"]["notes"]["validation_losses"]]
    assert len(history) == 2 and history[-1] < losses[0]


def test_a_pipeline_keeps_both_decompressors(two: tuple[Pipeline, Pipeline, Any], tmp_path: Path) -> None:
    plain, adapted, _ = two
    for pipeline, name in ((plain, "plain"), (adapted, "adapted")):
        pipeline.save(tmp_path / name)
    assert not (tmp_path / "plain" / ADAPTED).exists() and check(tmp_path / "plain")["version"] == 1
    assert check(tmp_path / "adapted")["version"] == 2
    read = Pipeline.load(tmp_path / "adapted")
    assert read.adapted is not None
    latents = torch.randn(3, DENOISER.latents, DENOISER.latent_width, generator=torch.Generator().manual_seed(5))
    assert torch.equal(read.decompress(latents), adapted.decompress(latents))
    assert read.networks()["decompressor"] is read.adapted
    assert read.reconstruct(TARGETS[:4]) == plain.reconstruct(TARGETS[:4])  # clean latents: the first one's work
    (tmp_path / "adapted" / ADAPTED).unlink()
    with pytest.raises(UserError, match=r"Cannot read the weights .*adapted\.safetensors"):
        Pipeline.load(tmp_path / "adapted")


class Texts(list[int]):
    """As much of a `TextDataset` as is read."""

    tokens = torch.arange(12).view(3, 4)
    states = SimpleNamespace(lengths=torch.tensor([4, 2, 3]))


def test_rows_are_latents_with_their_texts() -> None:
    latents = LatentDataset(torch.arange(3.0)[:, None, None], None)
    texts: Any = Texts(range(3))
    rows = ReadDataset(latents, texts).batch(torch.tensor([1, 2]))
    assert rows["latents"].flatten().tolist() == [1.0, 2.0]
    assert rows["tokens"].tolist() == [[4, 5, 6], [8, 9, 10]]
    assert rows["mask"].tolist() == [[True, True, False], [True, True, True]]


def test_shares_and_sizes_have_bounds() -> None:
    for share in (-0.1, 1.0, math.nan):
        with pytest.raises(UserError, match="adaptation_share must lie between 0 and 1"):
            dataclasses.replace(RECIPES["nano"], adaptation_share=share)
    wrong: list[dict[str, Any]] = [{"noise": 0.0}, {"noise": math.inf}, {"calls": 0}, {"rate": 0.0}, {"rate": math.inf}]
    for changes in wrong:
        with pytest.raises(UserError, match=f"The {next(iter(changes))} of an adaptation|calls of an adaptation"):
            dataclasses.replace(AdaptationConfig(), **changes)


def test_what_is_read_out_has_the_value_and_gradients_of_logits_of_all_positions() -> None:
    torch.manual_seed(0)
    decompressor = Autoencoder(dataclasses.replace(AUTOENCODER, vocabulary=20)).eval().decompressor
    denoiser = Denoiser(dataclasses.replace(DENOISER, source_width=None))
    latents = torch.randn(4, DENOISER.latents, DENOISER.latent_width)
    tokens, mask = torch.randint(20, (4, 7)), torch.arange(7) < torch.tensor([7, 2, 5, 1])[:, None]
    logits = decompressor.head(decompressor.hidden(denoiser.normaliser.restore(latents))[:, :7])
    wanted = (functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none") * mask.flatten()).sum()
    gradients = torch.autograd.grad(wanted, list(decompressor.parameters()))
    positions = positions_to_read(mask, fixed=True)
    calls: list[int] = []
    decompressor.head.register_forward_hook(lambda *_: calls.append(1))
    for rows in ({}, {"positions": positions}):
        batch = Batch({"tokens": tokens, "mask": mask, **rows})
        total, weight = decompressor_reads(denoiser)(decompressor, latents, None, batch, False)
        assert float(weight) == 15 and not calls  # no logits of all positions are made
        torch.testing.assert_close(total, wanted)
        for mine, theirs in zip(torch.autograd.grad(total, list(decompressor.parameters())), gradients, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_where_shapes_are_fixed_only_the_positions_of_the_batch_are_decompressed() -> None:
    decompressor = Autoencoder(dataclasses.replace(AUTOENCODER, vocabulary=20)).decompressor
    denoiser = Denoiser(dataclasses.replace(DENOISER, source_width=None))
    rows = {"tokens": torch.zeros(2, 5, dtype=torch.int64), "mask": torch.ones(2, 5, dtype=torch.bool)}
    lengths: list[int] = []
    decompressor.to_text.register_forward_hook(lambda _, given, made: lengths.append(made.shape[1]))
    for fixed in (False, True):
        latents = torch.zeros(2, DENOISER.latents, DENOISER.latent_width)
        decompressor_reads(denoiser)(decompressor, latents, None, Batch(rows, fixed), False)
    assert lengths == [AUTOENCODER.max_tokens, 5]


def test_rows_are_padded_to_the_length_that_is_asked_for(encoder: TextEncoder, tmp_path: Path) -> None:
    """Whether latents and states are stored or computed in the loop."""
    vocabulary = Vocabulary.of([*TARGETS, *SOURCES], str(encoder.folder))
    for place in get_args(Place):
        run = TrainingRun(tmp_path / place, 3, "cpu")
        corpus = Encoding(encoder, vocabulary, AUTOENCODER.max_tokens, 16, run, place).corpus(*PAIRS)
        texts, sources = corpus.train.targets, corpus.train.sources
        stored = torch.zeros(len(texts), 2, 3)
        for latents in (stored, texts) if place == "loop" else (stored,):
            data = ReadDataset(LatentDataset(latents, sources), texts)
            assert isinstance(data, RaggedDataset)
            assert torch.equal(data.lengths, texts.lengths) and data.longest == texts.longest
            shapes = set()
            for index in torch.arange(8).split(2):
                rows, plain = data.batch(index, AUTOENCODER.max_tokens), data.batch(index)
                shapes.add(tuple((name, *value.shape) for name, value in rows.items()))
                assert rows["tokens"].shape[1] == rows["mask"].shape[1] == AUTOENCODER.max_tokens
                width = plain["tokens"].shape[1]
                assert width == int(texts.lengths[index].max())
                assert torch.equal(rows["mask"].sum(1), texts.lengths[index])
                assert torch.equal(rows["tokens"][:, :width], plain["tokens"]) and not rows["mask"][:, width:].any()
            assert len(shapes) == 1  # one shape, whichever rows


def test_the_denoiser_is_compiled_with_the_decoder_and_noise_is_its_own() -> None:
    autoencoder = Autoencoder(dataclasses.replace(AUTOENCODER, vocabulary=20))
    denoiser = Denoiser(dataclasses.replace(DENOISER, source_width=None))
    data = TensorDataset({"mask": torch.ones(4, 7, dtype=torch.bool)})
    of: Any = (autoencoder.decompressor, None, None, denoiser, DIFFUSION, AdaptationConfig(), data, None, None)
    stage = adaptation_stage(*of, (autoencoder.compressor,))
    assert stage.frozen == (autoencoder.compressor, denoiser)
    assert stage.stream == "adaptation"
