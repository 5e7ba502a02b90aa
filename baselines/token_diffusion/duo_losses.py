"""What Duo is trained on: the bound, the bound with softened inputs, and consistency along a Gaussian path.

Sources: UDLM (Schiff et al., 2024) and Duo (Sahoo et al., 2025); see `baselines.token_diffusion.duo`.

Axis legend: B rows (texts), L sequence positions, V tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.token_diffusion.gaussian_duality import gaussian_tokens, signal_to_alpha
from baselines.token_diffusion.masked import LogLinear
from baselines.token_diffusion.system import TokenDenoiser, strata, target_tokens
from baselines.token_diffusion.uniform import redraw, token_bound
from cosmos.models.token_head import chunked_loss, widened
from cosmos.runtime.rng import CounterRNG
from cosmos.training.loop import Batch, Loss

SCHEDULE = LogLinear()


def bound(model: nn.Module, batch: Batch, t: Tensor, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """One draw of the likelihood bound (`baselines.token_diffusion.system.Bound`)."""
    assert isinstance(model, TokenDenoiser)
    sequence, alpha = batch["sequence"], SCHEDULE.alpha(t)
    noisy = redraw(sequence, alpha, model.tokens.num_embeddings, seeds)
    states = model.states(noisy, model.encode(batch["source"]), 1.0 - alpha)  # [B, L, W]
    total = summed_bound(model, states, sequence, noisy, alpha, -SCHEDULE.derivative(t), seeds.fused)
    return total, target_tokens(sequence)


def summed_bound(
    model: TokenDenoiser,
    states: Tensor,
    clean: Tensor,
    noisy: Tensor,
    alpha: Tensor,
    weights: Tensor,
    compiled: bool,
) -> Tensor:
    """The bound's integrand at every position, times the text's weight, summed; states [B, L, W], tokens [B, L], alpha
    and weights [B]. `compiled` as in `cosmos.models.token_head.chunked_loss`."""
    levels, each = (value[:, None].expand(clean.shape).flatten() for value in (alpha.float(), weights))
    columns = (clean.flatten(), noisy.flatten(), levels, each)
    return chunked_loss(bound_rows, states.flatten(0, 1), model.tokens.weight, columns, compiled=compiled)


def bound_rows(logits: Tensor, clean: Tensor, noisy: Tensor, levels: Tensor, weights: Tensor) -> Tensor:
    """`token_bound` at levels alpha, times weights, summed (`cosmos.models.token_head.RowLoss`)."""
    return (weights * token_bound(widened(logits).log_softmax(-1), clean, noisy, levels)).sum()


def curriculum_loss(temperature: float, low: float, high: float) -> Loss:
    """The bound with softened inputs, gamma uniform in [low, high]."""

    def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        assert isinstance(model, TokenDenoiser)
        sequence, size = batch["sequence"], model.tokens.num_embeddings
        gamma = low + (high - low) * strata(seeds)  # [B]
        alpha, slope = signal_to_alpha(gamma, size)
        noisy = gaussian_tokens(sequence, gamma, seeds.normal(sequence.shape[1], size))  # [B, L, V]
        soft = (noisy / temperature).softmax(-1)
        states = model.states(soft, model.encode(batch["source"]), 1.0 - alpha)  # [B, L, W]
        weights = (-slope * (high - low)).double()
        total = summed_bound(model, states, sequence, noisy.argmax(-1), alpha, weights, seeds.fused)
        return total, target_tokens(sequence)

    return loss


def consistency(
    student: TokenDenoiser,
    teacher: TokenDenoiser,
    batch: Batch,
    noisier: Tensor,
    cleaner: Tensor,
    noise: Tensor,
    compiled: bool = False,
) -> Tensor:
    """KL(student at the noisier text || teacher at the cleaner one), summed over positions, by the gamma [B] of either,
    along the path of `noise` [B, L, V]. `compiled` as in `cosmos.models.token_head.chunked_loss`."""
    sequence, size = batch["sequence"], noise.shape[-1]

    def states(model: TokenDenoiser, gamma: Tensor) -> Tensor:
        tokens = gaussian_tokens(sequence, gamma, noise).argmax(-1)  # [B, L]
        time = 1.0 - signal_to_alpha(gamma, size)[0]
        return model.states(tokens, model.encode(batch["source"]), time).flatten(0, 1)  # [B * L, W]

    with torch.no_grad():
        target = states(teacher, cleaner)
    own, table = states(student, noisier), teacher.tokens.weight.detach()
    return chunked_loss(divergence_rows, own, student.tokens.weight, (target,), compiled=compiled, whole=(table,))


def divergence_rows(logits: Tensor, target: Tensor, table: Tensor) -> Tensor:
    """KL(softmax of logits || softmax of the teacher's), summed, where the teacher's are its states [R, W] times its
    table [V, W] (`cosmos.models.token_head.RowLoss`)."""
    wanted = widened(target.to(logits.dtype) @ table.to(logits.dtype).T).log_softmax(-1)
    return divergence(widened(logits).log_softmax(-1), wanted).sum()


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of distributions [..., V], by terms p log(p / q) - p + q, whose last two add up to nothing.

    None is negative. Where p is near q each is of second order in their distance, as the sum is, and nothing is lost to
    rounding; terms p log(p / q) are of first order, and a student that begins as its teacher has lost digits in them.
    """
    p, gap = log_p.exp(), log_p - log_q
    near = gap.clamp(-1.0, 1.0)
    return torch.where(near == gap, p * (near + torch.expm1(-near)), p * (gap - 1.0) + log_q.exp()).sum(-1)


def distillation_loss(teacher: TokenDenoiser, distance: float, low: float, high: float) -> Loss:
    """Consistency over `distance`, a share of the path, whose gamma runs linearly from `low` to `high`."""

    def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        assert isinstance(model, TokenDenoiser)
        sequence = batch["sequence"]
        place = distance + (1.0 - distance) * strata(seeds)  # [B]
        noisier, cleaner = (low + (high - low) * at for at in (place, place - distance))
        noise = seeds.normal(sequence.shape[1], model.tokens.num_embeddings)
        total = consistency(model, teacher.to(sequence.device), batch, noisier, cleaner, noise, seeds.fused)
        return total, target_tokens(sequence)

    return loss
