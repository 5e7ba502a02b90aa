"""What misleads alone is never shown alone, and what a metric says stands beside its values."""

import json
from dataclasses import replace

import pytest

import reports
from reports import content
from reports.compact import render
from reports.content import build


@pytest.fixture
def folder(fake_run, tmp_path):
    """A run whose first score is a perplexity, which misleads without two others."""
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    perplexity = replace(
        scores[3], metric="perplexity", direction="lower", summary="How likely texts are.",
        companions=("rudeness left", "length"),
    )  # fmt: skip
    fake_run.cells[0] = (header, samples, timings, [perplexity, *scores])
    return fake_run.write(tmp_path / "run")


def lead_with(folder, metric):
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "task": {"headline": [metric]}}))


def test_a_headline_brings_its_companions(folder):
    lead_with(folder, "perplexity")
    section = content.build(folder, folder / "report").sections[0]
    assert [column.title for column in section.glance.columns[:4]] == [
        "Perplexity", "rudeness left", "Length", "Latency of one text"
    ]  # fmt: skip


def test_a_narrow_terminal_shows_all_of_them_or_none(folder):
    lead_with(folder, "perplexity")
    sections = build(folder, folder / "report").sections
    tables = {width: render(sections, width).splitlines() for width in range(40, 130)}
    assert reports.terminal(folder, 90).splitlines() == tables[90]
    names = ("Perplexity", "rudeness left", "Length")
    assert {sum(name in table[1] for name in names) for table in tables.values()} == {0, 3}
    assert all(max(map(len, tables[width])) <= width for width in (40, 60, 80, 100))
    narrowest = min(width for width, table in tables.items() if "Perplexity" in table[1])
    assert " [" not in tables[narrowest][4]
    assert " [" in tables[90][4]


def test_a_narrow_terminal_cuts_no_name(fake_run, tmp_path):
    names = [f"released sampler, guidance {guidance}, 200 steps" for guidance in (1.5, 2.5, 3.5)]
    for place, name in enumerate(names):
        fake_run.add("cosmos", "best", titles={"system": "Cosmos, 8 latents", "setting": name})
        fake_run.change(place, setting=f"any-{place}")
    sections = build(fake_run.write(tmp_path / "run"), tmp_path / "out").sections
    for width in (40, 60, 80, 120):
        lines = render(sections, width).splitlines()
        assert max(map(len, lines[1:])) <= width and not any("…" in line for line in lines[1:])
        column = max(16, width // 3)
        shown = " ".join(" ".join(line[:column] for line in lines).split())
        assert all(f"guidance {guidance}" in shown for guidance in (1.5, 2.5, 3.5)), (width, shown)


def test_a_terminal_leaves_it_out_where_it_does_not_lead(folder):
    head = reports.terminal(folder, 200).splitlines()[1]
    assert "J" in head.split() and "BLEU" in head.split() and "Perplexity" not in head


def test_it_stands_in_for_no_headline(folder):
    panel = content.build(folder, folder / "report").sections[0].panel
    assert panel.columns[0].metric == "perplexity"
    assert panel.headline.metric == "J"
    alone = replace(panel, columns=panel.columns[:1])
    assert alone.headline is None
    assert replace(alone, headlines=("perplexity",)).headline is not None


def test_every_headline_without_a_value_is_named_and_what_misleads_is_read_with_care(folder):
    plan = json.loads((folder / "plan.json").read_text())
    for skipped, said in (
        (["none", "FL"], "No trained entry has a value of none and FL"),
        (["FL"], "No trained entry has a value of FL"),
    ):
        task = {"headline": [*skipped, "perplexity", "J"]}
        (folder / "plan.json").write_text(json.dumps({**plan, "task": task}))
        first, second, *_ = content.build(folder, folder / "report").sections[0].reading
        assert first == f"{said}, so Perplexity is the headline."
        assert second == "Perplexity is not to be read without rudeness left and Length. How likely texts are."
    lead_with(folder, "J")
    assert "not to be read without" not in " ".join(content.build(folder, folder / "report").sections[0].reading)


def test_what_a_metric_says_stands_under_the_scores(folder):
    assert content.build(folder, folder / "report").sections[0].scores.remarks[-1] == (
        "Perplexity: How likely texts are."
    )
    reports.write(folder)
    for name in ("report.md", "report.html", "tables.tex"):
        assert "How likely texts are." in (folder / "report" / name).read_text()
