"""Working on some positions only, where finding out how many there are costs nothing."""

from __future__ import annotations

from types import EllipsisType

from torch import Tensor
from torch.nn import functional


def can_index_by_mask(tensor: Tensor) -> bool:
    """Whether it costs nothing to ask how many positions are looked for, so that only those are worked on: an
    accelerator would have to be waited for, and a recording has one shape."""
    return tensor.device.type == "cpu"


def positions_to_score(mask: Tensor, static_shapes: bool) -> Tensor | EllipsisType:
    """An index of the positions where a mask is True or, where shapes must be static, of all positions: the caller then
    sees to it that the others change nothing. See `cosmos.training.batches.Batch`."""
    return ... if static_shapes else mask


def summed_nll(logits: Tensor, tokens: Tensor, counts: Tensor, static_shapes: bool) -> Tensor:
    """The cross-entropy of tokens [B, L] where `counts` [B, L] says so, in nats, summed; logits [B, L, V]."""
    read = positions_to_score(counts, static_shapes)
    nll = functional.cross_entropy(logits[read].float().flatten(0, -2), tokens[read].flatten(), reduction="none")
    return (nll * counts[read].flatten()).sum()
