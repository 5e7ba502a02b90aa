"""A comparison in five forms: all say the same, nothing that a name holds is markup, no line is too wide."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmarks.stats.evidence import StudentEvidence
from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity, ComparedSide, RunComparison
from reports.comparison import report, sentences
from reports.comparison.tables import tables

NASTY = "<b>&|`_$%\\end{x}</b>"


def quantity(name: str = "quality", **changes: Any) -> ComparedQuantity:
    plain = ComparedQuantity(
        quantity=name, kind="quality", unit="", direction="higher", size=None, a=0.845, b=0.766, scale="difference",
        change=-0.079, low=-0.0832, high=-0.0742, level=0.999, p=0.0119, p_raw=0.0001, outcome="worse", moved="down",
        detectable=0.0055, n=200, covers="texts", evidence=StudentEvidence(-0.079, 1e-6, 199),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


LATENCY = quantity(
    "latency", kind="speed", unit="ms", direction="lower", a=74.2, b=70.1, scale="ratio", change=0.945, low=0.92,
    high=0.97, outcome="better", detectable=1.034, n=5, covers="processes",
)  # fmt: skip
CORPUS = quantity(
    "bleu", a=69.9, b=70.2, change=None, low=None, high=None, level=None, p=None, p_raw=None, outcome="cannot tell",
    moved="", detectable=None, covers="", reason="it has no score for each text, and no texts are there", evidence=None,
)  # fmt: skip
LENGTH = quantity("length", direction="none", outcome="cannot tell", moved="up", change=0.4, low=0.2, high=0.6)


def entry(name: str = "gpt2 greedy", task: str = "detox", **changes: Any) -> ComparedEntry:
    plain = ComparedEntry(
        name=name, task=task, source="world", documents="ab" * 32, cells_a=("1a",), cells_b=("2b",), seeds_a=(0,),
        seeds_b=(0,), differs=("commit “01” against “02”",), refused=("fluency: judged unlike, version",),
        quantities=(quantity(), LENGTH, CORPUS, LATENCY), notes=("One training seed on a side.",),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def comparison(*entries: ComparedEntry, **changes: Any) -> RunComparison:
    a = ComparedSide("runs/a", ("runs/a",), ("0123456789ab",), False, ("A CPU, float32, torch 2.11 (ab)",), 3)
    b = dataclasses.replace(a, text="HEAD", folders=("runs/b",), commits=("89ab",), dirty=True)
    plain = RunComparison(
        a, b, entries or (entry(),), ("mdlm fast (detox on world): documents.",), "3 tests in one table."
    )
    return dataclasses.replace(plain, **changes)


def test_the_terminal_says_what_came_out_last() -> None:
    text = report.terminal(comparison(), 120)
    assert text.split("\n\n")[-1].startswith("B is worse in 1 of 4: gpt2 greedy quality")
    assert "B is better in 1 of 4: gpt2 greedy latency x0.945" in text
    assert "Moved, where neither direction is good in itself: gpt2 greedy Length" in text
    assert "Cannot tell: 1 of 4" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("quality"))
    assert " ".join(row.split()) == "quality 0.845 0.766 -0.079 [-0.083, -0.074] 0.012 worse 0.0055 200 texts"
    speed = next(line for line in text.splitlines() if line.strip().startswith("latency"))
    assert " ".join(speed.split()) == "latency 74.2 70.1 x0.945 [0.920, 0.970] 0.012 better 3.4 % 5 processes"
    assert "89ab with uncommitted changes" in text
    assert "Not compared, fluency: judged unlike, version." in text
    assert "Not compared: mdlm fast (detox on world): documents." in text
    assert "it has no score for each text, and no texts are there" in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = report.terminal(comparison(entry(), entry("mdlm fast")), width).splitlines()
    assert max(map(len, lines)) <= width
    table = [line for line in lines if line.strip().startswith(("Quantity", "quality"))]
    assert all("Detectable" in line or "0.0055" in line for line in table)  # whatever else is left out


def test_each_task_is_a_table_and_each_entry_a_block() -> None:
    found = tables(comparison(entry(), entry("mdlm fast", seeds_a=(0, 1, 2), seeds_b=(0, 1, 2)), entry(task="story")))
    assert [table.caption for table in found] == [
        "B against A: detox on world, documents abababab", "B against A: story on world, documents abababab",
    ]  # fmt: skip
    assert [block.title for block in found[0].blocks] == ["gpt2 greedy", "mdlm fast, 3 seeds"]
    assert len({table.name for table in found}) == 2


def test_no_limit_is_rounded_to_no_change_beside_an_outcome() -> None:
    worse = quantity(a=5.0, b=5.06, change=0.06, low=0.0004, high=0.12)
    assert sentences.change(worse) == ("+0.0600", "[0.0004, 0.1200]")
    assert sentences.value(worse, 5.0) == "5.0000"
    unsure = dataclasses.replace(worse, outcome="cannot tell", moved="")
    assert sentences.change(unsure) == ("+0.06", "[0.00, 0.12]")
    slower = dataclasses.replace(LATENCY, change=1.05, low=1.0004, high=1.1)
    assert sentences.change(slower) == ("×1.0500", "[1.0004, 1.1000]")


def test_what_is_said_of_all_entries_is_said_once() -> None:
    one, other = entry(notes=("Common.", "Of one.")), entry("mdlm fast", notes=("Common.",))
    told = sentences.remarks((one, other))
    assert told == ("Not compared, fluency: judged unlike, version.", "Common.", "gpt2 greedy: Of one.")
    assert "All entries differ in commit “01” against “02”." in sentences.facts(comparison(one, other))


def test_an_entry_without_rows_has_its_remarks() -> None:
    [table] = tables(comparison(entry(), entry("copy", quantities=(), refused=(), notes=("The same texts.",))))
    assert [block.title for block in table.blocks] == ["gpt2 greedy"]
    assert "copy: The same texts." in table.remarks


class _Texts(HTMLParser):
    """Everything a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def test_the_files_say_the_same_and_nothing_in_a_name_is_markup(tmp_path: Path) -> None:
    found = comparison(entry(NASTY, notes=(NASTY,)), refused=(NASTY,), notes=(NASTY,))
    written = report.write(found, tmp_path)
    assert set(written) == {"markdown", "latex", "html", "json"}
    page = _Texts()
    page.feed(written["html"].read_text(encoding="utf-8"))
    text = " ".join(" ".join(page.seen).split())
    assert NASTY in text and "b" not in page.tags
    markdown = written["markdown"].read_text(encoding="utf-8")
    assert "<b>" not in markdown
    latex = written["latex"].read_text(encoding="utf-8")
    set_ = [line for line in latex.splitlines() if not line.startswith("%")]  # comments are not set, whatever they hold
    assert latex.isascii() and r"\end{x}" not in "\n".join(set_) and r"\begin{tabular}" in latex and "Quantity" in latex
    for shown in ("0.845", "0.766", "worse", "better", "rose"):
        assert shown in text and shown in markdown and shown in latex
    assert json.loads(written["json"].read_text())["entries"][0]["name"] == NASTY


def test_markdown_tables_have_as_many_cells_in_every_row(tmp_path: Path) -> None:
    text = report.write(comparison(entry("a|b")), tmp_path)["markdown"].read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.split(r"(?<!\\)\|", line)) for line in rows}) == 1 and len(rows) == 7


def test_the_same_comparison_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (report.write(comparison(), tmp_path / name) for name in "ab")
    assert {kind: path.read_bytes() for kind, path in one.items()} == {k: p.read_bytes() for k, p in other.items()}


def test_numbers_that_are_not_finite_are_null_in_json() -> None:
    told = json.loads(report.as_json(comparison(entry(quantities=(quantity(a=float("nan"), high=float("inf")),)))))
    [row] = told["entries"][0]["quantities"]
    assert row["a"] is None and row["high"] is None and row["b"] == 0.766
