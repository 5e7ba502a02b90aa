"""Distillation by matching moments: a student whose texts, noised again, look to a denoiser as real ones do.

Where the other methods (`cosmos.diffusion.distillation`) teach a student to end where its teacher's solver of the
probability-flow ODE does, so that it inherits whatever that solver gets wrong, this one (Salimans and others, 2024,
arXiv:2406.04103) asks nothing of single paths. A student of n calls is a sampler that draws noise: from a state z_t at
one of its nodes it makes an estimate x, and goes to a state of less noise, z_s, by the posterior q(z_s | z_t, x) of the
forward process (the rule "ddpm" of `cosmos.diffusion.samplers`). Its texts are right if at every s the mean of what it
put in, given what came out, is that of real texts:

    E_student[x | z_s] = E[x_0 | z_s], which is what the teacher has learnt to say of z_s.

The left side is learnt along by an auxiliary network, which begins as the teacher does and is trained, by squared
error, on the student's own pairs of x and z_s, and is held to the teacher by a second squared error of equal weight.
The student goes down the difference of both: its loss is the inner product of x with (auxiliary - teacher) at z_s, in
which x alone has a gradient. Both are trained in every step, on the same states. z_t are noised real latents, t one of
the nodes, s uniform in log-SNR between t and the next node; after the last, where the path ends.

The part of the student counts as the signal-to-noise ratio at s, up to `MOST_WEIGHT`. Equal weights would shrink what
it makes: x is a function of z_t, of which much is left in a z_s that is hardly less noisy, so there its mean of x
given z_s is x itself, and only less variance brings it nearer to the teacher's. On Gaussian data of variance 0.25, down
to a noise of 0.02, students of 1, 4 and 8 calls come to rest at 38, 68 and 83 % of the data's variance so, and at 100,
93 and 95 % with these weights.

Axis legend in `cosmos.models.blocks`; n is the number of the student's calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cosmos.diffusion.objective import diffuse, sample_times, squared_error
from cosmos.diffusion.samplers import Grid, Predict
from cosmos.diffusion.schedule import Schedule
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG

MOST_WEIGHT = 5.0
"""The signal-to-noise ratio above which a state counts no more for the student."""

Teacher = Callable[[SourceStates | None], Predict[Tensor]]
"""A frozen model's estimates, where it is given a source."""


class MatchedPair(nn.Module):
    """A student and the auxiliary network that learns what it puts in, trained as one."""

    def __init__(self, student: Denoiser, auxiliary: Denoiser) -> None:
        super().__init__()
        self.student, self.auxiliary = student, auxiliary


def posterior_state(x: Tensor, estimate: Tensor, t: Tensor, s: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """A draw z_s [B, N, C] of q(z_s | z_t = x, x_0 = estimate); t and s float64 [B], s at most t. Where they are equal
    it is x."""
    t, s = t[:, None, None], s[:, None, None]
    ratio, shrunk = (schedule.sigma(s) / schedule.sigma(t)).square(), schedule.alpha(t) / schedule.alpha(s)
    added = 1.0 - shrunk.square()  # variance of z_t given z_s
    kept, gain = shrunk * ratio, schedule.alpha(s) * added / schedule.sigma(t).square()
    deviation = (ratio * added).clamp_min(0.0).sqrt()
    return kept.to(x.dtype) * x + gain.to(x.dtype) * estimate + deviation.to(x.dtype) * noise


class MomentMatchingObjective:
    """The losses of a pair, with the arguments of `cosmos.diffusion.objective.diffusion_loss` but the configuration.

    Args:
        teacher: what the trained denoiser says, guided or not.
        knows_estimates: whether it is given its own of the same state, as in training.
        grid: the student's, of n calls; its end is without noise.
        end_noise: sigma/alpha, below that of the last call, to which s goes after it.
    """

    def __init__(
        self,
        teacher: Teacher,
        knows_estimates: bool,
        grid: Grid,
        end_noise: float,
        schedule: Schedule,
        device: torch.device,
    ) -> None:
        self.teacher, self.knows_estimates, self.schedule = teacher, knows_estimates, schedule
        noises = [grid.sigma[i] / grid.alpha[i] for i in range(grid.steps)]
        ends = [*noises[1:], min(end_noise, noises[-1])]
        rows = [grid.t[:-1], [math.log(noise) for noise in noises], [math.log(noise) for noise in ends]]
        self.nodes = torch.tensor(rows, dtype=torch.float64, device="cpu").to(device)  # [3, n]: t, and where s may lie

    def __call__(
        self, pair: MatchedPair, latents: Tensor, seeds: CounterRNG, source: SourceStates | None = None
    ) -> tuple[Tensor, Tensor]:
        """Summed over texts, and their number; latents [B, N, C] are clean, standardised. What falls is the auxiliary
        network's part; that of the student is about 0 whatever it has learnt."""
        estimate, reached, s, taught = self._drawn(pair, latents, seeds, source)
        put_in = estimate.detach()
        condition = None if source is None else pair.auxiliary.encode_condition(source)
        found = pair.auxiliary(reached, s, torch.zeros_like(reached), condition).float()
        learnt = squared_error(found, put_in) + squared_error(found, taught)
        moment = self.weights(s) * (estimate * (found.detach() - taught)).mean((1, 2))
        return (learnt + moment).sum(), learnt.new_full((), len(latents))

    def mismatch(
        self, pair: MatchedPair, latents: Tensor, seeds: CounterRNG, source: SourceStates | None = None
    ) -> tuple[Tensor, Tensor]:
        """For validation: how far auxiliary network and teacher are apart, squared and summed over texts, and their
        number. It is held halfway between student and teacher."""
        _, reached, s, taught = self._drawn(pair, latents, seeds, source)
        condition = None if source is None else pair.auxiliary.encode_condition(source)
        error = squared_error(pair.auxiliary(reached, s, torch.zeros_like(reached), condition), taught)
        return error.sum(), error.new_full((), len(latents))

    def weights(self, s: Tensor) -> Tensor:
        """Of the student's part at times [B], float32 [B]."""
        return self.schedule.log_snr(s.double()).exp().clamp_max(MOST_WEIGHT).float()

    def _drawn(
        self, pair: MatchedPair, latents: Tensor, seeds: CounterRNG, source: SourceStates | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The student's estimates with their gradient, the states z_s that follow and their times [B], without, and
        what the teacher says of these; all but the times float32 [B, N, C]."""
        n = self.nodes.shape[1]
        node = (sample_times(seeds, stratified=True) * n).long().clamp_max(n - 1)
        t, begin, end = self.nodes[:, node]
        s = self.schedule.time(-2.0 * (begin + (end - begin) * seeds.uniform()))
        x = diffuse(latents, t, seeds.normal(*latents.shape[1:], dtype=latents.dtype), self.schedule)
        noise = seeds.normal(*latents.shape[1:], dtype=latents.dtype)
        condition = None if source is None else pair.student.encode_condition(source)
        estimate: Tensor = pair.student(x, t.to(x.dtype), torch.zeros_like(x), condition).float()
        with torch.no_grad():
            reached = posterior_state(x, estimate, t, s, noise, self.schedule)
            teacher, time = self.teacher(source), s.to(x.dtype)
            taught = teacher(reached, time, None)
            if self.knows_estimates:
                taught = teacher(reached, time, taught)
        return estimate, reached, time, taught
