"""What is done to a text in training of the autoencoder: shares, strengths, and independence of the batch."""

from __future__ import annotations

import pytest
import torch

from cosmos.config import LADDER, CorruptionConfig
from cosmos.io.errors import UserError
from cosmos.models.corruption import add_noise, corrupt, drop_tokens
from cosmos.runtime.rng import CounterRNG

TEXTS, LENGTH, WIDTH, LATENTS = 4000, 20, 6, (3, 5)


def seeds(count: int = TEXTS, first: int = 0) -> CounterRNG:
    return CounterRNG(torch.arange(first, first + count))


def texts(count: int = TEXTS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, LENGTH + 1, (count,), generator=generator)
    return torch.randn(count, LENGTH, WIDTH, generator=generator), torch.arange(LENGTH) < lengths[:, None]


def test_the_full_recipe_leaves_no_text_clean_and_shares_the_kinds_evenly():
    states, mask = texts()
    drawn = corrupt(states, mask, LATENTS, LADDER["latent"], seeds())
    noised = (drawn.states != states).flatten(1).any(1)
    dropped = (drawn.visible != mask).any(1)
    assert not (noised & dropped).any()
    assert abs(noised.float().mean() - 0.5) < 0.03
    # Of the other half, each token is hidden with chance 0.3, so a short text may lose none.
    hidden = (mask & ~drawn.visible)[~noised].sum() / mask[~noised].sum()
    assert abs(hidden - 0.3) < 0.01
    assert drawn.keep is not None and abs((~drawn.keep).float().mean() - 0.4) < 0.01


def test_pads_are_never_visible():
    states, mask = texts()
    assert not (corrupt(states, mask, LATENTS, LADDER["latent"], seeds()).visible & ~mask).any()


def test_noise_holds_the_variance_and_keeps_its_share_of_the_signal():
    states, _ = texts()
    noise = seeds().normal(LENGTH, WIDTH)
    noisy = add_noise(states, 0.7, noise)
    assert abs(noisy.var() - 1) < 0.01
    assert abs((noisy * states).mean() - 0.7) < 0.01
    assert torch.equal(add_noise(states, 1.0, noise), states)


def test_dropping_at_the_ends_of_its_range():
    _, mask = texts(50)
    assert torch.equal(drop_tokens(mask, 0.0, seeds(50)), mask)
    assert not drop_tokens(mask, 1.0, seeds(50)).any()


def test_shares_and_strengths_are_followed():
    states, mask = texts()
    config = CorruptionConfig(drop_share=0.2, drop_rate=1.0, noise_share=0.3, latent_share=0.5, latent_rate=1.0)
    drawn = corrupt(states, mask, LATENTS, config, seeds())
    assert drawn.keep is not None
    assert abs((~drawn.visible.any(1)).float().mean() - 0.2) < 0.03
    assert abs((drawn.states != states).flatten(1).any(1).float().mean() - 0.3) < 0.03
    zeroed = ~drawn.keep.flatten(1).any(1)
    assert abs(zeroed.float().mean() - 0.5) < 0.03
    assert drawn.keep[~zeroed].all()


def test_a_text_is_corrupted_the_same_in_any_batch():
    states, mask = texts(8)
    whole = corrupt(states, mask, LATENTS, LADDER["latent"], seeds(8))
    alone = corrupt(states[5:6], mask[5:6], LATENTS, LADDER["latent"], seeds(1, first=5))
    for one, many in zip(alone, whole, strict=True):
        assert torch.equal(one[0], many[5])


def test_the_ladder_adds_one_thing_at_a_time():
    states, mask = texts(200)
    for name, expected in {"ce": (False, False), "mse": (False, False), "activation": (True, False)}.items():
        drawn = corrupt(states, mask, LATENTS, LADDER[name], seeds(200))
        assert (not torch.equal(drawn.states, states), drawn.keep is not None) == expected
    assert [config.mse_weight for config in LADDER.values()] == [0.0, 1.0, 1.0, 1.0]
    assert LADDER["activation"] == CorruptionConfig(drop_share=0.5, noise_share=0.5)


def test_kinds_cannot_sum_to_more_than_all():
    with pytest.raises(UserError, match="must not exceed 1"):
        CorruptionConfig(drop_share=0.7, noise_share=0.7)
