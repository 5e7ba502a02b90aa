"""Speed in detail: percentiles, rates in other units, phases, cold start; nothing of records that do not say them."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.records.dataframes import read_run
from benchmarks.records.schema import TimingRecord
from reports import content
from reports.costs import detail
from reports.panels import panels
from reports.quantities import latency, tail_latency


def told(fake_run, verdict=None, processes=(0,)):
    """Give every record what a new one says: 80 words and 100 tokens in each batch of ten."""
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        rows = [
            replace(timing, kept={"words": 8 * len(timing.ids), "tokens": 10 * len(timing.ids)}, process=process)
            for process in processes
            for timing in timings
            if timing.kind != "batch" or process == 0
        ]
        rows += [
            replace(timing, kind="sweep", index=100 * process + timing.index, process=process, kept={"words": 80})
            for process in processes[1:]
            for timing in timings
            if timing.kind == "batch"
        ]
        looked = TimingRecord("phases", 0, ("a",), 1.0, {}, phases={"calls": 0.75, "decoder": 0.25})
        cold = {"load": 1.5, "first_call": 4.0, "compile": 3.0}
        fake_run.cells[place] = (
            replace(header, verdict=verdict or header.verdict, cold_start=cold), samples, [*rows, looked], scores
        )  # fmt: skip
    return fake_run


def cells(table, row=0):
    return {column.title: cell for column, cell in zip(table.columns, table.blocks[0].rows[row].cells, strict=True)}


def test_a_new_record_tells_more_of_its_speed(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    folder = told(fake_run).write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    assert section.speed in section.tables
    shown = cells(section.speed)
    [entry, *_] = panels(read_run(folder).records)[0].trained
    assert shown["Half of texts within"].value == pytest.approx(entry.latency.value)
    assert shown["Half of texts within"].interval
    assert not {"90 %", "99 %"} & set(shown)  # too few texts for an interval
    assert "“99 %” takes 368 texts" in " ".join(section.speed.remarks)
    assert shown["Words kept"].value == pytest.approx(8 * entry.throughput.value)
    assert shown["Tokens kept"].value == pytest.approx(10 * entry.throughput.value)
    assert (shown["Calls"].text, shown["Decoder"].text, shown["Load"].text) == ("75", "25", "1.50")
    assert shown["of it compiling"].value == 3.0
    assert "of it recording" not in shown
    assert all(row.title != "copy" for block in section.speed.blocks for row in block.rows)


def test_records_of_before_have_no_such_table(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    folder = fake_run.write(tmp_path / "run")
    assert content.build(folder, folder / "report").sections[0].speed is None


def test_a_doubted_latency_is_doubted_here_too_and_rates_are_not(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    good = {"valid": True, "reasons": []}
    doubt = {"valid": False, "reasons": ["stalls"]}
    verdict = {"valid": False, "reasons": ["latency: stalls"], "quantities": {"latency": doubt, "throughput@10": good}}
    records = read_run(told(fake_run, verdict).write(tmp_path / "run")).records
    shown = cells(detail.table(panels(records)[0]))
    assert shown["Half of texts within"].doubtful and not shown["Words kept"].doubtful


def test_stalls_the_best_size_and_processes_are_said(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    stalled = [{"kind": "batch", "index": 1, "reason": "20 s"}]
    verdict = {"valid": True, "reasons": [], "stalled": stalled, "best_size": 256}
    records = read_run(told(fake_run, verdict, (0, 1, 2)).write(tmp_path / "run")).records
    panel = panels(records)[0]
    said = " ".join(detail.table(panel).remarks)
    assert "1 call stood still" in said and "gpt2 256" in said and "Timed in 3 processes" in said
    sums: dict[int, list[float]] = {}
    [record] = records
    for timing in record.timings:
        if timing.kind in ("batch", "sweep") and (timing.kind, timing.index) != ("batch", 1):
            row = sums.setdefault(timing.process, [0.0, 0.0])
            row[0] += len(timing.ids)
            row[1] += timing.seconds
    rates = [texts / seconds for texts, seconds in sums.values()]
    speed = panel.entries[0].throughput
    assert len(rates) == 3 and speed.low < min(rates) and speed.high > max(rates)  # Student's t with two degrees


def test_a_latency_of_few_texts_says_how_many_it_takes():
    timed = pd.DataFrame({"seconds": [0.1] * 35})
    found = tail_latency(timed, 0.9)
    assert found.value is None
    assert found.reason == "too few: 35 texts were timed alone, 36 are needed for an interval"
    assert tail_latency(timed[:1], 0.99).reason.startswith("too few: 1 text was timed alone, 368 are")
    assert tail_latency(pd.DataFrame({"seconds": [0.1] * 36}), 0.9).low == pytest.approx(100.0)


def test_calls_of_one_process_share_its_luck():
    rows = [(process, 0.1 * (1 + 0.2 * process)) for process in range(4) for _ in range(100)]
    timed = pd.DataFrame(rows, columns=["process", "seconds"])
    found, alone = latency(timed), latency(timed[["seconds"]])
    assert found.value == alone.value
    assert found.low < alone.low and found.high > alone.high  # four observations, not 400
    assert found.low < 100 and found.high > 160
