"""Noise that depends on a text's own seed and on nothing else.

`CounterRNG` is a counter-based generator: every number is a hash of (seed of the row, number of the draw, place in the
row), so a text gets the same noise alone or in a batch of a thousand, on any device, in any order, and the draws are
plain tensor arithmetic that a captured graph can hold. The hash is the finaliser of SplitMix64 (Steele, Lea and
Flood, 2014), applied twice; normals come from the Box-Muller transform.

Axis legend: B rows (texts).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from cosmos.runtime.compilation import compiled_if

Network = TypeVar("Network", bound=nn.Module)


def _signed(value: int) -> int:
    """An integer modulo 2^64, as int64 holds it."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64, which torch shifts arithmetically."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _keys(seeds: Tensor) -> Tensor:
    """Where the streams of seeds [B] begin, int64 [B]."""
    return _mix(seeds * _GOLDEN + _MIX_1)


def _hash(stream: Tensor, place: Tensor) -> Tensor:
    """One number for each pair of stream [B] and place [count], int64 [B, count].

    Compiled, places must come as a tensor: made inside they would be part of an address, which is computed in 32 bits.
    """
    return _mix(_mix(stream)[:, None] + place)


def _uniform(stream: Tensor, place: Tensor) -> Tensor:
    """float64 in (0, 1), [B, count]. Every operation is exact or rounds once, so it is the same compiled."""
    return (_shift(_hash(stream, place), 11).double() + 0.5) * 2.0**-53  # 53 bits


def _standard_normal(bits: Tensor) -> Tensor:
    """From hashed int64 [B, count], float64; the radius uses 32 bits, so values lie within 6.7."""
    radius = torch.sqrt(-2.0 * torch.log((_shift(bits, 32).double() + 0.5) * 2.0**-32))
    angle = (bits & 0xFFFFFFFF).double() * (2.0 * math.pi * 2.0**-32)
    return radius * torch.cos(angle)


def normal_at(stream: Tensor, place: Tensor, dtype: torch.dtype) -> Tensor:
    """The normals of a draw, [B, count], from what `CounterRNG.draw` gives; to be part of a compiled function."""
    return _standard_normal(_hash(stream, place)).to(dtype)


class CounterRNG:
    """One stream of random numbers per row, of seeds int64 [B]. Each draw advances all streams together.

    Whatever a loss draws or decides over rows together (strata, a coin) it asks of these streams, so that a batch may
    be worked on in parts.

    Attributes:
        numbers: places of these rows in the whole batch, known without waiting for a device.
        spread: whether there is one of them in each of as many equal parts of the whole batch, as of it itself.
        compiled: integers are hashed, and uniform numbers made, by compiled code, which gives the same numbers.
        fused: logarithms and cosines are compiled too, so that normals are one pass over memory. A compiler's may
            differ in the last bit of float64 (on a CPU they do): the same normals in float32, but for the last bit of
            one in many millions, which is far less than what compiling the networks changes.
    """

    def __init__(self, seeds: Tensor, compiled: bool = False, fused: bool = False) -> None:
        assert seeds.dtype == torch.int64 and seeds.ndim == 1
        self.keys = compiled_if(compiled, _keys)(seeds)  # [B]
        self.draws, self.compiled, self.fused = 0, compiled, fused
        self.numbers: Sequence[int] = range(len(seeds))
        self.spread = True
        self.whole: CounterRNG | None = None
        self._places: Tensor | None = None  # the numbers on the device, where they are a part's

    def __len__(self) -> int:
        return self.keys.shape[0]

    def rows(self, index: Tensor | slice) -> CounterRNG:
        """The streams of some rows, at the same draw; `index` is a boolean mask [B], positions or a slice."""
        part = copy.copy(self)
        part.keys, part.whole, part._places = self.keys[index], None, None
        part.numbers, part.spread = range(len(part.keys)), True
        return part

    def part(self, start: int, stop: int) -> CounterRNG:
        """The streams of rows start ... stop - 1 of a batch that is worked on in parts, which know their batch; what is
        divided may itself be a part."""
        part = self.rows(slice(start, stop))
        part.numbers, part.spread, part._places = self.numbers[start:stop], False, self.places[start:stop]
        part.whole = self.whole or self
        return part

    def share(self, numbers: Sequence[int], places: Tensor) -> CounterRNG:
        """The streams of the rows that one of several processes works on, which lie evenly in the batch.

        Args:
            numbers: their places in it. places: the same, int64 on the device.
        """
        part = self.rows(places)
        part.numbers, part._places, part.whole = numbers, places, self
        return part

    def again(self, seeds: Tensor) -> CounterRNG:
        """Streams of `seeds`, for several copies of these rows: each copy of all, one after the other."""
        copies = len(seeds) // len(self)
        found = CounterRNG(seeds, self.compiled, self.fused)
        if self.whole is not None:
            apart = range(0, copies * self.batch_rows, self.batch_rows)
            found.numbers = [number + first for first in apart for number in self.numbers]
            found._places = torch.cat([self.places + first for first in apart])
        found.spread = self.spread
        return found

    @property
    def batch_rows(self) -> int:
        """Rows of the whole batch, of which these may be a part."""
        return len(self.whole or self)

    @property
    def places(self) -> Tensor:
        """Places of these rows in the whole batch, int64 [B]."""
        return torch.arange(len(self), device=self.keys.device) if self._places is None else self._places

    def of_batch(self) -> Tensor:
        """One draw for the whole batch: the uniform number of its first row, float64."""
        first = (self.whole or self).rows(slice(0, 1))
        first.draws = self.draws
        number = first.uniform()[0]
        self.draws = first.draws
        return number

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """The next draw of `count` numbers a row: its stream int64 [B], and places int64 [count]."""
        self.draws += 1
        # A tensor, as compiled code would be made anew for every new number; on the host, whose scalars are arguments.
        draw = torch.full((), _signed(self.draws * _GOLDEN), dtype=torch.int64, device="cpu")
        place = torch.arange(1, count + 1, device=self.keys.device, dtype=torch.int64)
        return self.keys + draw, place * _GOLDEN

    def uniform(self, *shape: int) -> Tensor:
        """float64 in (0, 1), never 0 or 1, [B, *shape]."""
        return compiled_if(self.compiled, _uniform)(*self.draw(math.prod(shape))).view(len(self), *shape)

    def uniforms(self, draws: int, *shape: int) -> Tensor:
        """As many draws of `uniform` as `draws`, one after the other but made at once: [draws, B, *shape]."""
        drawn = compiled_if(self.compiled, _uniform)(*self.draws_of(draws, math.prod(shape)))
        return drawn.view(draws, len(self), *shape)

    def draws_of(self, draws: int, count: int) -> tuple[Tensor, Tensor]:
        """The next `draws` draws of `count` numbers a row each: their streams int64 [draws * B], and places as in
        `draw`."""
        numbers = torch.arange(self.draws + 1, self.draws + draws + 1, device=self.keys.device)
        self.draws += draws
        place = torch.arange(1, count + 1, device=self.keys.device, dtype=torch.int64)
        return (self.keys + (numbers * _GOLDEN)[:, None]).flatten(), place * _GOLDEN

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal, shape [B, *shape]; values lie within 6.7."""
        return self._normal(self.draw(math.prod(shape)), dtype).view(len(self), *shape)

    def normals(self, draws: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """As many draws of `normal` as `draws`, one after the other but made at once: [draws, B, *shape]."""
        return self._normal(self.draws_of(draws, math.prod(shape)), dtype).view(draws, len(self), *shape)

    def _normal(self, draw: tuple[Tensor, Tensor], dtype: torch.dtype) -> Tensor:
        if self.fused:
            return compiled_if(self.compiled, normal_at)(*draw, dtype)
        return _standard_normal(compiled_if(self.compiled, _hash)(*draw)).to(dtype)


def normal_like(x: Tensor, generator: torch.Generator | CounterRNG) -> Tensor:
    """Standard normal noise of the shape, dtype and device of `x`, shape [B, ...]."""
    if isinstance(generator, CounterRNG):
        return generator.normal(*x.shape[1:], dtype=x.dtype)
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def initialised(build: Callable[[], Network], seed: int) -> Network:
    """A network whose initial weights follow from the seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()
