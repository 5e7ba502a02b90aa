"""An integer random stream that gives the same draws on every platform and Python version.

Keys are hashed with SHA-256, draws come from SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014). No floating point is involved.
"""

from __future__ import annotations

import hashlib

_MASK = (1 << 64) - 1


def hashed(*key: object) -> int:
    """A 64-bit hash of the key's parts, the same everywhere."""
    text = "\x1f".join(str(part) for part in key)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


class Stream:
    """Independent uniform integers; two streams of equal key give equal draws."""

    __slots__ = ("_state",)

    def __init__(self, *key: object) -> None:
        self._state = hashed(*key)

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound).

        The high word of a 64-bit product is used without rejection, so a value's probability is off by less than
        2**-64: far below the rounding of the floats it is compared with.
        """
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((state ^ (state >> 31)) * bound) >> 64
