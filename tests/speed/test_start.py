"""How soon help comes: a start of our command next to one of Python alone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTS = 3.5  # of Python alone; 2.2 were measured


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--help",), ("run", "--help")])
def test_help_comes_at_once(words: tuple[str, ...]) -> None:
    """The fastest of many starts of each, in turns."""

    def start(*options: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *options], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
        return time.perf_counter() - began

    pairs = [(start("-c", "pass"), start("-m", "benchmarks", *words)) for _ in range(30)]
    bare, ours = map(min, zip(*pairs, strict=True))
    print(f"{' '.join(words)}: {ours / bare:.1f} starts of Python, {ours:.3f} s")
    assert ours < STARTS * bare
