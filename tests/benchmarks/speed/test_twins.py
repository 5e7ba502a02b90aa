"""A against A in pairs of processes, with sides that take the time they are told to, and the real side in this one."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.cli import doctor
from benchmarks.cli.main import main
from benchmarks.records import environment
from benchmarks.speed import twin_process, twins
from benchmarks.speed.twins import TwinDesign, pairs
from benchmarks.timing import noise_floor

SCRIPT = Path(__file__).with_name("scripted_twin.py")
SMALL = TwinDesign(processes=3, rounds=6, seconds=0.01)


def scripted(notes: Path, seconds: float, *more: str) -> tuple[str, ...]:
    return (sys.executable, str(SCRIPT), str(notes), str(seconds), *more)


def test_both_sides_make_the_same_calls_and_their_ratio_is_that_of_their_times(tmp_path: Path) -> None:
    commands = scripted(tmp_path / "first", 0.001), scripted(tmp_path / "second", 0.00105)
    shares: list[float] = []
    found = pairs(SMALL, "cpu", shares.append, commands)
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])
    assert {size: len(each) for size, each in found.items()} == {1: 3, 8: 3}
    for size, each in found.items():
        calls = math.ceil(0.01 / (0.001025 * size))
        for pair in each:
            assert pair.first == pytest.approx([0.001 * size * calls] * 6)
            assert pair.log_ratios == pytest.approx([math.log(1.05)] * 6)
    asked = [(tmp_path / name).read_text() for name in ("first", "second")]
    assert asked[0] == asked[1]
    assert asked[0].count("cosmos-16") == 3  # a fresh process each time


def test_who_is_first_changes_with_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    class Side:
        def __init__(self, name: int) -> None:
            self.name = name

        def seconds(self, size: int, calls: int) -> float:
            order.append(self.name)
            return 1.0

    sides: Any = [Side(0), Side(1)]
    twins._rounds(sides, TwinDesign(rounds=4, sizes=(1,)), 0)
    assert order[4:] == [0, 1, 1, 0, 0, 1, 1, 0]
    order.clear()
    twins._rounds(sides, TwinDesign(rounds=2, sizes=(1,)), 1)
    assert order[4:] == [1, 0, 0, 1]


def test_a_side_that_does_not_run_says_why(tmp_path: Path) -> None:
    commands = scripted(tmp_path / "first", 1.0), scripted(tmp_path / "second", 1.0, "fails")
    with pytest.raises(UserError, match="no such kernel") as error:
        pairs(SMALL, "cpu", commands=commands)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="exit code 3"):
        pairs(SMALL, "cpu", commands=((sys.executable, "-c", "raise SystemExit(3)"),) * 2)


def test_the_real_side_generates_other_texts_in_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin_process, "SETTLE_SECONDS", 0.0)
    job = TwinDesign(sizes=(2,), length=20, vocabulary=300).job("cpu")
    asked = io.StringIO("".join(json.dumps(row) + "\n" for row in (job, {"size": 2, "calls": 3})))
    answers, seeds = io.StringIO(), []

    def noted(generate: twin_process.Generate) -> twin_process.Generate:
        def around(requests: Any) -> object:
            seeds.extend(request.seed for request in requests)
            return generate(requests)

        return around

    twin_process.serve(asked, answers, noted)
    ready, timed = (json.loads(line) for line in answers.getvalue().splitlines())
    assert ready == {"ready": True}
    assert timed["seconds"] > 0
    assert len(seeds) == len(set(seeds)) == 2 * (twin_process.WARM_UPS + 1 + 3)


def test_a_gpu_is_timed_in_the_numbers_that_it_computes_in() -> None:
    assert TwinDesign().job("cuda:0")["dtype"] == "bfloat16"
    assert TwinDesign().job("cpu")["dtype"] == "float32"


@pytest.fixture
def scripted_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sides that are alike but for a little, and a cache of the test's own."""
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(twins, "TwinDesign", lambda: SMALL)
    real = twins.pairs
    commands = scripted(tmp_path / "first", 0.001), scripted(tmp_path / "second", 0.001)
    monkeypatch.setattr(twins, "pairs", lambda design, device, progress: real(design, device, progress, commands))
    return tmp_path


def test_the_doctor_measures_keeps_and_tells_the_floor(
    scripted_sides: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["doctor", "--device", "cpu", "--out", str(scripted_sides)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert any(line.split()[:3] == ["absent", "noise", "floor"] and "--timing" in line for line in told.splitlines())
    assert main([*words, "--timing"]) == 0
    told = capsys.readouterr().out
    assert "noise floor latency" in told
    assert "noise floor throughput@8" in told
    assert "3 processes of 6 rounds" in told
    kept = noise_floor.here("cpu")
    assert kept is not None
    assert kept.hardware == environment.hardware_class(environment.describe_device("cpu"))
    assert set(kept.quantities) == {"latency", "throughput@8"}
    assert kept.quantities["latency"].seconds == pytest.approx(0.01)
    assert main(words) == 0  # and tells it from then on
    assert "3 processes of 6 rounds" in capsys.readouterr().out


def test_a_damaged_floor_is_told_and_measured_anew(scripted_sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["doctor", "--device", "cpu", "--out", str(scripted_sides)]
    path = noise_floor.path_of(environment.hardware_class(environment.describe_device("cpu")))
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert main(words) == 0
    assert "doctor --timing" in capsys.readouterr().out
    assert main([*words, "--timing"]) == 0
    assert noise_floor.here("cpu") is not None


def test_a_floor_that_cannot_be_measured_is_missing(
    scripted_sides: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*given: object) -> None:
        raise UserError("What is timed against itself did not run (no such kernel).")

    monkeypatch.setattr(twins, "measure", fails)
    assert main(["doctor", "--device", "cpu", "--out", str(scripted_sides), "--timing"]) == 1
    told = capsys.readouterr().out
    assert any(line.startswith("MISSING") and "no such kernel" in line for line in told.splitlines())


def test_a_thing_that_differs_from_itself_is_told() -> None:
    found = noise_floor.floor([[0.2, 0.21, 0.2, 0.21, 0.2], [0.2] * 5, [0.21] * 5], 0.1)
    assert "seemed to differ from itself, 1.2" in doctor._told(found, "2026-01-01T00:00:00")
