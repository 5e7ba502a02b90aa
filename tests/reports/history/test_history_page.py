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
from reports.figures.sizes import SIZES
from reports.history import figure, page, terminal, text
from tests.reports.figures.test_run_figures import overlapping

NASTY = '<script>alert("1")</script> | $x$ `é` \\'


def history(name: str = "gpt2", series: int = 2, changed: bool = True, machines: int = 2) -> History:
    points = tuple(
        HistoryPoint(n, f"{n:02x}" * 20, n == 3, f"2026-01-{n + 1:02d}", 0.5 - 0.1 * (n > 9), (0,), 1, 0, "runs/a")
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
    assert "metric 0 of GPT-2 (fast), detox, world, nano, on machine 0" in row and "0.500" in row and "0.400" in row
    assert "0909090909 and 0a0a0a0a0a (95 %: 0808080808 to 0b0b0b0b0b)" in row
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
    assert html.count("<script>") == 1 and html.count("<svg") == 4 and "sh -c &#39;x &lt;y&gt;&#39;" in html
    assert not re.search(r"(src|href)=[\"']?https?:", html)
    assert html.index("metric 0</h2>") < html.index("metric 1</h2>")


def test_figures_draw_machines_beside_each_other_and_say_what_they_leave_out() -> None:
    drawn = figure.of_metric(history(machines=3), "metric 0")
    assert all(f"machine {n}" in drawn.svg for n in range(3)) and "are drawn" not in drawn.caption
    many = figure.of_metric(history(machines=5), "metric 0")
    assert "3 of 5 series are drawn" in many.caption and "machine 4" not in many.svg


@pytest.mark.parametrize(("size", "beside"), [("page", 2), ("column", 1)])
@pytest.mark.parametrize("machines", [1, 2, 3])
def test_a_history_is_as_wide_as_its_size_and_stacks_what_has_no_room(size: str, beside: int, machines: int) -> None:
    drawn = figure.of_metric(history(machines=machines), "metric 0", SIZES[size]).figure
    assert drawn.get_size_inches()[0] == pytest.approx(SIZES[size].width)
    assert len({axes.get_position().x0 for axes in drawn.axes}) == min(machines, beside)
    assert len(drawn.axes) == machines and overlapping(drawn) == []
    told = [any(label.get_text() for label in axes.get_xticklabels()) for axes in drawn.axes]
    assert told == ([True] * machines if min(machines, beside) == 1 else [n + 2 >= machines for n in range(machines)])


def test_there_is_no_figure_of_micro_and_macro_without_both() -> None:
    assert figure.of_speed(history()) is None


@pytest.mark.parametrize(
    ("metric", "file"), [("evaluate:a/b", "evaluate-a-b"), ("../x", "-x"), ("é", "-"), ("", "metric")]
)
def test_file_names_are_harmless(metric: str, file: str) -> None:
    assert page.file_name(metric) == file


def test_timings_that_are_not_valid_are_hollow_and_joined_to_nothing() -> None:
    """As many marks as points, and a line through the valid ones alone."""
    from dataclasses import replace

    [one] = history(series=1, machines=1, changed=False).series
    points = tuple(point._replace(doubtful=point.place % 4 == 1) for point in one.points)
    drawn = figure.of_metric(replace(history(), series=(replace(one, points=points),)), one.line.metric).svg
    paths = re.findall(r'<path d="(M [^"]*)"[^>]*stroke-linejoin|<path d="(M [^"]*)" clip-path', drawn)
    assert max((a or b).count("L ") for a, b in paths) == 14
    assert "left out of the search" in figure.of_metric(history(), "metric 0").caption


def test_the_terminal_has_plain_text_that_fits_and_commands_that_can_be_copied() -> None:
    name = "exact_j*[x] \\ " + "long " * 30
    told = terminal.write(history(name), width=80)
    command = "   git bisect run sh -c 'x <y>'"
    assert command in told.splitlines() and "   git bisect start B A" in told.splitlines()
    assert max(len(line) for line in told.splitlines()) <= 80
    assert "exact_j*[x] \\ long" in told and "|" not in told and "#" not in told
    assert "-0.1 [-0.12, -0.08], p = 0.001" in told and "0.500 before, 0.400 after" in told
    assert "between 0909090909 and 0a0a0a0a0a" in told and "limit 20" in told
    assert told.splitlines()[-1].endswith("Changes: 1 worse.")


def test_a_terminal_is_not_steered_by_names() -> None:
    assert "\x1b" not in terminal.write(history("a\x1b[2Jb")) + terminal.rows(["x\x1b"], [["\x1b[2J"]])


def test_an_answer_is_columns_with_numbers_to_the_right() -> None:
    assert terminal.rows(["metric", "n"], [["exact_j", 2], [None, 10], ["a\nb", None]]).splitlines() == [
        "metric    n", "exact_j   2", "         10", "a b",
    ]  # fmt: skip


def test_an_entry_has_the_look_of_its_system_on_all_machines() -> None:
    """Also where another machine has entries besides, which come first."""
    from dataclasses import replace

    first, second = (each for each in history(series=1, changed=False).series)
    besides = replace(second, line=replace(second.line, system="mdlm"), points=second.points[:12])
    both = replace(history(), series=(first, besides, replace(second, points=second.points[:3])))
    drawn = figure.of_metric(both, "metric 0").figure
    names = {each.line.system: each.line.title for each in both.series}
    lines = [[line for line in axes.lines if line.get_label() in (names["gpt2"], names["mdlm"])] for axes in drawn.axes]
    looks = [[(line.get_color(), line.get_marker()) for line in every] for every in lines]
    gpt2, mdlm = ((look.colour, look.marker) for look in figure.looks(["gpt2", "mdlm"]).values())
    assert looks == [[gpt2], [mdlm, gpt2]]


def test_settings_of_one_system_are_told_apart_by_their_lines() -> None:
    from dataclasses import replace

    [one] = history(series=1, machines=1, changed=False).series
    both = replace(history(), series=(one, replace(one, line=replace(one.line, setting="slow"))))
    [axes] = figure.of_metric(both, "metric 0").figure.axes
    fast, slow = (each.line.title for each in both.series)
    named = {line.get_label(): line for line in axes.lines if line.get_label() in (fast, slow)}
    assert {line.get_color() for line in named.values()} == {figure.looks(["gpt2"])["gpt2"].colour}
    assert named[fast].get_linestyle() != named[slow].get_linestyle()
    assert {fast, slow} <= {text.get_text() for text in axes.texts}


def test_a_change_is_a_line_between_its_points_and_a_band_of_all_its_places() -> None:
    [axes] = figure.of_metric(history(series=1, machines=1), "metric 0").figure.axes
    assert [
        line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2
    ] == [9.5]
    [band] = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == (8, 11)


def test_the_name_of_an_entry_is_whole_however_long() -> None:
    name = "t5like greedy, nano, budget 3e12flops, and what tells it apart at its very end"
    long = history(name, machines=1, series=1)
    texts = " ".join(text.get_text() for text in figure.of_metric(long, "metric 0").figure.axes[0].texts)
    title = long.series[0].line.title
    assert "at its very end" in title and title in texts and "…" not in texts


def test_a_point_that_is_alone_has_an_axis() -> None:
    from dataclasses import replace

    [one] = history(series=1, machines=1, changed=False).series
    alone = replace(history(), series=(replace(one, points=one.points[:1]),))
    [axes] = figure.of_metric(alone, "metric 0").figure.axes
    low, high = axes.get_ylim()
    assert low < 0.5 < high and 0.05 < high - low < 0.5 and len(axes.get_yticks()) >= 3
