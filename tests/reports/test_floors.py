"""The sentences on floors: who clears which, by which score, and who is no floor."""

import sys
from dataclasses import replace
from pathlib import Path

from reports import content

sys.path.insert(0, str(Path(__file__).parent))
from sentences import reading, trained


def test_only_floors_have_no_preset_and_no_seed(fake_run, tmp_path):
    fake_run.add("copy", "default")
    fake_run.change(0, preset="any")
    text = reading(fake_run, tmp_path)
    assert "All this holds for 60 test texts of detox from the built-in world, on An ordinary CPU in float32;" in text
    assert "preset" not in text
    assert "training seed" not in text


def test_a_system_that_clears_no_floor_is_named(fake_run, tmp_path):
    trained(fake_run, cosmos=0.6, gpt2=0.05, copy=0.05)
    fake_run.add("copy", "default")
    fake_run.add("retrieval", "default")
    text = reading(fake_run, tmp_path)
    assert "gpt2 (greedy) is not shown to be better than copy and retrieval: on J it has not learnt the task." in text
    assert "cosmos (fast) is not shown" not in text


def test_entries_below_the_same_floors_are_named_together(fake_run, tmp_path):
    trained(fake_run, cosmos=0.05, gpt2=0.06, mdlm=0.3, copy=0.05)
    fake_run.add("copy", "default")
    text = reading(fake_run, tmp_path)
    assert "cosmos (fast) and gpt2 (greedy) are not shown to be better than copy: on J they have not learnt" in text


def test_all_floors_cleared(fake_run, tmp_path):
    trained(fake_run)
    fake_run.add("copy", "default")
    fake_run.add("reference", "default")
    assert "Every trained entry is significantly better on J than the floors copy." in reading(fake_run, tmp_path)


def test_the_oracle_and_texts_from_elsewhere_are_no_floors(fake_run, tmp_path):
    """Whoever is below a draw from the source itself has not failed to learn the task."""
    trained(fake_run, cosmos=0.6, gpt2=0.7)
    fake_run.skill |= {"oracle": 0.95, "imported": 0.9}
    for name in ("copy", "oracle", "imported", "reference"):
        fake_run.add(name, "default")
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    text = " ".join(section.reading)
    assert "Every trained entry is significantly better on J than the floors copy." in text
    assert "not learnt" not in text
    assert [row.title for row in section.glance.blocks[-1].rows] == ["copy", "oracle", "imported", "reference"]
    legend = " ".join(section.legend)
    assert "there are the floors copy, and oracle, imported and reference, which are none of the floors" in legend


def test_floors_are_those_that_the_task_declares(fake_run, tmp_path, monkeypatch):
    trained(fake_run, cosmos=0.6, gpt2=0.7)
    fake_run.skill["mine"] = 0.9
    for name in ("copy", "mine", "reference"):
        fake_run.add(name, "default")
    plan = fake_run.plan()
    monkeypatch.setattr(fake_run, "plan", lambda: {**plan, "task": {"floors": ["mine", "reference"]}})
    text = reading(fake_run, tmp_path)
    assert "are not shown to be better than mine: on J they have not learnt the task." in text
    assert "copy" not in text


def test_sentences_on_floors_follow_the_score_they_were_tested_on(fake_run, tmp_path, monkeypatch):
    """By the headline all clear all floors; by the other one retrieval is better than cosmos."""
    trained(fake_run, cosmos=0.6, gpt2=0.7, mdlm=0.65)
    for name in ("copy", "retrieval"):
        fake_run.add(name, "default")
    plan = fake_run.plan()
    monkeypatch.setattr(fake_run, "plan", lambda: {**plan, "task": {"headline": ["J", "STA"]}})
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        level = {"cosmos": 0.3, "gpt2": 0.8, "mdlm": 0.7, "copy": 0.1, "retrieval": 0.5}[header.cell.system]
        values = tuple(level + 0.1 * value for value in scores[1].values)
        other = replace(scores[1], values=values, value=sum(values) / len(values))
        fake_run.cells[place] = (header, samples, timings, [scores[0], other, *scores[2:]])
    text = reading(fake_run, tmp_path)
    assert "Every trained entry is significantly better on J than the floors copy and retrieval." in text
    assert "cosmos (fast) is not shown to be better than retrieval on STA." in text
    assert "on STA than the floors" not in text
