"""What greedy samplers ask of a network, from all of its logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.token_diffusion.masked import surest_clean
from baselines.token_diffusion.masked_samplers import Surest


def surest_of(predict: Callable[[Tensor], Tensor], mask_id: int) -> Surest:
    """Of a network that gives logits [B, L, V]."""

    def surest(sequence: Tensor) -> tuple[Tensor, Tensor]:
        masked = sequence == mask_id
        sureness, tokens = surest_clean(predict(sequence), mask_id)
        return sureness.masked_fill(~masked, -torch.inf), torch.where(masked, tokens, sequence)

    return surest
