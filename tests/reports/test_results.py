"""`benchmarks.load` over runs that hold everything: several seeds, nulls, failed cells, any text."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pandas as pd

from benchmarks import load


def test_each_cell_that_is_done_has_its_rows(fake_run, tmp_path):
    fake_run.seeds = (0, 1)
    folder = fake_run.fill().write(tmp_path / "Läufe" / "one")
    frame = load(str(folder))
    assert len(frame) == 6 * (6 * 2 + 4), "six metrics of each cell, and none of the failed and the refused one"
    assert set(frame["system"]) == {"cosmos", "gpt2", "mdlm", "copy", "unigram", "retrieval", "reference"}
    null = frame[frame["metric"] == "FL"]
    assert null["value"].isna().all() and null["reason"].str.startswith("missing evaluator").all()
    assert frame[frame["metric"] != "FL"]["reason"].isna().all()
    assert sorted(frame[frame["system"] == "cosmos"]["seed"].unique()) == [0, 1]
    assert set(frame["run"]) == {str(folder)}
    one = frame[(frame["system"] == "gpt2") & (frame["seed"] == 1) & (frame["metric"] == "J")].iloc[0]
    record = next(c for c in fake_run.cells if c[0].cell.system == "gpt2" and c[0].cell.seed == 1)
    assert (one["value"], one["low"], one["high"], one["n"]) == (
        record[3][0].value, record[3][0].low, record[3][0].high, record[3][0].n,
    )  # fmt: skip
    assert one["signature"] == str(record[3][0].signature) and one["device"] == "An ordinary CPU"


def test_the_frames_beside_it(fake_run, tmp_path):
    fake_run.seeds = (0, 1)
    frame = load(fake_run.fill().write(tmp_path / "run"))
    assert len(frame.samples) == 60 * 16
    assert list(frame.samples.columns[-4:]) == ["J", "STA", "rudeness left", "length"]
    means = frame.samples.groupby("cell")["J"].mean()
    values = frame[frame["metric"] == "J"].set_index("cell")["value"]
    pd.testing.assert_series_equal(means, values.loc[means.index], check_names=False)
    assert set(frame.timings["kind"]) == {"batch", "latency"}
    assert frame.timings[frame.timings["kind"] == "batch"].groupby("cell")["texts"].sum().eq(60).all()
    assert len(frame.training) == 6, "settings share a training, seeds and systems do not"
    assert set(frame.training["seconds"]) == {61.25, 62.25}
    assert frame.curves.empty and list(frame.curves.columns)[:3] == ["system", "preset", "seed"]


def test_any_text_is_kept_as_it_is(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    odd = ["half a pair \ud800", "", "zwei\nZeilen, 中文", "<b>NaN</b>"]
    written = [replace(sample, text=odd[n % 4]) for n, sample in enumerate(samples)]
    told = [replace(score, reason="because \udfff" if score.value is None else None) for score in scores]
    fake_run.cells[0] = (header, written, timings, told)
    frame = load(fake_run.write(tmp_path / "run"))
    assert frame.samples["text"].tolist() == [sample.text for sample in written]
    assert frame[frame["metric"] == "FL"]["reason"].tolist() == ["because \udfff"]


def test_a_tree_tells_runs_apart_that_hold_the_same_cells(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    for name in ("b", "a"):
        fake_run.write(tmp_path / "tree" / name)
    frame = load(tmp_path / "tree")
    assert list(dict.fromkeys(frame["run"])) == [str(tmp_path / "tree" / name) for name in "ab"]
    assert frame.groupby("run").size().tolist() == [6, 6]
    assert len(frame.samples) == 120 and len(frame.training) == 2


def test_it_is_pickled_whole_and_parts_are_plain(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    frame = load(fake_run.write(tmp_path / "run"))
    again = pickle.loads(pickle.dumps(frame))
    pd.testing.assert_frame_equal(again, frame)
    pd.testing.assert_frame_equal(again.samples, frame.samples)
    assert type(frame[frame["metric"] == "J"]) is pd.DataFrame
    assert type(frame.copy()) is pd.DataFrame


def test_one_text_is_enough(fake_run, tmp_path):
    fake_run.add("copy", "default")
    header, samples, _, scores = fake_run.cells[0]
    only = replace(scores[0], value=0.5, low=None, high=None, n=1, total=1, values=(0.5,))
    fake_run.cells[0] = (header, samples[:1], [], [only])
    frame = load(fake_run.write(tmp_path / "run"))
    assert frame[["value", "n"]].values.tolist() == [[0.5, 1]] and frame["low"].isna().all()
    assert frame.samples["J"].tolist() == [0.5]
    assert frame.training.empty and frame.timings.empty


def test_a_metric_may_be_called_as_a_column_is(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    named = [replace(score, metric=name) for score, name in zip(scores, ("tokens", "system", "id"), strict=False)]
    fake_run.cells[0] = (header, samples, timings, named)
    frame = load(fake_run.write(tmp_path / "run"))
    assert list(frame.samples.columns[-3:]) == ["metric tokens", "metric system", "metric id"]
    assert frame.samples["tokens"].eq(9).all() and frame.samples["system"].eq("gpt2").all()
    assert frame.samples["metric tokens"].tolist() == list(scores[0].values)
