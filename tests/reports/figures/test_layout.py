"""Axes and labels as plain geometry: ticks that fit, a point that is alone, names that never overlap."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from reports.figures.axis import at_values, fitted, linear, linear_ticks, log_ticks, logarithmic
from reports.figures.labels import Box, apart, place
from reports.figures.sheet import lines_of, width_of


@pytest.mark.parametrize("value", [0.0, 1.0, 0.001, -3.0, 56.7, 1e-12, 1e9])
def test_a_value_alone_has_an_axis_that_can_be_read(value: float) -> None:
    axis = linear("", [value])
    assert axis.low < value < axis.high
    assert axis.high - axis.low >= 0.15 * abs(value) and len(axis.ticks) >= 2
    assert len({label for _, label in axis.ticks}) == len(axis.ticks)


@pytest.mark.parametrize("value", [1e-3, 1.0, 620.0, 2.5e5])
def test_a_rate_alone_has_one_too(value: float) -> None:
    axis = logarithmic("", [value, None])
    assert axis.low < value < axis.high and axis.high / axis.low > 2 and len(axis.ticks) >= 2


@pytest.mark.parametrize("values", [[], [float("nan")], [None]])
def test_nothing_has_axes_as_well(values: list[float | None]) -> None:
    assert linear("", values).ticks and logarithmic("", values).ticks


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.31, 0.32), (-5.0, 1000.0), (1e-9, 2e-9), (-1.0, 1.0)])
def test_linear_ticks_are_round_and_within(low: float, high: float) -> None:
    ticks = linear_ticks(low, high)
    assert 2 <= len(ticks) <= 7 and all(low - 1e-9 <= value <= high + 1e-9 for value, _ in ticks)
    steps = {round((b - a) / (high - low), 6) for (a, _), (b, _) in pairwise(ticks)}
    assert len(steps) == 1 and len({label for _, label in ticks}) == len(ticks)


@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (10.0, 13.0), (1.0, 1e3), (1e-3, 1e9), (0.7, 90.0)])
@pytest.mark.parametrize("most", [3, 9])
def test_log_ticks_are_few_and_within(low: float, high: float, most: int) -> None:
    ticks = log_ticks(low, high, most)
    assert 1 <= len(ticks) <= most and all(
        low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9) for value, _ in ticks
    )


def test_ticks_are_as_many_as_fit() -> None:
    axis = logarithmic("", [250, 4000])
    wide, narrow = (fitted(axis, length, lambda label: 5.0 * len(label) + 4.0) for length in (400.0, 90.0))
    assert len(wide.ticks) > len(narrow.ticks) >= 1
    places = [(narrow.share(value) * 90.0, 5.0 * len(label) + 4.0) for value, label in narrow.ticks]
    assert all(b - a >= (wide_ + next_) / 2 for (a, wide_), (b, next_) in pairwise(places))


def test_ticks_with_names_keep_them() -> None:
    axis = at_values("", [(8, "8"), (16, "16"), (24, "full (24)"), (25, "25")])
    assert fitted(axis, 900.0, lambda label: 5.0 * len(label)).ticks == axis.ticks
    narrow = fitted(axis, 100.0, lambda label: 5.0 * len(label)).ticks
    assert set(narrow) < set(axis.ticks) and narrow[-1] == (25, "25")


def test_labels_of_a_crowd_overlap_neither_each_other_nor_a_mark() -> None:
    generator = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in generator.normal((200, 100), (60, 30), (40, 2))]
    bounds = Box(0, 0, 400, 200)
    found = place(points, [(50.0, 9.0)] * 40, bounds, 6.0)
    boxes = [spot.box for spot in found if spot is not None]
    assert len(boxes) > 20
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.x >= 0 and box.y >= 0 and box.x + 50 <= 400 and box.y + 9 <= 200 for box in boxes)
    marks = [Box(x - 3, y - 3, 6, 6) for x, y in points]
    assert not any(box.overlaps(mark, -0.01) for box in boxes for mark in marks)


def test_a_label_alone_stands_right_beside_its_mark() -> None:
    for point in ((5.0, 5.0), (395.0, 195.0), (200.0, 100.0)):
        [spot] = place([point], [(60.0, 9.0)], Box(0, 0, 400, 200), 6.0)
        assert spot is not None and spot.leader is None
        box = spot.box
        off = max(box.x - point[0], point[0] - box.x - box.width, box.y - point[1], point[1] - box.y - box.height)
        assert off < 8


def test_what_is_larger_than_the_axes_has_no_place() -> None:
    assert place([(10.0, 10.0)], [(500.0, 9.0)], Box(0, 0, 400, 200), 6.0) == [None]


@pytest.mark.parametrize("wanted", [[5, 5, 5, 5], [0, 95, 96, 97], [50, 49, 48, 10], list(range(10))])
def test_names_in_a_column_keep_their_order_and_do_not_overlap(wanted: list[float]) -> None:
    heights = [9.0 + number % 3 for number in range(len(wanted))]
    found = apart(wanted, heights, 0.0, 100.0)
    order = sorted(range(len(wanted)), key=lambda number: (wanted[number], number))
    for one, other in pairwise(order):
        assert found[other] - found[one] >= (heights[one] + heights[other]) / 2 - 1e-9
    assert min(found) >= 4.5 - 1e-9 and (sum(heights) > 100 or max(found) <= 96)
    assert apart([50.0, 20.0], [9.0, 9.0], 0.0, 100.0) == [50.0, 20.0]  # none is moved that need not be


def test_long_names_are_broken_and_never_cut() -> None:
    name = "t5like greedy, nano, budget 3e12flops " + "x" * 90
    lines = lines_of(name, 8.0, 80.0)
    assert "".join("".join(lines).split()) == "".join(name.split())
    assert all(width_of(line, 8.0) <= 80.0 for line in lines)
    assert not any(line.startswith("%") for line in lines_of("of all < 1\N{NO-BREAK SPACE}% of draws", 8.0, 40.0))
