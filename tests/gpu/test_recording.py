"""Recorded training steps: the weights of unrecorded ones, but for rounding, of every system and stage."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from baselines import registry
from baselines.contract import Budget, Corpus, Limits
from benchmarks.data import world

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
from tiny_systems import with_training

pytestmark = pytest.mark.gpu

SYSTEMS = ("cosmos", "cosmos-joint", "gpt2", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq")
STEPS = 40


@pytest.mark.parametrize("name", SYSTEMS)
def test_recorded_steps_train_the_same_weights(
    name: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = registry.find(name)
    corpus = Corpus(world.detox("train", 200), world.detox("validation", 20))
    replays, replay = [0], torch.cuda.CUDAGraph.replay

    def counted(self: torch.cuda.CUDAGraph) -> None:
        replays[0] += 1
        replay(self)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    found = []
    for record in (False, True):
        folder = tmp_path / str(record)
        recipe = with_training(kind.presets["nano"], cuda_graph=record, precision="float32", learning_rate=1e-4)
        if hasattr(recipe, "start_linear"):  # its eigenvectors have other signs in every run on a GPU
            recipe = replace(recipe, start_linear=False)
        kind(recipe, Limits(24, 24)).fit(corpus, Budget(STEPS, "steps"), folder, seed=1, device=device)
        found.append({k: v for path in sorted(folder.rglob("*.safetensors")) for k, v in load_file(path).items()})
        assert replays[0] > STEPS // 3 if record else replays[0] == 0
    plain, recorded = found
    assert plain
    assert plain.keys() == recorded.keys()
    for key, value in plain.items():
        distance = (recorded[key].double() - value.double()).norm() / value.double().norm().clamp(min=1e-9)
        assert distance < 2e-3, key
