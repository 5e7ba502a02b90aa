"""Cells become rows: seeds together, unlike documents and unlike signatures apart, nulls with their reasons."""

from dataclasses import replace

import numpy as np
import pytest

from baselines.contract import UserError
from benchmarks.records import Record
from reports import content
from reports.frames import read_run
from reports.summary import panels


def build(fake, tmp_path):
    folder = fake.write(tmp_path / "run")
    return content.build(folder, folder / "report")


def test_seeds_are_one_row_with_their_mean(fake_run, tmp_path):
    for seed in (3, 1, 2):
        fake_run.add("gpt2", "greedy", seed)
        fake_run.add("mdlm", "steps-8", seed)
    section = build(fake_run, tmp_path).sections[0]
    gpt2, mdlm = section.panel.trained
    assert [record.header.cell.seed for record in gpt2.records] == [1, 2, 3]
    values = [cell[3][0].value for cell in fake_run.cells if cell[0].cell.system == "gpt2"]
    score = section.panel.columns[0].scores[gpt2.key]
    assert score.quantity.value == pytest.approx(np.mean(values))
    assert sorted(score.seeds) == pytest.approx(sorted(values))
    one = [cell[3][0].values[7] for cell in fake_run.cells if cell[0].cell.system == "gpt2"]
    assert score.per_text["test-0007"] == pytest.approx(np.mean(one))
    assert section.glance.blocks[0].rows[0].detail == "greedy, 3 seeds"
    assert any("Seeds of gpt2 (greedy)" in remark for remark in section.scores.remarks)
    assert "3 training seeds" in section.reading[-1]
    assert mdlm.key != gpt2.key


def test_unlike_signatures_never_share_a_column(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    header, samples, timings, scores = fake_run.cells[1]
    other = replace(scores[0], signature=replace(scores[0].signature, evaluator="world grammar 2"))
    fake_run.cells[1] = (header, samples, timings, [other, *scores[1:]])
    section = build(fake_run, tmp_path).sections[0]
    first, second = section.panel.columns[:2]
    assert (first.title, second.title) == ("J (a)", "J (b)")
    gpt2, mdlm = (entry.key for entry in section.panel.trained)
    assert (set(first.scores), set(second.scores)) == ({gpt2}, {mdlm})
    assert "evaluator “world grammar 1” against “world grammar 2”" in section.scores.remarks[0]
    cells = {row.title: row.cells for row in section.scores.blocks[0].rows}
    assert cells["gpt2"][1].text == cells["mdlm"][0].text == "–"
    assert cells["mdlm"][0].notes == ("judged otherwise: see J (b)",)
    assert not any(cell.mark for row in cells.values() for cell in row[:2])


def test_a_null_score_splits_no_column_and_keeps_its_reason(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    header, samples, timings, scores = fake_run.cells[1]
    null = replace(
        scores[0], value=None, low=None, high=None, values=None, n=0, reason="failed: it broke",
        signature=replace(scores[0].signature, evaluator="none"),
    )  # fmt: skip
    fake_run.cells[1] = (header, samples, timings, [null, *scores[1:]])
    section = build(fake_run, tmp_path).sections[0]
    assert [column.title for column in section.panel.columns][:2] == ["J", "STA"]
    cell = next(row for row in section.scores.blocks[0].rows if row.title == "mdlm").cells[0]
    assert (cell.value, cell.text, cell.notes) == (None, "–", ("failed: it broke",))
    assert "failed: it broke" in section.scores.notes()


def test_the_share_of_texts_that_entered_is_said(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    fewer = replace(scores[0], n=50, values=(*scores[0].values[:50], *[None] * 10))
    fake_run.cells[0] = (header, samples, timings, [fewer])
    section = build(fake_run, tmp_path).sections[0]
    assert section.scores.blocks[0].rows[0].cells[0].notes == ("J: over 50 of 60 texts",)
    assert len(next(iter(section.panel.columns[0].scores.values())).per_text) == 50


def test_cells_that_were_asked_something_else_are_another_panel(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    header, *rest = fake_run.cells[1]
    fake_run.cells[1] = (replace(header, cell=replace(header.cell, limit=20)), *rest)
    report = build(fake_run, tmp_path)
    assert [len(section.panel.entries) for section in report.sections] == [1, 1]
    assert report.sections[1].title.endswith("first 20 texts")
    assert {section.glance.name for section in report.sections} == {"glance-1", "glance-2"}


def test_what_differs_is_in_the_name(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("gpt2", "greedy")
    header, *rest = fake_run.cells[1]
    fake_run.cells[1] = (replace(header, cell=replace(header.cell, device="cuda")), *rest)
    names = [entry.name for entry in build(fake_run, tmp_path).sections[0].panel.trained]
    assert names == ["gpt2 (greedy, cpu)", "gpt2 (greedy, cuda)"]


def test_recipes_that_differ_get_names_that_differ(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("gpt2", "greedy")
    header, *rest = fake_run.cells[1]
    fake_run.cells[1] = (replace(header, cell=replace(header.cell, recipe={"width": 64})), *rest)
    names = [entry.name for entry in build(fake_run, tmp_path).sections[0].panel.trained]
    assert len(set(names)) == 2
    assert all("configuration" in name for name in names)


def test_invalid_timing_is_shown_marked_and_explained(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8", verdict={"valid": False, "reasons": ["not alone: others used 40 % of the machine"]})
    fake_run.add("cosmos", "fast")
    section = build(fake_run, tmp_path).sections[0]
    row = next(row for row in section.glance.blocks[0].rows if row.title == "mdlm")
    latency, rate = row.cells[1:3]
    assert latency.doubtful
    assert rate.doubtful
    assert rate.value is not None
    assert rate.mark == ""
    assert any("others used 40 %" in note for note in rate.notes)
    assert any("mdlm (steps-8) is not valid" in sentence for sentence in section.reading)
    assert not any("mdlm (steps-8) makes the most" in sentence for sentence in section.reading)


def test_floors_stand_apart_and_are_never_marked(run_folder):
    section = content.build(run_folder, run_folder / "report").sections[0]
    for table in (section.glance, section.scores):
        trained, floors = table.blocks
        assert [row.title for row in floors.rows] == ["copy", "unigram", "retrieval", "reference"]
        assert not any(cell.mark for row in floors.rows for cell in row.cells)
        assert any(cell.mark for row in trained.rows for cell in row.cells)


def test_cells_without_a_result_are_listed(run_folder):
    section = content.build(run_folder, run_folder / "report").sections[0]
    found = {(cell.name, cell.status): cell.reason for cell in section.missing}
    assert found == {
        ("sedd (steps-8)", "failed"): "RuntimeError: out of memory at step 12",
        ("duo (steps-8)", "refused"): "the checkpoint is of another configuration",
    }


def test_the_headline_of_the_task_leads_where_it_has_a_value(run_folder):
    records = read_run(run_folder).records
    assert panels(records)[0].headline.title == "J"
    assert panels(records, ("BLEU", "J"))[0].headline.title == "BLEU"
    assert panels(records, ("FL", "STA"))[0].headline.title == "STA"
    assert panels(records, ("length",))[0].headline.title == "J"


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_an_error(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    folder = fake_run.write(tmp_path / "run")
    samples = next((folder / "cells").glob("*/samples.jsonl"))
    whole = samples.read_bytes()
    samples.write_bytes(whole[:-9])
    assert len(read_run(folder).records[0].samples) == 59
    content.build(folder, folder / "report")  # scores of 60 texts and 59 samples: no per-text scores, no crash
    samples.write_bytes(whole.replace(b'"id"', b'"id', 1))
    with pytest.raises(UserError, match="damaged at line 1"):
        read_run(folder)


def test_no_run_no_cells_none_done(fake_run, tmp_path):
    with pytest.raises(UserError, match="There is no run"):
        content.build(tmp_path / "nowhere", tmp_path)
    with pytest.raises(UserError, match="holds no cells"):
        content.build(tmp_path, tmp_path)
    fake_run.end("gpt2", "greedy", "failed", "out of memory")
    with pytest.raises(UserError, match=r"No cell of .* is done \(gpt2: out of memory\)"):
        build(fake_run, tmp_path)


def test_generated_but_not_scored(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.cells[0] = (*fake_run.cells[0][:3], [])
    section = build(fake_run, tmp_path).sections[0]
    assert section.panel.headline is None
    assert section.glance.columns[0].title == "Latency of one text"
    assert section.reading[0].startswith("No trained system has a score")


def test_rows_follow_the_plan(fake_run, tmp_path):
    import json

    fake_run.fill()
    folder = fake_run.write(tmp_path / "run")
    ids = [header.cell.id for header, *_ in reversed(fake_run.cells)]
    plan = {"cells": [*ids, "beef"], "task": {"title": "A title", "headline": ["STA"], "note": "Mind the rudeness."}}
    (folder / "plan.json").write_text(json.dumps(plan))
    report = content.build(folder, folder / "report")
    assert [entry.system for entry in report.sections[0].panel.trained][::2] == ["mdlm", "gpt2", "cosmos"]
    assert (report.title, report.note) == ("A title", "Mind the rudeness.")
    assert report.sections[0].glance.columns[0].title == "STA"
    assert "1 cell of the plan not begun." in report.sections[0].glance.remarks


def test_records_are_what_the_fake_wrote(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    read = read_run(fake_run.write(tmp_path / "run")).records[0]
    assert read == Record(header, tuple(samples), tuple(timings), tuple(scores))
