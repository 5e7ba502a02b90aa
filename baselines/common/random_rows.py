"""Random rows of story-like lengths, and training on them to time steps; see `SupportsRandomTraining`."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from baselines.contract import Budget, RandomTraining, TrainingResult
from cosmos.text.vocabulary import PAD, SEP
from cosmos.training.config import TrainingConfig, TrainingRun
from cosmos.training.loop import TrainingStage, train

FIRST_WORD = 5  # tokens before it are special
MEAN, DEVIATION = 0.72, 0.12  # of a story's length, in those of the longest


def lengths_of(rows: int, longest: int) -> Tensor:
    """Story-like lengths, int64 [rows]: normal, between a tenth of the longest and the longest, which comes up."""
    drawn = torch.randn(rows, generator=torch.Generator().manual_seed(0)) * DEVIATION + MEAN
    lengths = (drawn * longest).long().clamp(max(3, longest // 10), longest)
    lengths[0] = longest
    return lengths


def tokens_of(lengths: Tensor, longest: int, vocabulary: int, first: int | None) -> Tensor:
    """Random tokens, int64 [rows, longest], that begin with `first`, end with [SEP] and are padded after it."""
    random = torch.Generator().manual_seed(1)
    tokens = torch.randint(FIRST_WORD, vocabulary, (len(lengths), longest), generator=random)
    if first is not None:
        tokens[:, 0] = first
    along = torch.arange(longest)
    return tokens.where(along < lengths[:, None] - 1, SEP).where(along < lengths[:, None], PAD)


def train_on(
    stage: TrainingStage, config: TrainingConfig, asked: RandomTraining, run: TrainingRun
) -> tuple[TrainingResult, int]:
    """Train a stage as asked; what it cost, and the rows of a batch."""
    config = replace(config, validations=0, keep="last", checkpoint_seconds=1e6, **asked.changes)
    return train(stage, config, Budget(asked.steps, "steps"), run), config.batch_size
