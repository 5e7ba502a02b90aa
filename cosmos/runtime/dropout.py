"""Dropout that compiled code draws by a hash of each number's place, in a dozen operations, where Inductor's own takes
ten rounds of Philox for each.

It is for training that is compiled, which draws other numbers than eager code in any case.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_PLACES = 2**31  # they are counted in int32


def _int32(bits: int) -> int:
    return bits - 2**32 if bits >= 2**31 else bits


SPREAD = _int32(0x9E3779B9)  # 2^32 by the golden ratio: neighbouring numbers differ in all bits
MULTIPLIERS = _int32(0x7FEB352D), _int32(0x846CA68B)  # "lowbias32", C. Wellons, Prospecting for Hash Functions (2018)


def is_kept(places: Tensor, seed: Tensor, p: float) -> Tensor:
    """Whether the numbers at places, int32, are kept, each with probability 1 - p: bool like `places`.

    The seed, int32 [1], is mixed in twice: mixed in once, the masks of two seeds would be one in another order. The
    first time it comes before any product: that of a place alone is to Inductor an address, whose factors it multiplies
    out, beyond the int32 that Triton takes. The second time it comes before a shift: right before the last product,
    bits of two seeds would differ by one number. It is spread out there: the masks of neighbouring seeds, at places
    that are as far apart, would depend on each other else.
    """
    bits = (places ^ seed) * SPREAD
    bits = (bits ^ _shifted(bits, 16)) * MULTIPLIERS[0] + seed * SPREAD
    bits = (bits ^ _shifted(bits, 15)) * MULTIPLIERS[1]
    return _shifted(bits ^ _shifted(bits, 16), 1) >= min(round(p * 2**31), 2**31 - 1)  # which int32 still holds


def _shifted(bits: Tensor, by: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (bits >> by) & (2 ** (32 - by) - 1)


def hashed_dropout(x: Tensor, p: float) -> Tensor:
    """x [...], where each number is zero with probability p < 1 and divided by 1 - p else; takes one number from the
    torch generator of its device."""
    seed = torch.randint(2**31 - 1, (1,), dtype=torch.int32, device=x.device)
    places = torch.arange(x.numel(), dtype=torch.int32, device=x.device).view(x.shape)
    return torch.where(is_kept(places, seed, p), x * (1.0 / (1.0 - p)), 0.0)


def forward_of(dropout: nn.Dropout, x: Tensor) -> Tensor:
    """What `dropout` makes of x: drawn by the hash in code that is being compiled, and as torch does it elsewhere."""
    by_hash = torch.compiler.is_compiling() and dropout.training and 0.0 < dropout.p < 1.0 and x.numel() < MOST_PLACES
    return hashed_dropout(x, dropout.p) if by_hash else functional.dropout(x, dropout.p, dropout.training)
