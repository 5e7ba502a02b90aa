"""Help and names come at once: under 0.15 s, and nothing heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pandas", "transformers", "numpy", "matplotlib", "tqdm", "jinja2", "pyarrow", "accelerate")
SECONDS = 0.15


def loaded(*words: str) -> tuple[int, list[str]]:
    """The exit code of a command, and the heavy modules it imported."""
    code = (
        "import json, sys\nfrom benchmarks.cli.main import main\n"
        "try: code = main(sys.argv[1:])\nexcept SystemExit as end: code = end.code\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT)
    status, modules = json.loads(done.stdout.splitlines()[-1])
    return status, modules


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("run", "--help"),
        ("list", "tasks"),
        ("list", "systems"),
        ("run", "--task", "detxo"),
        ("run", "--task", "detox", "--system", "gpt3"),
        ("run", "--task", "detox", "--set", "data.tran=3"),
    ],
)
def test_nothing_heavy_is_imported(words: tuple[str, ...]) -> None:
    status, modules = loaded(*words)
    assert modules == []
    assert status in (0, 2)


@pytest.mark.parametrize("words", [("--help",), ("run", "--help")])
def test_help_comes_at_once(words: tuple[str, ...]) -> None:
    """The fastest of many starts: this asks what the command costs, not what else the machine is doing."""
    fastest = float("inf")
    for _ in range(40):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmarks", *words], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
        fastest = min(fastest, time.perf_counter() - started)
        if fastest < SECONDS:
            return
    pytest.fail(f"help took {fastest:.3f} s")


@pytest.mark.parametrize(
    "verb", ["run", "plan", "fit", "generate", "score", "report", "show", "speed", "list", "doctor", "fetch"]
)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", verb, "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    assert f"python -m benchmarks {verb}" in done.stdout.split("example", 1)[1]
