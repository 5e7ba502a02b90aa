"""How the tests are run: in as many processes as there are cores, each of one thread. The bars of speed are measured in
one process, which has the machine."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

MOST_WORKERS = 4  # each holds torch, about a gigabyte
LONGEST = "test_own_gate.py"  # a minute and more of training


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


_FROZEN = pytest.StashKey[int]()  # how many modules there were when objects were last set aside
_MANY = 20  # modules that a test may import before they are set aside too


def _set_aside(config: pytest.Config) -> None:
    """What has been imported stays: to look through it for garbage, again and again, took a third of the time."""
    gc.collect()
    gc.freeze()
    config.stash[_FROZEN] = len(sys.modules)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test begins first, so that no process waits for another at the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


def pytest_collection_finish(session: pytest.Session) -> None:
    if "not slow" in session.config.option.markexpr:
        _set_aside(session.config)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """A library may be imported no earlier than in a test."""
    if len(sys.modules) > item.config.stash.get(_FROZEN, sys.maxsize) + _MANY:
        _set_aside(item.config)
