"""What people read of a history: the same each time, whole, and safe whatever names are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.tracking.history.schema import (
    Break,
    Counts,
    FoundChange,
    History,
    HistoryLine,
    HistoryPoint,
    Series,
)
from reports.history import figure, page, text

NASTY = '<script>alert("1")</script> | $x$ `é` \\'


def history(name: str = "gpt2", series: int = 2, changed: bool = True, machines: int = 2) -> History:
    points = tuple(
        HistoryPoint(n, f"{n:02x}" * 20, n == 3, f"2026-01-{n + 1:02d}", 0.5 - 0.1 * (n > 9), (0,), 1, n % 2, "runs/a")
        for n in range(20)
    )
    change = FoundChange(
        10,
        9,
        11,
        0.001,
        0.5,
        0.4,
        -0.1,
        -0.12,
        -0.08,
        "worse",
        4,
        ("git bisect start B A", "git bisect run sh -c 'x <y>'"),
    )
    every = tuple(
        Series(
            HistoryLine(
                "quality", f"metric {number}", "detox", "world", "nano", name, "fast", f"machine {machine}", "d",
                "higher",
            ),
            points, {}, 0.001, (change,) if changed and number == machine == 0 else (),
        )
        for number in range(series) for machine in range(machines)
    )  # fmt: skip
    breaks = (Break(every[0].line, 10, "aaa", "bbb", "limit 20 → 200: the numbers before are not compared"),)
    codes = tuple(f"{n:010x}{'+' if n == 3 else ''}" for n in range(20))
    return History("runs", every, breaks, codes, Counts(20, 40, 80, 100, 3), 0.05, (f"left out: {name}",))


def test_markdown_tells_changes_commands_breaks_and_notes() -> None:
    told = text.write(history())
    assert "20 runs, 40 cells, 80 scores, 100 timed calls and 3 micro-benchmarks" in told and "Changes: 1 worse" in told
    row = next(line for line in told.splitlines() if line.startswith("| worse"))
    assert "metric 0 of gpt2 fast, detox, world, nano, on machine 0" in row and "0.500" in row and "0.400" in row
    assert "0909090909 and 0a0a0a0a0a (95 %: 0808080808 to 0b0b0b0b0b)" in row and "4 of 20 points" in row
    assert "\ngit bisect start B A\ngit bisect run sh -c 'x <y>'\n" in told
    assert "limit 20 → 200" in told and "left out: gpt2" in told


def test_markdown_says_that_nothing_changed() -> None:
    told = text.write(history(changed=False))
    assert "No significant change" in told and "## Changes" not in told


def test_many_breaks_are_counted() -> None:
    from dataclasses import replace

    many = history()
    told = text.write(replace(many, breaks=many.breaks * 50))
    assert told.count("limit 20 → 200") == text.MOST_BREAKS and "- and 30 more" in told


@pytest.mark.parametrize("name", ["gpt2", NASTY, "名前", "_x"])
def test_the_page_is_whole_safe_and_the_same_each_time(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        page.write(history(name), tmp_path / folder)
    written = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert written == ["history.html", "history.md", "metric-0.svg", "metric-1.svg"]
    for each in written:
        assert (tmp_path / "a" / each).read_bytes() == (tmp_path / "b" / each).read_bytes()
    html = (tmp_path / "a/history.html").read_text()
    assert "<script" not in html and html.count("<svg") == 2 and "sh -c &#39;x &lt;y&gt;&#39;" in html
    assert not re.search(r"(src|href)=[\"']?https?:", html)
    assert html.index("metric 0</h2>") < html.index("metric 1</h2>")


def test_figures_draw_machines_beside_each_other_and_say_what_they_leave_out() -> None:
    drawn = figure.of_metric(history(machines=3), "metric 0")
    assert all(f"machine {n}" in drawn.svg for n in range(3)) and "are drawn" not in drawn.caption
    many = figure.of_metric(history(machines=5), "metric 0")
    assert "3 of 5 series are drawn" in many.caption and "machine 4" not in many.svg


def test_there_is_no_figure_of_micro_and_macro_without_both() -> None:
    assert figure.of_speed(history()) is None


@pytest.mark.parametrize(
    ("metric", "file"), [("evaluate:a/b", "evaluate-a-b"), ("../x", "-x"), ("é", "-"), ("", "metric")]
)
def test_file_names_are_harmless(metric: str, file: str) -> None:
    assert page.file_name(metric) == file
