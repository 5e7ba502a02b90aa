"""Numbers and names with which no work would ever end are refused at once, and before anything is begun."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
PLAN = ("plan", "--task", "echo", "--device", "cpu")
WORLD = ("plan", "--task", "detox", "--device", "cpu", "--set", "data.test=2")
HUGE = str(10**19)
LONG = "9" * 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*PLAN, "--seeds", "100000000"), "a run of 200000000 cells, and one holds at most 10000"),
        ((*PLAN, "--steps", ",".join(map(str, range(1, 6000)))), "and one holds at most 10000"),
        ((*PLAN, "--seed", str(2**63 - 1), "--seeds", "2"), "past the largest seed, 9223372036854775807"),
        ((*PLAN, "--seed", str(2**63)), "--seed must be a whole number"),
        ((*PLAN, "--seeds", HUGE), "--seeds must be a whole number"),
        ((*PLAN, "--limit", HUGE), "--limit must be a whole number"),
        ((*PLAN, "--seed", LONG), "--seed must be a whole number"),
        ((*PLAN, "--steps", HUGE), "--steps must be a list of values, each a whole number"),
        ((*PLAN, "--set", "a." * 50_000 + "a=1"), "Unknown key of --set 'a.a.a."),
        ((*PLAN, "--set", "toy.recipe" + ".a" * 50_000 + "=1"), "Unknown option 'toy.recipe.a.a."),
        ((*PLAN, "--set", "data" + ".a" * 50_000 + "=1"), "Unknown option 'data.a.a."),
        ((*PLAN, "--set", "x" * 100_000), "write key=value"),
        ((*PLAN, "--system", "x" * 100_000), "Unknown system 'xxx"),
        ((*PLAN, "--metric", "x" * 100_000), "Unknown metric 'xxx"),
        ((*PLAN, "--setting", "x" * 100_000), "nknown setting"),
        ((*PLAN, "--preset", "x" * 100_000), "--preset must be a name such as nano, not 'xxx"),
        ((*PLAN, "--" + "x" * 100_000, "1"), "Unknown flag"),
        (("x" * 100_000,), "Unknown verb"),
        (("list", "x" * 100_000), "Unknown list"),
        ((*PLAN, "--set", f"sweep={','.join(['8'] * 200)}"), "sweep holds 200 numbers of texts; name at most 100"),
        ((*PLAN, "--set", f"batch_size={HUGE}"), "batch_size must be a whole number"),
        ((*PLAN, "--set", "budget=1e300steps"), "never ends; ask for 1e+09 at most"),
        ((*PLAN, "--set", "budget=infsteps"), "must be positive and finite"),
        ((*WORLD, "--set", "data.train=1000000000000"), "data.train must lie between 1 and 1000000"),
        ((*WORLD, "--system", "copy", "--preset", "nanno"), "Unknown preset 'nanno'; did you mean nano"),
        ((*WORLD, "--system", "gpt2", "--set", "gpt2.recipe.layers=1000000000"), "layers must lie between 0 and 1000"),
        ((*WORLD, "--system", "mdlm", "--set", "mdlm.recipe.trunk.layers=1000000000"), "layers must lie between 0 and"),
        ((*WORLD, "--system", "cosmos", "--set", "cosmos.recipe.model.denoiser.width=1000000"), "between 1 and 65536"),
        ((*WORLD, "--system", "cosmos", "--steps", "1000000000"), "between 1 and 100000"),
        (
            (*WORLD, "--system", "gpt2", "--set", "gpt2.recipe.training.batch_size=1000000000"),
            "at most a million",
        ),
        (("speed", "--system", "gpt2", "--batch", "1000000000000"), "--batch must lie between 0 and 1000000"),
        (("speed", "--system", "gpt2", "--seconds", "inf"), "--seconds must lie between 0 and 1000000"),
        (("speed", "--system", "gpt2", "--vocabulary", "100000000000"), "--vocabulary must lie between"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[-40:],
)
def test_what_would_never_end_is_refused(command: Command, words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.splitlines()) == 1 and len(done.stderr) < 2100
    assert not list(tmp_path.iterdir())


def test_the_largest_seed_is_used_to_the_end(command: Command, tmp_path: Path) -> None:
    words = ("--task", "echo", "--device", "cpu", "--system", "toy", "--setting", "fast", "--seed", str(2**63 - 1))
    for verb in ("fit", "generate"):
        done = command(verb, *words, "--out", "run", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (header,) = (tmp_path / "run").glob("cells/*/header.json")
    assert json.loads(header.read_text())["cell"]["seed"] == 2**63 - 1
