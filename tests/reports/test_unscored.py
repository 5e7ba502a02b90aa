"""A report of a run without scores, or without timings, says nothing of intervals that are not there."""

from __future__ import annotations

import re

import pytest

from reports import compact, content, latex, markdown, pictures
from reports.figures.quality import speed_caption

OF_SCORES = re.compile(r"intervals?[^.]*scores|scores per text|a score is over|bootstrap|shaded region", re.IGNORECASE)
OF_TIMES = re.compile(r"intervals?[^.]*(speed|latency|throughput)", re.IGNORECASE)


def told(run, folder, scores=True, timings=True):
    """All that a terminal and the pages say of it, and what stands below its first figure."""
    for place, (header, samples, times, scored) in enumerate(run.cells):
        run.cells[place] = (header, samples, times if timings else [], scored if scores else [])
    report = content.build(run.write(folder), folder / "report")
    below = speed_caption(
        [section.panel for section in report.sections], [section.front for section in report.sections]
    )
    pages = [markdown.write(report, {}), latex.write(report, below)]
    return [compact.render(report.sections), below, *pages]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_without_scores(fake_run, tmp_path, seeds):
    fake_run.seeds = seeds
    for text in told(fake_run.fill(), tmp_path / "run", scores=False):
        assert not OF_SCORES.search(text)
    assert OF_TIMES.search(text), "times have intervals, of which something is said"


def test_without_timings(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    terminal, below, *pages = told(fake_run, tmp_path / "run", timings=False)
    assert all(map(OF_SCORES.search, (terminal, *pages)))
    assert not any(map(OF_TIMES.search, (terminal, below, *pages)))


def test_without_either(fake_run, tmp_path):
    fake_run.add("copy", "default")
    for text in told(fake_run, tmp_path / "run", scores=False, timings=False):
        assert not OF_SCORES.search(text) and not OF_TIMES.search(text)
        assert "Over ." not in text and "Intervals" not in text


@pytest.mark.parametrize("timings", [True, False])
def test_axes_without_a_mark_say_why(fake_run, tmp_path, timings):
    fake_run.add("gpt2", "greedy")
    if not timings:
        fake_run.cells = [(header, samples, [], scores) for header, samples, _, scores in fake_run.cells]
    drawn = pictures.of_report(content.build(fake_run.write(tmp_path / "run"), tmp_path / "report"))["figure"].svg
    assert (">No score has a speed<" in drawn) != timings
