"""A against A: the floor that it shows, and where it is kept."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.records import environment
from benchmarks.stats.ratios import compare_rounds
from benchmarks.timing import noise_floor
from benchmarks.timing.noise_floor import NoiseFloor, floor
from cosmos.io.errors import UserError

Rounds = list[list[float]]


def against_itself(rng: np.random.Generator, noise: float, slowdown: float = 1.0, processes: int = 5) -> Rounds:
    """Log ratios of 10 rounds in each process, on a machine whose processes and rounds differ by `noise`."""
    luck = rng.normal(math.log(slowdown), noise / 2, (processes, 1))
    return (luck + rng.normal(0, noise, (processes, 10))).tolist()  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path))
    return tmp_path


def kept(hardware: str = "a-processor-12345678") -> NoiseFloor:
    one = floor(against_itself(np.random.default_rng(0), 0.01), 0.25)
    return NoiseFloor(hardware, "gpt2 at nano", {"latency": one}, "2026-01-01T00:00:00+00:00", {"name": "A processor"})


def test_two_hundred_comparisons_of_a_thing_with_itself() -> None:
    """At the stated 5 %, between 2 and 8 % of them may be alarms."""
    rng = np.random.default_rng(1)
    alarms = [compare_rounds(against_itself(rng, 0.02)).outcome != "cannot tell" for _ in range(200)]
    assert 0.02 <= np.mean(alarms) <= 0.08


def test_a_slowdown_of_five_percent_is_found_where_it_is_quiet_and_else_cannot_be_told() -> None:
    for noise, told in ((0.005, "worse"), (0.3, "cannot tell")):
        rng = np.random.default_rng(2)
        ratio = floor(against_itself(rng, noise), 0.25).ratio
        assert (ratio < 1.05) == (told == "worse")
        outcomes = [compare_rounds(against_itself(rng, noise, 1.05)).outcome for _ in range(100)]
        assert outcomes.count(told) >= 90  # type: ignore[arg-type]


def test_a_floor_is_what_it_takes_to_be_found() -> None:
    """Planted slowdowns as large as the floors of fifty machines are found four times in five, on the whole."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(50):
        ratio = floor(against_itself(rng, 0.02, processes=20), 0.25).of(5, 10)
        found += [compare_rounds(against_itself(rng, 0.02, ratio)).outcome == "worse" for _ in range(10)]
    assert 0.7 <= np.mean(found) <= 0.9


def test_a_floor_tells_how_it_came_about() -> None:
    measured = floor(against_itself(np.random.default_rng(0), 0.01), 0.25)
    assert (measured.processes, measured.rounds, measured.level, measured.power, measured.seconds) == (
        5,
        10,
        0.95,
        0.8,
        0.25,
    )
    assert measured.ratio == measured.of(5, 10)
    assert measured.of(3, 10) > measured.ratio > measured.of(50, 10) > 1
    assert not measured.differs_from_itself
    assert floor(against_itself(np.random.default_rng(0), 0.01, 1.2), 0.25).differs_from_itself
    with pytest.raises(AssertionError, match="2 processes"):
        floor([[0.0] * 5] * 2, 0.1)


def test_what_is_written_is_read(cache: Path) -> None:
    assert noise_floor.read("a-processor-12345678") is None
    path = noise_floor.write(kept())
    assert path == cache / "noise-floor" / "a-processor-12345678.json"
    assert noise_floor.read("a-processor-12345678") == kept()
    assert noise_floor.read("another-12345678") is None


def test_the_summary_of_headers_says_what_the_ratio_holds_for() -> None:
    said = kept().summary
    assert said["hardware"] == "a-processor-12345678"
    assert set(said["quantities"]["latency"]) == {"ratio", "level", "power", "processes", "rounds"}
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": None},
        {"quantities": {"latency": 3}},
        {"hardware": "another"},
        {"quantities": {"latency": {**asdict(kept())["quantities"]["latency"], "ratio": 0.5}}},
    ],
)
def test_a_damaged_file_is_one_sentence(change: dict[str, Any]) -> None:
    path = noise_floor.write(kept())
    path.write_text(json.dumps({**asdict(kept()), **change}))
    with pytest.raises(UserError, match="doctor --timing") as error:
        noise_floor.read("a-processor-12345678")
    assert "\n" not in str(error.value)
    path.write_bytes(b"\xff{")
    with pytest.raises(UserError, match="doctor --timing"):
        noise_floor.read("a-processor-12345678")


def test_machines_of_one_make_share_a_class() -> None:
    one = {"kind": "cpu", "name": "Intel(R) Xeon(R) @ 2.8 GHz", "cores": 4, "memory_bytes": 16 << 30}
    name = environment.hardware_class(one)
    assert name.startswith("intel-r-xeon-r-2-8-ghz-")
    assert environment.hardware_class({**one, "memory_bytes": (16 << 30) - 5_000_000, "system": "Linux 7"}) == name
    assert environment.hardware_class({**one, "memory_bytes": 64 << 30}) == name
    for other in ({"cores": 8}, {"kind": "cuda", "host": "Intel"}, {"name": "AMD"}):
        assert environment.hardware_class({**one, **other}) != name
    gpu = {"kind": "cuda", "name": "NVIDIA A100", "host": "AMD EPYC", "cores": 16, "memory_bytes": 40 << 30}
    assert environment.hardware_class(gpu) != environment.hardware_class({**gpu, "memory_bytes": 80 << 30})
    assert "/" not in environment.hardware_class({"name": "../../тест"})
    assert environment.hardware_class({}).startswith("none-")


def test_this_machine_has_none_before_it_was_measured() -> None:
    assert noise_floor.here("cpu") is None
    mine = environment.hardware_class(environment.describe_device("cpu"))
    noise_floor.write(kept(mine))
    assert noise_floor.here("cpu") == kept(mine)
