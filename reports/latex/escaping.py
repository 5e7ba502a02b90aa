"""Any text in LaTeX, as plainly as it can be written: only what would mean something else is guarded."""

from __future__ import annotations

import re
import unicodedata

from reports.templating import Raw

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"$\$$",  # outside mathematics it would need a font that few have
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "`": r"\char96{}",
    "−": r"$-$",
    "–": r"--",
    "—": r"---",
    "‘": r"`",
    "’": r"'",
    "“": r"``",
    "”": r"''",
    "…": r"\ldots{}",
    "†": r"$\dagger$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "µ": r"$\mu$",
    "°": r"$^{\circ}$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "ø": r"\o{}",
    "œ": r"\oe{}",
    "Æ": r"\AE{}",
    "Ø": r"\O{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
}
_OPTIONS = "[*"  # at the beginning of a line or an item they would be taken for an option
_LIGATURES = re.compile(r"(?:--|''|``|,,)|(?:[?!](?:`|\\char96))")  # of what stands on both sides of a joint
_RUN = 8  # characters of a long word that are never broken


def escape(text: str, *, within: bool = False) -> str:
    """Text that LaTeX sets as it is, on one line, in ASCII; a character it has no sign for is named, as [U+4E2D].

    Characters are guarded where they would join with their neighbours into another sign, or at the beginning be
    taken for an option, which they are not `within` a group; and nowhere else.
    """
    written = ""
    for character in " ".join(text.split()):
        piece = _character(character)
        if not written and not within and piece[0] in _OPTIONS:
            piece = f"{{{piece[0]}}}{piece[1:]}"
        elif written and _LIGATURES.match(written[-1] + piece):
            piece = "{}" + piece
        written += piece
    return written


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if " " <= character <= "~":
        return character
    base, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        dotless = rf"\{base}" if base in "ij" else base
        return rf"\{_ACCENTS[marks[0]]}{{{dotless}}}"
    return f"[U+{ord(character):04X}]"


def breakable(text: str) -> Raw:
    """Hashes, commands and paths in typewriter, which may be broken after marks and within long words."""
    words = (r"\allowbreak{}".join(map(escape, broken(word))) for word in text.split())
    return Raw(r"{\ttfamily " + " ".join(words) + "}")


def broken(word: str, most: int = _RUN) -> list[str]:
    """The pieces of a word, none longer than so many characters, between which a line may end."""
    pieces = re.findall(r"[^/_.=,:;-]*[/_.=,:;-]+|[^/_.=,:;-]+", word)
    return [piece[start : start + most] for piece in pieces for start in range(0, len(piece), most)]
