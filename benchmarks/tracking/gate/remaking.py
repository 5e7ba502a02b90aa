"""What a baseline holds, made again by the code at work: the commands of its runs in a folder of their own."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from baselines import registry
from baselines.contract import UserError
from benchmarks.planning import shared_tokenizer
from benchmarks.planning.generation_settings import words_for
from benchmarks.planning.run_config import FLAGS, Choices, as_flags, gather
from benchmarks.records import store
from benchmarks.records.schema import Json
from benchmarks.tracking.gate.code_trees import at_work
from benchmarks.tracking.sides import Side

_PREFIX = ["python", "-m", "benchmarks", "run"]
_SEVERAL = ("system", "setting", "metric")  # flags that may be repeated


def make_again(baseline: Side, out: Path, systems: Sequence[str] = ()) -> str:
    """Run the baseline's commands with the code at work; what was in the folder of them is made anew.

    Returns:
        The run's folder.

    Raises:
        UserError: the baseline is of several runs or does not say its commands, or one of them cannot be carried out.
    """
    runs = list(dict.fromkeys(cell.found for cell in baseline.cells))
    if len(runs) > 1:
        raise UserError(f"{baseline.text} is of several runs; make the run that is to be judged, and name it first.")
    if out.resolve() == runs[0].folder.resolve():
        raise UserError(f"{out} is the baseline itself; choose another folder with --out.")
    with runs[0].named():
        plan = store.read_plan(runs[0].folder)
    typed = [shlex.split(command) for command in ([] if plan is None else plan.get("commands", []))]
    if not typed or any(words[: len(_PREFIX)] != _PREFIX for words in typed):
        raise UserError(f"The plan of {runs[0].name} does not say how it was made; make the run to judge, and name it.")
    commands = [words[len(_PREFIX) :] for words in typed]
    for words in narrowed(commands, plan or {}, systems):
        command = [*words, "--out", str(out), "--fresh"]
        before = _written(out)
        code = subprocess.run(
            [sys.executable, "-m", "benchmarks", "run", *command],
            env=at_work(None, None).environment,
            stdout=sys.stderr.fileno() if hasattr(sys.stderr, "fileno") else None,
        ).returncode
        if code == 2:
            raise UserError(f"The run to judge could not be made: {shlex.join([*_PREFIX, *command])}")
        if code not in (0, 1) or _written(out) == before:  # a crash has the code 1 too; what is there then is older
            raise UserError(f"The run to judge was ended by exit code {code}: {shlex.join([*_PREFIX, *command])}")
    return str(out)


def _written(run: Path) -> tuple[int, int] | None:
    """Which plan a run has, by the file's number and time; None if it has none."""
    path = run / store.PLAN
    if not path.exists():
        return None
    about = path.stat()
    return about.st_ino, about.st_mtime_ns


def narrowed(commands: Sequence[list[str]], plan: Json, systems: Sequence[str]) -> list[list[str]]:
    """The words of commands, of each the part that makes some systems; all of it where none is named.

    A command that makes none of them is left out. Settings and changes of systems that are not made are dropped, which
    `run` would refuse, but for those that decide by which tokenizer the others' texts are scored.
    """
    if not systems:
        return [*commands]
    found = []
    for words in commands:
        choices = _choices(words)
        made = choices.system or tuple(plan["task"].get("systems", ())) or tuple(plan["systems"])
        if wanted := tuple(system for system in made if system in systems):
            found.append(as_flags(_only(choices, wanted, plan["systems"])))
    if found:
        return found
    # Trivial baselines are made by every command, and named by none.
    alone = (tuple(as_flags(_only(_choices(words), tuple(systems), plan["systems"]))) for words in commands)
    return [list(words) for words in dict.fromkeys(alone)]


def _only(choices: Choices, systems: tuple[str, ...], known: Collection[str]) -> Choices:
    """The choices without those of other systems."""
    deciding = {key for system in systems for key in shared_tokenizer.decided_by(choices.changes, system)}
    kept = tuple(dict.fromkeys((*systems, *(key.partition(".")[0] for key in sorted(deciding)))))
    others = set(known) - set(kept)
    changes = {
        key: value for key, value in choices.changes.items() if key in deciding or key.partition(".")[0] not in others
    }
    settings = {word for system in kept for word in words_for(system, registry.find(system), choices.setting)}
    setting = tuple(word for word in choices.setting if word in settings)
    return dataclasses.replace(choices, system=kept, setting=setting, changes=changes)


def _choices(words: Sequence[str]) -> Choices:
    """What the words of a command choose, as `planning.plan_file.command_of` wrote them."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in FLAGS:
        if name == "offline":
            parser.add_argument("--offline", action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(f"--{name}", action="append" if name in _SEVERAL else "store")
    parser.add_argument("--set", action="append", default=[])
    try:
        given, unknown = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UserError(f"The baseline's plan says a command that is none: {shlex.join(words)} ({error}).") from error
    if unknown:
        raise UserError(f"The baseline's plan says a command that is none: {shlex.join(words)} ({unknown[0]}).")
    flags = {name: getattr(given, name) for name in FLAGS}
    return gather(flags, given.set)
