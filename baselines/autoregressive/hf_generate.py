"""Hugging Face's own `generate` with its growing cache: what papers compare with, and no measure of what is fast.

Draws come from the requests' seeds, so a text is the one that `baselines.autoregressive.decoding` writes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GPT2LMHeadModel, LogitsProcessor, LogitsProcessorList

from baselines.autoregressive.decoding import Choice, choose
from baselines.common.token_rows import left_pad
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import PAD, SEP


@dataclass(frozen=True)
class PlainGenerate(Choice):
    """Token after token by `generate`, its cache growing with the text."""


class SampledToken(LogitsProcessor):
    """Leaves the token that is drawn, so that the most probable one is that.

    `uniform` is float64 in (0, 1), [B, steps], and `start` the number of tokens before the first that is drawn.
    """

    def __init__(self, setting: Choice, uniform: Tensor, start: int) -> None:
        self.setting, self.uniform, self.start = setting, uniform, start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        drawn = choose(scores, self.setting, self.uniform[:, input_ids.shape[1] - self.start])
        return torch.full_like(scores, -torch.inf).scatter(1, drawn[:, None], 0.0)


@torch.inference_mode()
def generate(model: GPT2LMHeadModel, prompts: Tensor, steps: int, setting: Choice, seeds: CounterRNG) -> Tensor:
    """Continue prompts int64 [B, S], padded on the right: int64 [B, at most `steps`], [PAD] after each end token."""
    tokens = left_pad(prompts)
    start = tokens.shape[1]
    processors = [] if setting.greedy else [SampledToken(setting, seeds.uniform(steps), start)]
    written = model.generate(
        tokens,
        attention_mask=(tokens != PAD).long(),
        logits_processor=LogitsProcessorList(processors),
        max_new_tokens=steps,
        do_sample=False,
        eos_token_id=SEP,
        pad_token_id=PAD,
    )
    return written[:, start:]
