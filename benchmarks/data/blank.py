"""What shows nothing. Standard library only."""

from __future__ import annotations

import unicodedata

_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # control and format characters, spaces of every kind
# Of other categories, and drawn as nothing: the fillers of Hangul, the empty Braille cell, the grapheme joiner.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_VARIATIONS = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))  # selectors of how the character before looks


def blank(text: str) -> bool:
    """Whether a text shows nothing: it is empty, or all of its characters are spaces or have no width."""
    return all(_unseen(character) for character in text)


def _unseen(character: str) -> bool:
    if character.isspace() or character in _FILLERS:
        return True
    if any(low <= ord(character) <= high for low, high in _VARIATIONS):
        return True
    return unicodedata.category(character) in _UNSEEN
