"""The report as a whole: its files, the same bytes again, pages that need nothing else, numbers that lead to cells."""

import re
import shutil
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

import reports
from baselines.contract import UserError
from benchmarks.records.schema import TimingRecord
from reports import compact, content

FILES = (
    *("calls.svg", "curves.csv", "figure.pdf", "figure.svg", "latency.svg", "report.html", "report.md", "report.tex"),
    *("tables", "tables.tex"),
)


def test_files(run_report, run_folder):
    assert set(run_report) == {"markdown", "latex", "html", "figure", "calls", "latency", "curves", "tables"}
    assert sorted(path.name for path in (run_folder / "report").iterdir()) == list(FILES)


def test_the_same_records_give_the_same_bytes(run_report, run_folder, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(run_folder / "cells", copy / "cells")
    shutil.copytree(run_folder / "documents", copy / "documents")
    shutil.copy(run_folder / "plan.json", copy)
    reports.write(copy)
    tables = sorted(str(path.relative_to(run_folder / "report")) for path in (run_folder / "report/tables").iterdir())
    assert len(tables) == 3
    for name in (*(name for name in FILES if name != "tables"), *tables):
        assert (copy / "report" / name).read_bytes() == (run_folder / "report" / name).read_bytes(), name


def test_two_panels_in_one_report(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    header, *rest = fake_run.cells[1]
    fake_run.cells[1] = (replace(header, cell=replace(header.cell, limit=20)), *rest)
    written = reports.write(fake_run.write(tmp_path / "run"))
    page = written["html"].read_text()
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert page.count("<svg") == 2 * 3  # quality against speed and calls, and latency; each wide and narrow
    labels = re.findall(r"\\label\{(.*?)\}", (written["latex"].parent / "tables.tex").read_text())
    assert len(labels) == len(set(labels))
    assert len({re.sub(r"-part-\d$", "", label) for label in labels}) == 4
    assert "first 20 texts" in reports.terminal(tmp_path / "run", 80)


def test_floors_alone(fake_run, tmp_path):
    fake_run.add("copy", "default")
    fake_run.add("reference", "default")
    folder = fake_run.write(tmp_path / "run")
    assert "No trained system has a score that ranks" in reports.write(folder)["markdown"].read_text()
    assert "reference" in reports.terminal(folder, 80)


def test_out_and_its_links(run_folder, tmp_path):
    written = reports.write(run_folder, tmp_path / "a" / "b")
    link = re.search(r'href="([^"#]*cells/[^"]*)/"', written["html"].read_text()).group(1)
    assert (written["html"].parent / link / "header.json").exists()
    link = re.search(r"\]\((\S*cells/\S*)\)", written["markdown"].read_text()).group(1)
    assert (written["markdown"].parent / link / "header.json").exists()


def test_out_that_cannot_be_written(run_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        reports.write(run_folder, tmp_path / "file")


def test_the_figure_follows_the_theme(run_report):
    page, figure = run_report["html"].read_text(), run_report["figure"].read_text()
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert "var(--series-1)" in drawn
    assert "var(--ink)" in drawn
    assert not re.search(r"#[0-9a-f]{6}\b", drawn)
    used = set(re.findall(r"var\((--[\w-]+)\)", drawn))
    assert all(page.count(f"{name}:") == 2 + (name[2:7] != "serie") for name in used)  # light, dark and print
    assert "var(" not in figure
    ElementTree.fromstring(figure)


def test_the_figure_names_what_it_draws(run_report):
    text = "".join(ElementTree.parse(run_report["figure"]).getroot().itertext())
    for word in ("cosmos", "gpt2", "mdlm", "steps-32", "greedy", "retrieval", "reference", "J (higher is better)"):
        assert word in text


def test_every_number_leads_to_its_cell(run_report, run_folder):
    ids = sorted(path.name for path in (run_folder / "cells").iterdir())
    markdown, page = run_report["markdown"].read_text(), run_report["html"].read_text()
    failed = [cell for cell in ids if f"show {cell}" not in markdown]
    assert len(failed) == 2  # the failed and the refused cell, which have no numbers
    for cell in ids:
        assert cell in page
        assert cell in failed or f"python -m benchmarks show {cell} --task detox" in page


def test_what_is_needed_to_make_it_again_is_said(run_report, run_folder):
    sha = next((run_folder / "documents").iterdir()).stem
    for kind in ("markdown", "html"):
        text = run_report[kind].read_text()
        for fact in (
            "python -m benchmarks run --task detox",
            "0123456789abcdef",
            sha,
            "An ordinary CPU",
            "torch 2.13.0",
        ):
            assert fact in text, (kind, fact)


def test_five_samples_of_the_same_documents(run_report):
    text = run_report["markdown"].read_text()
    samples = re.findall(r"^### (test-\d+)$", text, re.MULTILINE)
    assert len(samples) == 5
    assert samples != sorted(samples)  # not the first five
    assert text.count("| *source* |") == text.count("| *reference* |") == 5
    assert text.count("| cosmos (fast) |") == 5 + 1
    assert text.count("*(= source)*") == 5


def test_the_terminal_table_fits(run_folder):
    sections = content.build(run_folder, run_folder / "report").sections
    for width in (40, 60, 80, 100, 200):
        text = compact.render(sections, width)
        assert max(map(len, text.splitlines())) <= width
        assert "gpt2, greedy" in text
    assert text == reports.terminal(run_folder, 200)
    assert "0.845* [0.821, 0.867]" in text
    assert "TFLOP" in text
    assert "rudeness left" in text
    assert "2 cells without a result: sedd (steps-8), duo (steps-8)." in text


def test_no_heavy_import():
    loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module and name.startswith("reports")}
    assert loaded == {"reports"}
    import subprocess

    code = "import sys, reports, reports.content, reports.figures; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "matplotlib.pyplot"} & set(found)
    lazy = "import sys, reports; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", lazy], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "matplotlib", "jinja2"} & set(found)


def test_speed_by_batch_size_is_a_table_where_it_was_timed(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    assert content.build(fake_run.write(tmp_path / "plain"), tmp_path).sections[0].batches is None
    header, samples, timings, scores = fake_run.cells[0]
    ids = tuple(f"id{n}" for n in range(64))
    swept = [TimingRecord("sweep", n, ids, seconds, {}) for n, seconds in enumerate((0.5, 0.5, 0.5))]
    fake_run.cells[0] = (header, samples, [*timings, *swept], scores)
    table = content.build(fake_run.write(tmp_path / "run"), tmp_path).sections[0].batches
    assert table is not None
    assert [column.title for column in table.columns] == ["1", str(header.batch_size), "64"]
    first, second = table.blocks[0].rows
    assert first.cells[2].text == "128" and second.cells[2].value is None and second.cells[2].notes
    assert all(row.cells[0].value for row in (first, second))


def test_scores_that_nobody_has_are_a_sentence_and_no_column(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    run = fake_run.write(tmp_path / "run")
    before = content.build(run, tmp_path).sections[0].scores
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        absent = replace(scores[-1], value=None, low=None, high=None, values=None, n=0, reason="not run: nobody asked")
        fake_run.cells[place] = (header, samples, timings, [*scores[:-1], absent])
    table = content.build(fake_run.write(tmp_path / "other"), tmp_path).sections[0].scores
    title = before.columns[-1].title
    assert [column.title for column in table.columns] == [column.title for column in before.columns[:-1]]
    assert f"No entry has a value of {title} (not run: nobody asked)." in table.remarks
