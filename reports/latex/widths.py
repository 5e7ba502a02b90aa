"""How wide a text will be set: by the metrics of Computer Modern, which is wider than the Times of most journals."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

OPTICAL = {5: 1.36, 6: 1.22, 7: 1.14, 8: 1.06, 9: 1.03, 10: 1.0}  # small sizes of it are wider in proportion
BOLD = 1.15
_UNKNOWN = 0.85  # em, of signs that the font lacks
_SIGNS = {"–": 0.5, "—": 1.0, "−": 0.78, "±": 0.78, "×": 0.78, "≤": 0.78, "≥": 0.78, "†": 0.45, "↑": 0.5, "↓": 0.5}
_OTHERS = set('<>_|"\\{}')  # stand for something else in that font


@lru_cache(maxsize=8192)
def width(text: str, size: int, *, bold: bool = False) -> float:
    """Points that a text takes on one line, in a size of `OPTICAL`."""
    return sum(map(_em, text)) * size * OPTICAL[size] * (BOLD if bold else 1.0)


@cache
def _em(character: str) -> float:
    """The advance of a character in em."""
    if character in _SIGNS:
        return _SIGNS[character]
    if not " " < character <= "~" or character in _OTHERS:
        return 0.34 if character == " " else _UNKNOWN if character.isascii() else 1.0 if character.isalpha() else 4.0
    return float(_font().load_char(ord(character)).linearHoriAdvance) / 65536 / 10


@cache
def _font():  # type: ignore[no-untyped-def]
    """cmr10 at ten points, as matplotlib brings it."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "cmr10.ttf"))
    font.set_size(10, 72)
    return font
