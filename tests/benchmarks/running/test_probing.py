"""What headers hold besides timings: figures of passes with verdicts of their own, and the machine's noise floor."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from baselines.contract import Request, Sample, UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import environment, store
from benchmarks.records.files import write_lines
from benchmarks.records.schema import TimingRecord, header_from_json, to_json
from benchmarks.records.validity import ENERGY, MEMORY, validity
from benchmarks.running import probing, runner
from benchmarks.running.stand_ins import StandIns
from benchmarks.timing import ceilings, noise_floor
from benchmarks.timing.noise_floor import NoiseFloor, floor

Make = Callable[..., Plan]
TIMED = {"valid": True, "reasons": [], "quantities": {"latency": {"valid": True, "reasons": []}}, "batch_size": 2}


@pytest.fixture(autouse=True)
def small_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "MATRIX", {"cpu": 64})
    probing.matrix_flops_per_second.cache_clear()


class Linear:
    """A system of one matrix."""

    def __init__(self) -> None:
        self.network, self.sizes = torch.nn.Linear(8, 4, bias=False), []

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        self.sizes.append(len(requests))
        self.network(torch.ones(len(requests), 8))
        return [Sample(request.id, "text", 1, True) for request in requests]


def made(networks: bool = True, folder: Path = Path("nowhere")) -> Any:
    """As much of a cell that is generated as passes want."""
    system, requests = Linear(), [Request(str(n), None, n, 8) for n in range(5)]
    named = {"network": system.network} if networks else {}
    return SimpleNamespace(
        system=system,
        networks=named,
        setting=None,
        requests=requests,
        size=2,
        stand_ins=StandIns(requests),
        folder=folder,
    )


@pytest.mark.parametrize(("calls", "valid"), [(1, True), (2, False)])
def test_passes_that_make_other_calls_than_were_timed_are_not_believed(tmp_path: Path, calls: int, valid: bool) -> None:
    timing = TimingRecord("batch", 0, ("0", "1"), 0.1, {"network": calls})
    write_lines(tmp_path / store.TIMINGS, [vars(timing)])
    cell: Any = SimpleNamespace(device="cpu", dtype="float32")
    probed = probing.probe(made(folder=tmp_path), cell)
    assert probed is not None
    said = f"audit: 1 network calls in the passes, {calls} when the same texts were timed"
    assert (said in probed.verdicts[MEMORY]["reasons"]) is not valid
    assert (probed.results.flops_per_text is not None) is valid
    assert probed.results.reasons.get("flops") == (None if valid else said)


def test_figures_are_of_the_first_batch_and_join_the_verdict() -> None:
    generation, cell = made(), SimpleNamespace(device="cpu", dtype="float32")
    probed = probing.probe(generation, cell)  # type: ignore[arg-type]
    assert probed is not None
    results, verdict = probed.results, probing.joined(TIMED, probed)
    assert (results.texts, results.flops_per_text, results.calls) == (2, 2 * 8 * 4, {"network": 1})
    assert set(generation.system.sizes) == {2}
    assert results.matrix_flops_per_second == probing.matrix_flops_per_second("cpu", "float32")
    assert set(verdict["quantities"]) == {"latency", "memory", "energy"}
    assert verdict["quantities"]["latency"] == TIMED["quantities"]["latency"]  # type: ignore[index]
    assert verdict["valid"] is True  # that is of what was timed
    assert set(TIMED["quantities"]) == {"latency"}  # type: ignore[arg-type]


def test_a_floor_has_nothing_to_probe() -> None:
    generation = made(networks=False)
    assert probing.probe(generation, SimpleNamespace(device="cpu")) is None  # type: ignore[arg-type]
    assert probing.joined(TIMED, None) == TIMED
    assert generation.system.sizes == []


def test_the_ceiling_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def counted(device: str, dtype: str) -> float:
        measured.append(dtype)
        return 1e9

    monkeypatch.setattr(ceilings, "matrix_flops_per_second", counted)
    assert [probing.matrix_flops_per_second("cpu", "float32") for _ in range(3)] == [1e9] * 3
    assert probing.matrix_flops_per_second("cpu", "bfloat16") == 1e9
    assert measured == ["float32", "bfloat16"]


def keep_a_floor() -> NoiseFloor:
    device = environment.describe_device("cpu")
    one = floor([[0.01, -0.01, 0.02, 0.0, 0.01], [0.0] * 5, [-0.01] * 5], 0.1)
    kept = NoiseFloor(environment.hardware_class(device), "something", {"latency": one}, environment.now(), device)
    noise_floor.write(kept)
    return kept


def test_results_carry_the_noise_floor_of_their_machine(planned: Make, quiet: Any, tmp_path: Path) -> None:
    assert runner.run(planned(setting="fast"), quiet).exit_code == 0
    (before,) = store.read_run(tmp_path / "run")
    assert before.header.noise_floor == {}
    kept = keep_a_floor()
    assert runner.run(planned(setting="fast", out=str(tmp_path / "other")), quiet).exit_code == 0
    (record,) = store.read_run(tmp_path / "other")
    assert record.header.noise_floor == kept.summary
    assert record.header.noise_floor["quantities"]["latency"]["ratio"] == kept.quantities["latency"].ratio


def test_a_damaged_noise_floor_is_said_before_anything_is_generated(planned: Make, quiet: Any, tmp_path: Path) -> None:
    assert runner.run(planned(setting="fast"), quiet, ("fit",)).exit_code == 0
    path = noise_floor.path_of(keep_a_floor().hardware)
    path.write_text("[]")
    with pytest.raises(UserError, match="doctor --timing"):
        runner.run(planned(setting="fast"), quiet, ("generate",))
    assert not list((tmp_path / "run" / "cells").rglob(store.SAMPLES))


def test_what_a_header_holds_is_read_again(planned: Make, quiet: Any, tmp_path: Path) -> None:
    keep_a_floor()
    assert runner.run(planned(setting="fast"), quiet).exit_code == 0
    (record,) = store.read_run(tmp_path / "run")
    probed = probing.probe(made(), record.header.cell)
    assert probed is not None
    results, verdict = probed.results, probing.joined(record.header.verdict, probed)
    stored = json.loads(json.dumps(to_json(record.header) | {"probes": to_json(results), "verdict": verdict}))
    read = header_from_json(stored, "here")
    assert read.probes == results
    assert validity(read, MEMORY).valid == verdict["quantities"]["memory"]["valid"]
    assert validity(read, ENERGY).reasons == tuple(verdict["quantities"]["energy"]["reasons"])
    for probes in ({"texts": -1}, {"texts": 1, "flops_per_text": "many"}, []):
        with pytest.raises(UserError, match="here"):
            header_from_json(stored | {"probes": probes}, "here")
    with pytest.raises(UserError, match="here"):
        header_from_json(stored | {"noise_floor": {"quantities": {"latency": {"ratio": -1}}}}, "here")


def test_a_cell_that_is_made_is_probed_before_its_system_is_let_go(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the runner itself, with a system whose network is torch's."""
    toy = planned(setting="fast").cells[0].contestant.system

    class Counted(torch.nn.Linear):
        def parameters(self, recurse: bool = True) -> Any:
            return iter(())

    network = Counted(8, 4, bias=False)
    generate = toy.generate
    monkeypatch.setattr(toy, "networks", lambda self: {"network": network})

    def generated(self: Any, requests: Sequence[Request], setting: Any) -> list[Sample]:
        network(torch.ones(len(requests), 8))
        return generate(self, requests, setting)  # type: ignore[no-any-return]

    monkeypatch.setattr(toy, "generate", generated)
    assert runner.run(planned(setting="fast"), quiet).exit_code == 0
    (record,) = store.read_run(tmp_path / "run")
    assert record.header.probes is not None
    assert record.header.probes.flops_per_text == 2 * 8 * 4
    assert {"latency", "memory", "energy"} <= set(record.header.verdict["quantities"])
