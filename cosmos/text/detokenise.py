"""From WordPiece tokens to English text: joining pieces and setting spaces.

BERT's tokenizer forgets where spaces were. What it does keep decides almost every case in English prose: which mark it
is, what stands on either side, and whether a quotation is open.
"""

from __future__ import annotations

from collections.abc import Sequence

_CLOSING = frozenset(".,;:!?)]}%…’”")  # no space before
_OPENING = frozenset("([{$£€#“")  # no space after
_JOINING = frozenset("-/_@'’")  # no space around, between two words
_CONTRACTED = frozenset(("s", "t", "re", "ve", "ll", "d", "m", "em", "am"))  # what follows an apostrophe inside a word
_NUMERIC = frozenset(".,:")  # no space after, between two digits
_MARKS = _CLOSING | _OPENING | _JOINING | frozenset('"')  # all that decides spaces; a word never does


SEPARATOR = " "  # of words, where pieces are put together; no piece of words cut at spaces has one


def separated(piece: str) -> str:
    """A piece as it is put behind others: `##s` belongs to the word before it, all else begins one."""
    continues = piece.startswith("##") and len(piece) > 2
    return piece[2:] if continues else f"{SEPARATOR}{piece}"


def may_be_mark(piece: str) -> bool:
    """Whether a text without such pieces has words alone."""
    return separated(piece).removeprefix(SEPARATOR) in _MARKS


def words(text: str) -> list[str]:
    """The words of pieces that are `separated` and put together; what continues a word begins one where there is none
    before."""
    return text.removeprefix(SEPARATOR).split(SEPARATOR) if text else []


def only_words(text: str) -> str:
    """As `with_spaces` of `words`, where no piece of the text may be a mark."""
    return text.removeprefix(SEPARATOR)


def _is_word(token: str) -> bool:
    return token[-1].isalnum()


def _apostrophe(left: str, right: str, quoting: bool) -> tuple[bool, bool]:
    """Whether an apostrophe clings to the word on its left, and to that on its right."""
    if _is_word(left or " ") and (right in _CONTRACTED or left == "o"):
        return True, True
    if quoting or (left.endswith("s") and _is_word(left)) or not right:
        return True, False
    return False, True


def detokenise(pieces: Sequence[str]) -> str:
    """Text of WordPiece tokens (without specials), with spaces where English has them."""
    return with_spaces(words("".join(map(separated, pieces))))


def with_spaces(tokens: Sequence[str]) -> str:
    """Words and marks as a text, with spaces where English has them; words between two marks are joined at once."""
    text: list[str] = []
    glued = True  # no space before the next token
    double = single = False  # an open quotation
    done = 0  # tokens that are in the text
    for i in [i for i, token in enumerate(tokens) if token in _MARKS]:
        if done < i:
            text += ["" if glued else " ", " ".join(tokens[done:i])]
            glued = False
        token, left = tokens[i], tokens[i - 1] if i else ""
        right = tokens[i + 1] if i + 1 < len(tokens) else ""
        before, after = glued, False  # whether it clings to what is before and after it
        if token == "'":
            clings_left, after = _apostrophe(left, right, single)
            before = before or clings_left
            single = after if clings_left != after else single
        elif token == '"':
            before, after = before or double, not double
            double = not double
        elif token == "-" and "-" in (left, right):
            before, after = before or left == "-", right == "-"  # a dash of several hyphens stands alone
        elif token in _JOINING and left and right:
            before = after = _is_word(left) and _is_word(right)
        elif token in _CLOSING:
            before = bool(i)
            digits = token in _NUMERIC and left[-1:].isdigit() and right[:1].isdigit()
            after = digits or (token == "." and _abbreviates(tokens, i))
        elif token in _OPENING:
            after = True
        text += ["" if before or not i else " ", token]
        glued, done = after, i + 1
    if done < len(tokens):
        text += ["" if glued else " ", " ".join(tokens[done:])]
    return "".join(text)


def _abbreviates(tokens: Sequence[str], i: int) -> bool:
    """Whether the full stop at `i` stands inside an abbreviation such as `e.g.` or `p.m.`."""
    around = (tokens[i - 1] if i else "", *tokens[i + 1 : i + 3])
    return len(around) == 3 and len(around[0]) == 1 == len(around[1]) and around[1].isalpha() and around[2] == "."
