"""A language of a large vocabulary whose best denoiser is known: a few texts, each equally probable, with slips.

Of text k, position i holds its own token with probability 1 - `SLIPS`, else any token, as likely as 1 / rank, as
words have. Given noisy tokens, the probability of each text follows by Bayes' rule, and from it that of every token.

Axis legend: B rows (texts), K texts of the language, L positions, V tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

K, L, V = 12, 12, 1024
SLIPS = 0.04


def _language() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    texts = torch.stack([torch.randperm(V, generator=generator)[:L] for _ in range(K)])  # [K, L]
    ranks = torch.stack([torch.randperm(V, generator=generator) for _ in range(L)]) + 1  # [L, V]
    slips = (1.0 / ranks.double()) / (1.0 / ranks.double()).sum(-1, keepdim=True)
    own = torch.zeros(K, L, V, dtype=torch.float64).scatter(-1, texts[..., None], 1.0)
    return texts, (1.0 - SLIPS) * own + SLIPS * slips


TEXTS, TOKENS = _language()  # [K, L], and the probability of a token at a position of a text [K, L, V]


def log_likelihoods(noisy: Tensor, alpha: Tensor, mask_id: int | None = None) -> Tensor:
    """log p(noisy token | text k) at each position, [B, L, K]: redrawn from all tokens with probability 1 - alpha [B],
    or masked where there is a mask, which says nothing of the text."""
    if mask_id is None:
        clean = TOKENS[:, torch.arange(L), noisy].permute(1, 2, 0)  # [B, L, K]
        return (alpha[:, None, None] * clean + (1.0 - alpha[:, None, None]) / V).log()
    masked = noisy == mask_id
    clean = TOKENS[:, torch.arange(L), noisy.masked_fill(masked, 0)].permute(1, 2, 0)
    return clean.log().masked_fill(masked[..., None], 0.0)


def denoise(noisy: Tensor, alpha: Tensor, mask_id: int | None = None) -> Tensor:
    """log p(clean token | noisy tokens at all other positions), [B, L, V]; see `log_likelihoods`."""
    positions = log_likelihoods(noisy, alpha, mask_id)
    others = positions.sum(1, keepdim=True) - positions  # leave-one-out
    return torch.einsum("blk,klv->blv", others.softmax(-1), TOKENS).log()


def slips(texts: Tensor) -> Tensor:
    """The share of positions at which each text [B, L] differs from the nearest of the language, [B]."""
    return (texts[:, None] != TEXTS).double().mean(-1).amin(1)


def unevenness(texts: Tensor) -> float:
    """Total variation between how often each text of the language is the nearest, and equally often."""
    nearest = (texts[:, None] != TEXTS).double().mean(-1).argmin(1)
    shares = torch.bincount(nearest, minlength=K).double() / len(texts)
    return float((shares - 1.0 / K).abs().sum() / 2)


def masked_denoise(noisy: Tensor) -> Tensor:
    """`denoise` of texts that are masked by the token V, [B, L, V + 1]; nothing is masked itself."""
    known = denoise(noisy, torch.ones(len(noisy), dtype=torch.float64), mask_id=V)
    return torch.nn.functional.pad(known, (0, 1), value=-torch.inf)


def masked_scores(noisy: Tensor, alpha: Tensor) -> Tensor:
    """log p_t(y) / p_t(noisy) of texts y that differ in one token, [B, L, V + 1], under masking with probability
    1 - alpha [B]; as networks have it, what is open is not asked."""
    log_ratio = (alpha / (1.0 - alpha)).log()[:, None, None]
    return (masked_denoise(noisy) + log_ratio).scatter(-1, noisy[..., None], 0.0)


def uniform_scores(noisy: Tensor, alpha: Tensor) -> Tensor:
    """The same under redrawing with probability 1 - alpha [B], [B, L, V]."""
    keep = alpha[:, None, None]
    marginal = (keep * denoise(noisy, alpha).exp() + (1.0 - keep) / V).log()  # of the noisy token, given the others
    return marginal - marginal.gather(-1, noisy[..., None])


E = 8  # numbers in a vector of `VECTORS`
VECTORS = torch.randn(V, E, generator=torch.Generator().manual_seed(1))  # of each token
_TOKENS_SINGLE = TOKENS.float()


def denoise_vectors(noisy: Tensor, alpha: float, sigma: float) -> Tensor:
    """E[vectors | noisy] of texts whose tokens are `VECTORS`, noisy = alpha * vectors + sigma * eps; [B, L, E] both."""
    squares = VECTORS.square().sum(-1)
    fits = (alpha * noisy @ VECTORS.T - 0.5 * alpha**2 * squares) / sigma**2  # log p(noisy | token) + ..., [B, L, V]
    fits = (fits - fits.amax(-1, keepdim=True)).exp()
    each = torch.einsum("blv,klv->blk", fits, _TOKENS_SINGLE).clamp_min(1e-30)  # p(noisy at a position | text k) * ...
    texts = each.log().sum(1, keepdim=True).softmax(-1)  # [B, 1, K]
    tokens = fits * torch.einsum("blk,klv->blv", texts / each, _TOKENS_SINGLE)
    return tokens @ VECTORS


def nearest_tokens(vectors: Tensor) -> Tensor:
    """The token whose vector is nearest to each of [B, L, E], [B, L]."""
    return (vectors @ VECTORS.T - 0.5 * VECTORS.square().sum(-1)).argmax(-1)
