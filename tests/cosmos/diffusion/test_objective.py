"""The training objective: the loss written out, times, self-conditioning, source dropout."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from cosmos.config import DenoiserConfig, DiffusionConfig
from cosmos.diffusion.objective import (
    FIRST_TIME,
    diffuse,
    diffusion_loss,
    noised_example,
    sample_times,
    self_conditioned_rows,
)
from cosmos.diffusion.schedule import Tangent
from cosmos.io.errors import UserError
from cosmos.models.denoiser import Condition, Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import rows_of

CONFIG = DiffusionConfig()
SIZES = DenoiserConfig(latents=3, latent_width=4, width=8, layers=2, heads=2)


class Recorder:
    """Stands in for the denoiser: predicts a multiple of its estimate plus one, and remembers what it was given."""

    dealt_out = False

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.conditions: list[Condition | None] = []
        self.hidden: torch.Tensor | None = None

    def encode_condition(self, source: SourceStates) -> Condition:
        self.hidden = source.hidden
        return Condition(source.mask[:, None, None], ((source.states, 2 * source.states),))

    def __call__(self, x, t, estimate, condition):
        self.calls.append((x, t, estimate))
        self.conditions.append(condition)
        return 0.5 * estimate + 1.0


def seeds(count: int) -> CounterRNG:
    return CounterRNG(torch.arange(count))


def latents(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 4, generator=torch.Generator().manual_seed(0))


def test_times_are_uniform_or_one_to_a_stratum():
    uniform = sample_times(seeds(20_000), stratified=False)
    assert uniform.min() >= FIRST_TIME and uniform.max() <= 1
    assert torch.allclose(uniform.sort().values, torch.linspace(0, 1, 20_000).double(), atol=0.02)
    strata = (sample_times(seeds(50), stratified=True) * 50).long()
    assert torch.equal(strata, torch.arange(50))


def test_diffusion_preserves_the_variance():
    x = latents(20_000)
    noise = seeds(20_000).normal(3, 4)
    for t in (0.1, 0.5, 0.9):
        noisy = diffuse(x, torch.full((20_000,), t), noise, Tangent())
        assert noisy.var() == pytest.approx(1, abs=0.02)
        assert (noisy * x).mean() == pytest.approx(float(Tangent().alpha(torch.tensor(t))), abs=0.02)


def test_the_loss_is_the_mean_square_summed_over_texts():
    recorder, x = Recorder(), latents(6)
    total, weight = diffusion_loss(recorder, x, dataclasses.replace(CONFIG, self_conditioning="off"), seeds(6))
    assert len(recorder.calls) == 1 and not recorder.calls[0][2].any()
    assert weight == 6
    assert total / weight == pytest.approx(float((1 - x).square().mean()), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 2 / 3, 0.7, 1.0])
def test_a_fixed_share_of_the_rows_is_self_conditioned_evenly(share):
    for count in (1, 2, 7, 16, 60, 512):
        rows = self_conditioned_rows(seeds(count), share).tolist()
        assert rows == [i for i in range(count) if math.floor((i + 1) * share) > math.floor(i * share)]
        assert abs(len(rows) - count * share) < 1


@pytest.mark.parametrize("processes", [2, 3])
def test_times_coins_and_self_conditioned_rows_are_those_of_one_process_where_several_share_a_batch(processes):
    whole = seeds(16)
    rows, times, coin = self_conditioned_rows(whole, 0.5), sample_times(seeds(16), True), seeds(16).of_batch()
    found = torch.zeros(16)
    for rank in range(processes):
        numbers = rows_of(16, rank, processes)
        part = seeds(16).share(numbers, torch.tensor(numbers))
        assert torch.equal(part.places, torch.tensor(numbers)) and part.batch_rows == 16
        found[torch.tensor(numbers)[self_conditioned_rows(part, 0.5)]] += 1
        torch.testing.assert_close(sample_times(part, True), times[numbers], rtol=0, atol=0)
        assert seeds(16).share(numbers, torch.tensor(numbers)).of_batch() == coin
        assert len(numbers) in (16 // processes, -(-16 // processes))
    assert found.nonzero()[:, 0].tolist() == rows.tolist() and found.sum() == len(rows)


def test_only_self_conditioned_rows_are_computed_twice():
    recorder, x = Recorder(), latents(6)
    given = SourceStates(torch.arange(6.0)[:, None, None].expand(6, 2, 5), torch.ones(6, 2, dtype=torch.bool))
    example = noised_example(recorder, x, CONFIG, seeds(6), given)
    ((noisy, t, zeros),) = recorder.calls
    assert torch.equal(noisy, example.noisy[1::2]) and torch.equal(t, example.t[1::2]) and not zeros.any()
    assert torch.equal(recorder.conditions[0].keys_values[0][1], 2 * given.states[1::2])
    assert torch.equal(recorder.conditions[0].mask, example.condition.mask[1::2])
    assert torch.equal(example.estimate, (torch.arange(6) % 2).float()[:, None, None].expand(6, 3, 4))
    assert len(example.condition.mask) == 6


@pytest.mark.parametrize(("share", "calls"), [(0.5, 1), (0.0, 0)])
def test_processes_that_hold_parts_call_the_network_equally_often(share, calls):
    """One whose rows are given no earlier estimate calls it all the same, and drops what comes of it."""
    recorder, config = Recorder(), dataclasses.replace(CONFIG, self_condition_share=share)
    recorder.dealt_out = True
    numbers = [0, 2]  # of whose rows none is given one
    part = seeds(6).share(numbers, torch.tensor(numbers))
    example = noised_example(recorder, latents(2), config, part)
    assert [len(noisy) for noisy, _, _ in recorder.calls] == [1] * calls
    assert not example.estimate.any()


def test_both_halves_of_a_stratified_batch_cover_all_times():
    config = dataclasses.replace(CONFIG, times="stratified")
    example = noised_example(Recorder(), latents(32), config, seeds(32))
    conditioned = example.estimate.flatten(1).any(1)
    for times in (example.t[conditioned], example.t[~conditioned]):
        assert torch.equal((times * 16).long(), torch.arange(16))  # one in each of sixteen strata


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(UserError, match="self_condition_share must lie in"):
        DiffusionConfig(self_condition_share=share)


def test_the_release_tosses_one_coin_for_the_batch():
    config = dataclasses.replace(CONFIG, self_conditioning="batch")
    tossed = []
    for i in range(200):
        recorder = Recorder()
        diffusion_loss(recorder, latents(3), config, CounterRNG(torch.arange(3) + 100 * i))
        estimate = recorder.calls[1][2]
        assert (estimate == estimate[0, 0, 0]).all()
        tossed.append(float(estimate[0, 0, 0]))
    assert sum(tossed) / 200 == pytest.approx(0.5, abs=0.12)


def test_sources_are_withheld_at_their_rate():
    recorder = Recorder()
    given = SourceStates(torch.zeros(4000, 2, 5), torch.ones(4000, 2, dtype=torch.bool))
    diffusion_loss(recorder, latents(4000), CONFIG, seeds(4000), given)
    assert [len(condition.mask) for condition in recorder.conditions] == [2000, 4000]
    assert recorder.hidden.float().mean() == pytest.approx(0.1, abs=0.02)
    diffusion_loss(recorder, latents(50), dataclasses.replace(CONFIG, source_dropout=0.0), seeds(50), given)
    assert not recorder.hidden.any()


@pytest.mark.parametrize("conditioned", [0.0, 1.0])
def test_a_text_has_the_same_loss_in_any_batch(conditioned):
    torch.manual_seed(0)
    network, x, config = Denoiser(SIZES), latents(4), dataclasses.replace(CONFIG, self_condition_share=conditioned)
    alone = [diffusion_loss(network, x[i : i + 1], config, CounterRNG(torch.tensor([i])))[0] for i in range(4)]
    together, _ = diffusion_loss(network, x, config, seeds(4))
    assert torch.allclose(sum(alone), together, rtol=1e-5)


@pytest.mark.parametrize("mode", ["sample", "batch", "off"])
def test_every_weight_gets_a_gradient_under_autocast(mode):
    """The pass without gradient must not leave its cast weights behind for the pass with one."""
    torch.manual_seed(0)
    network = Denoiser(dataclasses.replace(SIZES, source_width=5, source_layers=1))
    given = SourceStates(torch.randn(4, 2, 5), torch.ones(4, 2, dtype=torch.bool))
    config = dataclasses.replace(CONFIG, self_conditioning=mode)
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = diffusion_loss(network, latents(4), config, seeds(4), given)
    total.backward()
    missing = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert missing == []


def test_the_estimate_is_made_without_gradient():
    torch.manual_seed(0)
    network, x = Denoiser(SIZES), latents(4)
    config = dataclasses.replace(CONFIG, self_condition_share=1.0)
    diffusion_loss(network, x, config, seeds(4))[0].backward()
    found = network.from_latent.weight.grad.clone()
    # By hand: the same, with the first estimate given as a constant.
    stream = seeds(4)
    t = sample_times(stream, False)
    noisy = diffuse(x, t, stream.normal(3, 4), Tangent())
    with torch.no_grad():
        estimate = network(noisy, t.float())
    network.zero_grad()
    (network(noisy, t.float(), estimate) - x).square().mean((1, 2)).sum().backward()
    assert torch.allclose(network.from_latent.weight.grad, found, atol=1e-5)


def test_it_learns():
    torch.manual_seed(0)
    network = Denoiser(dataclasses.replace(SIZES, output_norm=False))
    x = latents(1).expand(64, -1, -1)  # one point: the best estimate is that point
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(150):
        total, weight = diffusion_loss(network, x, CONFIG, CounterRNG(torch.arange(64) + 64 * step))
        optimiser.zero_grad()
        (total / weight).backward()
        optimiser.step()
    assert (total / weight).detach() < 0.1 * x.square().mean()
