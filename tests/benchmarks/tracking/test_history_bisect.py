"""The lines that find the commit of a change, carried out by git in a scratch repository."""

from __future__ import annotations

import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tracking.gate import speed
from benchmarks.tracking.history import bisecting
from benchmarks.tracking.history.schema import HistoryLine, HistoryPoint

sys.path.insert(0, str(Path(__file__).parent))
from history_trees import commit_of, record, repository

# Stands in for `python -m benchmarks gate`: at a commit whose number is below CHANGED the metric has its old value, at
# those in SKIPPED the program does not run, and in CRASHED Python itself ends it. It is asked as the line asks, and
# answers by the gate's exit codes.
GATE = """#!/bin/sh
echo "$@" >> "{log}"
number=$(cat value.txt)
case " {skipped} " in *" $number "*) exit 2;; esac
case " {crashed} " in *" $number "*) echo "SyntaxError: invalid syntax" >&2; exit 1;; esac
case " {failing} " in *" $number "*) echo "regression: cell of my system greedy: it fails now: no"; exit 1;; esac
if [ "$number" -lt {changed} ]; then state={before}; else state={after}; fi
echo "gate: said at the end"
[ $state = worse ] || exit 0
echo "regression: {quantity} of my system greedy: 1 -> 2: it is worse"
exit 1
"""


def line(kind: str = "quality", metric: str = "exact_j", direction: str = "higher") -> HistoryLine:
    return HistoryLine(kind, metric, "detox", "world", "nano", "my system", "greedy", "m", "d", direction)  # type: ignore[arg-type]


def point(commit: str | None, place: int) -> HistoryPoint:
    return HistoryPoint(place, commit, False, "", 0.0, (0,), 1, 0, f"runs/it's {place}")


@pytest.mark.parametrize("better", [False, True])
@pytest.mark.parametrize(
    ("skipped", "crashed", "failing"), [("", "", ""), ("3", "", ""), ("7 8", "", ""), ("", "3 4", "8"), ("4", "8", "3")]
)
def test_git_finds_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: bool, skipped: str, crashed: str, failing: str
) -> None:
    commits = repository(tmp_path / "clone", 12)
    program = tmp_path / "bin/python"
    program.parent.mkdir()
    log = tmp_path / "log"
    before, after = ("worse", "same") if better else ("same", "worse")
    numbers = {"skipped": skipped, "crashed": crashed, "failing": failing, "changed": 6}
    program.write_text(GATE.format(log=log, quantity="exact_j", before=before, after=after, **numbers))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    points = [point(commit, place) for place, commit in enumerate(commits)]
    values = (0.4, 0.5) if better else (0.5, 0.4)
    told, why_none = bisecting.commands(line(), points, 2, 11, *values)
    assert not why_none
    for command in told:
        done = subprocess.run(command, shell=True, cwd=tmp_path / "clone", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert f"{commits[6]} is the first bad commit" in done.stdout
    [asked, *_] = log.read_text().splitlines()
    against = "runs/it's 11" if better else "runs/it's 1"
    assert asked.startswith(f"-m benchmarks gate --against {against} --system my system --set gate.others=false")
    assert "--set gate.exact_j=0.05 --no-speed --out runs/bisect/" in asked


@pytest.mark.parametrize(
    ("kind", "metric", "quantity", "code"),
    [
        ("speed", "latency", speed.quantity(1), 1),
        ("speed", "texts_per_second", speed.quantity(25), 1),
        ("speed", "latency", speed.quantity(25), 125),
        ("quality", "exact_j", "exact_j", 1),
        ("quality", "exact_j", "exact_jj", 125),
        ("quality", "exact_j", "cell", 125),
    ],
)
def test_only_a_regression_of_the_metric_itself_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, metric: str, quantity: str, code: int
) -> None:
    commits = repository(tmp_path / "clone", 2)
    program = tmp_path / "bin/python"
    program.parent.mkdir()
    none = {"skipped": "", "crashed": "", "failing": "", "changed": 0}
    text = GATE.format(log=tmp_path / "log", quantity=quantity, before="same", after="worse", **none)
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    direction = "lower" if metric == "latency" else "higher"
    values = (1.0, 2.0) if direction == "lower" else (2.0, 1.0)
    points = [point(commit, place) for place, commit in enumerate(commits)]
    told, _ = bisecting.commands(line(kind, metric, direction), points, 1, 1, *values)
    command = shlex.split(told[1])[3:]
    assert command[:2] == ["sh", "-c"]
    assert subprocess.run(command, cwd=tmp_path / "clone", capture_output=True).returncode == code


def test_the_margin_of_a_speed_is_half_of_its_seconds(tmp_path: Path) -> None:
    points = [point("a" * 40, 0), point("b" * 40, 1)]
    for metric, direction, before, after in (
        ("texts_per_second", "higher", 100.0, 81.0), ("latency", "lower", 0.81, 1.0), ("latency", "lower", 1.0, 0.81),
    ):  # fmt: skip
        told, _ = bisecting.commands(line("speed", metric, direction), points, 1, 1, before, after)
        assert "gate.speed=11.1%" in told[1] and "--no-speed" not in told[1]


@pytest.mark.parametrize(
    ("asked", "commits", "why"),
    [
        (line("micro", "seconds", "lower"), ("a" * 40, "b" * 40), "has no gate"),
        (line(direction="none"), ("a" * 40, "b" * 40), "no gate can judge"),
        (line(), (None, "b" * 40), "unknown"),
        (line(), ("a" * 40, "a" * 40), "one commit"),
    ],
)
def test_where_there_is_no_line_it_is_said_why(
    asked: HistoryLine, commits: tuple[str | None, str | None], why: str
) -> None:
    told, why_none = bisecting.commands(asked, [point(c, n) for n, c in enumerate(commits)], 1, 1, 0.5, 0.4)
    assert told == () and why in why_none


def test_the_gate_knows_the_words_of_the_line() -> None:
    """The flags and keys that the line gives are those of the gate."""
    from benchmarks.cli import gate
    from benchmarks.cli.flags import BenchmarksParser, parse
    from benchmarks.planning import gate_margins

    told, _ = bisecting.commands(line(), [point("a" * 40, 0), point("b" * 40, 1)], 1, 1, 0.5, 0.4)
    words = shlex.split(re.findall(r"said=\$\((.*?) --out", shlex.split(told[1])[-1])[0])
    assert words[:4] == ["python", "-m", "benchmarks", "gate"]
    parser = BenchmarksParser("gate", gate.__doc__ or "")
    gate.add_arguments(parser)
    arguments = parse(parser, words[4:])
    assert arguments.against == "runs/it's 0" and arguments.no_speed and arguments.run is None
    keys = dict(word.removeprefix("gate.").split("=") for word in arguments.set)
    margins = gate_margins.read({**keys, "others": False}, "--set")
    assert margins.calls is None and margins.metrics["exact_j"].amount == pytest.approx(0.05)


def test_what_a_run_has_besides_the_entry_does_not_stop_the_gate(tmp_path: Path) -> None:
    """Trivial baselines are part of every run, so that a run made again of one system has more than was asked."""
    from benchmarks.planning.gate_margins import read as margins_of
    from benchmarks.records import store
    from benchmarks.records.archive import FoundRun
    from benchmarks.tracking.gate.gating import GateRequest, gate
    from benchmarks.tracking.sides import Side, StoredCell

    sides = []
    for name, systems in (("good", ("gpt2",)), ("again", ("gpt2", "copy", "unigram"))):
        folders = [
            record(tmp_path / name, commit=commit_of(0), scores={"exact_j": 0.5}, system=system, networks=False)
            for system in systems
        ]
        sides.append(
            Side(name, tuple(StoredCell(FoundRun(name, tmp_path / name), store.read_cell(each)) for each in folders))
        )
    margins = margins_of({"exact_j": 0.05, "others": False, "calls": False}, "a test")
    result = gate(*sides, GateRequest(margins, systems=("gpt2",), speed=False))
    assert [(finding.quantity, finding.outcome) for finding in result.findings] == [("exact_j", "pass")]
