"""Duo's stages: the curriculum, and the rounds of distillation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.transformer import SourceKV, TrunkConfig
from baselines.token_diffusion.duo_losses import bound, consistency, curriculum_loss, distillation_loss, divergence
from baselines.token_diffusion.gaussian_duality import gaussian_tokens, signal_to_alpha
from baselines.token_diffusion.system import TokenDenoiser
from cosmos.models import token_head
from cosmos.runtime.rng import CounterRNG

TRUNK = TrunkConfig(16, 2, 2, 32, time_width=8)


def tiny(seed: int) -> TokenDenoiser:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TokenDenoiser(TRUNK, vocabulary=12, length=5, source=4, source_layers=1)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
    return model


BATCH = {
    "sequence": torch.randint(0, 12, (6, 5), generator=torch.Generator().manual_seed(1)),
    "source": torch.full((6, 4), 7),
}


def pair_of_gammas(cleaner: float, noisier: float) -> tuple[Tensor, Tensor]:
    return torch.full((6,), noisier, dtype=torch.float64), torch.full((6,), cleaner, dtype=torch.float64)


def test_distillation_aims_at_the_teachers_prediction_at_the_cleaner_text() -> None:
    """One sub-step: the target is what the teacher says there, and a student that says it has no loss."""
    teacher, noise = tiny(0), torch.randn(6, 5, 12, generator=torch.Generator().manual_seed(2))
    noisier, cleaner = pair_of_gammas(-3.0, -0.5)
    assert consistency(teacher, teacher, BATCH, cleaner, cleaner, noise).abs() < 1e-5
    tokens = gaussian_tokens(BATCH["sequence"], cleaner, noise).argmax(-1)
    target = teacher(tokens, teacher.encode(BATCH["source"]), 1 - signal_to_alpha(cleaner, 12)[0]).log_softmax(-1)

    class Says(TokenDenoiser):
        def states(self, sequence: Tensor, source_kv: SourceKV | None, time: Tensor | None = None) -> Tensor:
            assert time is not None
            assert float(time[0]) == pytest.approx(1 - float(signal_to_alpha(noisier, 12)[0][0]))
            assert torch.equal(sequence, gaussian_tokens(BATCH["sequence"], noisier, noise).argmax(-1))
            return functional.pad(target, (0, 4))

    says = Says(TRUNK, 12, 5, 4, 1)
    says.tokens.weight.data = torch.eye(12, 16)  # so that logits are the states
    assert consistency(says, teacher, BATCH, noisier, cleaner, noise).abs() < 1e-5


@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_distillation_is_the_divergence_of_all_logits(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(token_head.CHUNK_LOGITS, "cpu", chunk)
    batch = {name: value.repeat(20, 1) for name, value in BATCH.items()}  # 600 positions
    teacher, student = tiny(0), tiny(3)
    noise = torch.randn(120, 5, 12, generator=torch.Generator().manual_seed(2))
    noisier, cleaner = (torch.full((120,), gamma, dtype=torch.float64) for gamma in (-0.5, -3.0))

    def log_probs(model: TokenDenoiser, gamma: Tensor) -> Tensor:
        tokens = gaussian_tokens(batch["sequence"], gamma, noise).argmax(-1)
        time = 1 - signal_to_alpha(gamma, 12)[0]
        found: Tensor = model(tokens, model.encode(batch["source"]), time).log_softmax(-1)
        return found

    wanted = log_probs(teacher, cleaner).detach()
    own = log_probs(student, noisier)
    expected = (own.exp() * (own - wanted)).sum()
    found = consistency(student, teacher, batch, noisier, cleaner, noise)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    parameters = [value for value in student.parameters() if value.requires_grad]
    gradients = [torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert all(value.grad is None for value in teacher.parameters())


@pytest.mark.parametrize("apart", [1e-3, 1e-2, 0.1, 1.0, 10.0, 300.0])
def test_a_divergence_is_exact_however_near_and_however_far_two_distributions_are(apart: float) -> None:
    """In float32, with its gradient, and never negative: a student begins as its teacher."""
    generator = torch.Generator().manual_seed(4)
    given, moved = (torch.randn(200, 48, generator=generator) for _ in range(2))
    logits, target = 3.0 * given + apart * moved, (3.0 * given).log_softmax(-1)
    found, exact = logits.clone().requires_grad_(), logits.double().requires_grad_()
    values = divergence(found.log_softmax(-1), target)
    log_p, log_q = exact.log_softmax(-1), (3.0 * given).double().log_softmax(-1)
    expected = (log_p.exp() * (log_p - log_q)).sum(-1)
    assert values.min() >= 0
    torch.testing.assert_close(values.double().sum(), expected.sum(), rtol=5e-6, atol=0.0)
    (one,), (other,) = torch.autograd.grad(values.sum(), found), torch.autograd.grad(expected.sum(), exact)
    assert (one.double() - other).norm() < 1e-4 * other.norm()


def test_the_two_texts_of_a_path_differ_more_the_further_they_are_apart() -> None:
    sequence = BATCH["sequence"].repeat(200, 1)
    noise = torch.randn(1200, 5, 12, generator=torch.Generator().manual_seed(2))

    def tokens(gamma: float) -> Tensor:
        return gaussian_tokens(sequence, torch.full((1200,), gamma), noise).argmax(-1)

    changed = [float((tokens(-3.0) != tokens(-3.0 + step)).double().mean()) for step in (0.0, 0.5, 1.5, 3.0)]
    assert changed[0] == 0.0 and changed == sorted(changed) and changed[-1] > 0.2
    clean = tokens(-0.5) == sequence
    assert bool((tokens(-3.0) == sequence)[clean].all())  # the clean token, once the largest, stays so as noise falls


def test_distillation_draws_the_student_to_the_teacher_and_leaves_the_teacher() -> None:
    teacher, student = tiny(0).requires_grad_(False), tiny(0)
    before = [value.clone() for value in teacher.parameters()]
    loss = distillation_loss(teacher, 0.5, -4.0, -0.5)
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    values = []
    for _ in range(30):
        total, weight = loss(student, BATCH, CounterRNG(torch.arange(6)))
        optimiser.zero_grad()
        (total / weight).backward()
        optimiser.step()
        values.append(float((total / weight).detach()))
    assert values[-1] < 0.5 * values[0]
    assert all(torch.equal(*pair) for pair in zip(before, teacher.parameters(), strict=True))


def test_the_curriculum_at_a_low_temperature_is_the_bound_on_its_range() -> None:
    """Both estimate the integral of the same integrand over alpha; the curriculum over a part of it."""
    model, count = tiny(0), 4000
    batch = {"sequence": BATCH["sequence"][:1].expand(count, 5), "source": BATCH["source"][:1].expand(count, 4)}
    low, high = -3.0, 0.5
    high_alpha, low_alpha = (float(signal_to_alpha(torch.tensor(g), 12)[0]) for g in (low, high))
    with torch.no_grad():
        soft = curriculum_loss(1e-4, low, high)(model, batch, CounterRNG(torch.arange(count)))[0] / count
        t = (1 - high_alpha) + (high_alpha - low_alpha) * (torch.arange(count).double() + 0.5) / count
        hard = bound(model, batch, t / (1 - 1e-3), CounterRNG(count + torch.arange(count)))[0] / count
    assert float(soft) == pytest.approx(float(hard) * (high_alpha - low_alpha) / (1 - 1e-3), rel=0.08)
