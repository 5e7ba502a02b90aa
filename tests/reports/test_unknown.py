"""What a verdict could not look at is said where the number stands, and makes nothing invalid."""

from __future__ import annotations

import pytest

from benchmarks.cli.main import main
from reports import content
from reports.html.origins import origins

SAID = "not known while this was timed: what other processes used"


def judged(*unknown, valid=True, reasons=()):
    return {"valid": valid, "reasons": list(reasons), "unknown": list(unknown)}


@pytest.fixture
def run(fake_run, tmp_path):
    """Two entries, both timed alike, of one of which it is not known what others used meanwhile."""
    fake_run.add("gpt2", "greedy")
    header = fake_run.cells[0][0]
    sizes = (f"throughput@{header.batch_size}",)
    told = {"latency": judged("what other processes used"), **dict.fromkeys(sizes, judged())}
    fake_run.cells.clear()
    fake_run.add("gpt2", "greedy", verdict={"valid": True, "reasons": [], "quantities": told})
    doubted = judged("what other processes used", valid=False, reasons=("stalls: 3 of 5 calls stood still",))
    fake_run.add(
        "mdlm", "steps-8",
        verdict={"valid": False, "reasons": [], "quantities": {**told, "latency": judged(), sizes[0]: doubted}},
    )  # fmt: skip
    return fake_run.write(tmp_path / "run")


def notes(table, entry, title):
    place = [column.title for column in table.columns].index(title)
    (row,) = [row for block in table.blocks for row in block.rows if row.title == entry]
    return row.cells[place]


def test_tables_say_it_beside_the_number(run, tmp_path):
    (section,) = content.build(run, tmp_path).sections
    latency = notes(section.glance, "gpt2", "Latency of one text")
    assert SAID in latency.notes and not latency.doubtful
    assert SAID not in notes(section.glance, "gpt2", "Throughput").notes
    assert SAID not in notes(section.glance, "mdlm", "Latency of one text").notes
    throughput = notes(section.glance, "mdlm", "Throughput")
    assert throughput.doubtful
    assert throughput.notes == ("not valid: stalls: 3 of 5 calls stood still", SAID)


def test_the_page_behind_the_number_says_it(run, tmp_path):
    report = content.build(run, tmp_path)
    (section,) = report.sections
    told = {
        (origin.name, judged.title): judged.evaluator
        for origin in origins(section.panel, report.sources)
        for judged in origin.judged
    }
    assert told["gpt2 (greedy)", "Latency of one text"] == f"the harness's clock; {SAID}"
    assert told["gpt2 (greedy)", "Throughput"] == "the harness's clock"
    assert told["mdlm (steps-8)", "Throughput"].endswith(f"stood still; {SAID}")


def test_show_says_it(run, capsys):
    assert main(["show", "gpt2", "--out", str(run)]) == 0
    assert f"latency: valid; {SAID}" in capsys.readouterr().out
