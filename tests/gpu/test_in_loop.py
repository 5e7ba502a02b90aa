"""States computed inside recorded steps, in half precision: those of float32 but for rounding."""

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
from cosmos.text.encoder import TextEncoder

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
from tiny_systems import with_training

pytestmark = pytest.mark.gpu

STEPS = 40


def test_states_in_half_precision_are_those_of_float32(device: str) -> None:
    encoder = TextEncoder(device=device)
    texts = [document.target for document in world.detox("train", 64)]
    exact = encoder.encode(texts, 24)
    rows, _ = encoder.ids(texts, 24)
    ids = torch.full(exact.mask.shape, encoder.pad, device=device)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row, device=device)
    with torch.autocast("cuda", torch.bfloat16):  # as in a step
        found = encoder.batch_states(ids, exact.mask)
    assert found.dtype == torch.float32
    error = (found - exact.states)[exact.mask].std() / exact.states[exact.mask].std()
    assert float(error) < 0.01


@pytest.mark.parametrize("micro", [None, 7])
@pytest.mark.parametrize("name", ["cosmos", "tencdm", "ld4lg"])
def test_recorded_steps_with_states_in_the_loop_train_the_same_weights(
    name: str, micro: int | None, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        changes = {"cuda_graph": record, "precision": "float32", "learning_rate": 1e-4, "micro_batch_size": micro}
        recipe = replace(with_training(kind.presets["nano"], **changes), states="loop")
        if hasattr(recipe, "clean_latents"):
            recipe = replace(recipe, clean_latents="loop", start_linear=False)
        kind(recipe, Limits(24, 24)).fit(corpus, Budget(STEPS, "steps"), folder, seed=1, device=device)
        found.append({k: v for path in sorted(folder.rglob("*.safetensors")) for k, v in load_file(path).items()})
        assert replays[0] > STEPS // 3 if record else replays[0] == 0
    plain, recorded = found
    assert plain and plain.keys() == recorded.keys()
    for key, value in plain.items():
        distance = (recorded[key].double() - value.double()).norm() / value.double().norm().clamp(min=1e-9)
        assert distance < 2e-3, key
