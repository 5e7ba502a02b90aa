"""The outside package of `examples/`, which docs/systems.md shows under "Add your own": installed, and called."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.cli.main import main
from benchmarks.records import store
from benchmarks.records.schema import Record, Score

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs" / "systems.md").read_text().partition("\n## Add your own\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```\n", SECTION, flags=re.DOTALL)
SHOWN = {match[1]: code for kind, code in BLOCKS if (match := re.match(r"# (my_package/\w+\.py)", code))}
COMMANDS = [shlex.split(line) for line in re.findall(r"^    (python -m benchmarks .*)$", SECTION, flags=re.MULTILINE)]
PACKAGE = ROOT / "examples" / "own_package"
EXAMPLES = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sorted(PACKAGE.glob("my_package/*.py"))}
GROUPS = ("systems", "tasks", "metrics", "sources")
QUICK = ("--device", "cpu", "--set", "budget=20steps", "--limit", "6")


def entry_points(project: str) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = tomllib.loads(project)["project"]["entry-points"]
    return groups


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, installed: the modules, and the entry points of the pyproject.toml."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(PACKAGE / "my_package", folder / "my_package")
    groups = entry_points((PACKAGE / "pyproject.toml").read_text())
    assert set(groups) == {f"cosmos_bench.{group}" for group in GROUPS}
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    lines = [f"[{group}]\n" + "".join(f"{n} = {p}\n" for n, p in points.items()) for group, points in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def call(
    package: Path, steady: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[list[str]], str]]:
    """Do a command, where the package is installed; what it prints."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.chdir(tmp_path)

    def call(words: list[str]) -> str:
        capsys.readouterr()
        assert words[:3] == ["python", "-m", "benchmarks"]
        code, said = main(words[3:]), capsys.readouterr()
        assert code == 0, said.err
        return said.out

    yield call
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def score(records: list[Record], system: str, metric: str) -> Score:
    (found,) = (s for r in records if r.header.cell.system == system for s in r.scores if s.metric == metric)
    return found


def test_each_example_is_whole_and_short() -> None:
    assert sorted(EXAMPLES) == [f"my_package/{name}.py" for name in ("metric", "source", "system", "task")]
    assert all(len(code.splitlines()) <= 30 for code in EXAMPLES.values())


def test_the_page_shows_the_examples_as_they_are() -> None:
    assert SHOWN == EXAMPLES
    (project,) = (code for kind, code in BLOCKS if kind == "toml")
    assert entry_points(project) == entry_points((PACKAGE / "pyproject.toml").read_text())


def test_the_examples_work_from_outside(call: Callable[[list[str]], str], tmp_path: Path) -> None:
    shutil.copy(PACKAGE / "messages.csv", tmp_path)
    listed = {group: call(["python", "-m", "benchmarks", "list", group]) for group in GROUPS}
    assert "one_shot" in listed["systems"]
    assert "Headlines: a line for a message" in listed["tasks"]
    assert re.search(r"^novelty +Share of words .* \[my-package 1\.0\]$", listed["metrics"], flags=re.MULTILINE)
    assert re.search(r"^table +offered by the package .*data\.file=table\.csv$", listed["sources"], flags=re.MULTILINE)

    first, second, third = COMMANDS
    table = call([*first, *QUICK])
    assert all(title in table for title in ("one shot", "GPT-2", "First sentence of the", "Reference"))
    records = store.read_run(tmp_path / "runs" / "headline-table-nano")
    systems = [record.header.cell.system for record in records]
    assert sorted(set(systems)) == ["gpt2", "lead", "one_shot", "reference"]
    assert all(record.header.status == "done" and len(record.samples) == 6 for record in records)
    (own,) = (record for record in records if record.header.cell.system == "one_shot")
    training = own.header.training
    assert training is not None and training.steps == 20 and training.validation_loss is not None
    assert training.validation_loss < math.log(20)  # it has learnt: there are more tokens than that
    # "found:" is in no message; "a" and the thing, with the full stop at another word, are in each.
    assert score(records, "reference", "novelty").value == pytest.approx(1 / 3)
    signature = score(records, "reference", "novelty").signature
    assert signature is not None and signature.evaluator == "my-package 1.0"

    call([*second, *QUICK, "--set", "data.train=64", "--set", "data.validation=8"])
    call(third)
    run = tmp_path / "runs" / "detox-world-nano"
    assert "| novelty |" in (run / "report" / "report.md").read_text()
    scored = store.read_run(run)
    assert score(scored, "copy", "novelty").value == 0.0
    assert score(scored, "one_shot", "novelty").n <= 6
