"""In which script texts are written, for scores that cut them into words. Standard library only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

ANY_SCRIPT = "letters and digits, characters of scripts without spaces"
"""The name of `words_of_any_script` in signatures."""

_HAN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_KANA = "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
_UNSPACED = re.compile(f"[{_HAN}{_KANA}{_SOUTH_EAST}]")


def share_unspaced(texts: Iterable[str]) -> float:
    """The share of letters that belong to scripts written without spaces between words, 0 where there is no letter."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        unspaced += sum(map(str.isalpha, _UNSPACED.findall(text)))
    return unspaced / letters if letters else 0.0


def share_ascii(texts: Iterable[str]) -> float:
    """The share of letters that are a to z, 1 where there is no letter."""
    letters = plain = 0
    for text in texts:
        alphabetic = [character for character in text if character.isalpha()]
        letters += len(alphabetic)
        plain += sum(map(str.isascii, alphabetic))
    return plain / letters if letters else 1.0


def words_of_any_script(text: str) -> list[str]:
    """Runs of letters, their marks and digits, case folded; of scripts without spaces every character by itself."""
    spaced = "".join(
        f" {c} " if _UNSPACED.match(c) else c if unicodedata.category(c)[0] in "LMN" else " " for c in text.casefold()
    )
    return spaced.split()
