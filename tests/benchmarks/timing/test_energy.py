"""Energy counters: of a GPU through a stand-in for NVML, of a processor from a folder as Linux has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_nvml import FakeNvml

from benchmarks.timing import energy


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages of a processor, a part of one, and the whole platform."""
    for folder, name, microjoules in (
        ("intel-rapl:0", "package-0", 5_000_000),
        ("intel-rapl:1", "package-1", 7_000_000),
        ("intel-rapl:0:0", "core", 4_000_000),
        ("intel-rapl:2", "psys", 99_000_000),
    ):
        place = tmp_path / folder
        place.mkdir()
        (place / "name").write_text(f"{name}\n")
        (place / "energy_uj").write_text(f"{microjoules}\n")
        (place / "max_energy_range_uj").write_text("10000000\n")
    return tmp_path


def count_on(powercap: Path, package: int, microjoules: int) -> None:
    (powercap / f"intel-rapl:{package}" / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_are_counted_once_and_together(powercap: Path) -> None:
    counters = energy.counters("cpu", powercap=powercap)
    assert [counter.name for counter in counters] == ["CPU", "CPU"]
    before = energy.read(counters)
    assert before == [5.0, 7.0]
    count_on(powercap, 0, 6_500_000)
    count_on(powercap, 1, 7_250_000)
    assert energy.used(counters, before, energy.read(counters)) == pytest.approx({"CPU": 1.75})


def test_a_counter_that_began_again_has_gone_on(powercap: Path) -> None:
    counters = energy.counters("cpu", powercap=powercap)
    before = energy.read(counters)
    count_on(powercap, 0, 1_000_000)  # 5 J more to 10 J, and 1 J
    assert energy.used(counters, before, energy.read(counters)) == pytest.approx({"CPU": 6.0})
    (powercap / "intel-rapl:0" / "max_energy_range_uj").unlink()
    counters = energy.counters("cpu", powercap=powercap)
    count_on(powercap, 0, 0)
    assert energy.used(counters, [1.0, 7.0], energy.read(counters)) == {}


def test_a_gpu_counts_in_millijoules_beside_the_processor(powercap: Path) -> None:
    nvml = FakeNvml(millijoules=1_000, step=500)
    counters = energy.counters("cuda", nvml=nvml, powercap=powercap)
    assert [counter.name for counter in counters] == ["GPU", "CPU", "CPU"]
    before, after = energy.read(counters), energy.read(counters)
    assert energy.used(counters, before, after) == pytest.approx({"GPU": 0.5, "CPU": 0.0})


def test_what_cannot_be_read_is_no_counter(powercap: Path) -> None:
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert len(energy.counters("cpu", powercap=powercap)) == 1
    silent = FakeNvml(missing=frozenset({"energy"}))
    assert [c.name for c in energy.counters("cuda", nvml=silent, powercap=powercap)] == ["CPU"]
    counters = energy.counters("cpu", powercap=powercap)
    before = energy.read(counters)
    (powercap / "intel-rapl:0" / "energy_uj").write_bytes(b"\xff")
    assert energy.used(counters, before, energy.read(counters)) == {}


def test_why_there_is_none(tmp_path: Path) -> None:
    assert energy.counters("cpu", powercap=tmp_path) == ()
    assert "no RAPL counter" in energy.why_none("cpu", powercap=tmp_path)
    (tmp_path / "intel-rapl:0").mkdir()
    assert "root only" in energy.why_none("cpu", powercap=tmp_path)
    assert "NVML" in energy.why_none("cuda:0", powercap=tmp_path)
