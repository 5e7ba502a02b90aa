"""A bound says that it is one, and stands in no column with exact values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.records.schema import Score, Signature
from reports import content, latex


def nll(value: float, **options) -> Score:
    signature = Signature("nll", "1", "cosmos-bench", {"end": True, **options})
    return Score("nll", value, value - 0.02, value + 0.02, 0.95, 40, 40, "lower", signature)


@pytest.fixture
def folder(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-32")
    fake_run.add("cosmos", "fast")
    found = [nll(0.639, kind="exact"), nll(1.084, kind="bound", draws=16)]
    found.append(replace(found[0], value=None, low=None, high=None, n=0, reason="not run: latent diffusion has none"))
    for place, score in enumerate(found):
        header, samples, timings, scores = fake_run.cells[place]
        fake_run.cells[place] = (header, samples, timings, [*scores, score])
    return fake_run.write(tmp_path / "run")


def test_a_bound_is_marked_and_apart(folder):
    section = content.build(folder, folder / "report").sections[0]
    columns = [column for column in section.panel.columns if column.metric == "nll"]
    assert [column.title for column in columns] == ["NLL (a)", "NLL (b)"]
    table = section.scores
    places = [place for place, column in enumerate(table.columns) if column.title.startswith("NLL")]
    cells = {row.title: [row.cells[place] for place in places] for block in table.blocks for row in block.rows}
    assert [cell.text for cell in cells["gpt2"]] == ["0.639", "–"]
    assert [cell.text for cell in cells["mdlm"]] == ["–", "≤ 1.084"]
    assert [cell.text for cell in cells["cosmos"]] == ["–", "–"]
    assert cells["cosmos"][0].notes == ("not run: latent diffusion has none",)
    assert any("must not be compared" in remark and "kind “" in remark for remark in table.remarks)


def test_latex_has_the_mark(folder):
    assert r"$\leq$ 1.084" in latex.tables(content.build(folder, folder / "report").tables)
