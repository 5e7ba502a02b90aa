"""The sizes a figure is made in. Whatever the size, its type is 7 to 9 points when it is placed unscaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.contract import unknown

SizeName = Literal["column", "page", "slide"]


@dataclass(frozen=True)
class FigureSize:
    """How large a figure is, in the units that typesetters use.

    Attributes:
        width: of the whole figure, in inches.
        height: of one set of axes without labels, in inches; the figure is as high as its axes and labels need.
        text, small: type of titles and of labels, in points.
        mark: diameter of a mark, in points.
        dpi: dots per inch of the PNG.
    """

    name: SizeName
    width: float
    height: float
    text: float
    small: float
    mark: float
    dpi: int


SIZES: dict[str, FigureSize] = {
    "column": FigureSize("column", 3.25, 2.0, 7.5, 7.0, 4.5, 300),  # one column of a paper of two
    "page": FigureSize("page", 6.5, 3.3, 9.0, 8.0, 5.5, 200),  # the width of a page, and of a report
    "slide": FigureSize(
        "slide", 16 / 3, 2.1, 8.5, 8.0, 5.5, 360
    ),  # enlarged 2.5 times it fills a slide of 13.33 inches
}
COLUMN, PAGE = SIZES["column"], SIZES["page"]


def size_named(name: str) -> FigureSize:
    """The size of that name.

    Raises:
        UserError: there is none.
    """
    if name not in SIZES:
        raise unknown("size of figures", name, SIZES)
    return SIZES[name]
