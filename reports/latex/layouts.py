"""Where a table is to fit: the text of any article, one column of two, or both columns of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from baselines.contract import UserError
from reports.numbers import listed


@dataclass(frozen=True)
class Layout:
    """How wide and how high a table may be, in points, and in which type it is set.

    Sizes of type are fixed, for a class of eleven points would otherwise make the same table wider than one of ten.

    Attributes:
        environment: `table*` spans both columns where there are two, and is `table` where there is one.
        width: of the narrowest of the pages it is for.
        size: of type, in points; `small` that of intervals and details, `notes` that of what stands below.
        gap: points between columns.
        brackets: whether both ends of an interval are shown; if not, how far the farther one is.
    """

    name: str
    environment: str
    width: float
    height: float
    size: int
    small: int
    notes: int
    gap: float
    brackets: bool
    where: str


PAPER = Layout(
    "paper", "table*", 345.0, 530.0, 9, 6, 8, 6.0, True, "the text of any article: 345 pt, over both columns of two"
)
COLUMN = Layout("column", "table", 219.0, 530.0, 8, 6, 7, 5.0, False, "one column of two: 219 pt, as of ACL, or wider")
WIDE = Layout(
    "wide",
    "table*",
    450.0,
    530.0,
    9,
    6,
    8,
    6.0,
    True,
    "both columns of a page: 450 pt, as of article and ACL, or wider",
)

LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in (PAPER, COLUMN, WIDE)}


def layout_named(name: str) -> Layout:
    """The layout of this name.

    Raises:
        UserError: there is none.
    """
    if name not in LAYOUTS:
        raise UserError(f"There is no layout '{name}'; choose from {listed(LAYOUTS)}.")
    return LAYOUTS[name]


def checked_prefix(typed: str | None) -> str | None:
    """What labels are to begin with; None where nothing was typed.

    Raises:
        UserError: it holds what a label cannot.
    """
    if typed is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:._-]*", typed):
        raise UserError(f"A label begins with letters, digits and : . _ - alone; '{typed[:40]}' has something else.")
    return typed
