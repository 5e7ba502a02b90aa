"""Sentences written as texts with named parts in braces: `fill("{he} went to the {shop} .", parts)`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from benchmarks.data.world.language.grammar import Cases, Node, Pick, Seq, node

_PART = re.compile(r"\{([\w.]+)\}")


def fill(text: str, parts: Mapping[str, Node]) -> Node:
    """The tree of a text; each name in braces stands for the part of that name, "a / b" are equally likely wordings."""
    wordings = [_filled(wording, parts) for wording in text.split(" / ")]
    return wordings[0] if len(wordings) == 1 else Pick(*((1, wording) for wording in wordings))


def _filled(text: str, parts: Mapping[str, Node]) -> Node:
    pieces = _PART.split(text)  # words, name, words, name, ..., words
    nodes = [parts[piece] if at % 2 else node(piece) for at, piece in enumerate(pieces) if at % 2 or piece.strip()]
    return nodes[0] if len(nodes) == 1 else Seq(*nodes)


def choices(variable: str, texts: Iterable[str], parts: Mapping[str, Node]) -> Node:
    """What the value of a variable says, where each value is itself a text to be filled."""
    return Cases(variable, {text: fill(text, parts) for text in texts})
