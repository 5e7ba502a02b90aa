"""A report says whose recipe comes from the tuning protocol, and whose does not."""

from __future__ import annotations

from dataclasses import replace

import reports


def test_only_recipes_that_were_tuned_are_said_to_be(fake_run, tmp_path):
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy"), ("reference", "default")):
        fake_run.add(system, setting)
    for place, (header, *rest) in enumerate(fake_run.cells):
        changed = " --set gpt2.recipe.training.learning_rate=1e-7" if header.cell.system == "gpt2" else ""
        cell = replace(header.cell, preset="nano")
        fake_run.cells[place] = (replace(header, cell=cell, command=header.command + changed), *rest)
    text = reports.write(fake_run.write(tmp_path / "run"))["markdown"].read_text(encoding="utf-8")
    assert "Learning rate, batch and dropout of cosmos come from one protocol" in text
    assert "Those of gpt2 were not tuned by it" in text


def test_another_preset_was_not_tuned(fake_run, tmp_path):
    fake_run.add("cosmos", "fast")
    for place, (header, *rest) in enumerate(fake_run.cells):
        fake_run.cells[place] = (replace(header, cell=replace(header.cell, preset="small")), *rest)
    text = reports.write(fake_run.write(tmp_path / "run"))["markdown"].read_text(encoding="utf-8")
    assert "come from one protocol" not in text
    assert "Learning rate, batch and dropout of cosmos were not tuned by the protocol of docs/tuning.md" in text
    assert "Those of" not in text, "of whom nothing was said before"
