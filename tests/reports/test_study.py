"""One method with latents of several numbers and widths: its table and its figure, in every form of the report."""

from dataclasses import replace

import pytest

import reports
from baselines.titles import setting_title
from benchmarks.records.schema import Training
from reports import content
from reports.figures.picture import Picture
from reports.study import figure
from reports.study.sizes import LatentSize, study_of

SKILL = {(8, 32): 0.3, (8, 64): 0.4, (16, 32): 0.5, (16, 64): 0.6}


def recipe(latents, width, d=5.0, full=False, **changes):
    autoencoder = {"latents": latents, "latent_width": width}
    diffusion = {"schedule": {"name": "tan", "d": d}}
    return {"model": {"autoencoder": autoencoder, "diffusion": diffusion}, "full": full, **changes}


def add(run, system, made, skill, setting="fast", flops=3e12, **notes):
    """A cell of Cosmos of some size."""
    run.skill["cosmos"] = skill
    run.add("cosmos", setting, training=Training(900, 60.0, flops, 1.5, notes))
    run.change(-1, system=system, recipe=made)


@pytest.fixture
def study_run(fake_run):
    for (latents, width), skill in SKILL.items():
        for setting in ("fast", "best"):
            made = recipe(latents, width)
            add(fake_run, f"cosmos-{latents}x{width}", made, skill, setting, token_accuracy=skill, length=24)
    add(fake_run, "cosmos-fullx64", recipe(16, 64, full=True), 0.7, token_accuracy=0.99, length=24)
    fake_run.add("gpt2", "greedy")
    fake_run.add("copy", "default")
    return fake_run


def section_of(run, folder):
    return content.build(run.write(folder / "run"), folder).sections[0]


def test_the_table_orders_sizes_within_settings(study_run, tmp_path):
    table = section_of(study_run, tmp_path).sizes
    assert table.caption == "cosmos by number and width of latents"
    assert [block.title for block in table.blocks] == ["fast", "best"]  # that of most sizes first
    names = [row.title for row in table.blocks[0].rows]
    assert names == ["cosmos-8x32", "cosmos-8x64", "cosmos-16x32", "cosmos-16x64", "cosmos-fullx64"]
    head = [column.title for column in table.columns]
    assert head[:5] == ["Latents", "Width", "Numbers per text", "Noise", "J"]
    full = dict(zip(head, table.blocks[0].rows[-1].cells, strict=True))
    assert (full["Latents"].text, full["Width"].text, full["Numbers per text"].text) == ("full (24)", "64", "1,536")
    assert full["Tokens restored"].text == "0.990"
    assert full["Noise"].text == "5"
    quality = [dict(zip(head, row.cells, strict=True))["J"].value for row in table.blocks[0].rows]
    assert quality == sorted(quality) and quality[0] == pytest.approx(0.3, abs=0.05)


def test_students_of_two_methods_are_no_one_setting(fake_run, tmp_path):
    for latents, width in SKILL:
        for method, skill in ((None, 0.4), ("moments", 0.6)):
            add(fake_run, f"cosmos-{latents}x{width}", recipe(latents, width), skill)
            values = {"steps": 4} if method is None else {"steps": 4, "method": method}
            fake_run.change(-1, setting="distilled-4", setting_values=values)
            header, *rest = fake_run.cells[-1]
            said = {"setting": setting_title("cosmos", "distilled-4", values)}
            fake_run.cells[-1] = (replace(header, titles=said), *rest)
    blocks = section_of(fake_run, tmp_path).sizes.blocks
    named = ["distilled-4 (distilled, 4 steps)", "distilled-4 (distilled, by moments, 4 steps)"]
    assert [block.title for block in blocks] == named and [len(block.rows) for block in blocks] == [4, 4]


def test_every_writer_has_the_table_and_the_figure(study_run, tmp_path, monkeypatch):
    written = reports.write(study_run.write(tmp_path / "run"))
    assert list(written) == ["figure", "study", "calls", "latency", "curves", "markdown", "latex", "html", "tables"]
    assert (tmp_path / "run" / "report" / "study.pdf").read_bytes().startswith(b"%PDF")
    svg = written["study"].read_text()
    for text in ("width 32", "width 64", "8 latents", "full (24)", "Latents per text", "Width of a latent"):
        assert f">{text}<" in svg, text
    markdown, latex, html = (written[kind].read_text() for kind in ("markdown", "latex", "html"))
    assert "### cosmos by number and width of latents" in markdown and "(study.svg)" in markdown
    assert r"\includegraphics{study}" in latex
    assert "cosmos by number and width" in (tmp_path / "run" / "report" / "tables.tex").read_text()
    assert html.count("<svg") == 2 * 4 and "cosmos by number and width" in html
    monkeypatch.setattr(Picture, "pdf", b"")  # the other form is looked at again
    again = reports.write(tmp_path / "run", tmp_path / "again")
    assert all(again[kind].read_bytes() == written[kind].read_bytes() for kind in ("study", "figure"))


def test_a_run_of_one_size_has_neither(fake_run, tmp_path):
    add(fake_run, "cosmos-8", recipe(8, 32), 0.5)
    add(fake_run, "cosmos-8", recipe(8, 32), 0.5, "best")
    fake_run.add("gpt2", "greedy")
    folder = fake_run.write(tmp_path / "run")
    assert content.build(folder, tmp_path).sections[0].sizes is None
    written = reports.write(folder)
    assert "study" not in written and not (folder / "report" / "study.svg").exists()
    assert "study.svg" not in written["markdown"].read_text() + written["html"].read_text()
    assert "{study}" not in written["latex"].read_text()


def test_sizes_are_those_of_the_recipe(study_run, tmp_path):
    study = study_of(section_of(study_run, tmp_path).panel)
    assert study is not None and study.method == "cosmos"
    assert set(study.sizes.values()) == {*(LatentSize(*size) for size in SKILL), LatentSize(24, 64, True)}
    assert all(entry.system != "gpt2" for entry in study.entries)


@pytest.mark.parametrize(("spent", "budgets", "said"), [
    ((3e12, 3.05e12), ("3e12flops", "3e12flops"), "one budget, 3e12flops; all used the same number of FLOPs, within"),
    ((3e12, 6e12), ("90seconds", "90seconds"), "one budget, 90seconds; of training, some used up to 2.0 times as many"),
    ((3e12, 6e12), ("3e12flops", "6e12flops"), "Budgets are not equal: 3e12flops and 6e12flops"),
])  # fmt: skip
def test_what_it_cost_is_said(fake_run, tmp_path, spent, budgets, said):
    for latents, flops, budget in zip((8, 16), spent, budgets, strict=True):
        add(fake_run, f"cosmos-{latents}", recipe(latents, 32), 0.5, flops=flops)
        fake_run.change(-1, budget=budget)
    section = section_of(fake_run, tmp_path)
    assert said in section.sizes.remarks[0]
    assert said in figure.draw([section.panel]).caption


def test_a_start_that_only_some_had_is_noted(fake_run, tmp_path):
    for latents, start in ((8, True), (16, False)):
        made = recipe(latents, 32, start_linear=True)
        add(fake_run, f"cosmos-{latents}", made, 0.5, token_accuracy=0.9, start_linear=start)
    table = section_of(fake_run, tmp_path).sizes
    assert table.notes() == ("without a linear start, for which these sizes leave no room",)
    assert "without a linear start" not in str(table.blocks[0].rows[0])


def test_sizes_without_a_score_are_left_out_of_the_figure(study_run, tmp_path):
    header, samples, timings, scores = study_run.cells[0]
    unscored = [replace(s, value=None, low=None, high=None, values=None, n=0, reason="failed: x") for s in scores]
    study_run.cells[0] = (header, samples, timings, unscored)
    drawn = figure.draw([section_of(study_run, tmp_path).panel])
    assert drawn is not None and ">full (24)<" in drawn.svg
