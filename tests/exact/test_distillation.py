"""Distillation against truth: on Gaussian data denoiser and flow are affine and known, so every target is."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos.config import DenoiserConfig, DiffusionConfig, ScheduleConfig
from cosmos.diffusion.distillation import (
    DistillationObjective,
    consistency_target,
    estimates_of,
    every,
    path,
    progressive_target,
    sample_distilled,
    spans,
    student_grid,
)
from cosmos.diffusion.samplers import Grid, Rule, ddim_rule, dpmpp_2m_rule, march
from cosmos.diffusion.schedule import Linear, Schedule, Tangent
from cosmos.io.errors import UserError
from cosmos.models.blocks import TimeInputs
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.recipes import DistillationConfig
from cosmos.runtime.rng import CounterRNG

D = torch.float64
MEAN, VARIANCE = 0.3, 0.25  # of the data, in every number
SCHEDULES = [Tangent(5.0), Linear()]
CPU = torch.device("cpu")


def spread(grid: Grid, i: int) -> float:
    return math.sqrt(grid.alpha[i] ** 2 * VARIANCE + grid.sigma[i] ** 2)


def flow(grid: Grid, x: Tensor, i: int, e: int) -> Tensor:
    """Where the probability-flow ODE goes from x at node i: it keeps x's place among the quantiles."""
    return grid.alpha[e] * MEAN + spread(grid, e) / spread(grid, i) * (x - grid.alpha[i] * MEAN)


def denoised(grid: Grid, x: Tensor, i: int) -> Tensor:
    """E[x_0 | x] at node i."""
    gain = grid.alpha[i] * VARIANCE / spread(grid, i) ** 2
    return MEAN + gain * (x - grid.alpha[i] * MEAN)


def landing(grid: Grid, x: Tensor, i: int, e: int) -> Tensor:
    """The estimate under which one DDIM step from x at node i ends where the flow does at node e."""
    ratio = grid.sigma[e] / grid.sigma[i]
    return (flow(grid, x, i, e) - ratio * x) / (grid.alpha[e] - grid.alpha[i] * ratio)


def by_node(grid: Grid, function: Any) -> Any:
    """An estimate that knows the nodes by their times, whichever each row is at."""

    def estimate(x: Tensor, t: Tensor, earlier: Tensor | None) -> Tensor:
        nodes = (t.double()[:, None] - torch.tensor(grid.t, dtype=D)).abs().argmin(1).tolist()
        return torch.stack([function(x[row], node) for row, node in enumerate(nodes)])

    return estimate


def starts(rows: int) -> Tensor:
    return torch.randn(rows, 2, 3, generator=torch.Generator().manual_seed(0), dtype=D)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(("calls", "k"), [(8, 2), (4, 4), (2, 2), (1, 4)])
def test_the_progressive_target_is_the_flows_where_the_teacher_is(schedule: Schedule, calls: int, k: int) -> None:
    """Teachers that land where the flow does, one node on: together they do so at the span's end, exactly."""
    grid = path(schedule, calls * k, 0.1)
    ways = spans(grid, k, ddim_rule, CPU)
    x, span = starts(calls), torch.arange(calls)
    exact = by_node(grid, lambda row, i: landing(grid, row, i, i + 1))
    found = progressive_target(exact, x, span, ways)
    wanted = torch.stack([landing(grid, x[s], s * k, (s + 1) * k) for s in range(calls)])
    assert torch.allclose(found, wanted, atol=1e-5)
    if calls * k > 2:  # and is not, where the teacher is asked one node too late
        late = by_node(grid, lambda row, i: landing(grid, row, min(i + 1, calls * k - 1), min(i + 2, calls * k)))
        assert (progressive_target(late, x, span, ways) - wanted).abs().max() > 1e-2


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(("calls", "k"), [(8, 2), (4, 4), (2, 8), (1, 16), (4, 1)])
def test_the_consistency_target_is_the_flows_where_teacher_and_student_are(
    schedule: Schedule, calls: int, k: int
) -> None:
    grid = path(schedule, calls * k, 0.1)
    ways = spans(grid, k, ddim_rule, CPU)
    nodes = torch.arange(calls * k)
    x = starts(calls * k)
    ends = [(i // k + 1) * k for i in range(calls * k)]
    teacher = by_node(grid, lambda row, i: landing(grid, row, i, i + 1))
    student = by_node(grid, lambda row, i: landing(grid, row, i, ends[i]))
    found = consistency_target(teacher, student, x, nodes // k, nodes % k, ways)
    wanted = torch.stack([landing(grid, x[i], i, ends[i]) for i in range(calls * k)])
    assert torch.allclose(found, wanted, atol=1e-5)
    if k > 1:  # a student that is told the node before the one that it is at
        early = by_node(grid, lambda row, i: landing(grid, row, i - 1, ends[i - 1]))
        assert (consistency_target(teacher, early, x, nodes // k, nodes % k, ways) - wanted).abs().max() > 1e-2


@pytest.mark.parametrize("rule", [ddim_rule, dpmpp_2m_rule])
def test_one_step_by_the_target_ends_where_the_teachers_solver_does(rule: Rule) -> None:
    """By a network that is no flow's at all: the mean of estimates is no approximation."""
    grid, k = path(Tangent(5.0), 12, 0.2), 4
    ways, x = spans(grid, k, rule, CPU), starts(3)

    def network(x: Tensor, t: Any, earlier: Tensor | None) -> Tensor:
        return torch.sin(3 * x + 2 * torch.as_tensor(t).reshape(-1, 1, 1)) + (0.0 if earlier is None else 0.3 * earlier)

    target = progressive_target(network, x, torch.arange(3), ways)
    for s in range(3):
        own = slice(s * k, s * k + k + 1)
        part = Grid(grid.t[own], grid.alpha[own], grid.sigma[own], grid.beta[own])
        reached = march(network, x[s : s + 1], part, rule).state
        step = ddim_rule(every(part, k), 0)
        assert torch.allclose(step.state * x[s] + step.estimate * target[s], reached[0], atol=2e-6)


@pytest.mark.parametrize(("rule", "order"), [(ddim_rule, 1), (dpmpp_2m_rule, 2)])
def test_the_more_calls_the_nearer_the_flow(rule: Rule, order: int) -> None:
    errors = []
    for k in (16, 32, 64):
        grid = path(Tangent(5.0), 2 * k, 0.01)
        exact = by_node(grid, lambda row, i, grid=grid: denoised(grid, row, i))
        found = progressive_target(exact, starts(1), torch.tensor([0]), spans(grid, k, rule, CPU))
        errors.append(float((found - landing(grid, starts(1), 0, k)).abs().max()))
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes[-1] == pytest.approx(order, abs=0.25)


class Affine(nn.Module):
    """A denoiser that is affine in x, with a gain and a shift of its own at every node."""

    def __init__(self, grid: Grid, gains: list[float], shifts: list[float]) -> None:
        super().__init__()
        self.register_buffer("times", torch.tensor(grid.t[:-1], dtype=D))
        self.gains, self.shifts = (nn.Parameter(torch.tensor(values)) for values in (gains, shifts))
        self.given: list[bool] = []

    def forward(self, x: Tensor, t: Tensor, estimate: Tensor, condition: None = None) -> Tensor:
        self.given.append(bool(estimate.any()))
        node = (t.double()[:, None] - self.times).abs().argmin(1)
        return self.gains[node, None, None] * x + self.shifts[node, None, None]


def exact_denoiser(grid: Grid) -> Affine:
    gains = [grid.alpha[i] * VARIANCE / spread(grid, i) ** 2 for i in range(grid.steps)]
    shifts = [MEAN * (1 - gain * grid.alpha[i]) for i, gain in enumerate(gains)]
    return Affine(grid, gains, shifts).requires_grad_(False)


DIFFUSION = DiffusionConfig(ScheduleConfig(), self_conditioning="off")


ROWS = 64
LATENTS = MEAN + math.sqrt(VARIANCE) * torch.randn(ROWS, 2, 3, generator=torch.Generator().manual_seed(1))


def learn(student: Affine, objective: DistillationObjective, steps: int) -> None:
    """On the same batch in every step: targets are affine in x, so no other batch says more."""
    optimiser = torch.optim.Adam(student.parameters(), lr=0.1, betas=(0.8, 0.95))
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.1 * 0.001 ** (step / steps)
        total, weight = objective(student, LATENTS, CounterRNG(torch.arange(ROWS)))
        (total / weight).backward()
        optimiser.step()
        optimiser.zero_grad()


@pytest.mark.parametrize(("method", "teacher_calls", "steps"), [("progressive", 32, 100), ("consistency", 8, 150)])
def test_a_trained_one_step_student_is_the_flow(method: Any, teacher_calls: int, steps: int) -> None:
    config = DistillationConfig(0.5, method, (2, 1), teacher_calls, 0.02)
    grid = path(Tangent(5.0), teacher_calls, 0.02)
    teacher = exact_denoiser(grid)
    student = Affine(grid, teacher.gains.tolist(), teacher.shifts.tolist())
    before, first = teacher_calls, True
    known: nn.Module = teacher
    for calls in config.calls:
        objective = DistillationObjective(known, DIFFUSION, config, teacher_calls=before, calls=calls, first=first)
        learn(student, objective, steps)
        if method == "progressive":
            known, before, first = Affine(grid, student.gains.tolist(), student.shifts.tolist()), calls, False
    x = torch.linspace(-2, 2, 6).reshape(6, 1, 1)
    with torch.no_grad():
        found = student(x, torch.full((6,), grid.t[0]), torch.zeros_like(x))
    wanted = flow(grid, x, 0, teacher_calls)
    apart = float((denoised(grid, x, 0) - wanted).abs().max())  # what an undistilled call makes of noise: the mean
    assert apart > 0.9
    if method == "consistency":  # to where its teacher's solver goes, in steps that are long yet
        exact = by_node(grid, lambda row, i: denoised(grid, row, i))
        reached = march(lambda x, t, _: exact(x, torch.full((6,), t), None), x, grid, ddim_rule).state
        assert (reached - wanted).abs().max() < 0.4 * apart
        assert torch.allclose(found, reached.float(), atol=2e-3)
    else:
        assert (found - wanted).abs().max() < 0.03 * apart


def test_students_have_the_nodes_that_they_were_taught() -> None:
    config = DistillationConfig(0.5, calls=(8, 4, 2, 1), teacher_calls=32, end_noise=0.2)
    whole = path(Tangent(5.0), 32, 0.2)
    assert whole.steps == 32 and whole.sigma[-1] == 0.0 and whole.alpha[-1] == 1.0
    assert whole.sigma[31] / whole.alpha[31] == pytest.approx(0.2)
    for calls in config.calls:
        grid = student_grid(DIFFUSION, config, calls)
        assert grid.t == whole.t[:: 32 // calls] and grid.steps == calls


class Flow(nn.Module):
    """Lands where the flow does from every node of a grid at the next."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid, self.unused = grid, nn.Parameter(torch.zeros(()))
        self.config = type("Sizes", (), {"latents": 2, "latent_width": 3})
        self.given: list[bool] = []

    def time_inputs(self, t: Tensor) -> TimeInputs:
        return TimeInputs((t,))

    def forward(self, x: Tensor, t: TimeInputs, estimate: Tensor, condition: None) -> Tensor:
        self.given.append(estimate is not None and bool(estimate.any()))
        [node] = {min(range(self.grid.steps), key=lambda i: abs(self.grid.t[i] - float(time))) for time in t.parts[0]}
        return landing(self.grid, x, node, node + 1).float()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("calls", [8, 4, 2, 1])
def test_sampling_makes_as_many_calls_and_ends_where_the_flow_does(calls: int, temperature: float) -> None:
    config = DistillationConfig(0.5, teacher_calls=32)
    grid = student_grid(DiffusionConfig(), config, calls)
    student = Flow(grid)
    found = sample_distilled(student, DiffusionConfig(), config, calls, torch.arange(5), temperature=temperature)
    noise = temperature * CounterRNG(torch.arange(5)).normal(2, 3)
    assert torch.allclose(found, flow(grid, noise, 0, calls), atol=1e-4)
    assert student.given == [False] * calls


def test_a_first_teacher_is_given_its_estimates_and_students_are_not() -> None:
    grid = path(Tangent(5.0), 8, 0.39)
    config = DistillationConfig(0.5, calls=(4, 2), teacher_calls=8)
    for first, wanted in ((True, [False, True, True]), (False, [False, True])):
        teacher, student = exact_denoiser(grid), exact_denoiser(grid).requires_grad_(True)
        objective = DistillationObjective(teacher, DiffusionConfig(), config, teacher_calls=8, calls=4, first=first)
        objective(student, torch.zeros(4, 2, 3), CounterRNG(torch.arange(4)))
        assert teacher.given == (wanted if first else [False, False])
        assert student.given == [False]


class Pulled(Affine):
    """An exact denoiser but for what it adds of an earlier estimate."""

    def __init__(self, grid: Grid, pull: float) -> None:
        exact = exact_denoiser(grid)
        super().__init__(grid, exact.gains.tolist(), exact.shifts.tolist())
        self.pull = pull
        self.requires_grad_(False)

    def forward(self, x: Tensor, t: Tensor, estimate: Tensor, condition: None = None) -> Tensor:
        return super().forward(x, t, estimate) + self.pull * estimate


@pytest.mark.parametrize(("method", "k"), [("progressive", 2), ("consistency", 1)])
def test_a_self_guided_teacher_is_the_one_that_hears_its_estimates_as_many_times_louder(method: Any, k: int) -> None:
    """Affine in them, D without one + weight * (D with it - D without) is D with that many times the estimate's part;
    at weight 0 it is the teacher that is never given one, and a student's calls are guided by nothing."""
    grid = path(Tangent(5.0), 8, 0.39)

    def target(pull: float, weight: float, diffusion: DiffusionConfig, first: bool = True) -> tuple[Tensor, list[bool]]:
        config = DistillationConfig(0.5, method, (4, 2), 8, self_guidance=weight)
        teacher, student = Pulled(grid, pull), exact_denoiser(grid)
        objective = DistillationObjective(teacher, diffusion, config, teacher_calls=8, calls=4, first=first)
        node = torch.arange(4)
        x = starts(4).float()
        return objective._target(student, None, x, node, torch.zeros_like(node), None), teacher.given

    given, withheld = DiffusionConfig(), DiffusionConfig(self_conditioning="off")
    plain, calls = target(0.2, 1.0, given)
    assert calls == [False, *[True] * k]
    guided, calls = target(0.2, 2.5, given)
    assert calls == [False, *[True, False] * k]
    assert torch.allclose(guided, target(0.5, 1.0, given)[0], atol=1e-6)
    assert torch.allclose(target(0.2, 0.0, given)[0], target(0.2, 1.0, withheld)[0], atol=1e-6)
    assert (guided - plain).abs().max() > 0.05
    of_student, calls = target(0.2, 2.5, given, first=False)
    assert calls == [False] * k
    assert torch.equal(of_student, target(0.2, 1.0, given, first=False)[0])
    with pytest.raises(AssertionError, match="no estimate to guide by"):
        target(0.2, 2.5, withheld)


@torch.no_grad()
def test_a_teacher_may_be_guided_by_its_source_and_its_estimates_at_once() -> None:
    torch.manual_seed(0)
    sizes = DenoiserConfig(latents=2, latent_width=3, width=8, layers=2, heads=2, source_width=5, source_layers=1)
    denoiser = Denoiser(sizes).eval()
    torch.nn.init.normal_(denoiser.null_source)
    x, estimate, t = *torch.randn(2, 4, 2, 3), torch.full((4,), 0.5)
    condition = denoiser.encode_condition(SourceStates(torch.randn(4, 6, 5), torch.ones(4, 6, dtype=torch.bool)))
    none = denoiser.null_condition(4)
    (a, b), (c, d) = (
        [denoiser(x, t, e, known) for e in (torch.zeros_like(x), estimate)] for known in (none, condition)
    )
    teacher = estimates_of(denoiser, condition, guidance=2.0, self_guidance=3.0, self_conditioned=True)
    without, given = a + 2.0 * (c - a), b + 2.0 * (d - b)
    assert torch.allclose(teacher(x, t, None), without, atol=1e-5)
    assert torch.allclose(teacher(x, t, estimate), without + 3.0 * (given - without), atol=1e-5)
    assert not torch.allclose(teacher(x, t, estimate), given, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"share": 1.0}, "must lie in"),
        ({"calls": (8, 3)}, "each divide"),
        ({"calls": (4, 8)}, "each divide"),
        ({"calls": ()}, "each divide"),
        ({"teacher_calls": 12}, "each divide"),
        ({"teacher_calls": 4096}, "teacher_calls must lie"),
        ({"method": "progresive"}, "did you mean progressive"),
        ({"end_noise": 0.0}, "end_noise must lie"),
        ({"guidance": math.inf}, "guidance must lie"),
        ({"self_guidance": math.inf}, "self_guidance must lie"),
    ],
)
def test_a_distillation_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        DistillationConfig(**{"share": 0.1, **changes})
