"""Joint training: where gradients flow and where not, the warm-up, what is remembered, and resumption."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cosmos.config import DiffusionConfig, ScheduleConfig
from cosmos.data.encoding import EncodedCorpus, Encoding
from cosmos.io.errors import UserError
from cosmos.joint import (
    JointModel,
    decoder_losses,
    fit_statistics,
    joint_loss,
    joint_stage,
    train_jointly,
)
from cosmos.joint_recipes import JOINT_RECIPES, JointConfig
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser
from cosmos.models.standardiser import Standardiser
from cosmos.runtime.rng import CounterRNG, initialised
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.training import resume
from cosmos.training.batches import Batch
from cosmos.training.buckets import positions_to_read
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingResult, TrainingRun

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import AUTOENCODER, DENOISER, PAIRS, SOURCES, TARGETS, TRAINING, tiny_encoder

CONFIG = JointConfig(time_bins=8, loss_decay=0.9, refresh_steps=3, decoder_noise=0.5)
DIFFUSION = DiffusionConfig(ScheduleConfig(d=3.0))
STEPS = 20


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    folder = tmp_path_factory.mktemp("joint")
    encoder = TextEncoder(str(tiny_encoder(folder / "encoder")), "cpu")
    vocabulary = Vocabulary.of([*TARGETS, *SOURCES], str(encoder.folder))
    run = TrainingRun(folder, 3, "cpu")
    return Encoding(encoder, vocabulary, AUTOENCODER.max_tokens, 16, run).corpus(*PAIRS)


def standardiser(corpus: EncodedCorpus) -> Standardiser:
    return Standardiser.of(corpus.train.targets.states.statistics())


def model(config: JointConfig = CONFIG, dropout: float = 0.0, seed: int = 0) -> JointModel:
    sizes = replace(AUTOENCODER, vocabulary=64, dropout=dropout)
    denoiser = replace(DENOISER, source_width=sizes.text_width)
    return initialised(lambda: JointModel(Autoencoder(sizes), Denoiser(denoiser), config), seed)


def batch(corpus: EncodedCorpus, rows: int = 8) -> Batch:
    stage = joint_stage(model(), standardiser(corpus), corpus, DIFFUSION)
    return Batch(stage.data.batch(torch.arange(rows)))


def gradients(corpus: EncodedCorpus, config: JointConfig, share: float = 0.0) -> Mapping[str, Tensor]:
    """Of the loss of a batch, by parameter, when a share of the budget is used."""
    network = model(config).train()
    fit_statistics(network, standardiser(corpus), corpus)
    network.share.fill_(share)
    total, count = joint_loss(network, standardiser(corpus), batch(corpus), DIFFUSION, CounterRNG(torch.arange(8)))
    (total / count).backward()
    return {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


def part(found: Mapping[str, Tensor], name: str) -> Tensor:
    """The gradient of one part of the model, flat; zeros count, and what was never reached is nothing."""
    inside = [value.flatten() for key, value in found.items() if key.startswith(name)]
    return torch.cat(inside) if inside else torch.zeros(0)


COMPRESSOR, HEAD = "autoencoder.compressor.", "autoencoder.decompressor.head."
BODY, DENOISING = "autoencoder.decompressor.layers.", "denoiser."


def test_each_loss_teaches_what_it_is_to_teach_and_nothing_else(
    corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every arrow of the module's picture, one loss at a time."""
    only_denoiser = gradients(corpus, replace(CONFIG, gradient_warmup=0.0), 0.0)
    # The denoiser's loss alone: the decoder's losses are taken out.
    monkeypatch.setattr("cosmos.joint.decoder_losses", lambda m, latents, *_: torch.zeros(len(latents)))
    alone = gradients(corpus, replace(CONFIG, gradient_warmup=0.0))
    assert part(alone, DENOISING).abs().max() > 0
    assert part(alone, COMPRESSOR).abs().max() > 0
    assert part(alone, BODY).numel() == part(alone, HEAD).numel() == 0
    assert torch.equal(part(alone, DENOISING), part(only_denoiser, DENOISING))  # nobody else teaches it
    monkeypatch.undo()
    # The decoder's losses alone.
    monkeypatch.setattr("cosmos.joint.squared_error", lambda estimate, clean: clean.new_zeros(len(clean)))
    states = gradients(corpus, replace(CONFIG, gradient_warmup=0.0))
    assert part(states, DENOISING).numel() == 0
    assert min(part(states, name).abs().max() for name in (COMPRESSOR, BODY, HEAD)) > 0
    # The cross-entropy alone, which is what is left when the squared error weighs nothing.
    quiet = replace(CONFIG, gradient_warmup=0.0, mse_weight=1e-30)
    tokens = gradients(corpus, quiet)
    assert part(tokens, HEAD).abs().max() > 0
    assert max(part(tokens, name).abs().max() for name in (COMPRESSOR, BODY)) < 1e-20
    assert torch.equal(part(tokens, HEAD), part(states, HEAD))  # the squared error does not teach the head
    reaching = gradients(corpus, replace(quiet, stop_tokens=False))
    assert min(part(reaching, name).abs().max() for name in (COMPRESSOR, BODY)) > 1e-6


def test_the_gradient_into_the_compressor_is_multiplied_by_gamma(
    corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos.joint.decoder_losses", lambda m, latents, *_: torch.zeros(len(latents)))
    config = replace(CONFIG, gradient_warmup=0.25)
    whole = gradients(corpus, replace(config, gradient_warmup=0.0))
    for share, gamma in ((0.0, 1 / (1 + 2.718281828**8)), (0.2, 0.5), (0.25, 1 / (1 + 2.718281828**-2)), (1.0, 1.0)):
        found = gradients(corpus, config, share)
        assert torch.allclose(part(found, COMPRESSOR), gamma * part(whole, COMPRESSOR), rtol=1e-3, atol=1e-6)
        assert torch.allclose(part(found, DENOISING), part(whole, DENOISING), rtol=1e-4, atol=1e-6)


def test_the_warm_up_changes_no_value(corpus: EncodedCorpus) -> None:
    def value(config: JointConfig, share: float) -> float:
        network = model(config).train()
        network.share.fill_(share)
        seeds = CounterRNG(torch.arange(8))
        return float(joint_loss(network, standardiser(corpus), batch(corpus), DIFFUSION, seeds)[0])

    assert (
        len({value(CONFIG, share) for share in (0.0, 0.3, 1.0)} | {value(replace(CONFIG, gradient_warmup=0), 0)}) == 1
    )


def test_the_loss_is_the_sum_of_the_three_written_out(corpus: EncodedCorpus) -> None:
    """In evaluation mode, where nothing is noised for the decompressor."""
    network, rows = model().eval(), batch(corpus)
    standardise = standardiser(corpus)
    total, count = joint_loss(network, standardise, rows, DIFFUSION, CounterRNG(torch.arange(8)))
    states, mask = standardise(rows["states"], rows["mask"]), rows["mask"]
    result = network.autoencoder(states, mask)
    token = -result.logits.log_softmax(-1).gather(-1, rows["tokens"][..., None])[..., 0]
    square = (result.hidden - states).square().mean(-1)
    decoded = ((token + square) * mask).sum(1) / mask.sum(1)
    from cosmos.diffusion.objective import diffusion_loss
    from cosmos.stages import source_of

    clean = network.denoiser.normaliser.standardise(result.latents)
    denoised, _ = diffusion_loss(
        network.denoiser, clean, DIFFUSION, CounterRNG(torch.arange(8)), source_of(standardise, rows)
    )
    assert count == 8
    assert float(total) == pytest.approx(float(decoded.sum() + denoised), rel=1e-5)
    assert network.seen is None


def test_a_text_has_the_same_validation_loss_in_any_batch(corpus: EncodedCorpus) -> None:
    network, rows, standardise = model().eval(), batch(corpus, 4), standardiser(corpus)
    diffusion = replace(DIFFUSION, self_condition_share=1.0)  # else by place
    together = joint_loss(network, standardise, rows, diffusion, CounterRNG(torch.arange(4)))[0]
    alone = []
    for i in range(4):
        row = Batch({name: value[i : i + 1] for name, value in rows.items()})
        alone.append(joint_loss(network, standardise, row, diffusion, CounterRNG(torch.tensor([i])))[0])
    assert float(together) == pytest.approx(float(sum(alone)), rel=1e-5)


class StoppedError(Exception):
    pass


def fit(
    corpus: EncodedCorpus, folder: Path, budget: Budget | None = None, stop: float = 2.0, **changes: Any
) -> tuple[JointModel, TrainingResult]:
    """Train; where the budget is used up to `stop` the process ends."""

    def progress(stage: str, share: float, loss: float | None) -> None:
        if share >= stop:
            raise StoppedError

    network = model(replace(CONFIG, **changes), dropout=0.1)
    fit_statistics(network, standardiser(corpus), corpus)
    stage = joint_stage(network, standardiser(corpus), corpus, DIFFUSION)
    budget = budget or Budget(STEPS, "steps")
    return network, train_jointly(stage, TRAINING, budget, TrainingRun(folder, 3, "cpu", progress))


def test_killed_and_resumed_it_ends_with_the_same_bytes(corpus: EncodedCorpus, tmp_path: Path) -> None:
    """Weights, running statistics, the memory of losses and the density of times."""
    network, whole = fit(corpus, tmp_path / "whole")
    for stop in (0.25, 0.7, 1.0):
        with pytest.raises(StoppedError):
            fit(corpus, tmp_path / "cut", stop=stop)
    _, cut = fit(corpus, tmp_path / "cut")
    first, second = ((tmp_path / run / "joint.trained.safetensors").read_bytes() for run in ("whole", "cut"))
    assert first == second
    assert cut.steps == whole.steps == STEPS
    kept = resume.weights(network)
    assert {"times.losses", "times.weights", "times.mass", "times.steps", "denoiser.normaliser.std"} <= set(kept)
    assert kept["times.steps"] == STEPS
    again, result = fit(corpus, tmp_path / "cut")  # read back
    assert result == cut
    assert all(torch.equal(value, kept[name]) for name, value in resume.weights(again).items())


def test_what_counts_the_price_of_a_step_leaves_no_trace(
    corpus: EncodedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget in FLOPs has steps counted before the first, by passes in training mode."""
    fresh = {name: value.clone() for name, value in resume.weights(fitted(corpus)).items()}
    seen: list[dict[str, Tensor]] = []
    from cosmos.training import loop

    real = loop._loop

    def at_the_start(trainer: Any) -> None:
        seen.append({name: value.clone() for name, value in resume.weights(trainer.model).items()})
        real(trainer)

    monkeypatch.setattr(loop, "_loop", at_the_start)
    _, trained = fit(corpus, tmp_path, Budget(2e8, "flops"))
    assert trained.steps > 3
    assert seen[0].keys() == fresh.keys()
    assert all(torch.equal(seen[0][name], value) for name, value in fresh.items())


def fitted(corpus: EncodedCorpus) -> JointModel:
    network = model(CONFIG, dropout=0.1)
    fit_statistics(network, standardiser(corpus), corpus)
    return network


def test_only_steps_of_its_own_optimiser_are_remembered(corpus: EncodedCorpus, tmp_path: Path) -> None:
    network, _ = fit(corpus, tmp_path)
    steps = int(network.times.steps)
    other = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(other.parameters())
    other(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    assert int(network.times.steps) == steps == STEPS


def test_processes_remember_what_all_of_them_have_seen(corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with a part of a batch each, of which the second one's sums are added here by hand."""
    rows, standardise = batch(corpus), standardiser(corpus)
    diffusion = replace(DIFFUSION, self_conditioning="off")  # else by place

    def after(parts: list[slice]) -> JointModel:
        networks = [model().train() for _ in parts]
        for network, part in zip(networks, parts, strict=True):
            mine = Batch({name: value[part] for name, value in rows.items()})
            joint_loss(network, standardise, mine, diffusion, CounterRNG(torch.arange(8)[part]))
        if len(parts) == 2:
            seen = networks[1].seen
            assert seen is not None
            others = iter([*seen.latents, seen.losses, seen.counts])
            monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
            monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.add_(next(others)))
        networks[0].learn_statistics()
        return networks[0]

    one, two = after([slice(0, 8)]), after([slice(0, 3), slice(3, 8)])
    assert one.times is not None and one.times.losses.sum() > 0
    for name, value in one.named_buffers():
        assert torch.allclose(value, two.get_buffer(name), atol=1e-5), name


def test_statistics_follow_the_compressor(corpus: EncodedCorpus, tmp_path: Path) -> None:
    network, _ = fit(corpus, tmp_path, Budget(40, "steps"))
    running = network.denoiser.normaliser.std.clone()
    fit_statistics(network, standardiser(corpus), corpus)  # of the averaged weights, which lag behind
    real, first = network.denoiser.normaliser.std, fitted(corpus).denoiser.normaliser.std
    assert (running / real).log().abs().mean() < 0.5 * (first / real).log().abs().mean()
    off, _ = fit(corpus, tmp_path / "off", running_statistics=False)
    assert torch.equal(off.denoiser.normaliser.std, torch.ones_like(real))
    assert not off.denoiser.normaliser.mean.any()


def test_a_gain_that_statistics_take_away_is_left_as_it_is(corpus: EncodedCorpus, tmp_path: Path) -> None:
    """Its gradient is rounding, and of that AdamW would make steps as long as those of others."""
    last, inner = (f"{COMPRESSOR}{name}.gain" for name in ("output_norm", "query_norm"))
    found = gradients(corpus, replace(CONFIG, gradient_warmup=0.0))
    assert found[last].abs().max() < 1e-4 * found[inner].abs().max()
    for name, running in (("on", True), ("off", False)):
        network, _ = fit(corpus, tmp_path / name, Budget(2, "steps"), running_statistics=running)
        gains = dict(network.named_parameters())
        assert bool((gains[last] == 1).all()) == running and not bool((gains[inner] == 1).all())


def test_it_learns(corpus: EncodedCorpus, tmp_path: Path) -> None:
    _, short = fit(corpus, tmp_path / "short", Budget(2, "steps"))
    network, long = fit(corpus, tmp_path / "long", Budget(60, "steps"))
    assert short.validation_loss is not None and long.validation_loss is not None
    assert long.validation_loss < 0.8 * short.validation_loss
    assert network.times is not None
    assert network.times.mass.max() > 2 * network.times.mass.min()  # the density has been adapted


NAIVE = {"decoder_noise": 0.0, "adaptive_times": False, "gradient_warmup": 0.0, "mse_weight": 0.0, "stop_tokens": False}
"""Every part of the paper switched off, the last added first."""
OFF = [dict(list(NAIVE.items())[:count]) for count in (0, 1, 2, 3, 5)]


@pytest.mark.parametrize("off", OFF, ids=lambda off: "-".join(off) or "whole")
def test_it_trains_without_any_of_its_parts(off: dict[str, Any], corpus: EncodedCorpus, tmp_path: Path) -> None:
    network, trained = fit(corpus, tmp_path, Budget(2, "steps"), **off)
    assert trained.steps == 2
    assert (network.times is None) == ("adaptive_times" in off)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda: replace(CONFIG, decoder_noise=-1.0), "decoder_noise must be finite and not negative"),
        (lambda: replace(CONFIG, mse_weight=float("inf")), "mse_weight must be finite"),
        (lambda: replace(CONFIG, mse_weight=0.0), "Nothing would teach the compressor"),
        (lambda: replace(CONFIG, gradient_warmup=1.5), "a share of the budget"),
        (lambda: replace(CONFIG, loss_decay=1.0), "loss_decay must lie in"),
        (lambda: replace(CONFIG, time_bins=1), "time_bins"),
        (lambda: replace(CONFIG, time_bins=10**6), "time_bins"),
        (lambda: replace(CONFIG, refresh_steps=0), "refresh_steps"),
        (
            lambda: replace(JOINT_RECIPES["nano"], training=replace(TRAINING, batch_size=1)),
            "give training.batch_size=2 or more",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(bad: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        bad()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{}, {"stop_tokens": False}, {"mse_weight": 0.0, "stop_tokens": False}])
def test_decoders_losses_have_the_values_and_gradients_of_logits_of_all_positions(
    changes: dict[str, Any], corpus: EncodedCorpus
) -> None:
    network, rows = model(replace(CONFIG, **changes)).eval(), batch(corpus)
    config, decompressor, mask = network.config, network.autoencoder.decompressor, rows["mask"]
    states = standardiser(corpus)(rows["states"], mask)
    latents = torch.randn(8, DENOISER.latents, DENOISER.latent_width, generator=torch.Generator().manual_seed(3))
    hidden = decompressor.hidden(network.denoiser.normaliser.restore(latents))[:, : mask.shape[1]]
    logits = decompressor.head(hidden.detach() if config.stop_tokens else hidden)
    each = functional.cross_entropy(logits.transpose(1, 2), rows["tokens"], reduction="none")
    each = each + config.mse_weight * (hidden - states).square().mean(-1)
    wanted = ((each * mask).sum(1) / mask.sum(1)).sum()
    weights = list(decompressor.parameters())
    gradients = torch.autograd.grad(wanted, weights)
    calls: list[int] = []
    decompressor.head.register_forward_hook(lambda *_: calls.append(1))
    for given in ({}, {"positions": positions_to_read(mask, fixed=True)}):
        found = decoder_losses(network, latents, states, Batch({**rows, **given}), CounterRNG(torch.arange(8)))
        assert not calls  # no logits of all positions are made
        torch.testing.assert_close(found, wanted)
        for mine, theirs in zip(torch.autograd.grad(found, weights), gradients, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_where_shapes_are_fixed_only_the_positions_of_the_batch_are_decoded(corpus: EncodedCorpus) -> None:
    network, rows, lengths = model().eval(), batch(corpus, 2), list[int]()
    network.autoencoder.decompressor.to_text.register_forward_hook(lambda _, x, made: lengths.append(made.shape[1]))
    for fixed in (False, True):
        joint_loss(network, standardiser(corpus), Batch(rows, fixed), DIFFUSION, CounterRNG(torch.arange(2)))
    assert lengths == [AUTOENCODER.max_tokens, rows["mask"].shape[1]] and lengths[1] < lengths[0]
