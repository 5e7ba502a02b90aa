"""Cosmos in one stage behind the contract: what its two-stage parent does and it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from baselines.contract import RandomTraining, UserError

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import make


def test_what_needs_two_stages_is_refused_in_one_sentence(encoder_folder: Path, tmp_path: Path) -> None:
    system = make("cosmos-joint", encoder_folder)
    asked = RandomTraining("autoencoder", rows=8, steps=1, vocabulary=64, changes={})
    with pytest.raises(UserError, match="not timed on random rows"):
        system.train_on_random_rows(asked, tmp_path, device="cpu")
    with pytest.raises(UserError, match="no first stage to train once"):
        system.train_decoder([], None, None, tmp_path, preset="nano", seed=0, device="cpu")
