"""Samplers that read few positions open what they would if they had the logits of all, by loops written out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.common import static_shapes
from baselines.common.sampling import categorical, nucleus
from baselines.token_diffusion.masked import LogLinear, TokenSchedule, time_steps
from baselines.token_diffusion.masked_samplers import ancestral, first_hitting, opening_steps
from baselines.token_diffusion.remasking import Loop, Rule, most_remasking, opening_share, remask
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of
from known_texts import L, V, masked_denoise

MASK, ROWS = V, 36
SCHEDULE = LogLinear()


@pytest.fixture(params=[True, False], ids=["looking", "not looking"], autouse=True)
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda tensor: request.param)


@pytest.fixture(params=[False, True], ids=["masked", "prompted"])
def start(request: pytest.FixtureRequest) -> Tensor:
    """All masked; or every row with other positions that are given, the first with none that is not."""
    found = torch.full((ROWS, L), MASK)
    if request.param:
        given = CounterRNG(torch.arange(ROWS)).uniform(L) < torch.linspace(1.0, 0.0, ROWS)[:, None]
        found = torch.where(given, torch.arange(L) % V, found)
    return found


def seeds() -> CounterRNG:
    return CounterRNG(7 + torch.arange(ROWS))


def drawn(sequence: Tensor, top_p: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """A draw at every position, and its probability."""
    logits = masked_denoise(sequence).float()
    logits[..., MASK] = -torch.inf
    probabilities = nucleus(logits, top_p).softmax(-1)
    tokens = categorical(probabilities, uniform)
    return tokens, probabilities.gather(-1, tokens[..., None])[..., 0].double()


def opened(start: Tensor, turn: Tensor, calls: int, streams: CounterRNG, top_p: float) -> Tensor:
    sequence, uniform = start, streams.uniform(L)
    for call in range(calls):
        opens = (sequence == MASK) & (turn == call)
        sequence = torch.where(opens, drawn(sequence, top_p, uniform)[0], sequence)
    return sequence


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("steps", [1, 3, 16, 24])
def test_ancestral_steps_open_at_their_time(start: Tensor, steps: int, top_p: float) -> None:
    streams = seeds()
    expected = opened(start, opening_steps(streams.uniform(L), steps, SCHEDULE), steps, streams, top_p)
    for kept in (False, True):
        how = {"steps": steps, "schedule": SCHEDULE, "mask_id": MASK, "top_p": top_p, "cached": kept}
        assert torch.equal(ancestral(read_of(masked_denoise), start, seeds=seeds(), **how), expected)
        assert torch.equal(ancestral(read_of(masked_denoise), start, seeds=seeds(), **how, everywhere=True), expected)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("steps", [1, 3, 5, 40])
def test_first_hitting_opens_an_even_share_of_each_row(start: Tensor, steps: int, top_p: float) -> None:
    streams, calls = seeds(), min(steps, L)
    times, turn = streams.uniform(L), torch.zeros(ROWS, L, dtype=torch.int64)
    for row in range(ROWS):
        masked = [place for place in times[row].argsort().tolist() if start[row, place] == MASK]
        for call in range(calls):
            for rank in range(len(masked) * call // calls, len(masked) * (call + 1) // calls):
                turn[row, masked[rank]] = call
    expected = opened(start, turn, calls, streams, top_p)
    how = {"steps": steps, "mask_id": MASK, "top_p": top_p}
    assert torch.equal(first_hitting(read_of(masked_denoise), start, seeds=seeds(), **how), expected)


def remasked(start: Tensor, steps: int, schedule: TokenSchedule, rule: Rule, eta: float, top_p: float) -> Tensor:
    streams, sequence, prompted = seeds(), start, start != MASK
    certainty = torch.zeros(start.shape, dtype=torch.float64)
    for t, s in time_steps(steps, torch.device("cpu")):
        masked = sequence == MASK
        alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
        most, own = most_remasking(alpha_t, alpha_s), ~masked & ~prompted
        if rule == "conf":
            sigma = most * torch.where(own, (-certainty).masked_fill(~own, -torch.inf).softmax(1), 0.0)
        elif rule == "rescale":
            sigma = eta * most
        else:
            holds = not isinstance(schedule, Loop) or bool(schedule.holds(t))
            sigma = most.clamp_max(eta) if holds else torch.zeros_like(most)
        tokens, chance = drawn(sequence, top_p, streams.uniform(L))
        moves = streams.uniform(L) < torch.where(masked, opening_share(alpha_t, alpha_s, sigma), sigma)
        certainty = torch.where(masked & moves, chance, certainty)
        sequence = torch.where(masked & moves, tokens, sequence).masked_fill(own & moves, MASK)
    return sequence


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("rule", ["cap", "rescale", "conf", "loop"])
def test_remasking_moves_what_it_would(start: Tensor, rule: Rule, top_p: float) -> None:
    schedule: TokenSchedule = Loop() if rule == "loop" else SCHEDULE
    expected = remasked(start, 20, schedule, rule, 0.05, top_p)
    how = {"steps": 20, "schedule": schedule, "mask_id": MASK, "rule": rule, "eta": 0.05, "top_p": top_p}
    assert torch.equal(remask(read_of(masked_denoise), start, seeds=seeds(), **how), expected)
    assert torch.equal(remask(read_of(masked_denoise), start, seeds=seeds(), **how, everywhere=True), expected)


@pytest.mark.parametrize("rule", ["cap", None])
def test_what_finds_no_room_is_left_masked(rule: Rule | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one seed open together, so many more at once than rows of their own seeds."""
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda tensor: False)
    how = {"steps": 40, "schedule": SCHEDULE, "mask_id": MASK}
    sampler, more = (ancestral, {}) if rule is None else (remask, {"rule": rule, "eta": 0.01})
    rows = torch.full((160, L), MASK), CounterRNG(torch.zeros(160, dtype=torch.int64))
    few = sampler(read_of(masked_denoise), rows[0], seeds=rows[1], **how, **more)
    again = CounterRNG(torch.zeros(160, dtype=torch.int64))
    whole = sampler(read_of(masked_denoise), rows[0], seeds=again, **how, **more, everywhere=True)
    assert bool((few == MASK).any()) and not bool((whole == MASK).any())
    assert torch.equal(whole, whole[:1].expand(160, L))
