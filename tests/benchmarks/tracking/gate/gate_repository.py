"""A real git repository that holds this code and a small system, to whose lines commits are made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[4]
DRILL = Path(__file__).parents[2] / "outside" / "drill"
PACKAGES = ("cosmos", "baselines", "benchmarks", "reports")
ENTRY_POINTS = """[cosmos_bench.systems]
drill = drill_system:Drill
[cosmos_bench.tasks]
drill = drill_system:TASK
[cosmos_bench.sources]
lines = drill_system:Lines
"""
UNREPORTED = """
import sys
import reports
from benchmarks.cli.main import main
reports.publish = lambda folder, **how: ("", {})
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Repository:
    """A clone of the code in which one works, commits and runs commands."""

    folder: Path
    processes: Path  # where simulated processes are counted

    def commit(self, file: str, before: str, after: str, message: str) -> str:
        """Change one place of a file and commit it; the commit's hash."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(before) == 1, f"{before!r} is {text.count(before)} times in {file}"
        path.write_text(text.replace(before, after))
        self.git("commit", "-qam", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        named = ("-c", "user.name=drill", "-c", "user.email=drill@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *named, *words], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def call(
        self, *words: str, program: tuple[str, str] = ("-m", "benchmarks"), **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m benchmarks ...` with the code as it is checked out."""
        kept = {name: text for name, text in os.environ.items() if name != "COSMOS_COMMIT"}
        return subprocess.run(
            [sys.executable, *program, *words],
            cwd=self.folder,
            env={**kept, **self.variables, **variables},
            capture_output=True,
            text=True,
        )

    @property
    def variables(self) -> dict[str, str]:
        """Of the environment of a process that runs this code."""
        told = {"PYTHONPATH": str(self.folder), "DRILL_PROCESSES": str(self.processes)}
        return {**told, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def run(self, out: str, *words: str, task: str = "drill") -> Path:
        """Make a run, and see that it is whole; no report is written, which takes longer than the rest."""
        done = self.call("run", "--task", task, "--out", out, *words, program=("-c", UNREPORTED))
        assert done.returncode == 0, done.stdout + done.stderr
        return self.folder / out

    def gate(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.call("gate", *words, **variables)


def made(home: Path, *, simulated: bool = True) -> Repository:
    """The code of this tree in a repository of one commit; with the drill's system and its time, if `simulated`."""
    folder = home / "clone"
    folder.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "published"))
    if simulated:
        for path in DRILL.glob("*.py"):
            shutil.copy(path, folder)
        information = folder / "drill-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: drill\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / ".gitignore").write_text("__pycache__/\nruns/\ngate.*\n")
    processes = home / "processes"
    processes.mkdir()
    repository = Repository(folder, processes)
    repository.git("init", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "The code as it is")
    return repository
