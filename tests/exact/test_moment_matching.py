"""Moment matching against truth: on Gaussian data conditional means, and where an affine student ends, are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos.config import DenoiserConfig
from cosmos.diffusion.distillation import every, path
from cosmos.diffusion.moment_matching import MOST_WEIGHT, MatchedPair, MomentMatchingObjective, posterior_state
from cosmos.diffusion.samplers import START_NOISE, Grid, ddpm_rule, grid_at, march
from cosmos.diffusion.schedule import Linear, Schedule, Tangent
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG

D, CPU = torch.float64, torch.device("cpu")
MEAN, VARIANCE = 0.3, 0.25  # of the data, in every number
SCHEDULES = TAN, _ = Tangent(5.0), Linear()


def shrinkage(schedule: Schedule, t: Tensor) -> Tensor:
    """What E[x_0 | z_t] multiplies the distance of z_t from its mean by."""
    alpha = schedule.alpha(t)
    return alpha * VARIANCE / (alpha.square() * VARIANCE + schedule.sigma(t).square())


class Exact(nn.Module):
    """E[x_0 | z_t], but for what it multiplies the shrinkage by, and what it adds; both may be learnt."""

    def __init__(self, factor: float = 1.0, shift: float = 0.0, schedule: Schedule = TAN) -> None:
        super().__init__()
        self.schedule, self.calls = schedule, list[tuple[Tensor, Tensor, Tensor | None]]()
        self.factor, self.shift = nn.Parameter(torch.tensor(factor)), nn.Parameter(torch.tensor(shift))

    def forward(self, x: Tensor, t: Tensor, estimate: Tensor | None = None, condition: Any = None) -> Tensor:
        self.calls.append((x, t, estimate))
        wide = t.double()[:, None, None]
        centred = x - self.schedule.alpha(wide).to(x.dtype) * MEAN
        return MEAN + self.shift + self.factor * shrinkage(self.schedule, wide).to(x.dtype) * centred


class Drawing(Exact):
    """A student that draws from the posterior of the data given z_t, but with a multiple of its deviation."""

    def forward(self, x: Tensor, t: Tensor, estimate: Tensor | None = None, condition: Any = None) -> Tensor:
        wide = t.double()[:, None, None]
        deviation = (VARIANCE * (1.0 - shrinkage(TAN, wide) * TAN.alpha(wide))).sqrt().float()
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
        return Exact()(x, t).detach() + self.factor * deviation * noise


def objective_of(teacher: nn.Module, calls: int, knows: bool = False) -> MomentMatchingObjective:
    grid = every(path(TAN, 32, 0.02), 32 // calls)
    return MomentMatchingObjective(lambda _: teacher, knows, grid, 0.02, TAN, CPU)


def batch(rows: int, first: int = 0) -> tuple[Tensor, CounterRNG]:
    normal = torch.randn(rows, 2, 3, generator=torch.Generator().manual_seed(first + 1))
    return MEAN + math.sqrt(VARIANCE) * normal, CounterRNG(torch.arange(first, first + rows))


def posterior(schedule: Schedule, t: Tensor, s: Tensor) -> list[Tensor]:
    """What `posterior_state` multiplies state, estimate and noise by, each [B], read off with one of them at a time."""
    inputs = torch.eye(3, dtype=D)[:, :, None, None, None].expand(3, 3, len(t), 1, 1)
    return [posterior_state(x, estimate, t, s, noise, schedule).flatten() for x, estimate, noise in inputs]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_posterior_is_that_of_the_ddpm_rule_and_of_the_process(schedule: Schedule) -> None:
    t = torch.tensor([1.0 - 1e-5, 0.95, 0.7, 0.3, 0.05], dtype=D)
    s = torch.tensor([0.5, 0.9, 0.1, 0.299, 0.001], dtype=D)
    kept, gain, deviation = found = posterior(schedule, t, s)
    rules = [ddpm_rule(grid_at(schedule, times), 0) for times in torch.stack((t, s), 1)]
    wanted = torch.tensor([(rule.state, rule.estimate, rule.noise) for rule in rules], dtype=D)
    assert torch.allclose(torch.stack(found, 1), wanted, rtol=1e-12, atol=0.0)
    # Of x_0, noised to t: its own mean and variance at s.
    assert torch.allclose(kept * schedule.alpha(t) + gain, schedule.alpha(s), rtol=1e-10)
    assert torch.allclose((kept * schedule.sigma(t)).square() + deviation.square(), schedule.sigma(s).square())
    # At the same time the state stays, as it does where rounding puts s above t: no root of a negative number.
    for same in (t, t[1:] + 1e-15):
        weights = torch.stack(posterior(schedule, t[-len(same) :], same), 1)
        assert torch.allclose(weights, torch.tensor([1.0, 0.0, 0.0], dtype=D), atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("calls", [1, 4, 16])
def test_states_lie_between_a_node_and_the_next(schedule: Schedule, calls: int) -> None:
    """The teacher has 16 calls: with as many, the last node is at the end noise, and its state stays there."""
    grid, rows = every(path(schedule, 16, 0.1), 16 // calls), 1024
    teacher, student, auxiliary = (Exact(schedule=schedule) for _ in range(3))
    objective, above = (MomentMatchingObjective(lambda _: teacher, False, grid, e, schedule, CPU) for e in (0.1, 100.0))
    times, begin, end = objective.nodes.tolist()
    assert times == list(grid.t[:-1]) and end[:-1] == begin[1:] and (begin[-1] - end[-1] < 1e-9) == (calls == 16)
    assert begin[0] == pytest.approx(math.log(START_NOISE)) and end[-1] == pytest.approx(math.log(0.1))
    assert above.nodes[:, -1].tolist() == [times[-1], begin[-1], begin[-1]]  # for an end noise above the last call's
    objective(MatchedPair(student, auxiliary), *batch(rows))
    node = torch.arange(rows) * calls // rows  # times are stratified, so each node has as many rows in turn
    assert torch.equal(student.calls[0][1], objective.nodes[0, node].float())
    noise = -0.5 * schedule.log_snr(teacher.calls[0][1].double())
    low, high = objective.nodes[2, node], objective.nodes[1, node]
    assert (noise > low - 1e-4).all() and (noise < high + 1e-4).all()
    place = ((noise - low) / (high - low))[high - low > 1e-6]  # uniform
    assert float(place.mean()) == pytest.approx(0.5, abs=0.03) and float(place.var()) == pytest.approx(1 / 12, abs=8e-3)


def test_each_network_has_the_gradient_of_its_own_part_alone() -> None:
    """By hand: w(s) mean(x (aux - teacher)) in x alone, and the squared errors in the auxiliary's estimate alone."""
    student, auxiliary, teacher = Exact(3.0, 0.2), Exact(1.5, -0.3), Exact(0.8)
    total, weight = (objective := objective_of(teacher, 2))(MatchedPair(student, auxiliary), *batch(6))
    total.backward()
    [(x, t, _)], [(reached, s, _)], [(seen, at, _)] = student.calls, auxiliary.calls, teacher.calls
    assert torch.equal(reached, seen) and torch.equal(s, at) and not reached.requires_grad
    with torch.no_grad():
        estimate, found, taught = student(x, t), auxiliary(reached, s), teacher(reached, s)
        moment = objective.weights(s)[:, None, None] * (found - taught)
        errors = (found - estimate).square() + (found - taught).square() + estimate * moment
        assert torch.allclose(total, errors.sum() / 6.0, rtol=1e-5) and float(weight) == 6  # each mean is of 6 numbers
        pulls = {student: (estimate, moment), auxiliary: (found, 2.0 * (2.0 * found - estimate - taught))}
        for network, (said, pull) in pulls.items():
            of_factor = (said - MEAN - network.shift) / network.factor  # d said / d factor
            assert torch.allclose(network.factor.grad, (pull * of_factor).sum() / 6.0, rtol=1e-4)
            assert torch.allclose(network.shift.grad, pull.sum() / 6.0, rtol=1e-4)
    assert teacher.factor.grad is None and teacher.shift.grad is None


def gradients(student: Exact, auxiliary: Exact) -> list[float]:
    """Expected ones, of factors and shifts: the student's and the auxiliary's."""
    total, weight = objective_of(Exact(), 1)(pair := MatchedPair(student, auxiliary), *batch(8192))
    (total / weight).backward()
    return [0.0 if p.grad is None else float(p.grad) for p in pair.parameters()]


def test_a_student_that_draws_as_the_data_given_its_state_is_at_rest() -> None:
    """Its pairs of x and z_s are those of real texts, so it says nothing to an auxiliary that the teacher does not.
    Else the auxiliary learns that its texts vary less or more, and the student is sent back."""
    assert gradients(Drawing(1.0), Exact()) == pytest.approx([0.0] * 4, abs=0.006)
    narrow, wide = gradients(Drawing(0.6), Exact()), gradients(Drawing(1.5), Exact())
    assert narrow[2] > 0.015 and wide[2] < -0.015 and narrow[0] == wide[0] == 0.0  # the auxiliary is the first to learn
    assert gradients(Drawing(0.6), Exact(0.9))[0] < -0.005 and gradients(Drawing(1.5), Exact(1.1))[0] > 0.005
    _, begin, end = objective_of(Exact(), 1).nodes[:, 0].tolist()
    counted = (
        TAN.log_snr(TAN.time(-2.0 * torch.linspace(begin, end, 10001, dtype=D))).exp().clamp_max(MOST_WEIGHT).mean()
    )
    for wrong in (0.2, -0.2):  # a mean, of which the auxiliary has begun to learn
        found = gradients(Exact(shift=wrong), Exact(shift=wrong / 4))[1]
        assert found == pytest.approx(float(counted) * wrong / 4, rel=0.01)


class Affine(nn.Module):
    """Affine in x, with gains and shifts at nodes equally far in log-noise, or at one, and straight lines between."""

    def __init__(self, nodes: Tensor) -> None:
        super().__init__()
        t = TAN.time(-2.0 * nodes)
        gains = shrinkage(TAN, t)
        self.nodes, self.step = nodes, float(nodes[1] - nodes[0]) if len(nodes) > 1 else math.inf
        self.weights = nn.Parameter(torch.stack((gains, MEAN * (1.0 - gains * TAN.alpha(t)))).float())  # [2, K]

    def forward(self, x: Tensor, t: Tensor, estimate: Tensor | None = None, condition: None = None) -> Tensor:
        place = ((-0.5 * TAN.log_snr(t.double()) - self.nodes[0]) / self.step).clamp(0.0, len(self.nodes) - 1.0)
        hats = (1.0 - (place - torch.arange(len(self.nodes))[:, None]).abs()).clamp_min(0.0).float()  # [K, B]
        gain, shift = (self.weights @ hats)[:, :, None, None]
        return gain * x + shift


def settled(begin: float, end: float, weighted: bool = True) -> float:
    """The gain at which a call that is affine in x, at log-noise `begin`, no longer moves. As x says z_t, and z_s lies
    between both, E[x | z_s] is the data's for no gain: the mean of what is wrong, over s, is what vanishes."""
    s = TAN.time(-2.0 * torch.linspace(begin, end, 5001, dtype=D))
    kept, gain, deviation = posterior(TAN, s[:1].expand_as(s), s)
    variance = TAN.alpha(s[0]).square() * VARIANCE + TAN.sigma(s[0]).square()
    counted = TAN.log_snr(s).exp().clamp_max(MOST_WEIGHT) if weighted else torch.ones_like(s)
    low, high = 0.0, 1.0
    for _ in range(40):
        b = (low + high) / 2
        common = (kept + gain * b) * variance  # of z_t and z_s, [S]
        found = b * common / (common.square() / variance + deviation.square())
        falls = float((counted * common * (found - shrinkage(TAN, s))).mean()) < 0
        low, high = (b, high) if falls else (low, b)
    return low


@pytest.mark.parametrize(("calls", "equal", "weighted"), [(1, 0.38, 1.0), (4, 0.68, 0.93), (8, 0.83, 0.95)])
def test_students_at_rest_make_nearly_all_of_the_variance_where_states_of_little_noise_count_more(
    calls: int, equal: float, weighted: float
) -> None:
    grid, nodes = every(path(TAN, 32, 0.02), 32 // calls), objective_of(Exact(), calls).nodes.T.tolist()
    for counts, share in ((False, equal), (True, weighted)):
        variance = 1.0
        for number, (_, begin, end) in enumerate(nodes):
            step = ddpm_rule(grid, number)
            variance *= (step.state + step.estimate * settled(begin, end, counts)) ** 2
            variance += step.noise**2
        assert variance / VARIANCE == pytest.approx(share, abs=0.005)


@torch.no_grad()
def sampled(student: Affine, grid: Grid) -> tuple[float, float]:
    """Mean and variance of what a student makes."""
    noise, streams = batch(4096)[0].sub(MEAN).div(math.sqrt(VARIANCE)), CounterRNG(torch.arange(4096))
    made = march(lambda x, t, _: student(x, torch.full((1,), t)), noise, grid, ddpm_rule, streams).state
    return float(made.mean()), float(made.var())


@pytest.mark.parametrize(("calls", "share", "steps"), [(1, 1.0, 800), (4, 0.93, 600)])
def test_a_trained_student_settles_where_it_should(calls: int, share: float, steps: int) -> None:
    """Its mean is the data's, and its variance that share, nearly all: far more than an undistilled sampler's of as
    many calls, but less than the data's, for where s is near t, z_s says more of x than a real state of its text."""
    grid, knots = every(path(TAN, 32, 0.02), 32 // calls), torch.linspace(-4, 4.2, 160, dtype=D)
    objective = objective_of(Affine(knots), calls)
    pair = MatchedPair(student := Affine(objective.nodes[1].flip(0)), Affine(knots))
    undistilled = sampled(student, grid)
    optimiser = torch.optim.Adam(pair.parameters(), betas=(0.5, 0.95))
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.03 * 0.02 ** (step / steps)
        total, weight = objective(pair, *batch(256, 256 * step))
        (total / weight).backward()
        optimiser.step()
        optimiser.zero_grad()
    trained = sampled(student, grid)
    gains = [settled(begin, end) for _, begin, end in objective.nodes.T.flip(0).tolist()]
    # From pure noise either sign will do, and the first gain begins near 0.
    assert student.weights[0].abs().tolist() == pytest.approx(gains, rel=0.08, abs=0.004)
    assert trained == (pytest.approx(MEAN, rel=0.1), pytest.approx(share * VARIANCE, rel=0.1))
    assert trained[1] > 3 * undistilled[1]


@pytest.mark.parametrize("knows", [False, True])
def test_a_teacher_that_knows_estimates_is_given_its_first_one(knows: bool) -> None:
    teacher, student, auxiliary = Exact(0.5), Exact(), Exact(0.7)
    teacher.forward = lambda x, t, earlier: Exact.forward(teacher, x, t, earlier) + (0.0 if earlier is None else 1.0)
    objective, pair = objective_of(teacher, 2, knows), MatchedPair(student, auxiliary)
    error, weight = (value.detach() for value in objective.mismatch(pair, *batch(4)))
    [(reached, s, _)] = auxiliary.calls
    first = Exact(0.5)(reached, s)
    assert all(torch.equal(x, reached) and torch.equal(t, s) for x, t, _ in teacher.calls)
    assert teacher.calls[0][2] is None and [torch.equal(e, first) for _, _, e in teacher.calls[1:]] == [True] * knows
    assert not any(given.any() for _, _, given in (*student.calls, *auxiliary.calls))
    apart = float((Exact(0.7)(reached, s) - first - float(knows)).detach().square().sum() / 6.0)
    assert (float(error), float(weight)) == (pytest.approx(apart, rel=1e-5), 4)
    again, other = (objective.mismatch(pair, batch(4)[0], batch(4, k)[1])[0] for k in (0, 9))
    assert torch.equal(error, again) and not torch.equal(error, other)


def test_all_three_networks_are_given_the_source() -> None:
    sizes = DenoiserConfig(latents=2, latent_width=3, width=8, layers=2, heads=2, source_width=5, source_layers=1)
    networks, given = [Denoiser(sizes).eval() for _ in range(2)], dict[Any, list[Any]]()
    for network in networks:
        network.register_forward_hook(lambda module, args, _: given.setdefault(module, []).append(args[3]))
    source, teacher = SourceStates(torch.randn(4, 6, 5), torch.ones(4, 6, dtype=torch.bool)), Exact()
    objective = objective_of(teacher, 2)
    objective.teacher = lambda known: given.setdefault(teacher, []).append(known) or teacher
    for call in (objective, objective.mismatch):
        call(MatchedPair(*networks), *batch(4), source)
    assert [known is source for known in given[teacher]] == [True, True]
    for network in networks:
        own = network.encode_condition(source).keys_values[0][0]
        assert [torch.equal(condition.keys_values[0][0], own) for condition in given[network]] == [True, True]


def test_parts_of_a_batch_have_the_numbers_of_the_whole() -> None:
    (latents, seeds), found = batch(6), []
    for parts in (((0, 6),), ((0, 2), (2, 5), (5, 6))):
        pair, objective = MatchedPair(Exact(3.0, 0.2), Exact(1.5, -0.3)), objective_of(Exact(), 2)
        totals = torch.zeros(4)
        for start, stop in parts:
            own = latents[start:stop], seeds.part(start, stop)
            values = [*objective(pair, *own), *objective.mismatch(pair, own[0], seeds.part(start, stop))]
            values[0].backward()
            totals += torch.stack(values).detach()
        found.append(torch.cat((totals, torch.stack([p.grad for p in pair.parameters()]))))
    assert torch.allclose(*found, rtol=1e-5) and (found[0].abs() > 1e-3).all()
