"""`compare` as a user gives it, on real tiny runs: exit codes, tables, files, JSON, one sentence for a mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
RUN = ("run", "--task", "echo", "--device", "cpu", "--system", "toy", "--setting", "default")


@pytest.fixture
def runs(copy_of_run: Callable[..., Path], tmp_path: Path) -> tuple[str, str]:
    """Two runs of one task, the second with three times the network calls, whose texts are the same."""
    before = copy_of_run(tmp_path / "before", *RUN, "--set", "toy.setting.steps=2")
    after = copy_of_run(tmp_path / "after", *RUN, "--set", "toy.setting.steps=6")
    return str(before), str(after)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of stderr of a refused command."""
    assert done.returncode == 2, done.stdout
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_run_that_calls_its_network_more_often_is_worse_in_calls_alone(
    command: Command, runs: tuple[str, str]
) -> None:
    done = command("compare", *runs, "--json")
    assert done.returncode == 0 and done.stderr == ""
    told = json.loads(done.stdout)
    [entry] = told["entries"]
    rows = {row["quantity"]: row for row in entry["quantities"]}
    assert set(rows) >= {"copy_rate", "length", "calls"}
    assert (rows["calls"]["a"], rows["calls"]["b"], rows["calls"]["outcome"]) == (2, 6, "worse")
    assert rows["copy_rate"]["change"] == 0 and rows["copy_rate"]["outcome"] == "cannot tell"
    refused = [reason for reason in entry["refused"] if reason.startswith("latency") and "not valid" in reason]
    assert bool(refused) != ("latency" in rows)  # by the verdict, which others who use this machine decide
    assert "setting_values.steps “2” against “6”" in entry["differs"]
    assert "Both sides wrote the same texts." in entry["notes"]


def test_the_tables_go_to_the_terminal_and_into_files(command: Command, runs: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "comparison"
    done = command("compare", *runs, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "B is worse in 1 of" in done.stdout and "calls" in done.stdout and "Holm" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        f"comparison.{kind}" for kind in ("html", "json", "md", "tex")
    ]
    for path in out.iterdir():
        assert str(path) in done.stdout
    assert json.loads((out / "comparison.json").read_text())["schema"] == 1


def test_one_system_against_another_and_only_what_is_asked(command: Command, runs: tuple[str, str]) -> None:
    done = command("compare", f"{runs[0]}:toy", f"{runs[1]}:toy/default", "--metric", "copy_rate,calls", "--json")
    told = json.loads(done.stdout)
    assert [row["quantity"] for row in told["entries"][0]["quantities"]] == ["copy_rate", "calls"]


def test_several_seeds_of_real_runs_are_a_level_of_their_own(
    command: Command, copy_of_run: Callable[..., Path], tmp_path: Path
) -> None:
    folders = [str(copy_of_run(tmp_path / seed, *RUN, "--seeds", "2", "--seed", seed)) for seed in ("0", "5")]
    told = json.loads(command("compare", *folders, "--metric", "length", "--json").stdout)
    [entry] = told["entries"]
    assert (entry["seeds_a"], entry["seeds_b"]) == ([0, 1], [5, 6])
    assert entry["quantities"][0]["covers"] == "texts and seeds"
    assert not any("not covered" in note for note in entry["notes"])


def test_the_commit_of_this_code_means_its_runs(command: Command, runs: tuple[str, str], tmp_path: Path) -> None:
    [header] = Path(runs[0]).glob("cells/*/header.json")
    commit = json.loads(header.read_text())["commit"]
    assert commit is not None
    done = command("compare", commit, runs[0], "--below", str(tmp_path), "--json")
    assert done.returncode in (0, 2)
    if done.returncode == 2:  # both runs are of this commit, so that A has two configurations
        assert "which belong together cannot be told" in done.stderr
    done = command("compare", commit, runs[0], "--below", runs[0], "--json")
    assert json.loads(done.stdout)["a"]["commits"] == [commit]


def test_other_documents_are_refused_by_name(
    command: Command, copy_of_run: Callable[..., Path], runs: tuple[str, str], tmp_path: Path
) -> None:
    other = str(copy_of_run(tmp_path / "other", *RUN, "--set", "data.word=term"))
    said = sentence(command("compare", runs[0], other))
    assert "Nothing of" in said and "test documents" in said


MISTAKES = (
    (("compare",), "required: A, B"),
    (("compare", "{a}"), "required: B"),
    (("compare", "{a}", "nowhere"), "nowhere is neither a folder nor a git commit"),
    (("compare", "{a}", "{b}:tyo"), "did you mean toy"),
    (("compare", "{a}", "{b}:toy/defualt"), "did you mean default"),
    (("compare", "{a}", "{b}", "--metric", "copy_rte"), "did you mean copy_rate"),
    (("compare", "{a}", "{b}", "--jsn"), "did you mean --json"),
    (("compare", "{a}", "{b}", "--device", "tpu"), "Unknown device"),
    (("compare", "{a}", "{b}", "--out", "{a}/plan.json"), "plan.json"),
    (("compare", "{a}", "0123456", "--below", "nowhere"), "nowhere is no folder"),
    (("compare", "{a}", "{b}", "third"), "Cannot place the word 'third'"),
)


def test_a_mistake_is_one_sentence(command: Command, runs: tuple[str, str]) -> None:
    for words, said in MISTAKES:
        done = command(*(word.format(a=runs[0], b=runs[1]) for word in words))
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, words
        assert said in done.stderr and "Traceback" not in done.stderr, words


def test_no_framework_is_imported_to_compare(runs: tuple[str, str]) -> None:
    """In a process of its own: scores per text need no torch."""
    code = (
        "import sys; from benchmarks.cli.main import main; "
        f"code = main(['compare', {runs[0]!r}, {runs[1]!r}, '--json']); "
        "print([name for name in ('torch', 'transformers') if name in sys.modules], file=sys.stderr)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr.strip() == "[]", done.stderr
