"""Cells become rows: seeds together, unlike documents and unlike signatures apart, nulls with their reasons."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import reports
from baselines.contract import UserError
from benchmarks.records.dataframes import read_run
from benchmarks.records.schema import Network, Record, Training
from reports import content
from reports.panels import panels


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
    assert section.seeds.blocks[0].rows[0].cells[0].value == pytest.approx(np.std(values, ddof=1))
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
    assert "evaluator “world grammar 1” against “world grammar 2”" in section.scores.remarks[1]
    cells = {row.title: row.cells for row in section.scores.blocks[0].rows}
    assert cells["gpt2"][1].text == cells["mdlm"][0].text == "–"
    assert cells["mdlm"][0].notes == ("judged otherwise: see J (b)",)
    assert not any(cell.mark for row in cells.values() for cell in row[:2])


def test_the_refusal_says_which_option_and_which_weights_differ(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    header, samples, timings, scores = fake_run.cells[1]
    signature = replace(scores[0].signature, options={"words": 32, "blank": 0}, weights="cd" * 32)
    fake_run.cells[1] = (header, samples, timings, [replace(scores[0], signature=signature), *scores[1:]])
    header, samples, timings, scores = fake_run.cells[0]
    signature = replace(scores[0].signature, options={"words": 20, "blank": 0}, weights=None)
    fake_run.cells[0] = (header, samples, timings, [replace(scores[0], signature=signature), *scores[1:]])
    remark = build(fake_run, tmp_path).sections[0].scores.remarks[1]
    assert remark == (
        "J was judged in 2 ways that must not be compared, by column: "
        "option words “20” against “32”; weights “none” against “cdcdcdcd”."
    )


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
    assert "not valid: others used 40 % of the machine" in rate.notes
    assert any("mdlm (steps-8) is not valid" in sentence for sentence in section.reading)
    assert not any("mdlm (steps-8) makes the most" in sentence for sentence in section.reading)


@pytest.mark.parametrize(
    ("network", "others", "note"),
    [
        (
            "mdlm",
            {"source_encoder": 1},
            "calls of the network of MDLM; besides, for each text, 1 call of the source encoder",
        ),
        (
            "denoiser",
            {"decoder": 1, "text_encoder": 2},
            "calls of the denoiser; besides, for each text, 1 call of the decoder and 2 calls of the text encoder",
        ),
        ("denoiser", {"source_encoder": 0}, None),
    ],
)
def test_networks_are_called_by_words(fake_run, tmp_path, network, others, note):
    fake_run.add("mdlm", "steps-8", titles={"system": "MDLM, large"})
    header, samples, timings, scores = fake_run.cells[0]
    calls = {network: 8, **others}
    networks = {name: Network(parameters=10, trainable=10) for name in calls}
    fake_run.cells[0] = (
        replace(header, networks=networks),
        [replace(sample, calls=calls) for sample in samples],
        [replace(timing, calls=calls) for timing in timings],
        scores,
    )
    section = build(fake_run, tmp_path).sections[0]
    [row] = [row for block in section.glance.blocks for row in block.rows]
    place = [column.title for column in section.glance.columns].index("Network calls")
    assert [said for said in row.cells[place].notes if said.startswith("calls of")] == ([note] if note else [])


def test_floors_stand_apart_and_are_never_marked(run_folder):
    section = content.build(run_folder, run_folder / "report").sections[0]
    for table in (section.glance, section.scores):
        *tracks, floors = table.blocks
        assert [row.title for row in floors.rows] == ["copy", "unigram", "retrieval", "reference"]
        assert not any(cell.mark for row in floors.rows for cell in row.cells)
        assert any(cell.mark for track in tracks for row in track.rows for cell in row.cells)


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
    fake_run.add("gpt2", "greedy", schema=3)  # without seals, which would tell both
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
    with pytest.raises(UserError, match="holds no run"):
        content.build(tmp_path / "nowhere", tmp_path)
    fake_run.add("gpt2", "greedy")
    begun = fake_run.write(tmp_path / "begun")
    shutil.rmtree(begun / "cells")
    with pytest.raises(UserError, match="holds no cells"):
        content.build(begun, tmp_path)
    fake_run.cells.clear()
    fake_run.end("gpt2", "greedy", "failed", "out of memory")
    with pytest.raises(UserError, match=r"No cell of .* is done \(gpt2: out of memory\)"):
        build(fake_run, tmp_path)


def test_generated_but_not_scored(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.cells[0] = (*fake_run.cells[0][:3], [])
    section = build(fake_run, tmp_path).sections[0]
    assert section.panel.headline is None
    assert section.glance.columns[0].title == "Latency of one text"
    assert section.answer[1].startswith("No trained system has a score")


def test_rows_follow_the_plan(fake_run, tmp_path):
    fake_run.fill()
    folder = fake_run.write(tmp_path / "run")
    ids = [header.cell.id for header, *_ in reversed(fake_run.cells)]
    task = {"title": "A title", "headline": ["STA"], "note": "Mind the rudeness."}
    plan = {**fake_run.plan(), "cells": [*ids, "beef"], "task": task}
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
    assert set(read.header.files) == {"samples.jsonl", "timings.jsonl"}
    assert read == Record(
        replace(header, files=read.header.files, titles=read.header.titles),
        tuple(samples),
        tuple(timings),
        tuple(scores),
    )


def cell_of(table, system, title):
    """One cell of a table, by the row's title and the column's."""
    place = [column.title for column in table.columns].index(title)
    return next(row for block in table.blocks for row in block.rows if row.title == system).cells[place]


def test_parameters_are_those_of_the_whole_and_not_of_its_parts_together(fake_run, tmp_path):
    fake_run.add("cosmos", "fast")
    header, *rest = fake_run.cells[0]
    within = {**header.networks, "condition_encoder": Network(400_000, 400_000)}  # lies within the denoiser
    fake_run.cells[0] = (replace(header, networks=within), *rest)
    entry = build(fake_run, tmp_path).sections[0].panel.trained[0]
    assert (entry.trainable.value, entry.frozen.value) == (2_400_000, 22_700_000)
    fake_run.cells[0] = (replace(header, parameters=None), *rest)
    section = build(fake_run, tmp_path / "old").sections[0]
    cell = cell_of(section.glance, "cosmos", "Trained parameters")
    assert (cell.text, cell.notes) == ("–", ("not run: no record says the trained parameters",))


def test_calls_of_a_text_are_those_it_needs_alone(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    alone = [replace(t, calls={"denoiser": 7 + t.index}) if t.kind == "latency" else t for t in timings]
    fake_run.cells[0] = (header, samples, alone, scores)
    section = build(fake_run, tmp_path).sections[0]
    assert section.panel.trained[0].calls.value == pytest.approx(11)  # 7 ... 15
    cell = cell_of(section.glance, "gpt2", "Network calls")
    assert (cell.text, cell.notes) == (
        "11",
        ("for a text made alone; in batches of up to 10 every text waits for 13",),
    )


def test_a_batch_that_did_not_fit_is_never_called_the_one_asked_for(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8", verdict={"valid": True, "reasons": [], "batch_size": 5})
    gpt2, mdlm = build(fake_run, tmp_path).sections[0].panel.trained
    assert (gpt2.tags, mdlm.tags) == (("batch 10",), ("batch 5",))


def test_floors_have_no_speed_and_no_training(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add(
        "copy", "default", verdict={"valid": False, "reasons": ["unsteady"]}, training=Training(0, 3e-5, 0, None, {})
    )
    section = build(fake_run, tmp_path).sections[0]
    for title in ("Latency of one text", "Throughput"):
        cell = cell_of(section.glance, "copy", title)
        assert (cell.value, cell.text, cell.notes, cell.doubtful) == (None, "–", (), False)
    assert cell_of(section.glance, "copy", "Training time").value == 0
    assert any("run no network" in line for line in section.legend)
    assert cell_of(section.glance, "gpt2", "Throughput").value is not None


def test_one_text_makes_a_report(fake_run, tmp_path):
    fake_run.texts = 9
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy")):
        fake_run.add(system, setting)
        header, samples, timings, scores = fake_run.cells[-1]
        alone = [
            replace(score, low=None, high=None, level=None, n=1, total=1, values=score.values and score.values[:1])
            for score in scores
        ]
        fake_run.cells[-1] = (header, samples[:1], timings[:2], alone)
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    assert "What difference in J these texts could have shown cannot be told from them." in section.glance.remarks
    assert "can show one of about" not in " ".join(section.reading)
    assert set(reports.write(folder)) == {"markdown", "latex", "html", "figure", "calls", "tables"}


def test_where_nothing_is_frozen_that_is_a_whole_number(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    table = build(fake_run, tmp_path).sections[0].glance
    place = [column.title for column in table.columns].index("Frozen parameters")
    assert table.columns[place].unit == "count"
    assert {row.cells[place].text for block in table.blocks for row in block.rows} == {"0"}
