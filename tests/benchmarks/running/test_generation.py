"""Generating: batches that do not fit, sizes warmed up and swept."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.planning.plan import Plan
from benchmarks.records import store
from benchmarks.running import runner, seating
from benchmarks.running.sample_records import token_entropy
from benchmarks.timing.protocol import Protocol

Make = Callable[..., Plan]

pytestmark = pytest.mark.usefixtures("no_power_cuts")


def cells_of(folder: Path) -> dict[tuple[str, str, int], Any]:
    return {(r.header.cell.system, r.header.cell.setting, r.header.cell.seed): r for r in store.read_run(folder)}


def out_of_memory_above(monkeypatch: pytest.MonkeyPatch, system: Any, most: Callable[[], int]) -> list[int]:
    """Let a system hold so many texts at once; the sizes it was asked for."""
    asked, generate = [], system.generate

    def generate_or_fail(self: Any, requests: Any, setting: Any) -> Any:
        asked.append(len(requests))
        if len(requests) > most():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 640.00 GiB.")
        return generate(self, requests, setting)

    monkeypatch.setattr(system, "generate", generate_or_fail)
    return asked


def test_a_batch_that_does_not_fit_is_halved_and_the_true_size_recorded(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run(planned("batch_size=20", out=str(tmp_path / "whole")), quiet, ("fit", "generate"))
    plan = planned("batch_size=20")
    asked = out_of_memory_above(monkeypatch, plan.cells[0].contestant.system, lambda: 7)
    quiet.lines.clear()
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    assert asked[:3] == [20, 10, 5]
    for planned_cell in plan.cells:
        record = store.read_cell(store.cell_folder(tmp_path / "run", planned_cell.cell.id))
        whole = store.read_cell(store.cell_folder(tmp_path / "whole", planned_cell.cell.id))
        assert record.samples == whole.samples
        assert [len(t.ids) for t in record.timings if t.kind == "batch"] == [5, 5, 5, 5, 3]
        assert {len(t.ids) for t in record.timings if t.kind == "warmup"} == {5, 3, 1}
        assert (record.header.batch_size, whole.header.batch_size) == (5, 20)
        assert record.header.cell.batch_size == 20
    said = [line for line in quiet.lines if "fit into" in line]
    assert len(said) == 4
    assert said[0].endswith("20 texts at once do not fit into the device's memory; going on with 10")


def test_memory_that_runs_out_late_leaves_no_timing_of_the_larger_batch(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("batch_size=10", setting="default")
    folder = store.cell_folder(tmp_path / "run", plan.cells[0].cell.id)
    batches = lambda: sum(t.kind == "batch" for t in store.read_timings(folder))  # noqa: E731
    fits = lambda: 10 if batches() == 0 else 5  # noqa: E731
    out_of_memory_above(monkeypatch, plan.cells[0].contestant.system, fits)
    assert runner.run(plan, quiet).exit_code == 0
    record = store.read_cell(folder)
    assert [(t.index, len(t.ids)) for t in record.timings if t.kind == "batch"] == list(enumerate([5, 5, 5, 5, 3]))
    assert [sample.id for sample in record.samples] == [f"test-{n}" for n in range(23)]
    assert record.header.batch_size == 5
    assert "differed" not in str(record.header.verdict["reasons"])


def test_a_text_that_does_not_fit_alone_is_refused_in_a_sentence(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("batch_size=4", setting="default")
    asked = out_of_memory_above(monkeypatch, plan.cells[0].contestant.system, lambda: 0)
    outcome = runner.run(plan, quiet)
    assert (outcome.exit_code, asked) == (2, [4, 2, 1])
    assert outcome.refused[0].endswith("use a smaller preset, or another device.")


def test_every_size_of_batch_is_warmed_up_before_it_is_timed(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned("batch_size=10"), quiet, ("fit", "generate"))
    for record in store.read_run(tmp_path / "run"):
        seen: set[int] = set()
        for timing in record.timings:
            if timing.kind == "warmup":
                seen.add(len(timing.ids))
            else:
                assert len(timing.ids) in seen, "a first call of a size was timed"
        assert seen == {10, 3, 1}
        warm = [timing.seconds for timing in record.timings if timing.kind == "warmup"]
        assert record.header.verdict["warm_up_seconds"] == pytest.approx(sum(warm))
        assert record.header.cold_start["first_call"] == pytest.approx(warm[0])
        assert set(record.header.cold_start) == {"load", "first_call", "warm_up"}


def test_other_batch_sizes_are_timed_and_change_no_text(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run(planned("batch_size=10", out=str(tmp_path / "plain")), quiet, ("fit", "generate"))
    plan = planned("batch_size=10", "sweep=3,12,1000")
    asked = out_of_memory_above(monkeypatch, plan.cells[0].contestant.system, lambda: 12)
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    assert sum("1000 texts at once do not fit" in line for line in quiet.lines) == len(plan.cells)
    assert asked.count(1000) == 1  # the other settings of the system do not try again
    for made, plain in zip(plan.cells, planned("batch_size=10", out=str(tmp_path / "plain")).cells, strict=True):
        folder = tmp_path / "run" / "cells" / made.cell.id
        sizes = [len(timing.ids) for timing in store.read_timings(folder) if timing.kind == "sweep"]
        assert set(sizes) == {3, 10, 12} and 3 <= sizes.count(3) <= 10
        header = store.read_header(folder)
        assert header is not None and header.verdict["too_many"] == 1000
        assert {"throughput@3", "throughput@10", "throughput@12", "latency"} == set(header.verdict["quantities"])
        assert store.read_samples(folder) == store.read_samples(tmp_path / "plain" / "cells" / plain.cell.id)


def test_the_best_batch_size_is_searched(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned("batch_size=10", "sweep=best", setting="default")
    asked = out_of_memory_above(monkeypatch, plan.cells[0].contestant.system, lambda: 64)
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    header = store.read_header(store.cell_folder(tmp_path / "run", plan.cells[0].cell.id))
    assert header is not None and header.cell.sweep == "best"
    assert (header.verdict["best_size"], header.verdict["too_many"]) == (60, 80)
    assert asked.count(80) == 1
    assert header.verdict["quantities"]["throughput@60"]["calls"] >= 3
    assert "--set sweep=best" in header.command


def test_what_is_rehearsed_is_not_what_is_timed(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that was timed on CUDA had been made before with the same requests and seeds."""
    monkeypatch.setattr(seating, "Protocol", lambda **_: Protocol(rehearse=True))
    plan = planned("batch_size=10", setting="default")
    generate, asked = plan.cells[0].contestant.system.generate, []

    def remember(self: Any, requests: Any, setting: Any) -> Any:
        asked.append(tuple(requests))
        return generate(self, requests, setting)

    monkeypatch.setattr(plan.cells[0].contestant.system, "generate", remember)
    assert runner.run(plan, quiet).exit_code == 0
    timings = store.read_timings(store.cell_folder(tmp_path / "run", plan.cells[0].cell.id))
    warm = sum(timing.kind == "warmup" for timing in timings)
    before = {request for requests in asked[:warm] for request in requests}
    after = {request for requests in asked[warm:] for request in requests}
    assert not {(r.source, r.seed) for r in before} & {(r.source, r.seed) for r in after}
    assert not {r.source for r in before} & {r.source for r in after}
    assert {len(requests) for requests in asked[:warm]} == {10, 3, 1}


def test_systems_and_settings_take_turns(planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned("batch_size=4", "data.test=16")
    generate, order = plan.cells[0].contestant.system.generate, []

    def remember(self: Any, requests: Any, setting: Any) -> Any:
        if len(requests) == 4 and requests[0].id.startswith("test"):
            order.append(setting.steps)
        return generate(self, requests, setting)

    monkeypatch.setattr(plan.cells[0].contestant.system, "generate", remember)
    assert runner.run(plan, quiet).exit_code == 0
    assert order[:8] == [3, 1, 1, 3, 3, 1, 1, 3]


def write_own_tokens(
    monkeypatch: pytest.MonkeyPatch, system: Any, sequence: Callable[[Any], tuple[int, ...] | None]
) -> None:
    """Let a system say which tokens it wrote for a request."""
    generate = system.generate

    def generate_and_say(self: Any, requests: Any, setting: Any) -> Any:
        samples = generate(self, requests, setting)
        return [s._replace(sequence=sequence(r)) for r, s in zip(requests, samples, strict=True)]

    monkeypatch.setattr(system, "generate", generate_and_say)


def test_the_entropy_of_a_sequence_by_hand() -> None:
    assert token_entropy([7, 7, 7, 7]) == token_entropy([]) == 0.0 and str(token_entropy([7])) == "0.0"
    assert token_entropy([1, 2]) == token_entropy([1, 2, 2, 1]) == pytest.approx(math.log(2), abs=1e-6)
    assert token_entropy(array("q", [1, 2, 2, 1])) == token_entropy((1, 2, 2, 1))
    # Shares 1/2, 1/4 and 1/4; as many end tokens again leave half of it, and add that of a half.
    assert token_entropy([1, 1, 2, 3]) == pytest.approx(1.5 * math.log(2), abs=1e-6)
    assert token_entropy([1, 1, 2, 3, 0, 0, 0, 0]) == pytest.approx(1.75 * math.log(2), abs=1e-6)


def test_the_record_keeps_the_entropy_of_own_tokens_and_older_ones_have_none(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells of before are read, sealed and taken up again; a text is not another for having an entropy."""
    plan = planned("batch_size=10", setting="default")
    folder = store.cell_folder(tmp_path / "run", plan.cells[0].cell.id)
    runner.run(plan, quiet, ("fit", "generate"))
    plain = (folder / store.SAMPLES).read_bytes()
    assert b"entropy" not in plain and {sample.entropy for sample in store.read_samples(folder)} == {None}
    begun, header = plain.splitlines(keepends=True), store.read_header(folder)
    assert header is not None
    (folder / store.SAMPLES).write_bytes(b"".join(begun[:15]))  # killed in the second batch
    timings = (folder / store.TIMINGS).read_bytes().splitlines(keepends=True)
    (folder / store.TIMINGS).write_bytes(b"".join(line for line in timings if b'"index":1' not in line))
    store.write_header(folder, replace(header, status="started", files={}))
    write_own_tokens(monkeypatch, plan.cells[0].contestant.system, lambda request: (1, 1, 2, 2))
    assert runner.run(planned("batch_size=10", setting="default"), quiet, ("generate",)).exit_code == 0
    record = store.read_cell(folder)
    assert [sample.entropy for sample in record.samples] == [None] * 15 + [pytest.approx(0.693147)] * 8
    assert "differed" not in str(record.header.verdict["reasons"])
    assert (folder / store.SAMPLES).read_bytes().startswith(b"".join(begun[:15]))
