"""Help and names come at once: few modules are imported for them, and nothing heavy.

How long they take is a bar of `tests/speed/test_start.py`; here is counted what they cost on any machine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli.main import VERBS, main

ROOT = Path(__file__).parents[2]
OURS = ("cosmos", "baselines", "benchmarks")
HELP_MODULES = 100  # 54 in Python 3.11; json, importlib.metadata or asyncio alone would bring a dozen each
COMMANDS = (
    ("--help",),
    ("run", "--help"),
    ("list", "tasks"),
    ("list", "systems"),
    ("list", "settings"),
    ("list", "presets"),
    ("list",),
    (),
    ("--version",),
    ("run", "--task", "detxo"),
    ("run", "--task", "detox", "--system", "gpt3"),
    ("run", "--task", "detox", "--set", "data.tran=3"),
)
# Prints, one line a command: its exit code, and the modules that have been imported for it and for those before it.
PROGRAM = """
import os, sys
bare, answers = set(sys.modules), sys.stdout
from benchmarks.cli.main import main
sys.stdout = sys.stderr = open(os.devnull, "w")
for command in eval(sys.argv[1]):
    try:
        code = main(command)
    except SystemExit as end:
        code = end.code
    print((code, sorted(set(sys.modules) - bare)), file=answers)
"""


@pytest.fixture(scope="module")
def imported() -> dict[tuple[str, ...], tuple[int, list[str]]]:
    """Of each command, all in one process: its exit code, and the modules that it and those before it imported."""
    command = [sys.executable, "-c", PROGRAM, repr(COMMANDS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return dict(zip(COMMANDS, map(ast.literal_eval, done.stdout.splitlines()), strict=True))


def foreign(modules: list[str]) -> set[str]:
    """The packages among modules that are neither ours nor Python's."""
    return {name.partition(".")[0] for name in modules} - {*OURS, *sys.stdlib_module_names}


@pytest.mark.parametrize("words", COMMANDS)
def test_no_other_package_is_imported(
    words: tuple[str, ...], imported: dict[tuple[str, ...], tuple[int, list[str]]]
) -> None:
    code, modules = imported[words]
    assert foreign(modules) == set()
    assert code in (0, 2)


@pytest.mark.parametrize("words", [("--help",), ("run", "--help")])
def test_help_imports_few_modules(
    words: tuple[str, ...], imported: dict[tuple[str, ...], tuple[int, list[str]]]
) -> None:
    code, modules = imported[words]
    assert code in (0, None)
    assert "benchmarks.cli.run" in modules and len(modules) <= HELP_MODULES


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert not ended.value.code
    assert f"python -m benchmarks {verb}" in capsys.readouterr().out.split("example", 1)[1]
