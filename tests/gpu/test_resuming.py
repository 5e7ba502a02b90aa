"""A training on the GPU that is killed and taken up again ends with the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.common.transformer import TrunkConfig
from baselines.contract import Budget, Corpus, Document, Limits
from baselines.token_diffusion.mdlm import MDLMSystem
from baselines.token_diffusion.system import TokenDiffusionRecipe
from cosmos.training.config import TrainingConfig

pytestmark = pytest.mark.gpu

WHO, WHAT = ["anna", "ben", "the old man", "my sister"], ["lamp", "red chair", "book"]
TEXTS = [f"{who} broke the {what} ." for who in WHO for what in WHAT]
DOCUMENTS = [Document(str(n), None, text, (text,)) for n, text in enumerate(TEXTS)]
TRAINING = TrainingConfig(batch_size=8, learning_rate=1e-2, ema_decay=0.9, validations=2, checkpoint_seconds=0.0)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_a_killed_training_ends_with_the_same_bytes(cuda_graph: bool, device: str, tmp_path: Path) -> None:
    def fit(folder: Path, progress: Any) -> None:
        training = replace(TRAINING, cuda_graph=cuda_graph)
        recipe = TokenDiffusionRecipe(TrunkConfig(32, 2, 2, 64), 0, training, Budget(30, "steps"))
        corpus = Corpus(DOCUMENTS[:9], DOCUMENTS[9:])
        MDLMSystem(recipe, Limits(0, 12)).fit(
            corpus, Budget(30, "steps"), folder, seed=1, device=device, progress=progress
        )

    def stop_at(calls: int) -> Any:
        left = [calls]

        def progress(*_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise InterruptedError

        return progress

    fit(tmp_path / "whole", lambda *_: None)
    for calls in (6, 11):
        with pytest.raises(InterruptedError):
            fit(tmp_path / "cut", stop_at(calls))
    fit(tmp_path / "cut", lambda *_: None)
    whole = next((tmp_path / "whole").glob("*.safetensors"))
    assert (tmp_path / "cut" / whole.name).read_bytes() == whole.read_bytes()
