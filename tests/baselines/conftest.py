"""Tiny systems, trained once a process and only where a test asks for them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
from tiny_cosmos import tiny_encoder
from tiny_systems import Trained, fit, make


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text encoder with random weights."""
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def trained(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """A tiny system by its name: fitted undisturbed, and loaded."""

    @functools.cache
    def train(name: str) -> Trained:
        before = torch.random.get_rng_state()
        folder, system = tmp_path_factory.mktemp(name), make(name, encoder_folder)
        fit(system, folder)
        system.load(folder, device="cpu", dtype="float32")
        assert torch.equal(before, torch.random.get_rng_state()), f"training {name} changes global randomness"
        return Trained(system, folder)

    return train
