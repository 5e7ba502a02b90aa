"""Uniform-state diffusion over tokens: the likelihood bound, the reverse step and the sampler, functions of arrays.

Source: Schiff et al., "Simple Guidance Mechanisms for Discrete Diffusion Models" (UDLM, 2024, arXiv:2412.10193), and
Sahoo et al., "The Diffusion Duality" (Duo, 2025, arXiv:2506.10892), whose reduced form of the bound this is. A token is
kept with probability alpha and redrawn from all V tokens otherwise: q(z | x) = alpha [z = x] + (1 - alpha) / V.

The network's prediction is put into the posterior of the step, where the noisy token at a position counts by itself; so
what it must learn is the distribution of the clean token given the noisy tokens at all *other* positions
(leave-one-out), not given all of them. Then the bound, averaged over the data, is their entropy.

Axis legend: B rows (texts), L positions, V tokens; `...` any axes, the same in all arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from baselines.common.sampling import categorical, nucleus, uniforms_of
from baselines.token_diffusion import masked
from baselines.token_diffusion.masked import TokenSchedule
from baselines.token_diffusion.reading import LogitReading
from cosmos.runtime.rng import CounterRNG

LAST_TIME = 1e-5  # at which a greedy tail takes the prediction, as the authors' code has it

Read = Callable[[Tensor, Tensor, LogitReading], tuple[Tensor, ...]]
"""Sequence int64 [B, L] and alpha float64 [B] -> what the reading makes of logits of clean tokens."""

MostProbable = Callable[[Tensor, Tensor], Tensor]
"""Likewise, to the clean token that is most probable, int64 [B, L]."""


def redraw(clean: Tensor, alpha: Tensor, vocabulary: int, seeds: CounterRNG) -> Tensor:
    """The noisy tokens: each of `clean` [B, L] kept with probability alpha [B], else redrawn from V = `vocabulary`."""
    redrawn = seeds.uniform(clean.shape[1]) < (1.0 - alpha)[:, None]
    tokens = (seeds.uniform(clean.shape[1]) * vocabulary).long()
    return torch.where(redrawn, tokens, clean)


def token_bound(log_probs: Tensor, clean: Tensor, noisy: Tensor, alpha: Tensor) -> Tensor:
    """The bound's integrand per unit of -d alpha, in nats: times -alpha'(t) and integrated over t it bounds -log
    p(clean).

    With y = V alpha x + 1 - alpha of the clean token x, and h the same of the prediction, z the noisy token:
    (1 / (V alpha)) (V / h_z - V / y_z + sum over j of (y_j / y_z) log((h_z y_j) / (h_j y_z))).

    With q = h / h_z and r = y / y_z, whose sums are V / h_z and V / y_z, that is the sum over j of r_j (e^g - 1 - g),
    where g = log(q_j / r_j). It is computed so, for no such term is negative in any precision, while those above cancel
    where alpha is small and all of h and y are near 1.

    Args:
        log_probs: log of the predicted distribution of the clean token, [..., V].
        clean, noisy: int64 [...].
        alpha: [...], in (0, 1).

    Returns:
        [...]; never negative, and zero where the prediction is certain of the clean token.
    """
    size = log_probs.shape[-1]
    rest = 1.0 - alpha
    scaled = size * alpha
    log_h = torch.log(scaled[..., None] * log_probs.exp() + rest[..., None])  # [..., V]
    log_h_noisy = log_h.gather(-1, noisy[..., None])[..., 0]
    log_h_clean = log_h.gather(-1, clean[..., None])[..., 0]
    gap = torch.log(rest) - torch.log(scaled + rest)  # of y at any other token, and at the clean one
    # Kept, log r is 0 at the clean token and the gap at all others; redrawn, it is minus the gap there, and 0.
    unchanged = clean == noisy
    at_clean, at_others = torch.where(unchanged, 0.0, -gap), torch.where(unchanged, gap, 0.0)
    others = _excess(log_h - (log_h_noisy + at_others)[..., None]).scatter(-1, clean[..., None], 0.0).sum(-1)
    own = _excess(log_h_clean - log_h_noisy - at_clean)
    return (at_clean.exp() * own + at_others.exp() * others) / scaled


def _excess(gap: Tensor) -> Tensor:
    """e^gap - 1 - gap, which is never negative."""
    return torch.expm1(gap) - gap


def posterior(probabilities: Tensor, noisy: Tensor, alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
    """q(z_s | z_t = noisy, clean ~ prediction) for s < t, [..., V]; alpha_s = 1 gives the clean token's distribution.

    Args:
        probabilities: the predicted (leave-one-out) distribution of the clean token, [..., V].
        noisy: int64 [...].
        alpha_t, alpha_s: scalars or [..., 1].
    """
    size = probabilities.shape[-1]
    own = torch.zeros_like(probabilities).scatter(-1, noisy[..., None], 1.0)  # [..., V]
    between = alpha_t / alpha_s
    here = probabilities.gather(-1, noisy[..., None])  # [..., 1]
    joint = (
        alpha_t * size * probabilities * own
        + (between - alpha_t) * own
        + (alpha_s - alpha_t) * probabilities
        + (1.0 - between) * (1.0 - alpha_s) / size
    )
    return joint / (alpha_t * size * here + 1.0 - alpha_t)


def ancestral(
    read: Read,
    *,
    length: int,
    vocabulary: int,
    steps: int,
    schedule: TokenSchedule,
    seeds: CounterRNG,
    greedy_tail: bool = False,
    top_p: float = 1.0,
    most_probable: MostProbable | None = None,
) -> Tensor:
    """The reverse process from uniform noise in equal steps of t from 1 to 0, with `steps` network calls.

    Every step draws each token anew from its posterior. The last step ends at no noise: its posterior is
    the predicted distribution times the likelihood of the noisy token.

    Args:
        greedy_tail: make all steps but one, down to t = `LAST_TIME`, and let the last call take the most probable
            tokens of the *prediction* there (Duo, 2025): as top-p does for autoregression, it gives up variety for
            quality. The most probable tokens of the last posterior would mostly be the noisy ones at hand, whose
            likelihood is greater by a factor of V alpha / (1 - alpha).
        top_p: cut the prediction to its nucleus of this mass before a posterior is made of it. A token outside stays
            possible only as noise that a later step removes; cut to the nucleus of the posterior itself, the token at
            hand, which has most of its mass, could never be left again.
        most_probable: a call of the same network for the tail, by a faster way where it has one; None: by `read`.
    """
    sequence = (seeds.uniform(length) * vocabulary).long()
    times = nodes(steps, greedy_tail, sequence.device)
    drawn = uniforms_of(seeds, len(times) - 1, 2, length)
    for t, s in itertools.pairwise(times):
        alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
        columns = (sequence, *next(drawn).unbind(1))
        constants = {"alpha_t": alpha_t, "alpha_s": alpha_s, "top_p": top_p}
        reading = LogitReading(draw_posterior, columns, constants, compiled=seeds.compiled)
        (sequence,) = read(sequence, alpha_t.expand(len(sequence)), reading)
    if greedy_tail:
        last = sequence, schedule.alpha(times[-1]).expand(len(sequence))
        sequence = read(*last, LogitReading(most_likely))[0] if most_probable is None else most_probable(*last)
    return sequence


def most_likely(logits: Tensor) -> tuple[Tensor]:
    """The most probable tokens of logits [..., V]."""
    return (logits.argmax(-1),)


def draw_posterior(
    logits: Tensor, noisy: Tensor, uniform: Tensor, other: Tensor, alpha_t: Tensor, alpha_s: Tensor, top_p: float
) -> tuple[Tensor]:
    """`sample_posterior` of the prediction's nucleus of mass `top_p`; logits [..., V]."""
    return (sample_posterior(nucleus(logits, top_p), noisy, alpha_t, alpha_s, uniform, other),)


def nodes(steps: int, greedy_tail: bool, device: torch.device) -> Tensor:
    """Times, float64, at the first `steps` of which `ancestral` calls the network, once each and in this order: of the
    last call too with a greedy tail, and without one there is 0 after them."""
    if greedy_tail:  # of one call there is no step before it
        return torch.linspace(1.0, LAST_TIME if steps > 1 else 1.0, steps, dtype=torch.float64, device=device)
    return masked.nodes(steps, device)


def sample_posterior(
    logits: Tensor, noisy: Tensor, alpha_t: Tensor, alpha_s: Tensor, uniform: Tensor, other: Tensor
) -> Tensor:
    """Tokens from `posterior` [..., V], in two stages: it is a mixture of the token at hand, the prediction and a
    uniform token, so only one of these is drawn from and no distribution over V is computed but the prediction.

    `uniform` and `other`, float64 [...], are what the part and its token are drawn with.
    """
    size = logits.shape[-1]
    probabilities = logits.float().softmax(-1)
    here = probabilities.gather(-1, noisy[..., None])[..., 0].double()
    between = alpha_t / alpha_s
    stays = alpha_t * size * here + between - alpha_t
    predicted = (alpha_s - alpha_t).expand_as(stays)
    redrawn = (1.0 - between) * (1.0 - alpha_s)
    threshold = uniform * (stays + predicted + redrawn)
    tokens = torch.where(
        threshold < stays + predicted, categorical(probabilities, other), (other * size).long().clamp_max(size - 1)
    )
    return torch.where(threshold < stays, noisy, tokens)
