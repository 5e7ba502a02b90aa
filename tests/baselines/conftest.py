"""Tiny systems, trained once by all processes of the tests together, and only where a test asks for them."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
from tiny_cosmos import tiny_encoder
from tiny_systems import Trained, fit, make

from cosmos.training import pricing


@pytest.fixture(autouse=True)
def _few_steps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of trainings this short each step would be counted before they begin, which takes longer than to train."""
    monkeypatch.setattr(pricing, "MOST", pricing.FEWEST)


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the tests share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "tiny_systems"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def encoder_folder(together: Path) -> Path:
    """A small text encoder with random weights."""
    with FileLock(together / "encoder.lock"):
        made = together / "encoder"
        return made if made.exists() else tiny_encoder(made)


@pytest.fixture(scope="session")
def trained(encoder_folder: Path, together: Path) -> Callable[[str], Trained]:
    """A tiny system by its name: fitted undisturbed, and loaded."""

    @functools.cache
    def train(name: str) -> Trained:
        before = torch.random.get_rng_state()
        folder, system = together / name, make(name, encoder_folder)
        with FileLock(together / f"{name}.lock"):
            if not (folder / "fit.json").exists():
                fit(system, folder)
        system.load(folder, device="cpu", dtype="float32")
        assert torch.equal(before, torch.random.get_rng_state()), f"training {name} changes global randomness"
        return Trained(system, folder)

    return train
