"""The colours of all figures, on light paper and on a dark page.

Eight colours for systems. They were searched for, not chosen by eye: on either page each has a contrast of at least 3:1
against the background, and any two, the greys of the axes among them, are apart by at least 0.1 in OKLab to normal
sight and to simulated protanopia and deuteranopia (Machado, Oliveira and Fernandes, 2009). No figure rests on colour
alone: a system has a mark of its own besides (`reports.figures.looks`).
"""

from __future__ import annotations

INK, QUIET, GRID, PAPER = "#1a1b1e", "#5d6168", "#e3e4e7", "#fefefe"
DARK_INK, DARK_QUIET, DARK_GRID, DARK_PAPER = "#e7e7e4", "#a0a4ab", "#34363b", "#16171a"
LIGHT = ("#0955d8", "#eb6504", "#2aa17f", "#6c1752", "#8c5601", "#1484b6", "#ac6ffd", "#630593")
DARK = ("#69bdfe", "#e25713", "#74f86e", "#c93479", "#eba400", "#0287b6", "#9d74fe", "#7646de")


def series(number: int) -> str:
    """The CSS variable of a colour; the first is `--series-1`."""
    return f"--series-{number + 1}"


# What each colour of a figure is called in a page's style sheet, where it follows the reader's theme.
THEME = {
    INK: "--ink",
    QUIET: "--quiet",
    GRID: "--grid",
    PAPER: "--paper",
    **{colour: series(number) for number, colour in enumerate(LIGHT)},
}
