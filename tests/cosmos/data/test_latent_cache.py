"""What computing latents will cost is told before it is paid, and not overstated."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos.data import latent_cache
from cosmos.data.latent_cache import price_of_compressing
from cosmos.models.standardiser import Standardiser

WIDTH = 4
NEVER: Mapping[int, float] = MappingProxyType({})
PACE = 1e-3  # seconds for a position of a text, when nothing is in the way


class Texts:
    """States of texts whose lengths are given."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = torch.tensor(lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def longest_of(self, index: Tensor) -> int:
        return int(self.lengths[index].max())

    def rows(self, index: Tensor, length: int) -> tuple[Tensor, Tensor]:
        return torch.ones(len(index), length, WIDTH), torch.arange(length) < self.lengths[index][:, None]


class Timed:
    """An autoencoder that takes as long as its positions, or longer at the calls in which it is held up."""

    config: Any = None

    def __init__(self, held_up: Mapping[int, float]) -> None:
        self.compressor: Any = nn.Linear(WIDTH, 2)
        self.now, self.calls, self.held_up = 0.0, 0, held_up

    def compress(self, states: Tensor, mask: Tensor) -> Tensor:
        self.now += PACE * states.shape[0] * states.shape[1] + self.held_up.get(self.calls, 0.0)
        self.calls += 1
        latents: Tensor = self.compressor(states)
        return latents


def price(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], processes: int = 1, held_up: Mapping[int, float] = NEVER
) -> Any:
    autoencoder = Timed(held_up)
    monkeypatch.setattr(latent_cache, "time", SimpleNamespace(perf_counter=lambda: autoencoder.now))
    states: Any = Texts(lengths)
    return price_of_compressing(autoencoder, Standardiser(WIDTH), states, processes)


LENGTHS = [12] * 512 + [6] * 512 + [3] * 300  # three batches


def test_seconds_are_those_of_batches_of_their_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    found = price(monkeypatch, LENGTHS)
    assert found.seconds == pytest.approx(PACE * sum(LENGTHS))
    assert found.flops == 2 * WIDTH * 2 * sum(LENGTHS)


def test_of_several_processes_the_one_with_most_batches_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = price(monkeypatch, LENGTHS, processes=2)
    assert found.seconds == pytest.approx(PACE * (12 * 512 + 3 * 300))
    assert found.flops == 2 * WIDTH * 2 * sum(LENGTHS)


@pytest.mark.parametrize("held_up", [{0: 60.0}, {0: 60.0, 1: 5.0}, {2: 5.0, 3: 1.0}])
def test_a_moment_in_which_the_machine_is_held_up_does_not_count(
    held_up: Mapping[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a training would be refused that its budget pays for."""
    assert price(monkeypatch, [12] * 100, held_up=held_up).seconds == pytest.approx(PACE * 12 * 100)
