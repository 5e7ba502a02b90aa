"""Working on some positions only, where finding out how many there are costs nothing."""

from __future__ import annotations

from types import EllipsisType

from torch import Tensor
from torch.nn import functional

from cosmos.optimiser_step import shapes_are_fixed


def counts_freely(tensor: Tensor) -> bool:
    """Whether it costs nothing to ask how many positions are looked for, so that only those are worked on: an
    accelerator would have to be waited for, and a recording has one shape."""
    return tensor.device.type == "cpu"


def chosen(mask: Tensor) -> Tensor | EllipsisType:
    """An index of the positions of a mask or, in a training step that is recorded, of all: the caller then sees to it
    that the others change nothing."""
    return ... if shapes_are_fixed() else mask


def summed_nll(logits: Tensor, tokens: Tensor, counts: Tensor) -> Tensor:
    """The cross-entropy of tokens [B, L] where `counts` [B, L] says so, in nats, summed; logits [B, L, V]."""
    read = chosen(counts)
    nll = functional.cross_entropy(logits[read].float().flatten(0, -2), tokens[read].flatten(), reduction="none")
    return (nll * counts[read].flatten()).sum()
