"""How the tests are run: in as many processes as there are cores, each of one thread. The bars of speed are measured in
one process, which has the machine."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

MOST_WORKERS = 4  # each holds torch, about a gigabyte


def _whole(config: pytest.Config) -> bool:
    """Whether folders of ordinary tests are run: neither some files alone, nor what `tox -e bench` and `gpu` run."""
    return "not slow" in config.option.markexpr and all(Path(name).is_dir() for name in config.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS) if _whole(config) else 0


def pytest_configure(config: pytest.Config) -> None:
    """Threads, before torch is imported; programs that tests start inherit them, so that sums round alike."""
    if "not slow" in config.option.markexpr:
        os.environ.update(OMP_NUM_THREADS="1", TORCHINDUCTOR_COMPILE_THREADS="1")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What has been imported stays: to look through it for garbage, again and again, took a third of the time."""
    if "not slow" in session.config.option.markexpr:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _entry_points_are_read_once() -> Iterator[None]:
    """Every look-up of a name reads all installed packages; here they are read once, and what a test adds each time."""
    usual = list(sys.path)

    def offered(folders: list[str]) -> list[metadata.EntryPoint]:
        found = {each.name: each for each in reversed([*metadata.distributions(path=folders)])}  # the first of a name
        return [point for each in found.values() for point in each.entry_points]

    installed = offered(usual)

    def entry_points(**names: Any) -> metadata.EntryPoints:
        added = offered([folder for folder in sys.path if folder not in usual])
        return metadata.EntryPoints([*added, *installed]).select(**names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "entry_points", entry_points)
        yield
