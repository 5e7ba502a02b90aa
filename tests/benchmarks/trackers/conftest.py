"""The two trackers that need no server and no account, read with their own tools."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

Curves = dict[str, list[tuple[int, float]]]


def of_tensorboard(run: Path, trackio_folder: Path) -> Curves:
    """Every number of every entry that TensorBoard finds: name -> steps and values, in the order of its files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves: Curves = {}
    for folder in sorted(path for path in (run / "trackers" / "tensorboard").iterdir() if path.is_dir()):
        found = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        for name in found.Tags()["scalars"]:
            curves.setdefault(name, []).extend((event.step, event.value) for event in found.Scalars(name))
    return curves


def of_trackio(run: Path, trackio_folder: Path) -> Curves:
    """The same of Trackio's database."""
    curves: Curves = {}
    if not (trackio_folder / "cosmos-bench.db").exists():
        return curves
    with sqlite3.connect(trackio_folder / "cosmos-bench.db") as database:
        if not database.execute("select name from sqlite_master where name = 'metrics'").fetchall():
            return curves  # it was just begun
        for step, values in database.execute("select step, metrics from metrics order by id"):
            for name, value in json.loads(values).items():
                curves.setdefault(name, []).append((step, value))
    return curves


@pytest.fixture(params=["tensorboard", pytest.param("trackio", marks=pytest.mark.slow)])
def tracker(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    pytest.importorskip(name, reason=f"{name} is of the extra track")
    return name


@pytest.fixture
def curves(tracker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Curves]:
    """What the tracker knows of a run."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    read = {"tensorboard": of_tensorboard, "trackio": of_trackio}[tracker]
    return lambda run: read(run, tmp_path / "trackio")
