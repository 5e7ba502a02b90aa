"""Samplers as the pipeline uses them: grids, calls, guidance, self-conditioning, seeds, no waiting for the device."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from cosmos.config import (
    RELEASE_END_NOISE,
    AutoencoderConfig,
    DenoiserConfig,
    DiffusionConfig,
    SamplerSetting,
    SolverName,
)
from cosmos.diffusion.samplers import (
    START_NOISE,
    cfg,
    check_self_guidance,
    make_grid,
    sample,
    self_conditioning_guidance,
    solve,
    with_network,
)
from cosmos.diffusion.schedule import Linear, Tangent
from cosmos.io.errors import UserError
from cosmos.models.autoencoder import Decompressor
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG, normal_like

sys.path.insert(0, str(Path(__file__).parents[1]))
from claimed_calls import network_calls

SCHEDULE = Tangent(5.0)
SIZES = DenoiserConfig(latents=3, latent_width=4, width=8, layers=2, heads=2, source_width=5, source_layers=1)
SETTINGS = [
    SamplerSetting(solver=solver, steps=4, grid=grid, final_x0=final)
    for solver in get_args(SolverName)
    for grid in ("time", "log_snr")
    for final in (False, True)
]


class Counter:
    """A denoiser that remembers its calls."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.estimates: list[torch.Tensor | None] = []
        self.results: list[torch.Tensor] = []

    def __call__(self, x, t, estimate):
        self.times.append(t)
        self.estimates.append(estimate)
        self.results.append(torch.tanh(x) * (1 - t))
        return self.results[-1]


def seeds(*values: int) -> CounterRNG:
    return CounterRNG(torch.tensor(values))


def noise(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 4, generator=torch.Generator().manual_seed(0))


def network(seed: int = 0) -> Denoiser:
    torch.manual_seed(seed)
    result = Denoiser(SIZES).eval()
    torch.nn.init.normal_(result.null_source)
    return result


def source(network: Denoiser, count: int = 2):
    states = torch.randn(count, 6, 5, generator=torch.Generator().manual_seed(1))
    return network.encode_condition(SourceStates(states, torch.ones(count, 6, dtype=torch.bool)))


def test_the_release_grid():
    grid = make_grid(SCHEDULE, SamplerSetting())
    assert grid.steps == 200
    assert grid.t[0] == 1.0 and grid.t[-1] == pytest.approx(0.05, abs=1e-12)
    steps = [b - a for a, b in zip(grid.t, grid.t[1:], strict=False)]
    assert max(steps) - min(steps) < 1e-12
    assert grid.beta[0] == pytest.approx(float(SCHEDULE.beta(torch.tensor(0.95, dtype=torch.float64))))


@pytest.mark.parametrize("schedule", [Tangent(3.0), Tangent(7.0), Linear()], ids=str)
@pytest.mark.parametrize("spacing", ["time", "log_snr"])
def test_the_end_noise_is_held_under_any_schedule(schedule, spacing):
    grid = make_grid(schedule, SamplerSetting(steps=10, grid=spacing))
    assert grid.sigma[-1] / grid.alpha[-1] == pytest.approx(RELEASE_END_NOISE)


def test_the_log_snr_grid_is_even_in_log_snr():
    grid = make_grid(SCHEDULE, SamplerSetting(steps=10, grid="log_snr"))
    levels = [grid.half_log_snr(i) for i in range(11)]
    assert levels[0] == pytest.approx(-math.log(START_NOISE))
    assert torch.allclose(torch.tensor(levels).diff(), torch.tensor(levels[1] - levels[0]), atol=1e-5)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.solver}-{s.grid}-{s.final_x0}")
class TestEverySetting:
    def test_calls_are_as_claimed_and_fall_in_time(self, setting):
        counter = Counter()
        result = sample(counter, noise(), setting, SCHEDULE, seeds(1, 2))
        assert torch.isfinite(result).all()
        assert len(counter.times) == network_calls(setting, SCHEDULE)
        assert counter.times == sorted(counter.times, reverse=True)

    def test_the_estimate_is_handed_on(self, setting):
        counter = Counter()
        sample(counter, noise(), setting, SCHEDULE, seeds(1, 2))
        assert counter.estimates[0] is None
        for i in range(1, len(counter.estimates)):
            # Heun's second call of a step gets what its first call got.
            before = i - 1 if setting.solver != "heun" or i % 2 == 0 else i - 2
            expected = counter.results[before] if before >= 0 else None
            assert counter.estimates[i] is expected

    def test_the_last_call_is_the_result_where_asked(self, setting):
        counter = Counter()
        result = sample(counter, noise(), setting, SCHEDULE, seeds(1, 2))
        assert (result is counter.results[-1]) == setting.final_x0

    def test_a_text_is_the_same_alone_and_in_a_batch(self, setting):
        denoiser = network()
        start = normal_like(torch.empty(3, 3, 4), seeds(5, 6, 7))
        with torch.no_grad():
            many = sample(with_network(denoiser, source(denoiser, 3)), start, setting, SCHEDULE, seeds(5, 6, 7))
            condition = source(denoiser, 3)
            own = condition._replace(
                mask=condition.mask[1:2], keys_values=tuple((k[1:2], v[1:2]) for k, v in condition.keys_values)
            )
            one = sample(with_network(denoiser, own), start[1:2], setting, SCHEDULE, seeds(6))
        assert torch.allclose(many[1:2], one, atol=1e-5)

    def test_nothing_waits_for_the_device(self, setting):
        """On the meta device there are no values: whatever asked for one would raise. The network has a test below."""
        x = torch.empty(2, 3, 4, device="meta")
        streams = CounterRNG(torch.empty(2, dtype=torch.int64, device="meta"))
        conditional, unconditional = Counter(), Counter()
        result = sample(cfg(conditional, unconditional, 2.0, (1.0, 9.0), SCHEDULE), x, setting, SCHEDULE, streams)
        assert result.shape == x.shape and result.device.type == "meta"
        assert 0 < len(unconditional.times) < len(conditional.times)


def test_the_denoiser_does_not_wait_for_the_device():
    with torch.device("meta"):
        denoiser = Denoiser(SIZES)
        x, streams = torch.empty(2, 3, 4), CounterRNG(torch.empty(2, dtype=torch.int64))
        states = SourceStates(torch.empty(2, 6, 5), torch.empty(2, 6, dtype=torch.bool))
    conditional = with_network(denoiser, denoiser.encode_condition(states))
    unconditional = with_network(denoiser, denoiser.null_condition(2))
    setting = SamplerSetting("release", steps=2)
    result = sample(cfg(conditional, unconditional, 2.0, (0.0, math.inf), SCHEDULE), x, setting, SCHEDULE, streams)
    assert result.shape == x.shape and result.device.type == "meta"


def test_the_decompressor_does_not_wait_either():
    config = AutoencoderConfig(
        text_width=5, latent_width=4, width=8, latents=3, layers=2, heads=2, max_tokens=7, vocabulary=11
    )
    with torch.device("meta"):
        assert Decompressor(config).eval()(torch.empty(2, 3, 4), vocabulary=9).shape == (2, 6)


def test_only_stochastic_solvers_use_the_generator():
    for solver in get_args(SolverName):
        setting = SamplerSetting(solver=solver, steps=4)
        one, other = (sample(Counter(), noise(), setting, SCHEDULE, seeds(i, i)) for i in (1, 2))
        assert torch.equal(one, other) == (solver in ("euler_ode", "heun", "ddim", "dpmpp_2m"))


def test_one_step_of_dpmpp_2m_is_one_of_ddim():
    results = [
        sample(Counter(), noise(), SamplerSetting(solver, 1, "log_snr"), SCHEDULE) for solver in ("ddim", "dpmpp_2m")
    ]
    assert torch.allclose(*results, atol=1e-6)


def test_a_network_gets_time_estimate_and_condition():
    denoiser = network()
    condition, x = source(denoiser), noise()
    with torch.no_grad():
        found = with_network(denoiser, condition)(x, 0.3, x.flip(1))
        torch.testing.assert_close(found, denoiser(x, torch.tensor([0.3, 0.3]), x.flip(1), condition))
        assert not torch.allclose(found, with_network(denoiser, condition)(x, 0.3, None), atol=1e-4)


def test_a_network_that_knows_no_estimates_is_given_none():
    denoiser, x = network(), noise()
    condition = source(denoiser)
    with torch.no_grad():
        found = with_network(denoiser, condition, self_conditioned=False)(x, 0.3, x.flip(1))
        torch.testing.assert_close(found, with_network(denoiser, condition)(x, 0.3, None))


def test_a_torch_generator_serves_as_well():
    results = [
        sample(Counter(), noise(), SamplerSetting(steps=4), SCHEDULE, torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert torch.equal(*results)


def test_release_returns_the_mean_of_the_last_step():
    grid = make_grid(SCHEDULE, SamplerSetting(steps=4))
    solved = solve("release", Counter(), noise(), grid, seeds(1, 2))
    assert torch.equal(sample(Counter(), noise(), SamplerSetting(steps=4), SCHEDULE, seeds(1, 2)), solved.mean)
    spread = (solved.state - solved.mean).std()
    assert spread == pytest.approx(math.sqrt(grid.beta[3] * (grid.t[3] - grid.t[4])), rel=0.5)


class TestGuidance:
    @staticmethod
    def run(weight: float, window: tuple[float, float] = (0.0, math.inf), steps: int = 6) -> torch.Tensor:
        denoiser = network()
        with torch.no_grad():
            conditional = with_network(denoiser, source(denoiser))
            unconditional = with_network(denoiser, denoiser.null_condition(2))
            denoise = cfg(conditional, unconditional, weight, window, SCHEDULE)
            return sample(denoise, noise(), SamplerSetting(solver="ddim", steps=steps), SCHEDULE)

    def test_weight_one_is_the_conditional_model_and_zero_the_unconditional(self):
        denoiser = network()
        setting = SamplerSetting(solver="ddim", steps=6)
        with torch.no_grad():
            conditional = sample(with_network(denoiser, source(denoiser)), noise(), setting, SCHEDULE)
            unconditional = sample(with_network(denoiser, denoiser.null_condition(2)), noise(), setting, SCHEDULE)
        assert torch.equal(self.run(1.0), conditional)
        assert torch.allclose(self.run(0.0), unconditional, atol=1e-6)
        assert not torch.allclose(self.run(3.0), conditional, atol=1e-3)

    def test_outside_of_the_window_it_is_the_conditional_model(self):
        assert torch.equal(self.run(3.0, (1e-9, 2e-9)), self.run(1.0))
        assert not torch.allclose(self.run(3.0, (9.0, math.inf)), self.run(3.0), atol=1e-4)

    @pytest.mark.parametrize("solver", ["ddim", "heun"])
    def test_calls_are_those_of_the_window(self, solver):
        setting = SamplerSetting(solver=solver, steps=8, guidance=2.0, guidance_window=(2.0, 30.0), final_x0=True)
        conditional, unconditional = Counter(), Counter()
        denoise = cfg(conditional, unconditional, setting.guidance, setting.guidance_window, SCHEDULE)
        sample(denoise, noise(), setting, SCHEDULE)
        assert len(conditional.times) + len(unconditional.times) == network_calls(setting, SCHEDULE)
        ratio = [5 * math.tan(math.pi * t / 2) for t in unconditional.times]
        assert 0 < len(ratio) < len(conditional.times) and min(ratio) >= 2.0 and max(ratio) <= 30.0

    def test_a_line_through_both_predictions(self):
        def constant(value: float):
            return lambda x, t, estimate: torch.full_like(x, value)

        denoise = cfg(constant(3.0), constant(1.0), 1.5, (0.0, math.inf), SCHEDULE)
        assert torch.equal(denoise(noise(), 0.5, None), torch.full((2, 3, 4), 4.0))


class TestSelfGuidance:
    @staticmethod
    def run(setting: SamplerSetting, weight: float, **given: bool) -> torch.Tensor:
        denoiser = network()
        with torch.no_grad():
            denoise = self_conditioning_guidance(with_network(denoiser, source(denoiser), **given), weight)
            return sample(denoise, noise(), setting, SCHEDULE, seeds(1, 2))

    @pytest.mark.parametrize("setting", [s for s in SETTINGS if s.final_x0], ids=lambda s: f"{s.solver}-{s.grid}")
    def test_weight_one_is_the_plain_model_and_zero_the_one_never_given_an_estimate(self, setting):
        denoiser = network()
        with torch.no_grad():
            plain = sample(with_network(denoiser, source(denoiser)), noise(), setting, SCHEDULE, seeds(1, 2))
        assert torch.equal(self.run(setting, 1.0), plain)
        assert torch.equal(self.run(setting, 0.0), self.run(setting, 1.0, self_conditioned=False))
        assert not torch.allclose(self.run(setting, 3.0), plain, atol=1e-4)

    @pytest.mark.parametrize("weight", [1.0, 0.0, 2.5])
    @pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.solver}-{s.grid}-{s.final_x0}")
    def test_calls_are_as_claimed_and_the_first_step_has_no_second_one(self, setting, weight):
        counter = Counter()
        sample(self_conditioning_guidance(counter, weight), noise(), setting, SCHEDULE, seeds(1, 2))
        plain = network_calls(setting, SCHEDULE)
        first = 2 if setting.solver == "heun" else 1
        assert len(counter.times) == network_calls(replace(setting, self_guidance=weight), SCHEDULE)
        assert len(counter.times) == (plain if weight == 1.0 else 2 * plain - first)
        assert counter.estimates[:first] == [None] * first
        given = [estimate is not None for estimate in counter.estimates[first:]]
        assert all(given) if weight == 1.0 else given == [True, False] * (plain - first)

    @pytest.mark.parametrize("solver", ["ddim", "heun"])
    @pytest.mark.parametrize("steps", [1, 8])
    def test_calls_with_guidance_are_those_of_the_window_twice(self, solver, steps):
        setting = SamplerSetting(
            solver, steps, guidance=2.0, guidance_window=(2.0, 30.0), final_x0=True, self_guidance=3.0
        )
        conditional, unconditional = Counter(), Counter()
        denoise = cfg(conditional, unconditional, setting.guidance, setting.guidance_window, SCHEDULE)
        sample(self_conditioning_guidance(denoise, setting.self_guidance), noise(), setting, SCHEDULE)
        assert len(conditional.times) + len(unconditional.times) == network_calls(setting, SCHEDULE)

    def test_a_line_through_both_predictions(self):
        def constant(x, t, estimate):
            return torch.full_like(x, 1.0 if estimate is None else 3.0)

        denoise = self_conditioning_guidance(constant, 1.5)
        assert torch.equal(denoise(noise(), 0.5, noise()), torch.full((2, 3, 4), 4.0))
        assert torch.equal(denoise(noise(), 0.5, None), torch.full((2, 3, 4), 1.0))

    def test_it_commutes_with_guidance(self):
        denoiser = network().double()
        x, estimate = noise().double(), noise().double().flip(1)
        states = SourceStates(noise().double().new_ones(2, 6, 5), torch.ones(2, 6, dtype=torch.bool))
        with torch.no_grad():
            halves = (
                with_network(denoiser, denoiser.encode_condition(states)),
                with_network(denoiser, denoiser.null_condition(2)),
            )
            outside = self_conditioning_guidance(cfg(*halves, 2.0, (0.0, math.inf), SCHEDULE), 3.0)
            inside = cfg(*(self_conditioning_guidance(half, 3.0) for half in halves), 2.0, (0.0, math.inf), SCHEDULE)
            plain = cfg(*halves, 2.0, (0.0, math.inf), SCHEDULE)
            assert torch.allclose(outside(x, 0.5, estimate), inside(x, 0.5, estimate), rtol=1e-12, atol=1e-12)
            assert not torch.allclose(outside(x, 0.5, estimate), plain(x, 0.5, estimate), atol=1e-3)

    def test_a_denoiser_without_self_conditioning_has_none(self):
        blind = DiffusionConfig(self_conditioning="off")
        check_self_guidance(SamplerSetting(), blind)
        check_self_guidance(SamplerSetting(self_guidance=2.0), DiffusionConfig())
        with pytest.raises(UserError, match="trained with self-conditioning; leave self_guidance at 1"):
            check_self_guidance(SamplerSetting(self_guidance=2.0), blind)


def test_a_bfloat16_network_leaves_the_state_in_float32():
    denoiser = network().bfloat16()
    with torch.no_grad():
        states = SourceStates(torch.randn(2, 6, 5).bfloat16(), torch.ones(2, 6, dtype=torch.bool))
        denoise = with_network(denoiser, denoiser.encode_condition(states))
        assert sample(denoise, noise(), SamplerSetting(steps=3), SCHEDULE, seeds(1, 2)).dtype == torch.float32


def test_unknown_names_and_bad_numbers_are_refused():
    with pytest.raises(UserError, match="did you mean heun"):
        SamplerSetting(solver="heum")
    with pytest.raises(UserError, match="Unknown grid"):
        SamplerSetting(grid="even")
    with pytest.raises(UserError, match="at least one step"):
        SamplerSetting(steps=0)
    with pytest.raises(UserError, match="end noise must"):
        SamplerSetting(end_noise=0.0)
    with pytest.raises(UserError, match="end noise must lie below"):
        make_grid(SCHEDULE, SamplerSetting(end_noise=100.0, grid="log_snr"))
