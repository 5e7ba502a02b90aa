"""Samplers of masked diffusion, one plain function each; those that mask again are in
`baselines.token_diffusion.remasking`.

All take a network call, `predict` or `surest`, and a sequence int64 [B, L] that is open where a text is given and
masked elsewhere, and return it with no mask left. The network has no time input and opened tokens stay, so a sampler is
no more than an order of opening: which of its calls opens which position. Where that order does not depend on the
predictions it is drawn before the first call, and the number of calls is known without a look at the data.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from baselines.common.sampling import categorical, nucleus
from baselines.common.static_shapes import can_index_by_mask
from baselines.token_diffusion.masked import TokenSchedule, forbid_mask
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG

Predict = Callable[[Tensor], Tensor]
"""Sequence int64 [B, L] -> logits [B, L, V]."""

Surest = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Sequence int64 [B, L] -> the largest log-probability among clean tokens at each masked position, and -inf at others,
float32 [B, L]; and the sequence with these tokens in place of masks."""

LOOK_EVERY, LOOK_EVERY_ON_CPU = 8, 1  # calls between looks at whether all is open; an accelerator must be waited for


def ancestral(
    predict: Predict,
    sequence: Tensor,
    *,
    steps: int,
    schedule: TokenSchedule,
    mask_id: int,
    seeds: CounterRNG,
    top_p: float = 1.0,
    cached: bool = False,
) -> Tensor:
    """The reverse process in `steps` equal steps of t from 1 to 0 (Sahoo et al., 2024, equation 7).

    Each position draws in two stages: in which step it opens, then its token. That is the same distribution as a draw
    over tokens and the mask together at every step, without the loss of rare tokens that single-precision Gumbel
    noise brings (Zheng et al., 2024). The last step ends at t = 0 and draws whatever is left.

    Args:
        top_p: draw tokens from the nucleus of this mass; 1 keeps the model's distribution.
        cached: call the network only where the sequence has changed (Sahoo et al.), with the same texts. Each row skips
            the steps in which none of its own positions opens, so a batch takes min(steps, L) calls as a text does.
    """
    length = sequence.shape[1]
    turn = opening_steps(seeds.uniform(length), steps, schedule)
    calls = steps
    if cached:
        turn, calls = dense_rank(turn.masked_fill(sequence != mask_id, steps)), min(steps, length)
    return open_in_turn(predict, sequence, turn, calls, mask_id, seeds, top_p)


def first_hitting(
    predict: Predict, sequence: Tensor, *, steps: int, mask_id: int, seeds: CounterRNG, top_p: float = 1.0
) -> Tensor:
    """Open positions in the order in which the reverse process would, an even share per call (Zheng et al., 2024).

    Opening times of masked positions are independent and alike, so their order is a uniformly random one, and the times
    themselves reach neither network nor text. One position per call is the continuous-time process without error; more
    than one is the paper's parallel variant. It takes min(steps, L) calls.
    """
    length = sequence.shape[1]
    calls = min(steps, length)
    times = seeds.uniform(length).masked_fill(sequence != mask_id, torch.inf)
    rank = times.argsort(1).argsort(1)  # [B, L], 0 opens first
    hidden = (sequence == mask_id).sum(1, keepdim=True).clamp_min(1)  # [B, 1]
    # Call j opens the ranks below hidden * (j + 1) / calls, rounded down, that are not open yet.
    turn = -(-calls * (rank + 1) // hidden) - 1
    return open_in_turn(predict, sequence, turn, calls, mask_id, seeds, top_p)


def confidence(surest: Surest, sequence: Tensor, *, steps: int, mask_id: int) -> Tensor:
    """Open the most probable tokens where the network is surest, an even share of the sequence per call.

    The greedy form of the decoding of Chang et al. (MaskGIT, 2022) and Nie et al. (LLaDA, 2025) with one block and
    temperature 0. Not a sample of the model: sharper and less varied. Of equally sure positions the first opens. It
    takes min(steps, L) calls.
    """
    hidden, calls = (sequence == mask_id).sum(1), min(steps, sequence.shape[1])  # [B]
    for call in range(calls):
        most = hidden - hidden * (call + 1) // calls  # [B], that may be masked after this call
        sequence = _open_surest(surest, sequence, most, mask_id, None)
    return sequence


def threshold(surest: Surest, sequence: Tensor, *, steps: int, mask_id: int, threshold: float) -> Tensor:
    """As `confidence`, and at once wherever the most probable token has at least the probability `threshold`; at least
    one position per step (Fast-dLLM: Wu et al., 2025, arXiv:2505.22618). The even share is one of the whole sequence.

    It stops when nothing is masked: at most min(steps, L) calls, as many as the slowest row of the batch needs.
    """
    steps = min(steps, sequence.shape[1])
    few = partial(threshold_steps, surest, steps=steps, mask_id=mask_id, threshold=threshold)
    return until_open(few, sequence, steps, mask_id)


def threshold_steps(
    surest: Surest,
    sequence: Tensor,
    first: Tensor,
    count: int,
    *,
    steps: int,
    mask_id: int,
    threshold: float,
) -> Tensor:
    """`count` of the `steps` of `threshold`, from the step `first` on, an int64 scalar."""
    length = sequence.shape[1]
    for step in range(count):
        most = (length - length * (first + step + 1) // steps).expand(len(sequence))
        sequence = _open_surest(surest, sequence, most, mask_id, threshold)
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


def _open_surest(surest: Surest, sequence: Tensor, most: Tensor, mask_id: int, threshold: float | None) -> Tensor:
    """Open the surest positions, so many that at most `most` [B] stay masked; with a threshold at least one."""
    masked = sequence == mask_id
    sureness, tokens = surest(sequence)
    rank = sureness.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # [B, L], 0 is the surest
    share = (masked.sum(1) - most)[:, None]
    opens = rank < share if threshold is None else (rank < share.clamp_min(1)) | (sureness >= math.log(threshold))
    return torch.where(masked & opens, tokens, sequence)


def opening_steps(uniform: Tensor, steps: int, schedule: TokenSchedule) -> Tensor:
    """In which of `steps` equal steps of t from 1 to 0 a position that is masked at t = 1 opens, int64 like `uniform`.

    By the inverse of the distribution function at `uniform`, float64 in (0, 1): still masked at time s with probability
    (1 - alpha_s) / (1 - alpha_1).
    """
    times = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device=uniform.device)
    masked = 1.0 - schedule.alpha(times)
    masked = masked / masked[-1]  # ascending from 0 to 1
    # Open at the first time s, coming down from 1, at which `uniform` is no longer below the share that is masked.
    return steps - torch.searchsorted(masked[:-1], uniform, right=True)


def dense_rank(values: Tensor) -> Tensor:
    """How many different smaller values each value has in its row; int64 [B, L] -> int64 [B, L]."""
    ordered, order = values.sort(1)
    fresh = torch.zeros_like(values)
    fresh[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).long()
    return torch.empty_like(values).scatter(1, order, fresh.cumsum(1))


def open_in_turn(
    predict: Predict, sequence: Tensor, turn: Tensor, calls: int, mask_id: int, seeds: CounterRNG, top_p: float
) -> Tensor:
    """Open each masked position by a draw at its own call, `turn` from 0, int64 [B, L]."""
    uniform = seeds.uniform(sequence.shape[1])  # [B, L]
    probable, pick = (compiled_if(seeds.compiled, function) for function in (clean_probabilities, categorical))
    for call in range(calls):
        logits = predict(sequence)
        opens = (sequence == mask_id) & (turn == call)
        if can_index_by_mask(sequence):
            tokens = pick(probable(logits[opens], mask_id, top_p), uniform[opens])
            sequence = sequence.masked_scatter(opens, tokens)
        else:
            tokens = pick(probable(logits, mask_id, top_p), uniform)
            sequence = torch.where(opens, tokens, sequence)
    return sequence


def clean_probabilities(logits: Tensor, mask_id: int, top_p: float) -> Tensor:
    """Probabilities of clean tokens, within the nucleus of mass `top_p`; [..., V] -> [..., V]."""
    return nucleus(forbid_mask(logits.float(), mask_id), top_p).softmax(-1)
