"""Records as they are published: without texts that may not be, or from before seals. Nothing false is said."""

from dataclasses import replace

import pytest

from baselines.contract import UserError
from benchmarks.records.dataframes import read_run, scores
from reports import content, latex


def test_findings_need_no_texts(fake_run, tmp_path):
    fake_run.fill()
    whole = content.build(fake_run.write(tmp_path / "whole"), tmp_path)
    for place, (header, _, *rest) in enumerate(fake_run.cells):
        if header.cell.system in ("copy", "retrieval", "reference"):
            fake_run.cells[place] = (header, [], *rest)
    folder = fake_run.write(tmp_path / "run")
    for path in (*folder.glob("documents/*"), *(p for p in folder.rglob("samples.jsonl") if not p.stat().st_size)):
        path.unlink()
    report = content.build(folder, tmp_path)
    assert report.sections[0].reading == whole.sections[0].reading
    per_text = [scores(read_run(place).records)["per_text"].tolist() for place in (folder, tmp_path / "whole")]
    assert per_text[0] == per_text[1]
    assert report.sections[0].examples == ()
    facts = {fact.name: fact.values for fact in report.facts}
    assert facts["Not here"] == ("test documents, so no examples are shown", "texts of 3 cells")
    assert "Not here" not in {fact.name for fact in whole.facts}


def test_seals_are_said(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8", schema=3)
    facts = {fact.name: fact.values for fact in content.build(fake_run.write(tmp_path / "run"), tmp_path).facts}
    assert facts["Seals"] == (
        "every file read has the SHA-256 that it was written with (1 cell)",
        "none: written before records were sealed, so a change since then would not be seen (1 cell)",
    )


@pytest.mark.parametrize("split", ["train", "validation", "passages"])
def test_cells_that_learnt_from_other_texts_are_not_ranked_together(fake_run, tmp_path, split):
    one = {"count": 5, "sha256": "ab" * 32}
    for system, setting, about in (("gpt2", "greedy", one), ("mdlm", "steps-8", {**one, "sha256": "cd" * 32})):
        header = fake_run.header(system, setting, 0)
        fake_run.add(system, setting, documents={**header.documents, split: about})
    with pytest.raises(UserError, match=rf"were made with other {split} texts, so they cannot share a ranking"):
        read_run(fake_run.write(tmp_path / "run"))
    header, *rest = fake_run.cells[1]
    fake_run.cells[1] = (replace(header, status="failed"), *rest)
    assert len(read_run(fake_run.write(tmp_path / "failed")).records) == 2


def test_a_run_without_scores_has_a_report_without_a_table_of_them(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, _ = fake_run.cells[0]
    fake_run.cells[0] = (header, samples, timings, [])
    report = content.build(fake_run.write(tmp_path / "run"), tmp_path)
    assert "All scores" not in [table.caption for table in report.tables]
    assert "All scores" not in latex.tables(report.tables)
    assert any(line.startswith("Speed is bold only where") for line in report.sections[0].legend)
