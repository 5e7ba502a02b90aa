"""Texts of a cell made on several devices at once: which are whose, what is kept, and what is said of their time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Request, UserError
from benchmarks.planning.plan import Plan
from benchmarks.planning.run_config import Choices
from benchmarks.records import environment, seals, store
from benchmarks.records.machine_class import machine_class
from benchmarks.records.schema import SampleRecord, TimingRecord
from benchmarks.running import runner
from benchmarks.running.devices import shards, worker
from reports.panels import panels

Make = Callable[..., Plan]
GROUPS = [[Request(f"{n}{place}", None, n, 8) for place in range(3)] for n in range(5)]


def made(index: int, number: int) -> shards.Made:
    samples = tuple(SampleRecord(r.id, f"text {r.id}", 2, True, r.seed, {"network": 3}) for r in GROUPS[index])
    timing = TimingRecord(
        "shard", index, tuple(r.id for r in GROUPS[index]), 1.0, {}, process=number, device=f"cpu:{number}"
    )
    return shards.Made(dataclasses.replace(timing, seal=seals.timing_seal(timing, samples)), samples)


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_shards_are_put_together_in_order_with_the_same_bytes(devices: int, tmp_path: Path) -> None:
    dealt = [shards.own_batches(5, number, devices, {}) for number in range(devices)]
    assert sorted(index for own in dealt for index in own) == list(range(5))
    for number, own in enumerate(dealt):
        with shards.keeping(tmp_path, number) as kept:
            kept.append(made(index, number).as_json() for index in own)
    found = shards.read_made(tmp_path, GROUPS)
    assert found.keys() == set(range(5))
    shards.merge(tmp_path, found, None)
    ids = [sample.id for sample in store.read_samples(tmp_path)]
    assert ids == [request.id for group in GROUPS for request in group]
    alone = tmp_path / "alone"
    alone.mkdir()
    shards.merge(alone, {index: made(index, 0) for index in range(5)}, None)
    assert (tmp_path / store.SAMPLES).read_bytes() == (alone / store.SAMPLES).read_bytes()
    assert shards.read_made(tmp_path, GROUPS) == found  # until the header says that the cell is done


def test_what_was_made_is_dealt_to_nobody_again_and_not_trusted_when_it_was_changed(tmp_path: Path) -> None:
    with shards.keeping(tmp_path, 0) as kept:
        kept.append([made(0, 0).as_json(), made(2, 0).as_json()])
    known = shards.read_made(tmp_path, GROUPS)
    assert shards.own_batches(5, 0, 2, known) == [4] and shards.own_batches(5, 1, 2, known) == [1, 3]
    path = tmp_path / shards.FOLDER / "0.jsonl"
    path.write_text(path.read_text().replace("text 20", "text 99"))
    with pytest.raises(UserError, match=r"0\.jsonl"):
        shards.read_made(tmp_path, GROUPS)
    path.unlink()
    with shards.keeping(tmp_path, 0) as kept:
        kept.append([made(4, 0).as_json()])
    with pytest.raises(UserError, match="answers other requests"):
        shards.read_made(tmp_path, GROUPS[:4])


def test_two_devices_make_the_texts_of_one_and_their_times_are_told_apart(
    planned: Make, quiet: Any, tmp_path: Path
) -> None:
    words = ("batch_size=4",)
    flags = {"system": "toy", "setting": "fast", "out": str(tmp_path / "run")}
    assert runner.run(planned(*words, **flags), quiet, ("fit", "generate")).exit_code == 0
    both = planned(*words, **flags, devices="cpu:0,cpu:1")
    assert runner.run(both, quiet, ("generate",)).exit_code == 0, quiet.lines
    records = {record.header.cell.devices: record for record in store.read_run(tmp_path / "run")}
    one, two = records[()], records["cpu:0", "cpu:1"]
    assert one.header.cell.checkpoint_id == two.header.cell.checkpoint_id and one.header.cell.id != two.header.cell.id
    folders = [store.cell_folder(tmp_path / "run", record.header.cell.id) for record in (one, two)]
    samples = [(folder / store.SAMPLES).read_bytes() for folder in folders]
    assert samples[0] == samples[1] and len(one.samples) == 23
    kinds = [timing.kind for timing in two.timings]
    assert kinds == ["shard"] * 6 + ["whole"] and not (folders[1] / shards.FOLDER).exists()
    assert [timing.device for timing in two.timings] == ["cpu:0", "cpu:1"] * 3 + ["cpu:0,cpu:1"]
    assert len(two.timings[-1].ids) == 23 and two.timings[-1].seconds > 0
    assert not two.header.verdict["valid"] and "2 devices" in two.header.verdict["reasons"][0]
    assert machine_class(one.header).id != machine_class(two.header).id
    assert runner.run(both, quiet, ("generate",)).exit_code == 0
    assert any("generated already" in line for line in quiet.lines)


def test_a_failing_share_fails_its_cell_and_the_rest_goes_on(planned: Make, quiet: Any, tmp_path: Path) -> None:
    plan = planned("batch_size=4", system="broken,toy", setting="toy:fast", devices="cpu:0,cpu:1")
    outcome = runner.run(plan, quiet, ("fit", "generate"))
    done = {record.header.cell.system: record.header.status for record in store.read_run(tmp_path / "run")}
    assert outcome.exit_code == 1 and done["toy"] == "done" and done["broken"] == "failed"


def test_devices_are_named_by_kind_and_number() -> None:
    assert environment.find_devices("auto", ("cpu:0", "cpu:1")) == ("cpu", ("cpu:0", "cpu:1"))
    assert environment.find_devices("cpu", ()) == ("cpu", ())
    for asked, said in (
        (("cpu:0", "cpu:0"), "comes twice"),
        (("cpu:0", "tpu:1"), "takes all, or names"),
        (("cpu",), "takes all, or names"),
        (("cpu:01",), "takes all, or names"),
    ):
        with pytest.raises(UserError, match=said):
            environment.find_devices("auto", asked)
    with pytest.raises(UserError, match="of one kind"):
        environment.find_devices("cuda", ("cpu:0", "cpu:1"))
    with pytest.raises(UserError, match="times one device"):
        Choices(devices=("cpu:0",), timing="fresh")


def test_no_gpu_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_cuda_devices", lambda: 0)
    with pytest.raises(UserError, match="no CUDA device for --devices all"):
        environment.find_devices("auto", ("all",))
    with pytest.raises(UserError, match="is not there"):
        environment.find_devices("auto", ("cuda:0", "cuda:1"))
    monkeypatch.setattr(environment, "_cuda_devices", lambda: 3)
    assert environment.find_devices("auto", ("all",)) == ("cuda", ("cuda:0", "cuda:1", "cuda:2"))


def test_a_process_sees_its_own_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for visible, device, seen in (("", "cuda:1", "1"), ("4,6", "cuda:1", "6"), ("4,6", "cpu:1", "4,6")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        worker.see_only(device)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_a_report_ranks_no_speed_of_several_devices(planned: Make, quiet: Any, tmp_path: Path) -> None:
    flags = {"system": "toy", "setting": "fast", "out": str(tmp_path / "run")}
    assert runner.run(planned("batch_size=4", **flags), quiet, ("fit", "generate")).exit_code == 0
    folder = tmp_path / "run"
    (record,) = [record for record in store.read_run(folder) if record.header.cell.system == "toy"]
    whole = TimingRecord("whole", 0, tuple(s.id for s in record.samples), 2.0, {}, device="cpu:0,cpu:1")
    cell = dataclasses.replace(record.header.cell, devices=("cpu:0", "cpu:1"))
    shared = dataclasses.replace(record, header=dataclasses.replace(record.header, cell=cell), timings=(whole,))
    (panel,) = panels([record, shared])
    speeds = {entry.cell.devices: entry.throughput for entry in panel.entries}
    assert speeds[()].value is not None and speeds["cpu:0", "cpu:1"].value is None
    assert speeds["cpu:0", "cpu:1"].reason == "not run: 2 devices made them at once, 11.5 texts/s together"
    assert {entry.cell.devices: entry.tags for entry in panel.entries} == {
        (): ("on 1",),
        ("cpu:0", "cpu:1"): ("on 2",),
    }
