"""Tables are cut into parts that fit, and lose nothing."""

import random
import re

import pytest

from reports import latex
from reports.latex.fitting import fitted, second_line, widths
from reports.latex.layouts import COLUMN, LAYOUTS, PAPER
from reports.latex.widths import width
from reports.table import Column, Row, RowGroup, Table, TableCell


@pytest.mark.parametrize(
    ("text", "size", "points"),  # as TeX says of Computer Modern
    [
        ("0123456789", 10, 50.0),
        ("Cosmos", 10, 33.44),
        ("W", 10, 10.28),
        ("abcdefghijklmnopqrstuvwxyz", 10, 127.58),
        ("[0.674, 0.710]", 6, 42.39),
    ],
)
def test_widths_are_those_of_the_font(text, size, points):
    assert width(text, size) == pytest.approx(points, rel=0.02)


def made_up(rng: random.Random) -> Table:
    words = ("Cosmos", "16 latents", "GPT-2", "a_word_that_is_longer_than_all_of_the_others", "nucleus 0.9", "x")

    def phrase(most):
        return " ".join(rng.choice(words) for _ in range(rng.randint(1, most)))

    count = rng.randint(1, 20)
    columns = tuple(
        Column(phrase(3), rng.choice(("", "ms, median")), rng.choice(("higher", "none"))) for _ in range(count)
    )

    def cell():
        value = rng.uniform(0, 5000)
        interval = rng.choice(("", "[1,234.5, 5,432.1]"))
        notes = tuple(phrase(9) for _ in range(rng.choice((0, 0, 0, 2))))
        return TableCell(value, f"{value:,.2f}", interval, notes, rng.choice(("", "best", "level")), rng.random() < 0.1)

    blocks = tuple(
        RowGroup(
            phrase(12),
            tuple(
                Row(phrase(4), rng.choice(("", phrase(6))), f"{block}-{row}", tuple(cell() for _ in range(count)))
                for row in range(rng.randint(1, 30))
            ),
        )
        for block in range(rng.randint(1, 4))
    )
    return Table("made-up", phrase(5), columns, blocks)


@pytest.mark.parametrize("name", LAYOUTS)
def test_parts_fit_and_lose_nothing(name):
    rng, layout = random.Random(17), LAYOUTS[name]
    several = 0
    for _ in range(12):
        table = made_up(rng)
        parts = fitted(table, layout)
        several += len(parts) > 1
        seen = []
        for part in parts:
            sizes = widths(part.table, layout)
            assert part.names + sum(layout.gap + size for size in sizes) <= layout.width + 1e-6 or len(sizes) == 1
            for block in part.table.blocks:
                for row in block.rows:
                    seen += [(row.cell_id, id(cell)) for cell in row.cells]
        every = [(row.cell_id, id(cell)) for block in table.blocks for row in block.rows for cell in row.cells]
        assert sorted(seen) == sorted(every)
    assert several > 4


def test_a_table_that_fits_is_whole():
    cells = tuple(TableCell(0.5, "0.500", "[0.400, 0.600]", low=0.4, high=0.6) for _ in range(3))
    table = Table("t", "T", tuple(map(Column, "abc")), (RowGroup("Block", (Row("GPT-2", "greedy", "x", cells),)),))
    assert len(fitted(table, COLUMN)) == 1
    assert r"\label{tab:t}" in latex.table(table) and r"\label{tab:mine-t}" in latex.table(table, prefix="mine")
    assert latex.table(table).startswith(r"\begin{table*}") and latex.table(table, COLUMN).startswith(r"\begin{table}")


def test_a_narrow_table_says_how_far_the_farther_end_is():
    cell = TableCell(0.5, "0.500", "[0.450, 0.612]", low=0.45, high=0.6124)
    assert second_line(cell, PAPER) == "[0.450, 0.612]"
    assert second_line(cell, COLUMN) == "±0.113"  # rounded up, for it is to hold both ends
    assert second_line(TableCell(1234.0, "1,230", "[1,200, 1,300]", low=1200.0, high=1300.0), COLUMN) == "±66"
    assert second_line(TableCell(0.5, "0.500"), COLUMN) == ""


def test_blocks_of_one_name_stay_apart():
    rows = tuple(Row(f"system {n}", "detail", f"{n}", (TableCell(1.0, "1"),)) for n in range(60))
    table = Table("t", "T", (Column("a"),), (RowGroup("same", rows[:30]), RowGroup("same", rows[30:])))
    written = latex.table(table, COLUMN)
    assert written.count(r"\begin{tabular}") == len(re.findall(r"label\{tab:t-part-\d\}", written)) > 1
    assert re.findall(r"^system (\d+) ", written, re.MULTILINE) == [str(n) for n in range(60)]
