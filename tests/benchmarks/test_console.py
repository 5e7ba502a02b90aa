"""What a new user meets: the command without words, listings, the console script, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import cosmos
from baselines import registry

ROOT = Path(__file__).parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The console script as pip writes it, called in a folder that has a package `benchmarks` of its own."""
    module, _, function = PROJECT["scripts"]["cosmos-bench"].partition(":")
    file = tmp_path / "bin" / "cosmos-bench"
    file.parent.mkdir()
    file.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    theirs = tmp_path / "work" / "benchmarks"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("raise SystemExit('this is another package')\n")

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(file), *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=theirs.parent, env=variables)

    return call


def test_without_words_it_says_where_to_start(command: Command) -> None:
    done = command()
    assert done.returncode == 0
    starts = [line.split("  ")[1] for line in done.stdout.splitlines() if line.startswith("  python -m benchmarks ")]
    assert starts == [
        "python -m benchmarks doctor",
        "python -m benchmarks plan --task detox",
        "python -m benchmarks run --task detox",
        "python -m benchmarks list",
    ]
    assert len(done.stdout.splitlines()) <= 12 and all(len(line) <= 120 for line in done.stdout.splitlines())


def test_help_names_every_verb(command: Command) -> None:
    from benchmarks.cli.main import VERBS

    lines = command("--help").stdout.splitlines()
    assert all(any(line.startswith(f"  {verb} ") for line in lines) for verb in VERBS)


def test_the_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version").stdout == f"cosmos-bench {cosmos.__version__}\n"


def test_the_constraints_are_found(command: Command) -> None:
    assert Path(command("--constraints").stdout.strip()) == ROOT / "constraints.txt"


def test_the_script_works_beside_another_package_of_that_name(script: Command) -> None:
    done = script("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cosmos-bench {cosmos.__version__}\n", "")
    done = script("list")
    assert done.returncode == 0 and "example: cosmos-bench list settings" in done.stdout
    done = script("run", "--help")
    assert done.stdout.startswith("usage: cosmos-bench run ") and "python -m benchmarks" not in done.stdout


def test_a_mistake_of_the_script_is_one_sentence(script: Command) -> None:
    done = script("run", "--taks", "detox")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Unknown flag of cosmos-bench run '--taks'; did you mean --task")


def test_a_folder_that_is_no_package_does_not_hide_the_module(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    command = [sys.executable, "-m", "benchmarks", "--version"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=variables)
    assert done.stdout == f"cosmos-bench {cosmos.__version__}\n"


def test_a_bare_listing_says_what_can_be_listed(command: Command) -> None:
    from benchmarks.cli.list import WHAT

    done = command("list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[: len(WHAT)]] == list(WHAT)


def test_systems_are_listed_with_what_they_are(command: Command) -> None:
    rows = [line.split(maxsplit=1) for line in command("list", "systems").stdout.splitlines()]
    listed = {row[0]: row[1] for row in rows if len(row) == 2}
    assert set(registry.SYSTEMS.built_in) <= set(listed)
    assert listed["mdlm"] == "masked diffusion over tokens (MDLM)"


def test_floors_are_called_so_and_sources_say_what_they_are(command: Command) -> None:
    assert "\ncopy                  floor: the source, unchanged\n" in command("list", "systems").stdout
    sources = dict(line.split(maxsplit=1) for line in command("list", "sources").stdout.splitlines())
    assert sources["world"].startswith("the built-in grammar, ") and ": data.train=4000" in sources["world"]
    assert all(sources[name].index(": data.") > 10 for name in ("world", "local", "hub"))


def test_settings_are_a_table_of_those_keys_that_differ(command: Command) -> None:
    lines = command("list", "settings", "--system", "sedd,cosmos-8,cosmos").stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("sedd"))
    assert lines[start] == "sedd; capture=off"
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["setting", "step", "steps"],
        ["*", "analytic-32", "analytic", "32"],
        ["analytic-16", "analytic", "16"],
    ]
    assert sum(line.startswith("cosmos-8, cosmos;") for line in lines) == 1  # alike, so one table


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["do"], {"doctor"}),
        (["list", "se"], {"settings"}),
        (["run", "--tas"], {"--task"}),
        (["run", "--system", "gp"], {"gpt2"}),
        (["run", "--preset", "s"], {"small"}),
        (["list", "presets", "--system", "to"], {"toy"}),
        (["completion", "b"], {"bash"}),
    ],
)
def test_bash_completes(command: Command, words: list[str], offered: set[str], tmp_path: Path) -> None:
    made = command("completion", "bash")
    assert made.returncode == 0
    (tmp_path / "completion").write_text(made.stdout)
    line = ["cosmos-bench", *words]
    program = (
        f"source {tmp_path / 'completion'}\nCOMP_WORDS=({' '.join(line)})\nCOMP_CWORD={len(line) - 1}\n"
        "$(complete -p cosmos-bench | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script(command: Command, shell: str) -> None:
    made = command("completion", shell)
    assert made.returncode == 0 and "train-decoder" in made.stdout and "gpt2" in made.stdout


def test_an_unknown_shell_is_refused(command: Command) -> None:
    done = command("completion", "bsh")
    assert done.returncode == 2 and "did you mean bash" in done.stderr


def test_help_says_what_holds_for_the_verb(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for verb in ("show", "speed", "score"):
        with pytest.raises(SystemExit):
            command(verb, "--help")
        said[verb] = " ".join(capsys.readouterr().out.split())
    assert "show N samples of each cell (default: 5)" in said["show"] and "test documents" not in said["show"]
    assert "cell for each" not in said["speed"] and "those the task names" not in said["speed"]
    assert "of the run, likewise (default: nano)" in said["score"]


def test_the_doctor_says_where_things_are_stored(command: Command, tmp_path: Path) -> None:
    lines = command("doctor", "--out", str(tmp_path)).stdout.splitlines()
    assert any(re.match(r"ok +cache +\d+ MB in .+: scores, evaluators", line) for line in lines)
    assert any(re.match(r"ok +hub cache +\d+ MB in ", line) for line in lines)
