"""How a system looks, wherever it is shown: one colour, one mark.

A method has a colour and a mark of its own; its variants (numbers of latents, joint training) share the colour and have
marks of theirs. Systems of other packages get both by their name, so that they look alike in every report too, and
differ from each other within one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.records.schema import method_by_name
from reports.figures.colours import LIGHT, series

Marker = str | tuple[int, Literal[0, 1, 2], int]
"""A marker as matplotlib names it."""
LineStyle = str | tuple[int, tuple[int, ...]]
"""A style of line as matplotlib names it."""

METHODS: Mapping[str, Marker] = {
    "cosmos": "o",
    "gpt2": "s",
    "mdlm": "^",
    "sedd": "D",
    "duo": "v",
    "tencdm": "P",
    "ld4lg": "X",
    "diffuseq": "p",
}
STAR: Marker = (4, 1, 0)  # with four points
CALTROP: Marker = (3, 1, 0)  # with three
MORE: tuple[Marker, ...] = ("<", ">", "*", STAR, CALTROP, "d", "h")
UNLISTED: tuple[Marker, ...] = ("8", "H", (6, 1, 0), (5, 1, 180), (8, 1, 0))  # of variants of any other name
VARIANTS: Mapping[str, Marker] = {
    "cosmos-8": "<",
    "cosmos-16": ">",
    "cosmos-32": "*",
    "cosmos-64": STAR,
    "cosmos-128": CALTROP,
    "cosmos-full": "d",
    "cosmos-joint": "h",
}
LINES: tuple[LineStyle, ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1)),
    (0, (6, 2, 1, 2)),
    (0, (9, 3)),
    (0, (6, 2, 1, 2, 1, 2)),
)  # of the settings of one system, where they are lines


@dataclass(frozen=True)
class Look:
    """A colour, as its place in the palette, and a mark."""

    number: int
    marker: Marker

    @property
    def colour(self) -> str:
        """On light paper; a page with a theme has `css` in its place."""
        return LIGHT[self.number]

    @property
    def css(self) -> str:
        return f"var({series(self.number)})"


def looks(systems: Sequence[str], methods: Mapping[str, str] | None = None) -> dict[str, Look]:
    """The look of each system of one figure or page; none is that of two, while there are any left.

    Args:
        systems: their names, as records have them.
        methods: the method that a system is a variant of, where that is not its own name.
    """
    methods = methods or {}
    known = list(METHODS)
    found = {name: Look(known.index(name), METHODS[name]) for name in systems if name in METHODS}
    found |= {name: Look(0, VARIANTS[name]) for name in systems if name in VARIANTS}
    for name in sorted({*systems} - {*found}):  # by name, so that no order of records changes a look
        method = methods.get(name) or method_by_name(name)
        own = [Look(known.index(method), marker) for marker in UNLISTED] if method in METHODS else _FREE
        begin = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(own)
        turned = [*own[begin:], *own[:begin]]
        found[name] = next((look for look in turned if look not in found.values()), turned[0])
    return found


_FREE = [Look(number, marker) for number, marker in product(range(1, len(LIGHT)), MORE)]  # of no known method
