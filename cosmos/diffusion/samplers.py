"""Solvers of the reverse process, from noise to latents, as plain functions.

`solve(name, denoise, x, grid, generator)` goes down a grid, where `denoise(x, t, estimate)` predicts clean latents from
x at the host number t with an earlier estimate (None: zeros), which each solver hands on from step to step; where it is
narrower than x, it is widened as it is added. All solvers but Heun's are one linear combination per step (`march`), so
each is a rule that gives the coefficients of

    x' = state * x + estimate * D + previous * D_before + noise * eps.

They are host numbers worked out in float64 before the first step, so nothing on the device is waited for, branched on
or copied back. Compiled, a step is one kernel (`cosmos.diffusion.linear_steps`).
Sources: cosmos.md 2.5 (the authors' solvers), DDIM 2010.02502, DPM-Solver++ 2211.01095, guidance 2207.12598, its window
2404.07724, and that by self-conditioning 2605.10938 (who train it into the network, which saves the second call). Axis
legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cosmos.config import DiffusionConfig, SamplerSetting, SolverName
from cosmos.diffusion.linear_steps import Coefficients, Generator, compiled_step, linear_step, noises
from cosmos.diffusion.schedule import BETA_LIMIT, Schedule, make_schedule
from cosmos.io.errors import UserError
from cosmos.models.blocks import TimeInputs
from cosmos.models.denoiser import Condition, Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG

Time = TypeVar("Time", float, Tensor)  # one of all texts on the host, or [B] on the device
Predict = Callable[[Tensor, Time, Tensor | None], Tensor]
Denoise = Predict[float]

START_NOISE = 5 * math.tan(math.pi * 0.95 / 2)
"""sigma/alpha where a grid in log-SNR starts (t = 0.95 at d = 5), as log-SNR at t = 1 is minus infinity."""


@dataclass(frozen=True)
class Grid:
    """Times from noise to data and what the schedule says there, as float64 host numbers; `steps` + 1 of each."""

    t: tuple[float, ...]
    alpha: tuple[float, ...]
    sigma: tuple[float, ...]
    beta: tuple[float, ...]  # at min(t, BETA_LIMIT), as the authors' solver takes it

    @property
    def steps(self) -> int:
        return len(self.t) - 1

    def half_log_snr(self, index: int) -> float:
        return math.log(self.alpha[index] / self.sigma[index])


def grid_at(schedule: Schedule, t: Tensor) -> Grid:
    """A grid at given falling times (float64 on the host)."""
    assert t.dtype == torch.float64 and t.device.type == "cpu"
    values = (t, schedule.alpha(t), schedule.sigma(t), schedule.beta(t.clamp_max(BETA_LIMIT)))
    return Grid(*(tuple(value.tolist()) for value in values))


def make_grid(schedule: Schedule, setting: SamplerSetting) -> Grid:
    """The setting's grid: equal steps in t from 1, or in log-SNR from `START_NOISE`, down to the end noise.

    Raises:
        UserError: an end noise at or above the start.
    """
    end = _time_of_noise(schedule, setting.end_noise)
    if setting.grid == "time":
        return grid_at(schedule, torch.linspace(1.0, end, setting.steps + 1, dtype=torch.float64, device="cpu"))
    if setting.end_noise >= START_NOISE:
        raise UserError(f"The end noise must lie below {START_NOISE:.3g}, not at {setting.end_noise:g}.")
    ends = (-2.0 * math.log(START_NOISE), -2.0 * math.log(setting.end_noise))
    return grid_at(schedule, schedule.time(torch.linspace(*ends, setting.steps + 1, dtype=torch.float64, device="cpu")))


def call_grid(schedule: Schedule, noises: Sequence[float]) -> Grid:
    """The grid of a call at each of some falling noises sigma/alpha, where the last call's prediction is the end."""
    times = [_time_of_noise(schedule, noise) for noise in (*noises, 0.0)]
    return grid_at(schedule, torch.tensor(times, dtype=torch.float64, device="cpu"))


def noises_between(start: float, end: float, count: int) -> tuple[float, ...]:
    """So many values of sigma/alpha, equally far from each other in log-SNR; one alone is the start."""
    return tuple(
        torch.linspace(math.log(start), math.log(end), count, dtype=torch.float64, device="cpu").exp().tolist()
    )


def call_times(grid: Grid, setting: SamplerSetting) -> tuple[float, ...]:
    """The times of a grid at which a setting's network calls are made, each once."""
    return grid.t if setting.final_x0 or setting.solver == "heun" else grid.t[:-1]


def _time_of_noise(schedule: Schedule, noise: float) -> float:
    """The t at which sigma/alpha is `noise`; 0 and infinity are the ends."""
    if noise in (0.0, math.inf):
        return 0.0 if noise == 0.0 else 1.0
    level = torch.tensor(-2.0 * math.log(noise), dtype=torch.float64, device="cpu")
    return float(schedule.time(level))


class Solved(NamedTuple):
    """Where a solver ends, each [B, N, C]; `mean` is `state` without the last step's noise."""

    state: Tensor
    mean: Tensor
    estimate: Tensor  # the last prediction made


Rule = Callable[[Grid, int], Coefficients]


def euler_sde_rule(grid: Grid, i: int) -> Coefficients:
    """Euler-Maruyama of the reverse SDE dx = (-beta/2 x - beta score) dt + sqrt(beta) dW."""
    step, beta, variance = grid.t[i + 1] - grid.t[i], grid.beta[i], grid.sigma[i] ** 2
    pull = beta / variance
    return Coefficients(1 + step * (pull - beta / 2), -step * pull * grid.alpha[i], math.sqrt(-step * beta))


def euler_ode_rule(grid: Grid, i: int) -> Coefficients:
    """Euler of the probability-flow ODE dx/dt = -beta/2 (x + score)."""
    step, beta, variance = grid.t[i + 1] - grid.t[i], grid.beta[i], grid.sigma[i] ** 2
    pull = beta / 2 / variance
    return Coefficients(1 + step * (pull - beta / 2), -step * pull * grid.alpha[i])


def ddim_rule(grid: Grid, i: int) -> Coefficients:
    """x' = alpha' D + sigma' (x - alpha D) / sigma."""
    ratio = grid.sigma[i + 1] / grid.sigma[i]
    return Coefficients(ratio, grid.alpha[i + 1] - grid.alpha[i] * ratio)


def ddpm_rule(grid: Grid, i: int) -> Coefficients:
    """The posterior q(x' | x, x_0 = D): ancestral sampling."""
    ratio, shrunk = (grid.sigma[i + 1] / grid.sigma[i]) ** 2, grid.alpha[i] / grid.alpha[i + 1]
    added = 1 - shrunk**2  # variance of x given x'
    return Coefficients(shrunk * ratio, grid.alpha[i + 1] * added / grid.sigma[i] ** 2, math.sqrt(ratio * added))


def _extrapolation(grid: Grid, i: int) -> tuple[float, float]:
    """h = lambda' - lambda, and the weight of the line through the last two predictions (0 at the first step)."""
    h = grid.half_log_snr(i + 1) - grid.half_log_snr(i)
    before = grid.half_log_snr(i) - grid.half_log_snr(i - 1) if i else math.inf
    return h, h / (2 * before)


def dpmpp_2m_rule(grid: Grid, i: int) -> Coefficients:
    """DPM-Solver++(2M), ODE. A step to no noise at all, which is infinitely far in log-SNR, ends at the estimate."""
    if grid.sigma[i + 1] == 0.0:
        return Coefficients(0.0, grid.alpha[i + 1])
    h, slope = _extrapolation(grid, i)
    gain = -grid.alpha[i + 1] * math.expm1(-h)
    return Coefficients(grid.sigma[i + 1] / grid.sigma[i], gain * (1 + slope), previous=-gain * slope)


def dpmpp_2m_sde_rule(grid: Grid, i: int) -> Coefficients:
    """SDE-DPM-Solver++(2M); a step to no noise at all as in the ODE's."""
    if grid.sigma[i + 1] == 0.0:
        return Coefficients(0.0, grid.alpha[i + 1])
    h, slope = _extrapolation(grid, i)
    lost = -math.expm1(-2 * h)
    gain = grid.alpha[i + 1] * lost
    state = grid.sigma[i + 1] / grid.sigma[i] * math.exp(-h)
    return Coefficients(state, gain * (1 + slope), grid.sigma[i + 1] * math.sqrt(lost), -gain * slope)


def march(denoise: Denoise, x: Tensor, grid: Grid, rule: Rule, generator: Generator | None = None) -> Solved:
    """Take every step of the grid by a linear rule. With a `CounterRNG` that is compiled, sums are compiled too."""
    steps = [rule(grid, i) for i in range(grid.steps)]
    drawn = noises(x, sum(weights.noise != 0.0 for weights in steps), generator)
    combine = compiled_step if isinstance(generator, CounterRNG) and generator.compiled else linear_step
    mean, estimate, before = x, None, None
    for i, weights in enumerate(steps):
        before, estimate = estimate, denoise(x, grid.t[i], estimate)
        others = estimate, before if weights.previous else None
        noise = next(drawn) if weights.noise else None
        if noise is None or i == grid.steps - 1:
            mean = combine(x, *others, None, weights)
        x = mean if noise is None else combine(x, *others, noise, weights)
    assert estimate is not None
    return Solved(x, mean, estimate)


def heun(denoise: Denoise, x: Tensor, grid: Grid) -> Solved:
    """Heun's method on the probability-flow ODE, two calls a step; both get the estimate of the step before."""
    estimate = None
    for i in range(grid.steps):
        step, earlier = grid.t[i + 1] - grid.t[i], estimate
        first = _drift(x, denoise(x, grid.t[i], earlier), grid, i)
        reached = x + step * first
        estimate = denoise(reached, grid.t[i + 1], earlier)
        x = x + step / 2 * (first + _drift(reached, estimate, grid, i + 1))
    assert estimate is not None
    return Solved(x, x, estimate)


def _drift(x: Tensor, estimate: Tensor, grid: Grid, i: int) -> Tensor:
    """dx/dt of the probability-flow ODE."""
    pull = grid.beta[i] / 2 / grid.sigma[i] ** 2
    return (pull - grid.beta[i] / 2) * x - pull * grid.alpha[i] * estimate.to(x.dtype)


RULES: Mapping[SolverName, Rule] = {
    "release": euler_sde_rule,  # the authors' sampler, who decode the last step's `mean`
    "euler_ode": euler_ode_rule,
    "ddim": ddim_rule,
    "ddpm": ddpm_rule,
    "dpmpp_2m": dpmpp_2m_rule,
    "dpmpp_2m_sde": dpmpp_2m_sde_rule,
}
"""The linear solvers by name; "heun" is the one that is not."""


def solve(
    solver: SolverName,
    denoise: Denoise,
    x: Tensor,
    grid: Grid,
    generator: Generator | None = None,
    temperature: float = 1.0,
) -> Solved:
    """Go down a grid by the solver of a name. Only "release", "ddpm" and "dpmpp_2m_sde" draw noise. All noise, x and
    what steps add, is multiplied by the temperature."""
    start = x if temperature == 1.0 else temperature * x
    if solver == "heun":
        return heun(denoise, start, grid)
    return march(denoise, start, grid, lambda grid, i: RULES[solver](grid, i).at(temperature), generator)


def sample(
    denoise: Denoise,
    x: Tensor,
    setting: SamplerSetting,
    schedule: Schedule,
    generator: Generator | None = None,
    grid: Grid | None = None,
) -> Tensor:
    """Latents [B, N, C] from standard normal x [B, N, C]: the last mean, or one more prediction made at the end noise.

    The state keeps the dtype of x, which should be float32 whatever the network's is. A `grid` that is given comes in
    place of the setting's. Errors as in `make_grid`.
    """
    grid = grid or make_grid(schedule, setting)
    solved = solve(setting.solver, denoise, x, grid, generator, setting.temperature)
    return denoise(solved.state, grid.t[-1], solved.estimate).to(x.dtype) if setting.final_x0 else solved.mean


def sample_latents(
    denoiser: Denoiser,
    diffusion: DiffusionConfig,
    setting: SamplerSetting,
    seeds: Tensor,
    source: SourceStates | None = None,
    compiled: bool = False,
    grid: Grid | None = None,
) -> Tensor:
    """Standardised latents [B, N, C] for seeds int64 [B]: the whole sampling loop, a function of tensors that a graph
    can hold. The source is in the denoiser's dtype; `compiled` says whether noise is drawn by compiled code, and `grid`
    is one in place of the setting's.

    Raises:
        UserError: an end noise beyond the start, or self-guidance of a denoiser without self-conditioning.
    """
    check_self_guidance(setting, diffusion)
    schedule, generator = make_schedule(diffusion.schedule), CounterRNG(seeds, compiled, fused=compiled)
    condition = None if source is None else denoiser.encode_condition(source)
    grid = grid or make_grid(schedule, setting)
    known = inputs_of_times(denoiser, call_times(grid, setting), seeds.device)
    given = functools.partial(with_network, denoiser, self_conditioned=diffusion.self_conditioned, known=known)
    denoise = given(condition)
    if condition is not None and setting.guidance != 1.0:
        uncond = given(denoiser.null_condition(len(seeds)))
        denoise = cfg(denoise, uncond, setting.guidance, setting.guidance_window, schedule)
    denoise = self_conditioning_guidance(denoise, setting.self_guidance)
    start = generator.normal(denoiser.config.latents, denoiser.config.latent_width)
    return sample(denoise, start, setting, schedule, generator, grid)


class MakesTimeInputs(Protocol):
    """A network that can be called with rows of what it makes of times."""

    def time_inputs(self, t: Tensor) -> TimeInputs: ...


def inputs_of_times(
    network: MakesTimeInputs, times: Sequence[float], device: torch.device
) -> Mapping[float, TimeInputs]:
    """What a network makes of each of some host times, all of it worked out at once: products of as many rows where
    each call of its own had one row."""
    distinct = tuple(dict.fromkeys(times))
    made = network.time_inputs(_on_device(network, distinct, device))
    return {t: made.row(index) for index, t in enumerate(distinct)}


_TIMES: WeakKeyDictionary[MakesTimeInputs, dict[tuple[tuple[float, ...], torch.device], Tensor]] = WeakKeyDictionary()
"""Times on devices, by the networks that are told them."""


def _on_device(network: MakesTimeInputs, times: tuple[float, ...], device: torch.device) -> Tensor:
    """float32 [S]. A recording cannot copy from the host, so they are copied once, in the call before it. It reads them
    where they are and holds its networks, so they stay for as long as the network does."""
    kept = _TIMES.setdefault(network, {})
    if (times, device) not in kept:
        with torch.inference_mode(False):
            kept[times, device] = torch.tensor(times, dtype=torch.float32, device="cpu").to(device)
    return kept[times, device]


def with_network(
    denoiser: nn.Module,
    condition: Condition | None = None,
    *,
    self_conditioned: bool = True,
    known: Mapping[float, TimeInputs] | None = None,
) -> Denoise:
    """A denoiser as a solver wants it; x is cast to the network's dtype, in which its prediction is left.

    A denoiser that was not trained on earlier estimates (`self_conditioned` false) is never given one. The time is one
    for all texts, so what the network makes of it is made once: for all calls together where `known` has it, of all
    times at which there are any (`inputs_of_times`), and in each call without.
    """
    dtype = next(denoiser.parameters()).dtype

    def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        earlier = None
        if self_conditioned:
            # No estimate is the same as zeros, and is given as such, so that blocks see the shapes of every other call.
            earlier = torch.zeros_like(x, dtype=dtype) if estimate is None else estimate.to(dtype)
        time = torch.full((1,), t, dtype=torch.float32, device=x.device) if known is None else known[t]
        predicted: Tensor = denoiser(x.to(dtype), time, earlier, condition)
        return predicted

    return denoise


def cfg(
    conditional: Denoise, unconditional: Denoise, weight: float, window: tuple[float, float], schedule: Schedule
) -> Denoise:
    """Classifier-free guidance: unconditional + weight * (conditional - unconditional) inside a window of sigma/alpha.

    Outside of it, and at weight 1 everywhere, it is the conditional prediction at the cost of one call. The host
    decides, from the grid's times.
    """
    low, high = (_time_of_noise(schedule, noise) for noise in window)

    def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        cond = conditional(x, t, estimate)
        if weight == 1.0 or not low <= t <= high:
            return cond
        uncond = unconditional(x, t, estimate)
        return torch.lerp(uncond.to(x.dtype), cond.to(x.dtype), weight)

    return denoise


def self_conditioning_guidance(denoise: Predict[Time], weight: float) -> Predict[Time]:
    """Guidance by self-conditioning: D(x, t, none) + weight * (D(x, t, estimate) - D(x, t, none)).

    Without an estimate, as in a solver's first step, and at weight 1 everywhere, it is D at the cost of one call. With
    `cfg` it commutes, both being linear in the same four predictions; it stands outside, where it is one wrapper and
    not one for either half.
    """
    if weight == 1.0:
        return denoise

    def pulled(x: Tensor, t: Time, estimate: Tensor | None) -> Tensor:
        with_estimate = denoise(x, t, estimate)
        if estimate is None:
            return with_estimate
        without_estimate = denoise(x, t, None)
        return torch.lerp(without_estimate.to(x.dtype), with_estimate.to(x.dtype), weight)

    return pulled


def check_self_guidance(setting: SamplerSetting, diffusion: DiffusionConfig) -> None:
    """Raise `UserError` where a setting guides by an estimate and the denoiser knows none."""
    if setting.self_guidance != 1.0 and not diffusion.self_conditioned:
        raise UserError("Self-guidance needs a denoiser trained with self-conditioning; leave self_guidance at 1.")


def check_guidance(setting: SamplerSetting, diffusion: DiffusionConfig, conditional: bool) -> None:
    """Raise `UserError` where a setting guides and there is nothing to guide by."""
    check_self_guidance(setting, diffusion)
    if setting.guidance != 1.0 and not conditional:
        raise UserError("Guidance is towards a source, and this task has none; leave the guided setting out.")
    if setting.guidance != 1.0 and diffusion.source_dropout == 0:
        raise UserError(
            "Guidance needs a model that was trained with some of its sources withheld; "
            "leave the guided setting out, or train with a source_dropout above 0."
        )
