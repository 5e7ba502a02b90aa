"""Distillation: a student arrives in few calls where its teacher's solver of the probability-flow ODE does in many.

A path from noise to data is a grid of calls (`cosmos.diffusion.samplers.call_grid`): at nodes equally far in log-SNR
from `START_NOISE` to an end noise, where the last call's prediction is the path's end. A student of n calls has every
k-th of its teacher's nodes, and takes from each to the next, k of the teacher's calls on, one DDIM step

    x_e = (sigma_e / sigma) x + (alpha_e - alpha sigma_e / sigma) D(x, t).

What it learns, by a plain squared error, is the estimate D* under which that step ends where the teacher does. Solvers
of the ODE in log-SNR multiply x by sigma' / sigma in every step, so D* is the mean of the estimates on the way with
weights that the solver gives and that add up to one, and no small difference of large numbers is taken. Two ways to it:

    progressive     the teacher is called at all its nodes from the student's to the next; the student is the teacher of
                    the next round, with half as many calls (Salimans and Ho, 2022, arXiv:2202.00512)
    consistency     x may lie at any of the teacher's nodes; the teacher, always the first one, takes one step, and
                    where the student itself goes from there is the target, without gradient (Song et al., 2023,
                    arXiv:2303.01469; in several spans Heek et al., 2024, arXiv:2403.06807)

The step of the second is the teacher's and not the student's own: with its own, any straight way from x to one end is
consistent, and on Gaussian data the solution is alpha / (alpha + kappa sigma) for any kappa, which is not the ODE's.

A student is given no earlier estimate, so it is a map of x alone; its first teacher is, if it was trained with any: its
own at the first node of the way, then those handed on, by which it is guided where `self_guidance` is not 1. With a
source, what is distilled is the conditional model, or where `guidance` is not 1 the guided one. Of all calls that these
take, a student needs one.

Axis legend in `cosmos.models.blocks`; n is the number of spans, k that of the teacher's calls in one.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from cosmos.config import DiffusionConfig, SamplerSetting, SolverName
from cosmos.diffusion.moment_matching import MomentMatchingObjective
from cosmos.diffusion.objective import diffuse, sample_times, squared_error
from cosmos.diffusion.samplers import (
    START_NOISE,
    Grid,
    Predict,
    Rule,
    call_grid,
    ddim_rule,
    dpmpp_2m_rule,
    noises_between,
    sample_latents,
    self_conditioning_guidance,
)
from cosmos.diffusion.schedule import Schedule, make_schedule
from cosmos.models.denoiser import Condition, Denoiser, SourceStates
from cosmos.recipes import DistillationConfig, DistillationMethod
from cosmos.runtime.rng import CounterRNG

Estimate = Predict[Tensor]
"""`estimate(x, t, earlier)` -> clean latents, of x [B, N, C] at t [B] with an earlier estimate (None: zeros)."""


def path(schedule: Schedule, calls: int, end_noise: float) -> Grid:
    """The grid of a teacher."""
    return call_grid(schedule, noises_between(START_NOISE, end_noise, calls))


def every(grid: Grid, k: int) -> Grid:
    """The grid of every k-th node, the last among them."""
    assert grid.steps % k == 0
    return Grid(grid.t[::k], grid.alpha[::k], grid.sigma[::k], grid.beta[::k])


class Spans(NamedTuple):
    """The steps of a teacher's solver, which begins anew in each of n spans of k steps; each float64 [n, k]."""

    t: Tensor
    state: Tensor
    estimate: Tensor
    previous: Tensor  # of the estimate before
    rest: Tensor  # what the span's remaining steps, after this one, multiply x by
    total: Tensor  # alpha_e - alpha sigma_e / sigma: the weight of an estimate in a DDIM step from here to the end

    def at(self, part: Tensor, span: Tensor, step: Tensor | int) -> Tensor:
        """One value for each row [B, 1, 1], float32; `span` is int64 [B], `step` the same or one for all."""
        return part[span, step].float()[:, None, None]


def spans(grid: Grid, k: int, rule: Rule, device: torch.device) -> Spans:
    """The tables of a solver of the ODE in log-SNR, by its rule, on the spans of k steps of a grid."""
    rows: list[list[tuple[float, ...]]] = []
    for first in range(0, grid.steps, k):
        own = slice(first, first + k + 1)
        part = Grid(grid.t[own], grid.alpha[own], grid.sigma[own], grid.beta[own])
        rows.append([])
        for j in range(k):
            step = rule(part, j)
            assert step.noise == 0.0 and abs(step.state - part.sigma[j + 1] / part.sigma[j]) < 1e-12
            # A last step to no noise is by the prediction alone, and nothing is left for a later one to multiply.
            rest = part.sigma[k] / part.sigma[j + 1] if part.sigma[j + 1] else 1.0
            total = part.alpha[k] - part.alpha[j] * part.sigma[k] / part.sigma[j]
            rows[-1].append((part.t[j], step.state, step.estimate, step.previous, rest, total))
    table = torch.tensor(rows, dtype=torch.float64, device="cpu").to(device)  # [n, k, 6]
    return Spans(*table.unbind(-1))


def progressive_target(teacher: Estimate, x: Tensor, span: Tensor, ways: Spans, first: Tensor | None = None) -> Tensor:
    """D* [B, N, C] at the first node of spans, int64 [B], where x lies; `first` is the estimate the teacher begins
    with."""
    gathered, estimate, before = torch.zeros_like(x), first, None
    for j in range(ways.t.shape[1]):
        estimate = teacher(x, ways.t[span, j].float(), estimate)
        move = ways.at(ways.estimate, span, j) * estimate
        if before is not None:
            move = move + ways.at(ways.previous, span, j) * before
        state = ways.at(ways.state, span, j)
        x, gathered, before = state * x + move, state * gathered + move, estimate
    return gathered / ways.at(ways.total, span, 0)


def consistency_target(
    teacher: Estimate,
    student: Estimate,
    x: Tensor,
    span: Tensor,
    step: Tensor,
    ways: Spans,
    first: Tensor | None = None,
) -> Tensor:
    """D* [B, N, C] at any nodes, step int64 [B] of span int64 [B], where x lies: the teacher goes to the next node, and
    the student from there to the end of the span. Where that next node is the end, D* is the teacher's estimate."""
    estimate = teacher(x, ways.t[span, step].float(), first)
    weight = ways.at(ways.estimate, span, step)
    share = weight * ways.at(ways.rest, span, step) / ways.at(ways.total, span, step)
    after = (step + 1).clamp_max(ways.t.shape[1] - 1)  # at the end of a span the student's has no weight
    reached = ways.at(ways.state, span, step) * x + weight * estimate
    return share * estimate + (1.0 - share) * student(reached, ways.t[span, after].float(), None)


def estimates_of(
    denoiser: Denoiser,
    condition: Condition | None,
    *,
    guidance: float = 1.0,
    self_guidance: float = 1.0,
    self_conditioned: bool = False,
) -> Estimate:
    """A denoiser's estimates in float32, with guidance of both kinds where it is not 1; earlier ones are withheld from
    it unless it is self-conditioned."""

    def call(x: Tensor, t: Tensor, earlier: Tensor | None) -> Tensor:
        given = torch.zeros_like(x) if earlier is None or not self_conditioned else earlier
        estimate = denoiser(x, t, given, condition).float()
        if guidance == 1.0 or condition is None:
            return estimate
        uncond = denoiser(x, t, given, denoiser.null_condition(len(x))).float()
        return uncond + guidance * (estimate - uncond)

    return self_conditioning_guidance(call, self_guidance)


class DistillationObjective:
    """The loss of one round, with the arguments of `cosmos.diffusion.objective.diffusion_loss` but the configuration.

    Args:
        teacher: frozen, of the student's shape.
        teacher_calls, calls: of the teacher, a divisor of the first one's, and of the student, a divisor of these.
        first: whether the teacher is the model that was trained, which may be given estimates and guided, and whose
            solver may extrapolate; a student's estimates hold for its own DDIM steps alone.
    """

    def __init__(
        self,
        teacher: Denoiser,
        diffusion: DiffusionConfig,
        config: DistillationConfig,
        *,
        teacher_calls: int,
        calls: int,
        first: bool,
    ) -> None:
        self.teacher, self.config, self.schedule = teacher, config, make_schedule(diffusion.schedule)
        self.self_conditioned = first and diffusion.self_conditioned
        self.guidance, self.self_guidance = (config.guidance, config.self_guidance) if first else (1.0, 1.0)
        assert self.self_conditioned or self.self_guidance == 1.0, "no estimate to guide by"
        rule = dpmpp_2m_rule if first and config.method == "progressive" else ddim_rule
        grid = student_grid(diffusion, config, teacher_calls)
        device = next(teacher.parameters()).device
        self.ways = spans(grid, teacher_calls // calls, rule, device)

    def __call__(
        self, student: Denoiser, latents: Tensor, seeds: CounterRNG, source: SourceStates | None = None
    ) -> tuple[Tensor, Tensor]:
        """Squared error against D*, summed over texts, and their number; latents [B, N, C] are clean, standardised."""
        n, k = self.ways.t.shape
        nodes = n if self.config.method == "progressive" else n * k
        node = (sample_times(seeds, stratified=True) * nodes).long().clamp_max(nodes - 1)
        span, step = (node, torch.zeros_like(node)) if nodes == n else (node // k, node % k)
        t = self.ways.t[span, step]
        x = diffuse(latents, t, seeds.normal(*latents.shape[1:], dtype=latents.dtype), self.schedule)
        condition = None if source is None else student.encode_condition(source)
        with torch.no_grad():
            target = self._target(student, condition, x, span, step, source)
        # Older torch keeps the weights autocast has cast above, and would use them below without their gradients.
        torch.clear_autocast_cache()
        error = squared_error(student(x, t.to(x.dtype), torch.zeros_like(x), condition), target)
        return error.sum(), error.new_full((), len(latents))

    def _target(
        self,
        student: Denoiser,
        condition: Condition | None,
        x: Tensor,
        span: Tensor,
        step: Tensor,
        source: SourceStates | None,
    ) -> Tensor:
        known = None if source is None else self.teacher.encode_condition(source)
        teacher = estimates_of(
            self.teacher,
            known,
            guidance=self.guidance,
            self_guidance=self.self_guidance,
            self_conditioned=self.self_conditioned,
        )
        begin = teacher(x, self.ways.t[span, step].float(), None) if self.self_conditioned else None
        if self.config.method == "progressive":
            return progressive_target(teacher, x, span, self.ways, begin)
        return consistency_target(teacher, estimates_of(student, condition), x, span, step, self.ways, begin)


def moment_matching(
    teacher: Denoiser, diffusion: DiffusionConfig, config: DistillationConfig, calls: int
) -> MomentMatchingObjective:
    """The loss of one round by the third method, of a student of so many calls; the teacher is always the model that
    was trained, frozen."""

    def estimates(source: SourceStates | None) -> Estimate:
        return estimates_of(
            teacher,
            None if source is None else teacher.encode_condition(source),
            guidance=config.guidance,
            self_guidance=config.self_guidance,
            self_conditioned=diffusion.self_conditioned,
        )

    return MomentMatchingObjective(
        estimates,
        diffusion.self_conditioned,
        student_grid(diffusion, config, calls),
        config.end_noise,
        make_schedule(diffusion.schedule),
        next(teacher.parameters()).device,
    )


@functools.cache
def student_grid(diffusion: DiffusionConfig, config: DistillationConfig, calls: int) -> Grid:
    """The grid of a student of so many calls, or with all of them of the first teacher."""
    assert config.teacher_calls % calls == 0
    grid = path(make_schedule(diffusion.schedule), config.teacher_calls, config.end_noise)
    return every(grid, config.teacher_calls // calls)


def sample_distilled(
    student: Denoiser,
    diffusion: DiffusionConfig,
    config: DistillationConfig,
    calls: int,
    seeds: Tensor,
    source: SourceStates | None = None,
    compiled: bool = False,
    temperature: float = 1.0,
    method: DistillationMethod | None = None,
) -> Tensor:
    """Standardised latents [B, N, C] by a student of so many calls, taught by a method (None: the first); otherwise as
    `sample_latents`."""
    alone = DiffusionConfig(diffusion.schedule, self_conditioning="off")
    solver: SolverName = "ddpm" if (method or config.method) == "moments" else "ddim"
    setting, grid = SamplerSetting(solver, calls, temperature=temperature), student_grid(diffusion, config, calls)
    return sample_latents(student, alone, setting, seeds, source, compiled, grid)
