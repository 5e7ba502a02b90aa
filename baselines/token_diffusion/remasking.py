"""Masked diffusion that takes opened tokens back: ReMDM (Wang et al., "Remasking Discrete Diffusion Models with
Inference-Time Scaling", 2025, arXiv:2503.00307). Training is untouched.

From time t to an earlier s an open token is masked again with probability sigma, and a masked one opens with
probability (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t). The paper's four rules choose sigma. Where it is one number
for all positions ("cap", "rescale", "loop"), the share of open tokens is alpha_s whatever it is, up to
`most_remasking`. Under "conf" it is not: open tokens share the largest sigma, so that of each text that number of
tokens is masked again on average, and masked ones, which have none, open as in ancestral sampling and do not make up
for it. The share of open tokens is alpha_s after the first step and at the end, and below it between.

Departures: draws have two stages (see `baselines.token_diffusion.masked_samplers`); under "loop" a step that crosses
the edge of a phase uses the share of open tokens at either end, where the authors' code extends the phase it begins in;
the last step ends at t = 0 and draws, where theirs takes an argmax; a nucleus is that of all systems here, which keeps
the token that crosses its mass (`baselines.common.sampling.nucleus`), where theirs drops it, so that their 0.9 is a
little sharper than 0.9 here.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from baselines.common.sampling import uniforms_of
from baselines.common.static_shapes import chosen, put, room_for
from baselines.token_diffusion.masked import TokenSchedule, time_steps
from baselines.token_diffusion.masked_samplers import Read, draw_clean
from baselines.token_diffusion.reading import LogitReading
from cosmos.runtime.capture import HOST
from cosmos.runtime.rng import CounterRNG

Rule = Literal["cap", "rescale", "conf", "loop"]


@dataclass(frozen=True)
class Loop:
    """The schedule of rule "loop": open the share `held` by time `on`, stay there until `off`, then open the rest."""

    on: float = 0.55
    off: float = 0.05
    held: float = 0.9

    def alpha(self, t: Tensor) -> Tensor:
        rising, last = (1.0 - t) * (self.held / (1.0 - self.on)), 1.0 - t * ((1.0 - self.held) / self.off)
        return torch.where(t > self.on, rising, torch.where(t > self.off, torch.full_like(t, self.held), last))

    def derivative(self, t: Tensor) -> Tensor:
        first, last = -self.held / (1.0 - self.on), -(1.0 - self.held) / self.off
        slope = torch.where(t > self.off, torch.zeros_like(t), torch.full_like(t, last))
        return torch.where(t > self.on, torch.full_like(t, first), slope)

    def holds(self, t: Tensor) -> Tensor:
        """Whether a step that begins at t masks again."""
        return (t <= self.on) & (t > self.off)


def most_remasking(alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
    """The largest sigma for which the step is a distribution: min(1, (1 - alpha_s) / alpha_t)."""
    return ((1.0 - alpha_s) / alpha_t.clamp_min(1e-300)).clamp_max(1.0)


def opening_share(alpha_t: Tensor, alpha_s: Tensor, sigma: Tensor) -> Tensor:
    """The probability that a masked position opens where open ones are masked again with probability sigma."""
    return (alpha_s - (1.0 - sigma) * alpha_t) / (1.0 - alpha_t)


def sigma_of(rule: Rule, schedule: TokenSchedule, t: Tensor, s: Tensor, eta: float) -> Tensor:
    """The sigma of a step from t to s, float64 like them; under "conf" what open tokens share."""
    most = most_remasking(schedule.alpha(t), schedule.alpha(s))
    if rule == "conf":
        return most
    sigma = eta * most if rule == "rescale" else most.clamp_max(eta)
    if rule == "loop":
        assert isinstance(schedule, Loop)
        sigma = torch.where(schedule.holds(t), sigma, 0.0)
    return sigma


def most_opening(rule: Rule, schedule: TokenSchedule, steps: int, eta: float) -> float:
    """The largest share of all positions that opens in a step on average; 1 under "conf", where it is not known."""
    if rule == "conf":
        return 1.0
    return max(
        float(schedule.alpha(s) - (1.0 - sigma_of(rule, schedule, t, s, eta)) * schedule.alpha(t))
        for t, s in time_steps(steps, HOST)
    )


def remask(
    read: Read,
    sequence: Tensor,
    *,
    steps: int,
    schedule: TokenSchedule,
    mask_id: int,
    seeds: CounterRNG,
    rule: Rule,
    eta: float = 1.0,
    top_p: float = 1.0,
    everywhere: bool = False,
) -> Tensor:
    """The reverse process in `steps` equal steps of t from 1 to 0, with remasking.

    Args:
        sequence: int64 [B, L], masked where a text is wanted; what is open is given and never masked.
        schedule: for rule "loop" a `Loop`.
        rule: "cap": sigma = min(eta, most); "rescale": eta * most; "conf": most, shared among open tokens by the
            softmax of minus the probability that each had when it was drawn (eta is not used); "loop": min(eta, most)
            while `Loop` holds.
        everywhere: as in `baselines.token_diffusion.masked_samplers.ancestral`.
    """
    positions, how = sequence.numel(), {"mask_id": mask_id, "top_p": top_p}
    average = positions * most_opening(rule, schedule, steps, eta)
    room, needed = positions if everywhere else room_for(average, sequence), list[Tensor]()
    prompted, drawn_ahead = sequence != mask_id, uniforms_of(seeds, 2 * steps, sequence.shape[1])
    certainty = torch.zeros(sequence.shape, dtype=torch.float64, device=sequence.device)
    for t, s in time_steps(steps, sequence.device):
        masked = sequence == mask_id
        alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
        sigma, own = sigma_of(rule, schedule, t, s, eta), ~masked & ~prompted
        if rule == "conf":
            shares = (-certainty).masked_fill(~own, -torch.inf).softmax(1)  # [B, L], nan in a row without such a token
            sigma = sigma * torch.where(own, shares, 0.0)
        uniform = next(drawn_ahead)
        moves = next(drawn_ahead) < torch.where(masked, opening_share(alpha_t, alpha_s, sigma), sigma)
        opens = masked & moves
        needed.append(opens.sum())
        index, counts = chosen(opens, room)
        tokens, drawn = read(sequence, LogitReading(draw_clean, (uniform,), how, index, seeds.compiled))
        certainty = put(certainty, index, counts, drawn.double())
        sequence = put(sequence, index, counts, tokens).masked_fill(own & moves, mask_id)
    # What found no room could have opened later, at another step.
    return sequence.masked_fill((torch.stack(needed) > room).any(), mask_id)
