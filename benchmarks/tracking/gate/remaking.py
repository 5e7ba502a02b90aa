"""What a baseline holds, made again by the code at work: the commands of its runs in a folder of their own."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from baselines.contract import UserError
from benchmarks.records import store
from benchmarks.tracking.gate.code_trees import at_work
from benchmarks.tracking.sides import Side

_PREFIX = ["python", "-m", "benchmarks", "run"]


def make_again(baseline: Side, out: Path, systems: Sequence[str] = ()) -> str:
    """Run the baseline's commands with the code at work; what was in the folder of them is made anew.

    Returns:
        The run's folder.

    Raises:
        UserError: the baseline is of several runs or does not say its commands, or one of them cannot be carried out.
    """
    folders = list(dict.fromkeys(cell.run for cell in baseline.cells))
    if len(folders) > 1:
        raise UserError(f"{baseline.text} is of several runs; make the run that is to be judged, and name it first.")
    if out.resolve() == folders[0].resolve():
        raise UserError(f"{out} is the baseline itself; choose another folder with --out.")
    plan = store.read_plan(folders[0])
    commands = [shlex.split(command) for command in ([] if plan is None else plan.get("commands", []))]
    if not commands or any(words[: len(_PREFIX)] != _PREFIX for words in commands):
        raise UserError(f"The plan of {folders[0]} does not say how it was made; make the run to judge, and name it.")
    for words in commands:
        narrowed = ["--system", ",".join(systems)] if systems else []
        command = [*words[len(_PREFIX) :], *narrowed, "--out", str(out), "--fresh"]
        code = subprocess.run(
            [sys.executable, "-m", "benchmarks", "run", *command],
            env=at_work(None, None).environment,
            stdout=sys.stderr.fileno() if hasattr(sys.stderr, "fileno") else None,
        ).returncode
        if code == 2:
            raise UserError(f"The run to judge could not be made: {shlex.join([*_PREFIX, *command])}")
        if code not in (0, 1):
            raise UserError(f"The run to judge was ended by exit code {code}: {shlex.join([*_PREFIX, *command])}")
    return str(out)
