"""What times add, worked out for a whole grid before the loop: the same latents as of times in every call."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from cosmos.config import DenoiserConfig, DiffusionConfig, SamplerSetting, ScheduleConfig, SolverName
from cosmos.diffusion.samplers import (
    call_times,
    cfg,
    inputs_of_times,
    make_grid,
    sample,
    sample_latents,
    self_conditioning_guidance,
    with_network,
)
from cosmos.diffusion.schedule import make_schedule
from cosmos.models.blocks import TimeInputs
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG

DIFFUSION = DiffusionConfig(ScheduleConfig(d=5.0))
SCHEDULE = make_schedule(DIFFUSION.schedule)
SIZES = DenoiserConfig(latents=3, latent_width=4, width=8, layers=4, heads=2, source_width=5, source_layers=1)
SEEDS = torch.tensor([5, 6])
SETTINGS = [
    SamplerSetting(solver, 4, grid, final_x0=final)
    for solver in get_args(SolverName)
    for grid in ("time", "log_snr")
    for final in (False, True)
]
GUIDED = {
    "plain": {},
    "guided": {"guidance": 2.0},
    "window": {"guidance": 2.0, "guidance_window": (2.0, 30.0)},
    "self": {"self_guidance": 1.5},
    "all": {"guidance": 2.0, "guidance_window": (2.0, 30.0), "self_guidance": 1.5},
}


@pytest.fixture
def denoiser() -> Denoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Denoiser(SIZES).eval().double()
        for layer in (network.time_shift, network.estimate_shift):
            nn.init.normal_(layer.weight, std=0.5)
        nn.init.normal_(network.null_source)
    return network


def source() -> SourceStates:
    states = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return SourceStates(states, torch.ones(2, 6, dtype=torch.bool))


def called_with_times(denoiser: Denoiser, setting: SamplerSetting) -> Tensor:
    """As `sample_latents`, where each call is given its time."""
    streams = CounterRNG(SEEDS)
    denoise = with_network(denoiser, denoiser.encode_condition(source()))
    if setting.guidance != 1.0:
        uncond = with_network(denoiser, denoiser.null_condition(2))
        denoise = cfg(denoise, uncond, setting.guidance, setting.guidance_window, SCHEDULE)
    denoise = self_conditioning_guidance(denoise, setting.self_guidance)
    return sample(denoise, streams.normal(3, 4), setting, SCHEDULE, streams)


class Seen:
    """Rows that a module was given, call after call."""

    def __init__(self, module: nn.Module) -> None:
        self.rows: list[int] = []
        module.register_forward_hook(self)

    def __call__(self, module: nn.Module, given: tuple[Any, ...], out: Tensor) -> None:
        self.rows.append(len(given[0]))


@pytest.mark.parametrize("guided", GUIDED)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.solver}-{s.grid}-{s.final_x0}")
def test_latents_are_those_of_a_time_in_every_call(denoiser: Denoiser, setting: SamplerSetting, guided: str) -> None:
    setting = replace(setting, **GUIDED[guided])
    with torch.no_grad():
        expected = called_with_times(denoiser, setting)
        seen = Seen(denoiser.time_shift)
        found = sample_latents(denoiser, DIFFUSION, setting, SEEDS, source())
    nodes = 5 if setting.final_x0 or setting.solver == "heun" else 4
    assert seen.rows == [nodes]  # once, with a row of every time at which there is a call
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    assert float(found.std()) > 0.1


def test_what_a_time_adds_does_matter(denoiser: Denoiser) -> None:
    grid = make_grid(SCHEDULE, SETTINGS[0])
    known = inputs_of_times(denoiser, grid.t, torch.device("cpu"))
    shifted = dict(zip(known, [*list(known.values())[1:], known[grid.t[0]]], strict=True))
    x, condition = CounterRNG(SEEDS).normal(3, 4), denoiser.encode_condition(source())
    with torch.no_grad():
        alone = with_network(denoiser, condition)(x, grid.t[1], None)
        assert torch.allclose(with_network(denoiser, condition, known=known)(x, grid.t[1], None), alone, atol=1e-12)
        assert not torch.allclose(
            with_network(denoiser, condition, known=shifted)(x, grid.t[1], None), alone, atol=1e-4
        )


def test_times_without_a_call_cost_nothing() -> None:
    setting = SamplerSetting("ddim", 3)
    grid = make_grid(SCHEDULE, setting)
    assert call_times(grid, setting) == grid.t[:3]
    assert call_times(grid, replace(setting, final_x0=True)) == grid.t
    assert call_times(grid, replace(setting, solver="heun")) == grid.t


def test_a_time_that_was_not_announced_is_an_error(denoiser: Denoiser) -> None:
    known = inputs_of_times(denoiser, (0.5,), torch.device("cpu"))
    denoise = with_network(denoiser, denoiser.encode_condition(source()), known=known)
    with pytest.raises(KeyError):
        denoise(CounterRNG(SEEDS).normal(3, 4), 0.4, None)


class Told(nn.Module):
    """Remembers the times that it is told, as a recording does, by where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[weakref.ref[Tensor]] = []

    def time_inputs(self, t: Tensor) -> TimeInputs:
        self.told.append(weakref.ref(t))
        return TimeInputs((2 * t,))


def test_times_stay_where_they_are_until_their_network_goes() -> None:
    network, other, cpu = Told(), Told(), torch.device("cpu")
    for asked in ((0.5, 0.25), (0.5, 0.25), (0.75,), (0.5, 0.25)):
        inputs_of_times(network, asked, cpu)
        gc.collect()
    inputs_of_times(network, (0.5, 0.25), torch.device("meta"))
    inputs_of_times(other, (0.5, 0.25), cpu)
    first, second, shorter, third, elsewhere = (found() for found in network.told)
    assert first is second is third and first is not None and first.tolist() == [0.5, 0.25]
    assert shorter is not None and shorter.tolist() == [0.75]
    assert elsewhere is not None and elsewhere.device.type == "meta"
    [of_other], told = other.told, network.told
    del first, second, shorter, third, elsewhere, network
    gc.collect()
    assert [found() for found in told] == [None] * 5
    assert of_other() is not None, "another network has its own"
