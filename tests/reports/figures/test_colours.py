"""The colours of systems can be told apart, on either page, by those who do not see all hues, and in print."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import reports
from reports.figures import colours, looks
from reports.figures.colours import DARK, LIGHT

PAGES = {
    "light": (LIGHT, colours.PAPER, colours.QUIET, colours.INK),
    "dark": (DARK, colours.DARK_PAPER, colours.DARK_QUIET, colours.DARK_INK),
}
# Machado, Oliveira and Fernandes (2009), severity 1, for linear sRGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
LEAST = 0.1  # in OKLab, in which 0.02 is about what can just be seen


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """By WCAG 2: 1 to 21."""
    high, low = sorted((float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def seen(colour: str, sight: str) -> np.ndarray:
    """OKLab (Ottosson, 2020) of a colour as a kind of sight has it."""
    shown = np.clip(np.asarray(SIGHT[sight]) @ linear(colour), 0, 1)
    cones = np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    ) @ shown  # fmt: skip
    return np.array(
        [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.808675766]]
    ) @ np.cbrt(cones)  # fmt: skip


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#777777") == 1
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("page", PAGES)
def test_every_colour_stands_out_against_its_page(page: str) -> None:
    series, paper, quiet, ink = PAGES[page]
    assert {colour: contrast(colour, paper) for colour in series if contrast(colour, paper) < 3} == {}
    assert contrast(quiet, paper) >= 4.5 and contrast(ink, paper) >= 7


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_colours_are_apart(page: str, sight: str) -> None:
    series, _, quiet, ink = PAGES[page]
    every = (*series, quiet, ink)
    apart = {
        pair: float(np.linalg.norm(seen(pair[0], sight) - seen(pair[1], sight))) for pair in combinations(every, 2)
    }
    assert {pair: distance for pair, distance in apart.items() if distance < LEAST} == {}


def test_sight_without_red_or_green_confuses_them() -> None:
    """The simulation does something: a red and a green that differ are one for a deuteranope."""
    red, green = "#c06000", "#808000"
    apart = {sight: np.linalg.norm(seen(red, sight) - seen(green, sight)) for sight in SIGHT}
    assert apart["deuteranopia"] < 0.5 * apart["normal"]


def test_pages_have_the_colours_of_figures() -> None:
    css = (Path(reports.__file__).parent / "templates" / "report.css").read_text()
    light, dark = css.split("prefers-color-scheme: dark", 1)
    for text, (series, paper, quiet, ink) in ((light, PAGES["light"]), (dark, PAGES["dark"])):
        first = dict(re.findall(r"(--[\w-]+): (#\w{6})", text)[::-1])
        assert [first[colours.series(number)] for number in range(len(series))] == list(series)
        assert (first["--paper"], first["--quiet"], first["--ink"]) == (paper, quiet, ink)


def test_methods_have_a_colour_and_a_mark_each_also_in_grey() -> None:
    found = looks.looks(list(looks.METHODS))
    assert len({look.number for look in found.values()}) == len(LIGHT) == len(found)
    assert len({look.marker for look in found.values()}) == len(found)


def test_variants_share_the_colour_of_their_method_and_have_marks_of_their_own() -> None:
    names = ["cosmos", *looks.VARIANTS, "cosmos-12", "cosmos-full-wide"]
    found = looks.looks([*names, *(f"cosmos-{latents}x32" for latents in range(2, 12))])
    assert {look.number for look in found.values()} == {0}
    assert len({look.marker for name, look in found.items() if name in ("cosmos", *looks.VARIANTS)}) == 8


def test_a_system_looks_alike_whoever_stands_beside_it() -> None:
    names = ["cosmos", "gpt2", "mine", "theirs", "cosmos-8", "cosmos-24x96"]
    together = looks.looks(names)
    assert looks.looks(names[::-1]) == together
    assert all(looks.looks([name]) == {name: together[name]} for name in names)


def test_no_two_systems_look_alike() -> None:
    names = [*looks.METHODS, *looks.VARIANTS, "cosmos-3", "cosmos-7x9", *(f"own-{number}" for number in range(30))]
    found = looks.looks(names)
    assert len(set(found.values())) == len(names)


def test_the_method_that_a_record_says_counts() -> None:
    assert looks.looks(["fast"], {"fast": "mdlm"})["fast"].number == looks.looks(["mdlm"])["mdlm"].number
