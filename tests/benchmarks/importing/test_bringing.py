"""Texts from elsewhere in a run: their track, what is refused, what is kept, and what a kill leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import benchmarks
import reports
from baselines.titles import SYSTEMS
from benchmarks.importing.bringing import TextsFromElsewhere
from benchmarks.records import store
from benchmarks.records.schema import Record

PUBLISH = reports.publish
Command = Callable[..., subprocess.CompletedProcess[str]]
HERE = Path(__file__).parents[1]
TASK = ("--task", "parrot", "--out", "run")
RUN = ("run", *TASK, "--device", "cpu", "--set", "batch_size=4")


def texts(folder: Path, name: str, count: int = 23, *, word: str = "theirs", source: str = "word test {}") -> str:
    rows = [{"id": f"test-{n}", "source": source.format(n), "text": f"{word} {n}"} for n in range(count)]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2 and done.stdout == "", done.stderr
    [line] = done.stderr.splitlines()
    return line


def brought(run: Path) -> list[Record]:
    return [record for record in store.read_run(run) if record.header.imported]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No report is written, which takes seconds and is not what is looked at; `undo` brings it back."""
    monkeypatch.setattr(reports, "publish", lambda folder: ("", {}))
    return monkeypatch


def test_texts_are_ranked_among_their_like_beside_the_systems_of_a_run(
    command: Command, tmp_path: Path, unread: pytest.MonkeyPatch
) -> None:
    assert command(*RUN, cwd=tmp_path).returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "cells").rglob("*.jsonl")}
    words = ("import", *TASK, "--texts", texts(tmp_path, "a.jsonl"), "--name", "Their model", "--seconds", "6")
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    another = texts(tmp_path, "b.jsonl", word="others")
    assert command("import", "--out", "run", "--texts", another, "--name", "Lab B-1.5", cwd=tmp_path).returncode == 0
    seed = ("--texts", texts(tmp_path, "c.jsonl", word="again"), "--name", "Their model", "--seconds", "5")
    unread.setattr(reports, "publish", PUBLISH)
    done = command("import", *TASK, *seed, "--seed", "1", cwd=tmp_path)
    assert "With texts from elsewhere" in done.stdout

    assert {path: path.read_bytes() for path in before} == before
    records = brought(tmp_path / "run")
    assert [(r.header.cell.system, r.header.cell.seed) for r in records] == [
        ("Their model", 0), ("Lab B-1.5", 0), ("Their model", 1),
    ]  # fmt: skip
    assert len({record.header.entry_id for record in records}) == 2  # seeds are one entry
    assert [sample.text for sample in records[0].samples] == [f"theirs {n}" for n in range(23)]
    assert {score.metric for score in records[0].scores} >= {"copy_rate", "length"}

    report = (tmp_path / "run" / "report" / "report.md").read_text()
    table = report.split("### Quality, speed and cost at a glance")[1].split("\n###")[0]
    blocks = [line.strip("|* ").split("*")[0] for line in table.splitlines() if line.startswith("| ***")]
    assert blocks == ["Trained from scratch", "With texts from elsewhere", "For scale"]
    # 46 texts in 11 seconds, in brackets as what is not valid, with the decimals that the clock leaves its column.
    assert re.search(r"\| Their model, 2 seeds .*\| \(4(\.18|\.2)?\)<sup>", table)
    assert "said by whoever made the texts, and not timed here" in table
    assert f"a.jsonl, SHA-256 {records[0].header.imported['sha256'][:12]}" in report
    assert "never ranked with those with texts from elsewhere" in report


@pytest.mark.usefixtures("unread")
def test_a_run_of_its_own_has_the_floors(command: Command, tmp_path: Path) -> None:
    asked = command("import", *TASK, "--requests", "asked.jsonl", cwd=tmp_path)
    assert asked.stdout == "requests: asked.jsonl\n" and not (tmp_path / "run").exists()
    rows = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    assert rows[3] == {"id": "test-3", "source": "word test 3"}
    assert "is there already" in refused(command("import", *TASK, "--requests", "asked.jsonl", cwd=tmp_path))
    words = ("import", *TASK, "--texts", texts(tmp_path, "a.jsonl"), "--name", "Their model")
    assert command(*words, cwd=tmp_path).returncode == 0
    systems = [record.header.cell.system for record in store.read_run(tmp_path / "run")]
    assert systems == ["knowing", "Their model"]
    assert all(record.scores for record in store.read_run(tmp_path / "run"))
    # And systems may come later.
    assert command("run", *TASK, "--system", "toy", cwd=tmp_path).returncode == 0
    assert len(store.read_run(tmp_path / "run")) == 4
    assert command("audit", "run", "Their model", cwd=tmp_path).returncode == 2


@pytest.mark.usefixtures("unread")
def test_a_changed_file_is_noticed_and_replaced_only_when_that_is_asked(command: Command, tmp_path: Path) -> None:
    words = ("import", *TASK, "--texts", texts(tmp_path, "a.jsonl"), "--name", "X")
    assert command(*words, cwd=tmp_path).returncode == 0
    samples = next(path for path in (tmp_path / "run").rglob("samples.jsonl") if b"theirs" in path.read_bytes())
    before = samples.read_bytes()
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 0 and "brought already" in done.stderr and samples.read_bytes() == before
    assert "no --seconds, and this command says --seconds 3" in refused(command(*words, "--seconds", "3", cwd=tmp_path))
    texts(tmp_path, "a.jsonl", word="changed")
    said = refused(command(*words, cwd=tmp_path))
    assert said.startswith("a.jsonl is not the file that the texts of 'X' in run came from (SHA-256 ")
    assert samples.read_bytes() == before
    assert command(*words, "--fresh", cwd=tmp_path).returncode == 0
    assert b"changed 3" in samples.read_bytes()
    samples.write_bytes(samples.read_bytes().replace(b"changed 3", b"better 3"))  # and so is a changed record
    assert "was changed after it was written" in refused(command("show", "--out", "run", cwd=tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--texts", "a.jsonl"), "--name"),
        (("--texts", "a.jsonl", "--name", "toy"), "'toy' is a system here"),
        (("--texts", "a.jsonl", "--name", "cosmos"), "'cosmos' is a system here"),
        (("--texts", "a.jsonl", "--name", "gpt-2"), "'gpt-2' is a system here"),
        (("--texts", "a.jsonl", "--name", "Reference"), "'Reference' is a system here"),
        (("--texts", "a.jsonl", "--name", "a/b"), "--name must be 1 to 60"),
        (("--texts", "a.jsonl", "--name", "X", "--seconds", "0"), "more than 0"),
        (("--texts", "a.jsonl", "--name", "X", "--seconds", "soon"), "--seconds must be a number"),
        (("--texts", "a.jsonl", "--name", "X", "--set", "budget=3steps"), "only data.KEY can be set here"),
        (("--texts", "short.jsonl", "--name", "X"), "has no text for 3 of the 23 test documents of parrot"),
        (("--texts", "other.jsonl", "--name", "X"), "another source than the test document"),
        (("--texts", "none.jsonl", "--name", "X"), "is no file"),
        (("--texts", "a.jsonl", "--name", "X", "--limit", "5"), "18 ids are none of the test documents"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    command: Command, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    texts(tmp_path, "a.jsonl")
    texts(tmp_path, "short.jsonl", 20)
    texts(tmp_path, "other.jsonl", source="another test {}")
    assert said in refused(command("import", *TASK, *words, cwd=tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [*SYSTEMS.values(), "COSMOS", "gpt-2", "reference"])
def test_no_texts_are_called_as_a_system_here_is(name: str) -> None:
    if "," not in name:  # which no name may have
        with pytest.raises(benchmarks.UserError, match="is a system here"):
            TextsFromElsewhere(Path("a.jsonl"), name)


@pytest.mark.usefixtures("unread")
def test_no_texts_are_called_as_another_of_the_run_is(command: Command, tmp_path: Path) -> None:
    words = ("import", *TASK, "--texts", texts(tmp_path, "a.jsonl"))
    assert command(*words, "--name", "Their model", cwd=tmp_path).returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    said = refused(command(*words, "--name", "their MODEL", cwd=tmp_path))
    assert said == "'their MODEL' is a system of the run in run; give the texts another --name."
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert command(*words, "--name", "Their model", "--seed", "1", cwd=tmp_path).returncode == 0


@pytest.mark.usefixtures("unread")
def test_a_run_that_asks_something_else_is_refused(command: Command, tmp_path: Path) -> None:
    words = ("import", *TASK, "--texts", texts(tmp_path, "a.jsonl"), "--name", "X")
    assert command(*words, cwd=tmp_path).returncode == 0
    for more in (("--limit", "5"), ("--source", "world"), ("--set", "data.test=5")):
        assert "The run in run was made with" in refused(command(*words, *more, cwd=tmp_path))


def test_python_does_the_same(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = benchmarks.import_texts("parrot", texts(tmp_path, "a.jsonl"), "X", seconds=2.0, out="run")
    assert result.exit_code == 0 and result.folder == Path("run") and result.report["html"].is_file()
    frame = result.load()
    assert set(frame[frame.system == "X"].metric) >= {"copy_rate"}
    with pytest.raises(benchmarks.UserError, match="is a system here"):
        benchmarks.import_texts("parrot", "a.jsonl", "toy", out="run")


KILLED = """
import itertools, os, sys
from pathlib import Path
from killed_program import arm
from benchmarks.importing.bringing import TextsFromElsewhere, bring
from benchmarks.planning.run_config import Choices
from benchmarks.progress import Silent
from benchmarks.running import runner, scoring

for moment in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        if moment != "never":
            arm(moment)
        choices = Choices(task="parrot", device="cpu", out=sys.argv[1])
        bring(choices, TextsFromElsewhere(Path("a.jsonl"), "X", 3), Silent())
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
def test_killed_and_given_again_it_ends_with_the_same_bytes(installed: Path, tmp_path: Path) -> None:
    texts(tmp_path, "a.jsonl")
    path = os.pathsep.join(map(str, (HERE.parents[1], HERE, HERE / "outside", installed)))

    def end(folder: str, *moments: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, folder, *moments],
            env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [int(line) for line in done.stdout.splitlines()]

    assert end("whole", "never") == [0]
    moments = [f"replace:{n}" for n in (2, 5, 4, 3, 2, 1, 4)]
    assert end("killed", *moments, "never") == [*(-signal.SIGKILL for _ in moments), 0]
    [whole], [killed] = (brought(tmp_path / folder) for folder in ("whole", "killed"))
    assert (whole.header.cell, whole.samples, whole.timings, whole.scores) == (
        killed.header.cell, killed.samples, killed.timings, killed.scores,
    )  # fmt: skip
    files = {
        folder: {
            path.name: path.read_bytes()
            for path in (tmp_path / folder / "cells" / whole.header.cell.id).glob("*.jsonl")
        }
        for folder in ("whole", "killed")
    }
    assert len(files["whole"]) == 3 and files["whole"] == files["killed"]
