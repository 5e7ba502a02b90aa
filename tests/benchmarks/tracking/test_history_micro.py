"""pytest-benchmark's own JSON joins a history, kept apart from what it cannot be compared with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tracking.history import analysis, query, tables
from benchmarks.tracking.history.schema import History

sys.path.insert(0, str(Path(__file__).parent))
from history_trees import DEVICE, commit_of, record

TEST = """
import pytest

@pytest.mark.parametrize("n", [10, 20])
def test_sum(benchmark, n):
    benchmark.pedantic(sum, (range(n),), rounds=3)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What pytest-benchmark writes, as it is."""
    folder = tmp_path_factory.mktemp("micro")
    (folder / "test_small.py").write_text(TEST)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--benchmark-json=out.json",
    ]
    # A worker of xdist measures nothing, and tells its children by the environment.
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")}
    subprocess.run(
        [*words, "-c", "/dev/null", "--rootdir=.", "test_small.py"],
        cwd=folder, check=True, capture_output=True, env=alone,
    )  # fmt: skip
    return json.loads((folder / "out.json").read_text())


def save(written: dict, path: Path, number: int, median: float, **machine: object) -> None:
    stored = json.loads(json.dumps(written))
    stored["commit_info"] |= {"id": commit_of(number), "dirty": False}
    stored["machine_info"]["cpu"] |= {"brand_raw": DEVICE["name"], "count": DEVICE["cores"]}
    stored["machine_info"] |= machine
    stored["datetime"] = f"2026-02-{1 + number:02d}T00:00:00+00:00"
    for each in stored["benchmarks"]:
        each["stats"]["median"] = median
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored))


def read(folder: Path) -> History:
    return analysis.history(tables.connected(), folder)


def test_it_is_followed_as_it_is_written(written: dict, tmp_path: Path) -> None:
    (tmp_path / "any name.json").write_text(json.dumps(written))
    history = read(tmp_path)
    assert sorted(each.line.system for each in history.series) == [f"test_small.py::test_sum[{n}]" for n in (10, 20)]
    assert [each.points[0].value for each in history.series] == [
        each["stats"]["median"] for each in written["benchmarks"]
    ]
    assert history.counts.micro == 2 and history.series[0].line.direction == "lower"


def test_a_slower_test_is_told(written: dict, tmp_path: Path) -> None:
    for number in range(20):
        median = (1.0 if number < 12 else 1.3) * (1 + number % 3 / 100)
        save(written, tmp_path / f".benchmarks/here/{number:04d}.json", number, median)
    (series, change), *others = read(tmp_path).changed
    assert len(others) == 1 and series.line.kind == "micro"
    assert (change.index, change.outcome) == (12, "worse") and change.change == pytest.approx(0.3, abs=0.01)
    assert not change.bisect and "no gate" in change.no_bisect


def test_machines_and_what_a_project_adds_to_them_are_kept_apart(written: dict, tmp_path: Path) -> None:
    save(written, tmp_path / "a.json", 0, 1.0)
    save(written, tmp_path / "b.json", 1, 1.0, python_version="3.99.1")
    save(written, tmp_path / "c.json", 2, 1.0, threads=8)
    save(written, tmp_path / "d.json", 3, 1.0, node="another name", release="another kernel")
    history = read(tmp_path)
    assert len({each.line.machine for each in history.series}) == 3
    assert sorted(len(each.points) for each in history.series) == [1, 1, 1, 1, 2, 2]


def test_micro_and_macro_speed_stand_in_one_figure(written: dict, tmp_path: Path) -> None:
    from reports.history import figure

    for number in range(3):
        save(written, tmp_path / f"{number}.json", number, 1.0)
        record(tmp_path / f"run{number}", commit=commit_of(number), day=number, seconds=[1.0])
    history = read(tmp_path)
    macro = next(each for each in history.series if each.line.kind == "speed")
    micro = next(each for each in history.series if each.line.kind == "micro")
    assert macro.line.device == micro.line.device and macro.line.machine != micro.line.machine
    assert [point.place for point in macro.points] == [point.place for point in micro.points] == [0, 1, 2]
    picture = figure.of_speed(history)
    assert picture is not None and "test_small.py::test_sum[10]" in picture.svg and "GPT-2 (greedy" in picture.svg
    assert any("class of their own" in note for note in history.notes)


def test_other_json_is_none_of_it(written: dict, tmp_path: Path) -> None:
    save(written, tmp_path / "a.json", 0, 1.0)
    save(written, tmp_path / "copy/a.json", 0, 1.0)
    for name, text in {"b": "[1]", "c": "{", "d": "{}", "e": '{"machine_info": {}, "benchmarks": 3}', "f": ""}.items():
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "g.json").write_bytes(b"\xff\x00")
    (tmp_path / "h.json").write_text('{"machine_info": 3, "benchmarks": [{"fullname": "x", "stats": {"median": "y"}}]}')
    assert read(tmp_path).counts.micro == 2


def test_the_view_has_it(written: dict, tmp_path: Path) -> None:
    save(written, tmp_path / "a.json", 0, 0.5)
    base = tables.connected()
    query.opened(base, tmp_path, "micro")
    found = query.asked(base, "SELECT name, median, commit, device FROM micro ORDER BY name").to_pylist()
    assert found[0] == {
        "name": "test_small.py::test_sum[10]",
        "median": 0.5,
        "commit": commit_of(0),
        "device": "Abacus 9",
    }
