"""The table of memory, energy and operations: what was measured, what is doubtful, what is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.records.probe_results import ProbeResults
from benchmarks.records.validity import throughput
from reports import content

PROBES = ProbeResults(10, {"denoiser": 8}, 2e9, 300_000_000, {"CPU": 1.5, "GPU": 0.5}, 2.0, 40, 1e12, {})
GOOD = {"valid": True, "reasons": []}


def probed(fake_run, place, probes, **verdicts):
    """Give the cell at a place figures, and verdicts by quantity, good ones unless said."""
    header, *rest = fake_run.cells[place]
    names = ("latency", throughput(header.batch_size), "memory", "energy")
    said = dict.fromkeys(names, GOOD) | {name.replace("_", "@"): verdict for name, verdict in verdicts.items()}
    verdict = {"valid": True, "reasons": [], "quantities": said}
    fake_run.cells[place] = (replace(header, probes=probes, verdict=verdict), *rest)


def table_of(fake_run, tmp_path):
    return content.build(fake_run.write(tmp_path / "run"), tmp_path).sections[0].costs


def test_there_is_no_table_where_nothing_was_probed(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    assert table_of(fake_run, tmp_path) is None


def test_figures_stand_under_the_prefix_that_suits_them(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    fake_run.add("copy", "default")
    probed(fake_run, 0, PROBES)
    probed(fake_run, 1, replace(PROBES, joules={"CPU": 4.0}, peak_bytes=500_000_000))
    table = table_of(fake_run, tmp_path)
    assert [(column.title, column.unit) for column in table.columns] == [
        ("Peak memory", "MB"),
        ("Energy of a text", "J"),
        ("Operations of a text", "GFLOP"),
        ("Share of the ceiling", "%"),
    ]
    first, second = (row for block in table.blocks for row in block.rows)  # a floor has no row
    assert [cell.text for cell in first.cells[:3]] == ["300", "2.00", "2.00"]
    assert [cell.text for cell in second.cells[:2]] == ["500", "4.00"]
    assert not any(cell.doubtful or cell.notes for row in (first, second) for cell in row.cells)
    section = content.build(tmp_path / "run", tmp_path).sections[0]
    assert table in section.tables
    rate = section.panel.trained[0].throughput.value
    assert first.cells[3].value == pytest.approx(100 * 2e9 * rate / 1e12)
    assert "CPU and GPU" in table.remarks[0] and "1.00 TFLOP/s" in table.remarks[0]


def test_each_doubt_stands_at_its_own_figure(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    bad = {"valid": False, "reasons": ["not alone: 2 other processes on the GPU"]}
    probed(fake_run, 0, PROBES, energy=bad)
    probed(fake_run, 1, PROBES, throughput_10={"valid": False, "reasons": ["unsteady"]})
    table = table_of(fake_run, tmp_path)
    first, second = table.blocks[0].rows
    assert [cell.doubtful for cell in first.cells] == [False, True, False, False]
    assert first.cells[1].notes == ("energy of a text not valid: 2 other processes on the GPU",)
    assert [cell.doubtful for cell in second.cells] == [False, False, False, True]
    assert second.cells[3].notes == ("share of the ceiling not valid: unsteady",)


def test_more_than_the_ceiling_is_not_believed(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    probed(fake_run, 0, replace(PROBES, matrix_flops_per_second=1e9))
    cell = table_of(fake_run, tmp_path).blocks[0].rows[0].cells[3]
    assert cell.value > 100 and cell.doubtful and "while the machine was busy" in cell.notes[0]


def test_what_is_not_there_says_why(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    none = ProbeResults(10, flops_per_text=2e9, reasons={"energy": "not run: no counter", "ceiling": "not run: full"})
    probed(fake_run, 0, none)
    first, second = table_of(fake_run, tmp_path).blocks[0].rows
    assert [cell.value for cell in first.cells] == [None, None, 2e9, None]
    assert first.cells[1].notes == ("not run: no counter",)
    assert first.cells[3].notes == ("not run: full",)
    assert all(cell.notes == ("not run: this cell was made without these passes",) for cell in second.cells)


def test_seeds_are_averaged_and_the_noise_floor_is_told(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy", 0)
    fake_run.add("gpt2", "greedy", 1)
    fake_run.add("mdlm", "steps-8")
    probed(fake_run, 0, PROBES)
    probed(fake_run, 1, replace(PROBES, joules={"GPU": 4.0}))
    one = {"ratio": 1.042, "level": 0.95, "power": 0.8, "processes": 5, "rounds": 10}
    header, *rest = fake_run.cells[0]
    noise = {"hardware": "a-cpu-1234", "made": "2026-01-01", "quantities": {"latency": one}}
    fake_run.cells[0] = (replace(header, noise_floor=noise), *rest)
    table = table_of(fake_run, tmp_path)
    row = next(row for block in table.blocks for row in block.rows if row.title == "gpt2")
    assert row.cells[1].text == "3.00" and "2 seeds" in row.detail
    assert table.remarks[1] == (
        "Noise floor of a-cpu-1234: in latency a ratio of 1.042 or more is found by 5 processes of 10 rounds, 80% of "
        "the time."
    )
