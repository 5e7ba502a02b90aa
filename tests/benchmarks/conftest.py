"""The outside package of `outside/`, installed for the duration of a test; and commands."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reports
from benchmarks.cli.main import main
from benchmarks.planning.plan import Plan, make
from benchmarks.planning.run_config import Choices, gather
from benchmarks.timing.clock import Clock

OUTSIDE = Path(__file__).parent / "outside"
ROOT = Path(__file__).parents[2]
ENTRY_POINTS = """[cosmos_bench.systems]
toy = toy_contestants:Toy
broken = toy_contestants:Broken
fussy = toy_contestants:Fussy
moody = toy_contestants:Moody
knowing = toy_contestants:Knowing
[cosmos_bench.tasks]
echo = toy_contestants:TASK
parrot = toy_contestants:PARROT
[cosmos_bench.sources]
lines = toy_contestants:Lines
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test scores is found by another, and nothing of the user's."""
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cosmos"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes the outside package's entry points known to any Python that has it on its path."""
    folder = tmp_path_factory.mktemp("installed")
    info = folder / "toy_contestants-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-contestants\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def toys(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The outside package in this process."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.syspath_prepend(str(OUTSIDE))
    yield
    sys.modules.pop("toy_contestants", None)


class Quiet:
    """A voice that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stages: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, stage: str, share: float, loss: float | None) -> None:
        self.stages.append(stage)


@pytest.fixture
def quiet() -> Quiet:
    return Quiet()


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every call takes as long: how many are made does not depend on the machine; and nothing works
    between calls, which is not waited for."""
    ticks = itertools.count()
    monkeypatch.setattr(Clock, "now", lambda self: next(ticks) * 1e-3)
    monkeypatch.setattr(Clock, "busy_outside", lambda self: 0.0)


@pytest.fixture
def planned(toys: None, steady: None, tmp_path: Path) -> Callable[..., Plan]:
    """Make a plan of the echo task in `tmp_path/run`: flags as keywords, `--set` as words."""

    def build(*assignments: str, **flags: str) -> Plan:
        choices: Choices = gather({"task": "echo", "out": str(tmp_path / "run"), **flags}, assignments)
        return make(choices, "cpu")

    return build


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports hold empty figures: tests/reports is about these, and to draw them takes longer than a small run."""
    from reports.figures.picture import Picture

    monkeypatch.setattr(Picture, "svg", "<svg viewBox='0 0 1 1'></svg>\n" + " " * 99)
    monkeypatch.setattr(Picture, "pdf", b"%PDF-1.4\n")


@pytest.fixture
def command(
    toys: None, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m benchmarks ...` in this process, with the outside package installed; no figure is drawn."""

    def call(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        variables = dict(os.environ)
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            try:
                code = main(words)
            finally:
                os.environ.clear()
                os.environ.update(variables)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


@pytest.fixture
def no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk in tests that are not about power cuts."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def unreported(no_power_cuts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the reports that runs end with, where they are of no interest: most of a small run's time."""
    monkeypatch.setattr(reports, "publish", lambda folder, **how: ("", {}))


@pytest.fixture(scope="session")
def _once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Path]:
    """Where the run of a command lies, in whichever test it was made."""
    folder, places = tmp_path_factory.mktemp("runs"), dict[tuple[str, ...], Path]()
    return lambda words: places.setdefault(words, folder / str(len(places)))


@pytest.fixture
def copy_of_run(
    command: Callable[..., subprocess.CompletedProcess[str]],
    steady: None,
    unreported: None,
    _once: Callable[[tuple[str, ...]], Path],
) -> Callable[..., Path]:
    """A test's own copy of a run that is made once a process, by the words of a command but for `--out`."""

    def copied(out: Path, *words: str) -> Path:
        made = _once(words)
        if not made.exists():
            done = command(*words, "--out", str(made))
            assert done.returncode == 0, done.stderr
        return Path(shutil.copytree(made, out))

    return copied


@pytest.fixture
def process(installed: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in a process of its own."""

    def call(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "benchmarks", *words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment(installed),
        )

    return call


def environment(installed: Path) -> dict[str, str]:
    """The environment of a process that has the outside package."""
    path = os.pathsep.join([str(ROOT), str(OUTSIDE), str(installed)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
