"""Samplers on a language of 1,024 tokens whose best denoiser is known, beside the authors' rules written out.

What tests of three tokens cannot see: that a token which was drawn by chance, of which a large vocabulary has many, is
not left again.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.common.sampling import categorical, nucleus
from baselines.token_diffusion import masked_samplers
from baselines.token_diffusion.masked import LogLinear, TokenSchedule
from baselines.token_diffusion.remasking import Loop, Rule, remask
from baselines.token_diffusion.score_entropy import Geometric, Step, sample_absorb, sample_uniform
from baselines.token_diffusion.uniform import LAST_TIME, ancestral, posterior, sample_posterior
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of
from known_texts import (
    SLIPS,
    L,
    V,
    denoise,
    masked_denoise,
    masked_scores,
    slips,
    unevenness,
    uniform_scores,
)

EXACT, TEXTS = LogLinear(eps=0.0), 50


def texts_of(steps: int) -> int:
    """How many texts: fewer by many steps, so that no test takes long."""
    return TEXTS if steps < 64 else 20


def duo(steps: int, *, greedy_tail: bool = False, top_p: float = 1.0, texts: int = TEXTS) -> Tensor:
    seeds = CounterRNG(torch.arange(texts))
    return ancestral(
        read_of(denoise),
        length=L,
        vocabulary=V,
        steps=steps,
        schedule=EXACT,
        seeds=seeds,
        greedy_tail=greedy_tail,
        top_p=top_p,
    )


def duo_as_its_authors_wrote_it(steps: int, top_p: float, end: str, texts: int = TEXTS) -> Tensor:
    """`steps` - 1 steps from 1 to 1e-5, each from the posterior of the cut prediction; then what `end` says of the
    last call: the argmax of the prediction, or that of the posterior."""
    seeds = CounterRNG(torch.arange(texts))
    sequence = (seeds.uniform(L) * V).long()
    times = torch.linspace(1.0, 1e-5, steps, dtype=torch.float64)
    for t, s in itertools.pairwise(times):
        logits, uniform = nucleus(denoise(sequence, (1 - t).expand(texts)), top_p), seeds.uniform(2, L)
        sequence = sample_posterior(logits, sequence, 1 - t, 1 - s, uniform[:, 0], uniform[:, 1])
    logits = denoise(sequence, (1 - times[-1]).expand(texts))
    if end == "posterior":
        return posterior(logits.softmax(-1), sequence, 1 - times[-1], torch.ones((), dtype=torch.float64)).argmax(-1)
    return logits.argmax(-1)


@pytest.mark.parametrize(("steps", "most"), [(4, 0.06), (16, 0.002), (64, 0.002)])
def test_the_greedy_tail_of_duo_takes_the_prediction(steps: int, most: float) -> None:
    texts = duo(steps, greedy_tail=True)
    assert torch.equal(texts, duo_as_its_authors_wrote_it(steps, 1.0, "prediction"))
    assert float(slips(texts).mean()) < most
    # The posterior keeps what noise is left, as the noisy token at hand weighs thousands of times more.
    if steps > 4:
        assert float(slips(duo_as_its_authors_wrote_it(steps, 1.0, "posterior")).mean()) > 0.01
    assert LAST_TIME == 1e-5


@pytest.mark.parametrize(("steps", "most"), [(4, 0.05), (16, 0.002), (64, 0.002)])
def test_a_nucleus_of_duo_cuts_the_prediction_and_no_posterior(steps: int, most: float) -> None:
    """Slips are outside the nucleus of the prediction; in that of a posterior the token at hand stays for ever."""
    count = texts_of(steps)
    if steps < 64:
        assert float(slips(duo(steps, top_p=0.9)).mean()) < most
    texts = duo(steps, top_p=0.9, greedy_tail=True, texts=count)
    assert torch.equal(texts, duo_as_its_authors_wrote_it(steps, 0.9, "prediction", count))
    assert float(slips(texts).mean()) < most


@pytest.mark.parametrize("steps", [16, 64])
def test_ancestral_steps_of_duo_slip_as_often_as_the_language(steps: int) -> None:
    assert float(slips(duo(steps)).mean()) == pytest.approx(SLIPS, abs=0.025)  # three deviations of 600 tokens


def test_four_ancestral_steps_of_duo_slip_twice_as_often() -> None:
    assert float(slips(duo(4)).mean()) == pytest.approx(2 * SLIPS, abs=0.04)


# Masked diffusion. By chance alone each text of the language is the nearest of 50 about equally often, up to 0.3, and
# of 20 up to 0.45.

MASK = V


def masks(texts: int = TEXTS) -> Tensor:
    return torch.full((texts, L), MASK)


def mdlm_as_its_authors_wrote_it(steps: int) -> Tensor:
    """At every step one draw over tokens and mask together; at t = 1e-5 the most probable token of what is left."""
    seeds, sequence = CounterRNG(torch.arange(texts_of(steps))), masks(texts_of(steps))
    for t, s in itertools.pairwise(torch.linspace(1.0, 1e-5, steps + 1, dtype=torch.float64)):
        chances = masked_denoise(sequence).exp() * (t - s)
        chances[..., MASK] = s
        drawn = categorical(chances / t, seeds.uniform(L))
        sequence = torch.where(sequence == MASK, drawn, sequence)
    return torch.where(sequence == MASK, masked_denoise(sequence).argmax(-1), sequence)


@pytest.mark.parametrize(("steps", "most"), [(4, 0.32), (16, 0.13), (64, 0.11)])
def test_ancestral_steps_of_mdlm_slip_as_often_as_its_authors(steps: int, most: float) -> None:
    """What is opened by one call is drawn apart, and so belongs to different texts: few calls slip more."""
    how = {"steps": steps, "schedule": EXACT, "mask_id": MASK}
    count = texts_of(steps)
    texts, cached = (
        masked_samplers.ancestral(
            read_of(masked_denoise), masks(count), seeds=CounterRNG(torch.arange(count)), cached=kept, **how
        )
        for kept in (False, True)
    )
    assert torch.equal(texts, cached)
    assert float(slips(texts).mean()) < most and unevenness(texts) < (0.35 if steps < 64 else 0.5)
    theirs = float(slips(mdlm_as_its_authors_wrote_it(steps)).mean())
    assert float(slips(texts).mean()) == pytest.approx(theirs, abs=0.06 if steps < 64 else 0.1)  # three deviations


def test_many_cached_steps_of_mdlm_slip_little() -> None:
    how = {"steps": 64, "schedule": EXACT, "mask_id": MASK, "cached": True}
    texts = masked_samplers.ancestral(read_of(masked_denoise), masks(), seeds=CounterRNG(torch.arange(TEXTS)), **how)
    assert float(slips(texts).mean()) < 0.09 and unevenness(texts) < 0.35


def first_hitting_as_its_authors_wrote_it(calls: int, top_p: float) -> Tensor:
    """Row by row: positions in a random order, an even number of them at each call, each by a draw of its own."""
    seeds = CounterRNG(torch.arange(TEXTS))
    order, uniform, sequence = seeds.uniform(L).argsort(1), seeds.uniform(L), masks()
    for opened in order.split(L // calls, dim=1):
        chances = nucleus(masked_denoise(sequence), top_p).softmax(-1)
        sequence = sequence.scatter(1, opened, categorical(chances, uniform).gather(1, opened))
    return sequence


@pytest.mark.parametrize(
    ("steps", "top_p", "most"), [(4, 1.0, 0.28), (16, 1.0, 0.08), (64, 1.0, 0.08), (16, 0.9, 0.01)]
)
def test_first_hitting_opens_as_its_authors_do(steps: int, top_p: float, most: float) -> None:
    seeds = CounterRNG(torch.arange(TEXTS))
    texts = masked_samplers.first_hitting(
        read_of(masked_denoise), masks(), steps=steps, mask_id=MASK, seeds=seeds, top_p=top_p
    )
    assert torch.equal(texts, first_hitting_as_its_authors_wrote_it(min(steps, L), top_p))
    assert float(slips(texts).mean()) < most and unevenness(texts) < 0.35


def surest_first_as_the_authors_wrote_it(shares: list[int], threshold: float | None) -> Tensor:
    """LLaDA: of the most probable tokens the surest, so many as the call's share says. Fast-dLLM: all that are above a
    threshold, and at least the surest."""
    sequence = masks()
    for share in shares:
        chances, tokens = masked_denoise(sequence).exp().max(-1)
        chances = chances.masked_fill(sequence != MASK, -1.0)
        for row in range(TEXTS):
            above = int((chances[row] >= threshold).sum()) if threshold else 0
            opened = chances[row].argsort(descending=True, stable=True)[: max(share, above)]
            opened = opened[sequence[row, opened] == MASK]
            sequence[row, opened] = tokens[row, opened]
    return sequence


@pytest.mark.parametrize(("steps", "most"), [(4, 0.17), (16, 0.0)])
def test_the_surest_first_gives_one_text_a_thousand_times(steps: int, most: float) -> None:
    """Without a source nothing is random, so all texts are one: no setting for tasks that have none."""
    given, calls = {"steps": steps, "mask_id": MASK}, min(steps, L)
    surest = masked_samplers.confidence(read_of(masked_denoise), masks(), **given)
    assert torch.equal(surest, surest_first_as_the_authors_wrote_it([L // calls] * calls, None))
    at_once = masked_samplers.threshold(read_of(masked_denoise), masks(), threshold=0.9, **given)
    assert torch.equal(at_once, surest_first_as_the_authors_wrote_it([L // calls] * calls, 0.9))
    for texts in (surest, at_once):
        assert float(slips(texts).mean()) <= most and len(texts.unique(dim=0)) == 1


def remdm_as_its_authors_wrote_it(rule: Rule, steps: int, eta: float, top_p: float, loop: Loop) -> Tensor:
    """Theirs but for the nucleus, of which they drop the token that crosses.

    At every step q over tokens and mask: of a masked position the prediction times
    (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t), of an open one sigma for the mask and the rest for itself."""
    texts = texts_of(steps)
    seeds, sequence = CounterRNG(torch.arange(texts)), masks(texts)
    certainty = torch.full((texts, L), torch.inf, dtype=torch.float64)
    for t, s in itertools.pairwise(torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)):
        alpha_t, alpha_s, masked = 1.0 - t, 1.0 - s, sequence == MASK
        if rule == "loop":
            rises, held = loop.held / (1.0 - loop.on), torch.tensor(loop.held, dtype=torch.float64)
            if t > loop.on:
                alpha_t, alpha_s = (1.0 - t) * rises, (1.0 - s) * rises
            elif t > loop.off:
                alpha_t = alpha_s = held
            else:
                alpha_t, alpha_s = (1.0 - at * (1.0 - held) / loop.off for at in (t, s))
        most = torch.minimum(torch.ones(()), (1.0 - alpha_s) / alpha_t)
        sigma = {"cap": most.clamp_max(eta), "rescale": eta * most, "loop": most.clamp_max(eta), "conf": most}[rule]
        if rule == "loop" and not loop.off < t <= loop.on:
            sigma = torch.zeros(())
        if rule == "conf":
            sigma = sigma * (-certainty).softmax(1).nan_to_num(0.0)
        sigma = sigma.expand(texts, L)
        chances = nucleus(masked_denoise(sequence).float(), top_p).softmax(-1)
        opens = chances * ((alpha_s - (1.0 - sigma) * alpha_t) / (1.0 - alpha_t))[..., None]
        tokens, uniform = categorical(opens, seeds.uniform(L)), seeds.uniform(L)
        fresh, back = masked & (uniform < opens.sum(-1)), ~masked & (uniform < sigma)
        drawn = chances.gather(-1, tokens[..., None])[..., 0].double()
        certainty = torch.where(fresh, drawn, certainty).masked_fill(back, torch.inf)
        sequence = torch.where(fresh, tokens, sequence).masked_fill(back, MASK)
    return sequence


@pytest.mark.parametrize(
    ("rule", "eta", "steps", "top_p", "most"),
    [
        *[("cap", 0.04, 4, 1.0, 0.30), ("cap", 0.04, 16, 1.0, 0.09), ("cap", 0.04, 64, 1.0, 0.09)],
        *[("rescale", 0.04, 4, 1.0, 0.30), ("rescale", 0.04, 16, 1.0, 0.11), ("rescale", 0.04, 64, 1.0, 0.11)],
        *[("conf", 1.0, 4, 1.0, 0.24), ("conf", 1.0, 16, 1.0, 0.10), ("conf", 1.0, 64, 1.0, 0.10)],
        *[("loop", 0.02, 4, 1.0, 0.46), ("loop", 0.02, 16, 1.0, 0.16), ("loop", 0.02, 64, 1.0, 0.12)],
        ("cap", 0.04, 8, 0.9, 0.12),
    ],
)
def test_remasking_slips_as_seldom_as_its_authors(
    rule: Rule, eta: float, steps: int, top_p: float, most: float
) -> None:
    loop = Loop(on=0.5, off=0.25)  # edges of steps; where none is, see the departures
    texts = remask(
        read_of(masked_denoise), masks(texts_of(steps)), steps=steps, schedule=loop if rule == "loop" else EXACT,
        mask_id=MASK, seeds=CounterRNG(torch.arange(texts_of(steps))), rule=rule, eta=eta, top_p=top_p,
    )  # fmt: skip
    theirs = remdm_as_its_authors_wrote_it(rule, steps, eta, top_p, loop)
    assert float((texts != theirs).double().mean()) < 0.01  # a number between two tokens may round to the other
    assert float(slips(texts).mean()) < most and unevenness(texts) < (0.35 if steps < 64 else 0.5)


# Score entropy.


def at(schedule: TokenSchedule, scores: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda noisy, t: scores(noisy, schedule.alpha(t))


def sedd_as_its_authors_wrote_it(transition: str, step: Step, steps: int, schedule: TokenSchedule) -> Tensor:
    """Their two predictors, by rows of the transitions' matrices; the last step is their denoiser, to no noise."""
    texts = texts_of(steps)
    seeds, absorb = CounterRNG(torch.arange(texts)), transition == "absorb"
    size = V + 1 if absorb else V
    sequence = masks(texts) if absorb else (seeds.uniform(L) * V).long()
    predict = at(schedule, masked_scores if absorb else uniform_scores)
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    for number, (t, s) in enumerate(itertools.pairwise(times), 1):
        score, masked = predict(sequence, t.expand(texts)).exp(), sequence == MASK  # 1 at the token at hand
        own = torch.nn.functional.one_hot(sequence, size).double()
        sigma_t, sigma_s = -schedule.alpha(t).log(), -schedule.alpha(s).log()
        change = sigma_t - (sigma_s if number < steps else 0.0)
        if step == "euler" and number < steps:
            slope = -schedule.derivative(t) / schedule.alpha(t)  # d sigma / dt
            reverse = score * (masked[..., None] if absorb else 1.0 / size) * (1.0 - own)
            reverse = reverse - own * reverse.sum(-1, keepdim=True)
            chances = own + (t - s) * slope * reverse
        else:
            staggered, column = change.exp() * score, (-change).exp() * own
            if absorb:
                staggered[..., MASK] += (1.0 - change.exp()) * score.sum(-1)
                column = column + masked[..., None] * (1.0 - (-change).exp())
            else:
                staggered = staggered + (1.0 - change.exp()) / size * score.sum(-1, keepdim=True)
                column = column + (1.0 - (-change).exp()) / size
            chances = staggered * column
        chances = chances.clamp_min(0.0)
        if not absorb:
            sequence = categorical(chances, seeds.uniform(L))
            continue
        tokens, uniform = categorical(chances[..., :V], seeds.uniform(L)), seeds.uniform(L)
        opens = masked & ((uniform < chances[..., :V].sum(-1)) | (number == steps))
        sequence = torch.where(opens, tokens, sequence)
    return sequence


@pytest.mark.parametrize(
    ("transition", "step", "steps", "most"),
    [
        *[("absorb", "analytic", 4, 0.32), ("absorb", "analytic", 16, 0.13), ("absorb", "analytic", 64, 0.11)],
        *[("absorb", "euler", 4, 0.40), ("absorb", "euler", 16, 0.13), ("absorb", "euler", 64, 0.11)],
        *[("uniform", "analytic", 4, 0.15), ("uniform", "analytic", 16, 0.08), ("uniform", "analytic", 64, 0.08)],
        *[("uniform", "euler", 4, 0.35), ("uniform", "euler", 16, 0.06), ("uniform", "euler", 64, 0.08)],
    ],
)
def test_steps_of_sedd_slip_as_seldom_as_its_authors(transition: str, step: Step, steps: int, most: float) -> None:
    schedule: TokenSchedule = LogLinear() if transition == "absorb" else Geometric()
    seeds, absorb = CounterRNG(torch.arange(texts_of(steps))), transition == "absorb"
    predict = at(schedule, masked_scores if absorb else uniform_scores)
    if absorb:
        texts = sample_absorb(
            read_of(predict),
            masks(texts_of(steps)),
            steps=steps,
            step=step,
            schedule=schedule,
            mask_id=MASK,
            seeds=seeds,
        )
    else:
        texts = sample_uniform(
            read_of(predict), length=L, vocabulary=V, steps=steps, step=step, schedule=schedule, seeds=seeds
        )
    theirs = sedd_as_its_authors_wrote_it(transition, step, steps, schedule)
    assert float((texts != theirs).double().mean()) < 0.01  # a number between two tokens may round to the other
    assert float(slips(texts).mean()) < most and unevenness(texts) < (0.35 if steps < 64 else 0.5)
