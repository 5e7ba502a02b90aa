"""Axes as plain values: limits, ticks and what stands at these, so that a figure is laid out before it is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from reports.numbers import MINUS

ALONE = 0.1  # of its value, to both sides of what is alone on an axis
ALONE_LOG = 1.6  # times and part of it, on a logarithmic one
ROOM = 0.06  # of an axis, between its ends and what it shows


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        low, high: its ends.
        ticks: places and what is written there.
        log: whether equal ratios are equally long.
        named: whether ticks stand where they do because of what is there, so that no others may take their places.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False
    named: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value is, 0 at its low end and 1 at its high one."""
        low, high, place = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (place - low) / (high - low)


def linear(title: str, values: Iterable[float | None], room: float = ROOM) -> Axis:
    """An axis that shows all values; of one alone, or of equal ones, a tenth to both sides."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    least = 2 * ALONE * max(abs(low), abs(high)) or 2 * ALONE
    if high - low < least / 4:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    pad = room * (high - low)
    low, high = low - pad, high + pad
    return Axis(title, low, high, linear_ticks(low, high))


def logarithmic(title: str, values: Iterable[float | None], room: float = ROOM) -> Axis:
    """The same of positive values and their ratios."""
    finite = [value for value in values if value is not None and math.isfinite(value) and value > 0]
    low, high = min(finite, default=1.0), max(finite, default=10.0)
    if high / low < ALONE_LOG:
        middle = math.sqrt(low * high)
        low, high = middle / ALONE_LOG, middle * ALONE_LOG
    pad = (high / low) ** room
    low, high = low / pad, high * pad
    return Axis(title, low, high, log_ticks(low, high), log=True)


def at_values(title: str, named: Sequence[tuple[float, str]], room: float = ROOM) -> Axis:
    """A logarithmic axis with its ticks at the values themselves, and what these are called."""
    axis = logarithmic(title, [value for value, _ in named], room)
    return Axis(title, axis.low, axis.high, tuple(sorted(dict(named).items())), log=True, named=True)


def linear_ticks(low: float, high: float, most: int = 7) -> tuple[tuple[float, str], ...]:
    """At most so many multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (factor * power for factor in (1, 2, 5, 10, 20, 50)):
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return tuple((number * step, written(number * step, digits)) for number in range(first, last + 1))


def log_ticks(low: float, high: float, most: int = 9) -> tuple[tuple[float, str], ...]:
    """At most so many: 1, 2 and 5 times powers of ten, or fewer or more of each as the axis is long."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if min(2, most) <= len(found) <= most:
            return tuple((value, plainly(value)) for value in found)
    if len(found) > most:
        return tuple((value, plainly(value)) for value in found[:: math.ceil(len(found) / most)])
    return tuple(tick for tick in linear_ticks(low, high, most) if tick[0] > 0)


def fitted(axis: Axis, length: float, room: Callable[[str], float]) -> Axis:
    """The axis with as many of its ticks as have room side by side on so long an axis, where there are fewer that do.

    Args:
        room: how much of the length what stands at a tick takes.
    """
    ticks, most = axis.ticks, len(axis.ticks)
    if axis.named:
        kept: list[tuple[float, str]] = []
        for tick in reversed(ticks):  # the largest first, which is the one that is looked for
            if _fit(axis, [tick, *kept[:1]], length, room):
                kept.insert(0, tick)
        return replace(axis, ticks=tuple(kept))
    while most > 1 and not _fit(axis, ticks, length, room):
        most -= 1
        ticks = (log_ticks if axis.log else linear_ticks)(axis.low, axis.high, most)
    return replace(axis, ticks=ticks)


def _fit(axis: Axis, ticks: Sequence[tuple[float, str]], length: float, room: Callable[[str], float]) -> bool:
    places = [(axis.share(value) * length, room(label)) for value, label in ticks]
    return all(b - a >= (wide + next_) / 2 for (a, wide), (b, next_) in pairwise(places))


def written(value: float, digits: int) -> str:
    """A tick with so many decimals."""
    return f"{value:,.{digits}f}".replace("-", MINUS) if round(value, digits) else f"{0:.{digits}f}"


def plainly(value: float) -> str:
    """A tick as people write it; powers of ten where it would be long."""
    if 1e-4 <= value < 1e6:
        return f"{value:,.10g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
