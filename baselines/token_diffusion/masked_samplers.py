"""Samplers of masked diffusion, one plain function each; those that mask again are in
`baselines.token_diffusion.remasking`.

All take a network call, `read`, and a sequence int64 [B, L] that is open where a text is given and masked elsewhere,
and return it with no mask left. The network has no time input and opened tokens stay, so a sampler is no more than an
order of opening: which of its calls opens which position. Where that order does not depend on the predictions it is
drawn before the first call, and the number of calls is known without a look at the data.

A call then reads those positions alone that it opens. How many they are an accelerator would have to be waited for, and
a recording has one number of them; so there as many are read as a call of nearly any batch opens, of 512 texts and 16
steps a fourteenth of all. What finds no room stays masked: whoever sees a mask in the result has the batch made again
with `everywhere`, where all positions are read at every call and texts are the same.

Axis legend: B rows (texts), L positions, M positions that are read, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from baselines.common.sampling import categorical, nucleus
from baselines.common.static_shapes import chosen, in_turn, put, room_for
from baselines.token_diffusion.masked import TokenSchedule, forbid_mask, surest_clean
from baselines.token_diffusion.reading import LogitReading
from cosmos.runtime.capture import HOST
from cosmos.runtime.rng import CounterRNG

Read = Callable[[Tensor, LogitReading], tuple[Tensor, ...]]
"""Sequence int64 [B, L] -> what the reading makes of the network's logits."""

LOOK_EVERY, LOOK_EVERY_ON_CPU = 8, 1  # calls between looks at whether all is open; an accelerator must be waited for


def ancestral(
    read: Read,
    sequence: Tensor,
    *,
    steps: int,
    schedule: TokenSchedule,
    mask_id: int,
    seeds: CounterRNG,
    top_p: float = 1.0,
    cached: bool = False,
    everywhere: bool = False,
) -> Tensor:
    """The reverse process in `steps` equal steps of t from 1 to 0 (Sahoo et al., 2024, equation 7).

    Each position draws in two stages: in which step it opens, then its token. That is the same distribution as a draw
    over tokens and the mask together at every step, without the loss of rare tokens that single-precision Gumbel
    noise brings (Zheng et al., 2024). The last step ends at t = 0 and draws whatever is left.

    Args:
        top_p: draw tokens from the nucleus of this mass; 1 keeps the model's distribution.
        cached: call the network only where the sequence has changed (Sahoo et al.), with the same texts. Each row skips
            the steps in which none of its own positions opens, so a batch takes min(steps, L) calls as a text does.
        everywhere: read all positions at every call, for a batch of which a mask was left.
    """
    rows, length = sequence.shape
    at_once = length * float(
        shares_masked(steps, schedule, HOST).diff().max()
    )  # of a row, that open in a step on average
    turn = opening_steps(seeds.uniform(length), steps, schedule)
    calls = steps
    if cached:
        turn, calls = dense_rank(turn.masked_fill(sequence != mask_id, steps)), min(steps, length)
        at_once /= -math.expm1(-at_once)  # where at least one does, by Poisson's law
    most = sequence.numel() if everywhere else room_for(rows * at_once, sequence)
    return open_in_turn(read, sequence, turn, calls, most, mask_id, seeds, top_p)


def first_hitting(
    read: Read, sequence: Tensor, *, steps: int, mask_id: int, seeds: CounterRNG, top_p: float = 1.0
) -> Tensor:
    """Open positions in the order in which the reverse process would, an even share per call (Zheng et al., 2024).

    Opening times of masked positions are independent and alike, so their order is a uniformly random one, and the times
    themselves reach neither network nor text. One position per call is the continuous-time process without error; more
    than one is the paper's parallel variant. It takes min(steps, L) calls, and each has room for all that it opens.
    """
    rows, length = sequence.shape
    calls = min(steps, length)
    times = seeds.uniform(length).masked_fill(sequence != mask_id, torch.inf)
    rank = times.argsort(1).argsort(1)  # [B, L], 0 opens first
    hidden = (sequence == mask_id).sum(1, keepdim=True).clamp_min(1)  # [B, 1]
    # Call j opens the ranks below hidden * (j + 1) / calls, rounded down, that are not open yet.
    turn = -(-calls * (rank + 1) // hidden) - 1
    most = rows * -(-length // calls)
    return open_in_turn(read, sequence, turn, calls, most, mask_id, seeds, top_p)


def confidence(read: Read, sequence: Tensor, *, steps: int, mask_id: int, compiled: bool = False) -> Tensor:
    """Open the most probable tokens where the network is surest, an even share of the sequence per call.

    The greedy form of the decoding of Chang et al. (MaskGIT, 2022) and Nie et al. (LLaDA, 2025) with one block and
    temperature 0. Not a sample of the model: sharper and less varied. Of equally sure positions the first opens. It
    takes min(steps, L) calls.
    """
    hidden, calls = (sequence == mask_id).sum(1), min(steps, sequence.shape[1])  # [B]
    for call in range(calls):
        most = hidden - hidden * (call + 1) // calls  # [B], that may be masked after this call
        sequence = _open_surest(read, sequence, most, mask_id, None, compiled)
    return sequence


def threshold(
    read: Read, sequence: Tensor, *, steps: int, mask_id: int, threshold: float, compiled: bool = False
) -> Tensor:
    """As `confidence`, and at once wherever the most probable token has at least the probability `threshold`; at least
    one position per step (Fast-dLLM: Wu et al., 2025, arXiv:2505.22618). The even share is one of the whole sequence.

    It stops when nothing is masked: at most min(steps, L) calls, as many as the slowest row of the batch needs.
    """
    steps = min(steps, sequence.shape[1])
    rule: dict[str, Any] = {"steps": steps, "mask_id": mask_id, "threshold": threshold, "compiled": compiled}
    few = partial(threshold_steps, read, **rule)
    return until_open(few, sequence, steps, mask_id)


def threshold_steps(
    read: Read,
    sequence: Tensor,
    first: Tensor,
    count: int,
    *,
    steps: int,
    mask_id: int,
    threshold: float,
    compiled: bool = False,
) -> Tensor:
    """`count` of the `steps` of `threshold`, from the step `first` on, an int64 scalar."""
    length = sequence.shape[1]
    for step in range(count):
        most = (length - length * (first + step + 1) // steps).expand(len(sequence))
        sequence = _open_surest(read, sequence, most, mask_id, threshold, compiled)
    return sequence


def until_open(few: Callable[[Tensor, Tensor, int], Tensor], sequence: Tensor, steps: int, mask_id: int) -> Tensor:
    """Take steps until nothing is masked, `steps` at most: `few(sequence, first, count)` takes the `count` of them that
    lie between two looks at the sequence, from the step `first` on, an int64 scalar."""
    every = LOOK_EVERY_ON_CPU if sequence.device.type == "cpu" else LOOK_EVERY
    for first in range(0, steps, every):
        sequence = few(sequence, torch.full((), first, device=sequence.device), min(every, steps - first))
        if first + every < steps and not bool((sequence == mask_id).any()):
            break
    return sequence


def _open_surest(
    read: Read, sequence: Tensor, most: Tensor, mask_id: int, threshold: float | None, compiled: bool
) -> Tensor:
    """Open the surest positions, so many that at most `most` [B] stay masked; with a threshold at least one."""
    masked = sequence == mask_id
    index, counts = chosen(masked, masked.numel())
    sureness, tokens = read(sequence, LogitReading(surest_clean, (), {"mask_id": mask_id}, index, compiled))
    none = torch.full(sequence.shape, -torch.inf, dtype=sureness.dtype, device=sureness.device)
    sureness, tokens = put(none, index, counts, sureness), put(sequence, index, counts, tokens)
    rank = sureness.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # [B, L], 0 is the surest
    share = (masked.sum(1) - most)[:, None]
    opens = rank < share if threshold is None else (rank < share.clamp_min(1)) | (sureness >= math.log(threshold))
    return torch.where(masked & opens, tokens, sequence)


def opening_steps(uniform: Tensor, steps: int, schedule: TokenSchedule) -> Tensor:
    """In which of `steps` equal steps of t from 1 to 0 a position that is masked at t = 1 opens, int64 like `uniform`.

    By the inverse of the distribution function at `uniform`, float64 in (0, 1): still masked at time s with probability
    (1 - alpha_s) / (1 - alpha_1).
    """
    masked = shares_masked(steps, schedule, uniform.device)
    # Open at the first time s, coming down from 1, at which `uniform` is no longer below the share that is masked.
    return steps - torch.searchsorted(masked[:-1], uniform, right=True)


def shares_masked(steps: int, schedule: TokenSchedule, device: torch.device) -> Tensor:
    """Of what is masked at t = 1, how much is at the edges of `steps` equal steps: ascending from 0 at t = 0 to 1,
    float64 [steps + 1]."""
    times = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device=device)
    masked = 1.0 - schedule.alpha(times)
    return masked / masked[-1]


def dense_rank(values: Tensor) -> Tensor:
    """How many different smaller values each value has in its row; int64 [B, L] -> int64 [B, L]."""
    ordered, order = values.sort(1)
    fresh = torch.zeros_like(values)
    fresh[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).long()
    return torch.empty_like(values).scatter(1, order, fresh.cumsum(1))


def open_in_turn(
    read: Read,
    sequence: Tensor,
    turn: Tensor,
    calls: int,
    most: int,
    mask_id: int,
    seeds: CounterRNG,
    top_p: float,
) -> Tensor:
    """Open each masked position by a draw at its own call, `turn` from 0, int64 [B, L]; `most` of a call at most, where
    they cannot be looked at, and all others stay masked."""
    uniform, how = seeds.uniform(sequence.shape[1]), {"mask_id": mask_id, "top_p": top_p}  # [B, L]
    flat = torch.cat([sequence.flatten(), sequence.new_zeros(1)])  # the last is for what does not open
    for index, place in in_turn(turn.masked_fill(sequence != mask_id, calls), calls, most):
        reading = LogitReading(draw_clean, (uniform,), how, index, seeds.compiled)
        tokens, _ = read(flat[:-1].view_as(sequence), reading)
        flat = flat.scatter(0, place, tokens.flatten())
    return flat[:-1].view_as(sequence)


def clean_probabilities(logits: Tensor, mask_id: int, top_p: float) -> Tensor:
    """Probabilities of clean tokens, within the nucleus of mass `top_p`; [..., V] -> [..., V]."""
    return nucleus(forbid_mask(logits.float(), mask_id), top_p).softmax(-1)


def draw_clean(logits: Tensor, uniform: Tensor, mask_id: int, top_p: float) -> tuple[Tensor, Tensor]:
    """A draw of `clean_probabilities` by `uniform` [...]: tokens int64 [...], and the probability of each."""
    probabilities = clean_probabilities(logits, mask_id, top_p)
    tokens = categorical(probabilities, uniform)
    return tokens, probabilities.gather(-1, tokens[..., None])[..., 0]
