"""Running statistics: their values, the gradient through them, and a scale that cannot collapse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cosmos.models.autoencoder import LatentNormaliser
from cosmos.models.running_statistics import Moments, moments, standardise_running, update_running


def normaliser(mean: float = 0.0, std: float = 1.0) -> LatentNormaliser:
    made = LatentNormaliser(3, 4)
    made.mean.fill_(mean)
    made.std.fill_(std)
    return made


def latents(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, 4, generator=torch.Generator().manual_seed(seed))


def test_values_are_those_of_the_running_statistics() -> None:
    running, raw = normaliser(0.3, 2.0), 5 * latents(6) + 1
    assert torch.allclose(standardise_running(running, raw), running.standardise(raw), atol=1e-5)


def test_neither_a_shift_nor_a_scale_of_a_number_changes_a_loss_to_first_order() -> None:
    running, raw = normaliser(0.3, 2.0), latents(6)
    scale, shift = torch.ones(3, 4, requires_grad=True), torch.zeros(3, 4, requires_grad=True)
    weights = latents(6, seed=1)

    def gradients(standardised: Tensor) -> tuple[Tensor, ...]:
        loss = (weights * standardised + standardised.pow(3)).sum()
        return torch.autograd.grad(loss, (scale, shift))

    assert all(g.abs().max() < 1e-4 for g in gradients(standardise_running(running, raw * scale + shift)))
    assert all(g.abs().min() > 1e-3 for g in gradients(running.standardise(raw * scale + shift)))


def test_a_text_alone_gets_its_value_and_no_gradient() -> None:
    running, raw = normaliser(0.3, 2.0), latents(1).requires_grad_()
    standardised = standardise_running(running, raw)
    assert torch.allclose(standardised, running.standardise(raw))
    assert torch.autograd.grad(standardised.pow(2).sum(), raw)[0].abs().max() == 0


def test_statistics_are_those_of_exponential_weights() -> None:
    """Against the weighted moments of all that was seen, each batch 0.8 times as heavy as the next."""
    running = normaliser(-1.0, 3.0)
    batches = [(2 + i) * latents(5, i) + i for i in range(9)]
    for batch in batches:
        update_running(running, moments(batch), decay=0.8)
    shares = [0.8**9, *(0.2 * 0.8 ** (8 - i) for i in range(9))]
    means = [torch.full((3, 4), -1.0), *(batch.mean(0) for batch in batches)]
    seconds = [torch.full((3, 4), 1.0 + 9.0), *(batch.square().mean(0) for batch in batches)]
    mean = sum(share * value for share, value in zip(shares, means, strict=True))
    second = sum(share * value for share, value in zip(shares, seconds, strict=True))
    assert sum(shares) == pytest.approx(1.0)
    assert torch.allclose(running.mean, torch.as_tensor(mean), atol=1e-5)
    assert torch.allclose(running.std, torch.as_tensor(second - mean**2).sqrt(), atol=1e-4)


def test_moments_of_two_processes_add_up_to_those_of_one() -> None:
    whole, parts = latents(8), latents(8).split((3, 5))
    added = Moments(*(a + b for a, b in zip(*map(moments, parts), strict=True)))
    one, other = normaliser(), normaliser()
    update_running(one, moments(whole))
    update_running(other, added)
    assert torch.allclose(one.mean, other.mean) and torch.allclose(one.std, other.std)


def test_the_variance_has_a_floor() -> None:
    running = normaliser()
    for _ in range(2000):
        update_running(running, moments(torch.ones(4, 3, 4)))
    assert torch.allclose(running.std, torch.full((3, 4), 0.01))


@pytest.mark.parametrize("held", [False, True])
def test_only_running_statistics_keep_a_compressor_from_shrinking_its_latents(held: bool) -> None:
    """A compressor that is taught by the denoiser's loss alone: without them its latents go to a point."""
    torch.manual_seed(0)
    compressor, denoiser, running = nn.Linear(8, 12), nn.Linear(12, 12), normaliser()
    data = torch.randn(512, 8)
    running.fit([compressor(data).view(-1, 3, 4).detach()])
    began = running.std.clone()
    optimiser = torch.optim.Adam([*compressor.parameters(), *denoiser.parameters()], 1e-2)
    for _ in range(250):
        raw = compressor(data[torch.randint(512, (32,))]).view(-1, 3, 4)
        clean = standardise_running(running, raw) if held else raw
        noisy = 0.5 * clean + 0.75**0.5 * torch.randn_like(clean)
        loss = (denoiser(noisy.flatten(1)).view_as(clean) - clean).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if held:
            update_running(running, moments(raw))
    raw = compressor(data).view(-1, 3, 4).detach()
    clean = running.standardise(raw) if held else raw
    if held:
        assert clean.std(0).min() > 0.8
        assert raw.std(0).min() > 0.3 * began.min()  # nor is the scale lost before it is divided out
    else:
        assert clean.std(0).max() < 0.1 * began.min()
