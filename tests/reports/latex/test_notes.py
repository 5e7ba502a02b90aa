"""Notes in papers are short and about the numbers; labels are a report's own; the source is plain."""

import re

import pytest

from reports import content, latex
from reports.latex.notes import short


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (
            "missing evaluator: no acceptability model here; pip install cosmos-bench[eval]",
            "missing evaluator: no acceptability model here",
        ),
        (
            "missing evaluator: roberta is not on this machine; add it with: python -m benchmarks fetch roberta",
            "missing evaluator: roberta is not on this machine",
        ),
        ("not valid: other processes used 51% of the machine, 20% is allowed",) * 2,
        ("calls of the network of MDLM; besides, for each text, 1 call of the source encoder",) * 2,
        ("python -m benchmarks run --task detox", "no number"),
    ],
)
def test_notes_are_about_the_numbers(note, expected):
    assert short(note) == expected


def test_notes_are_short():
    clauses = "; ".join(f"clause {number} of a note that goes on" for number in range(20))
    assert (
        short(clauses)
        == "clause 0 of a note that goes on; clause 1 of a note that goes on; clause 2 of a note that goes on"
    )
    assert len(short("word " * 100)) < 115 and len(short("w" * 500)) < 115


def test_no_table_tells_what_to_type(run_report):
    tables = (run_report["latex"].parent / "tables.tex").read_text()
    shown = "\n".join(line for line in tables.splitlines() if not line.startswith("%"))
    assert "pip" not in shown and "python" not in shown
    assert "missing evaluator" in tables
    notes = re.findall(r"\\textsuperscript\{\d+\}\\,(.*?)\\par", shown)
    assert max(map(len, notes)) < 200


def test_the_source_is_plain(run_report):
    tables = (run_report["latex"].parent / "tables.tex").read_text()
    assert not re.search(r"[-,'?!]\{\}|\{\]\}|\\fine\{\{\[", tables)
    assert re.search(r"\\fine\{\[0\.\d+, 0\.\d+\]\}", tables)


def test_labels_are_of_one_report(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    first = content.build(fake_run.write(tmp_path / "first"), tmp_path)
    again = content.build(tmp_path / "first", tmp_path / "elsewhere")
    fake_run.add("gpt2", "greedy", 1)
    second = content.build(fake_run.write(tmp_path / "second"), tmp_path)
    assert first.label == again.label != second.label
    assert re.fullmatch("detox-world-nano-[0-9a-f]{6}", first.label)

    def labels(report, prefix):
        return set(re.findall(r"label\{(.*?)\}", latex.tables(report.tables, prefix=prefix)))

    assert not labels(first, first.label) & labels(second, second.label)
    assert all(label.startswith("tab:mine-") for label in labels(first, "mine"))
