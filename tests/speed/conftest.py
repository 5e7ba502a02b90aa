"""Benchmarks are kept, and compared with earlier ones, in units of `calibration`, so that a slower machine is no slower
code: each is measured between two measurements of a unit, and what it took on the machine that made a baseline is
scaled to this one before `--benchmark-compare-fail` looks at it.

    python -m pytest tests/speed/micro -n 0 --benchmark-only                   measure, and compare with the baseline
    python -m pytest tests/speed/micro -n 0 --benchmark-only --benchmark-save=micro     keep that as the baseline

Baselines lie in `baselines/`, one folder for each class of machines, which is what pytest-benchmark calls a machine:
system, interpreter and its version, word size. Where this one has none, nothing is compared, and that is said.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.utils import get_machine_id, parse_compare_fail

sys.path.insert(0, str(Path(__file__).parent))
from calibration import unit

HERE = Path(__file__).parent

BASELINES = HERE / "baselines"
RECORDED = HERE.parents[1] / "runs" / "micro"  # under the folder in which runs are, where `history` looks
SLOWER = "min:60%"  # by which a benchmark may be slower than in the baseline
ROUNDS = 5
SECONDS = ("min", "max", "mean", "stddev", "median", "iqr", "q1", "q3", "hd15iqr", "ld15iqr", "total")
MACHINE = ("system", "machine", "python_implementation", "python_version")
UNIT = "unit_seconds"  # of `calibration`, beside a benchmark
_NO_BASELINE = pytest.StashKey[str]()
_BASELINE = pytest.StashKey[list[dict[str, Any]]]()  # the benchmarks of all files that are compared with


def pytest_configure(config: pytest.Config) -> None:
    """Whoever asks for benchmarks only, and nothing else, gets the comparison and a file of the measurements."""
    options = config.option
    if not getattr(options, "benchmark_only", False):
        return
    if not options.benchmark_json:
        RECORDED.mkdir(parents=True, exist_ok=True)
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
        options.benchmark_json = str(RECORDED / f"{moment}.json")
    options.benchmark_storage = f"file://{BASELINES}"
    if options.benchmark_save or options.benchmark_compare:
        return
    if any((BASELINES / get_machine_id()).glob("[0-9]*.json")):
        options.benchmark_compare = True
        options.benchmark_compare_fail = options.benchmark_compare_fail or [parse_compare_fail(SLOWER)]
    else:
        config.stash[_NO_BASELINE] = f"no baseline of {get_machine_id()} in {BASELINES.name}/: nothing was compared"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if said := config.stash.get(_NO_BASELINE, ""):
        terminalreporter.write_line(f"{said}; --benchmark-save=micro keeps one")


@pytest.fixture(autouse=True)
def _unit_beside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure a unit before and after each benchmark, in which torch has one thread."""
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark = request.getfixturevalue("benchmark")
    torch: Any = sys.modules.get("torch")
    threads = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(1)
    before = min(unit() for _ in range(ROUNDS))
    yield
    here = min(before, *(unit() for _ in range(ROUNDS)))
    benchmark.extra_info[UNIT] = here
    for earlier in request.config.stash.get(_BASELINE, []):
        if earlier["fullname"] == benchmark.fullname:
            scale(earlier["stats"], here / earlier["extra_info"][UNIT])
    if torch is not None:
        torch.set_num_threads(threads)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Keep what tells machines apart, not which one it is."""
    cpu = {name: machine_info.get("cpu", {}).get(name) for name in ("brand_raw", "count")}
    kept = {name: machine_info.get(name) for name in MACHINE}
    machine_info.clear()
    machine_info.update(kept, cpu=cpu, machine_class=get_machine_id())


def pytest_benchmark_update_commit_info(config: pytest.Config, commit_info: dict[str, Any]) -> None:
    kept = {name: commit_info.get(name) for name in ("id", "time", "dirty")}
    commit_info.clear()
    commit_info.update(kept)


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Say of each benchmark what it takes in units, besides its seconds; single rounds, thousands of them, go."""
    for measured in output_json["benchmarks"]:
        measured["stats"].pop("data", None)
        info = measured["extra_info"]
        measured["extra_info"] = {**info, "units": measured["stats"]["min"] / info[UNIT]}


def pytest_benchmark_compare_machine_info(
    config: pytest.Config, benchmarksession: Any, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Remember what a run is compared with: it is read before anything is measured, and scaled once that is."""
    config.stash.setdefault(_BASELINE, []).extend(compared_benchmark["benchmarks"])


def scale(stats: dict[str, Any], factor: float) -> None:
    """The figures of a benchmark on a machine where a unit takes `factor` times as long."""
    for name in SECONDS:
        stats[name] *= factor
    stats["ops"] /= factor
