"""How numbers are written: as many digits as their interval supports, and no more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from cosmos.io.counting import counted as counted

NOTHING = "–"  # what stands where there is no number
MINUS = "−"


def decimals(half_width: float) -> int:
    """Decimals that an uncertainty supports, by the rule of the Particle Data Group (Review, introduction 5.3).

    The three highest digits of the uncertainty decide: from 100 to 354 two of its digits count, above that one.
    Negative for tens, hundreds and so on.
    """
    exponent = math.floor(math.log10(half_width))
    leading = half_width / 10.0**exponent
    return 1 - exponent if leading < 3.545 else -exponent


def common_decimals(half_widths: Iterable[float]) -> int | None:
    """The decimals of a column: what most of its intervals support, the finer where two are as common."""
    votes = Counter(decimals(width) for width in half_widths if width > 0)
    return max(votes, key=lambda places: (votes[places], places)) if votes else None


def column_decimals(numbers: Iterable[tuple[float | None, float | None, float | None]]) -> int | None:
    """The one number of decimals of a column of values with their intervals.

    It is what most intervals support, but not more than four digits of the middle value, nor three decimals, where one
    interval is much narrower than others; or three digits of the middle value where there is no interval. As many more
    keep each rate or share to within a tenth of itself. None where there is no value.
    """
    rows = [(value, low, high) for value, low, high in numbers if value is not None]
    if not rows:
        return None
    widths = (half_width(low, high) for _, low, high in rows)
    places = common_decimals(width for width in widths if width is not None)
    sizes = sorted(abs(value) for value, _, _ in rows if value)
    middle = math.floor(math.log10(sizes[len(sizes) // 2])) if sizes else 0
    places = max(0, 2 - middle) if places is None else min(places, max(0, 3 - max(0, middle)))
    rates = [value for value, low, high in rows if low is None or high is None or not low < 0 < high]
    return max([places, *(_kept(value, places) for value in rates)])


def half_width(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval, None where there is none or it has no width."""
    return (high - low) / 2 if low is not None and high is not None and high > low else None


def fixed(value: float, places: int) -> str:
    """`value` with that many decimals, thousands set off, a true minus sign; minus zero is zero."""
    rounded = round(value, places) + 0.0
    return f"{rounded:,.{max(places, 0)}f}".replace("-", MINUS)


def in_full(value: float) -> str:
    """For whoever goes on to compute: twelve digits. Sums of floats differ between processors, in the last two of their
    sixteen or so, and a file is the same on all."""
    return repr(float(f"{value:.12g}"))


def significant(value: float, digits: int = 3) -> str:
    """`value` with that many significant digits, never in exponents."""
    if value == 0:
        return "0"
    return fixed(value, digits - 1 - math.floor(math.log10(abs(value))))


def written(value: float | None, low: float | None, high: float | None, places: int | None = None) -> tuple[str, str]:
    """A number and its interval as text; the interval is "" where there is none.

    `places` fixes the decimals (for a column that shares them); otherwise the interval decides, or three significant
    digits do where there is none. A rate or a share is never rounded away by its own interval, however wide: it gets as
    many more decimals as keep it to within a tenth of itself. A difference whose interval has 0 within may be 0.
    """
    if value is None:
        return NOTHING, ""
    if low is None or high is None:
        return (significant(value) if places is None else fixed(value, _kept(value, places))), ""
    width = half_width(low, high)
    if places is None:
        places = 3 - 1 - math.floor(math.log10(abs(value))) if width is None and value else decimals(width or 1.0)
    places = places if low < 0 < high else _kept(value, places)
    return fixed(value, places), f"[{fixed(low, places)}, {fixed(high, places)}]"


def _kept(value: float, places: int) -> int:
    """The decimals, or as many more as rounding may not move the value by more than a tenth of itself."""
    while abs(round(value, places) - value) > abs(value) / 10:
        places += 1
    return places


def p_value(p: float) -> str:
    """A p-value for a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def percent(share: float) -> str:
    """A share as whole percents, which are 0 and 100 only where it is 0 and 1."""
    if 0 < share < 0.005 or 0.995 <= share < 1:
        return "< 1 %" if share < 0.5 else "> 99 %"
    return f"{100 * share:.0f} %"


def listed(items: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    words = list(items)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
