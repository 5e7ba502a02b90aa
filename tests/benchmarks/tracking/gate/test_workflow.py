"""The workflow of docs/tracking.md: its shell commands are taken from the page and run, on a push and on pull requests.

What stands in is what only GitHub has: checking out is a commit in the drill's repository, `gh` and the steps that keep
artifacts copy folders, and `pip` finds everything installed. Time is the drill's (`test_drill.py` says what of it is
simulated), and so is the run in gate.toml; the margins are checked as the page has them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from gate_repository import ROOT, Repository, made
from test_drill import REFACTOR, SHIFT, SYSTEM

from benchmarks.planning import gate_margins
from benchmarks.planning.run_config import gather

PAGE = (ROOT / "docs" / "tracking.md").read_text()
GATE_TOML = 'task = "drill"\n[gate]\nrouge_l = 0.05\n'
# What `gh run list` prints (nothing where no run of main is done, as its jq filter says), and what
# `gh run download RUN --name NAME --dir FOLDER` does.
GH = """#!/bin/sh
case "$2" in
  list) test ! -d "$ARTIFACTS/baseline" || echo 17 ;;
  download) test "$3" = 17 && mkdir -p "$(dirname "$7")" && cp -r "$ARTIFACTS/$5" "$7" ;;
esac
"""


def block(kind: str) -> str:
    """The one block of a kind in the section on CI."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE.partition("## Gate in CI")[2], re.DOTALL)
    return str(found)


@dataclass(frozen=True)
class Job:
    """How a job ended: the exit code of its last step, what was printed, and the page of its summary."""

    code: int
    printed: str
    summary: str


def wanted(condition: str | None, event: str, failed: bool) -> bool:
    """Whether a step is run: the conditions that the page uses, and no others."""
    always, _, rest = (condition or "").rpartition("always() && ")
    if failed and not (condition or "").startswith("always()"):
        return False
    assert not always
    name = re.fullmatch(r"github\.event_name == '(\w+)'", rest)
    assert name is not None or not rest, rest
    return name is None or name.group(1) == event


def job(repository: Repository, event: str, artifacts: Path) -> Job:
    """Carry out the workflow's job as GitHub would."""
    tools = artifacts.parent / "tools"
    tools.mkdir(exist_ok=True)
    python = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    for name, text in (("gh", GH), ("pip", "#!/bin/sh\n"), ("python", python)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    summary = artifacts.parent / "summary.md"
    summary.write_text("")
    shutil.rmtree(repository.folder / "runs", ignore_errors=True)
    (repository.folder / "gate.toml").write_text(GATE_TOML)
    variables = {**os.environ, **repository.variables, "ARTIFACTS": str(artifacts)}
    variables |= {"GITHUB_STEP_SUMMARY": str(summary), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    code, printed = 0, ""
    for step in yaml.safe_load(block("yaml"))["jobs"]["gate"]["steps"]:
        if not wanted(step.get("if"), event, code != 0):
            continue
        if "run" in step:
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            done = subprocess.run(shell, cwd=repository.folder, env=variables, capture_output=True, text=True)
            code, printed = code or done.returncode, printed + done.stdout + done.stderr
        elif step["uses"].startswith("actions/upload-artifact@"):
            if (repository.folder / step["with"]["path"]).exists():  # else it warns, and the job goes on
                keep(repository.folder / step["with"]["path"], artifacts / step["with"]["name"])
        else:
            assert step["uses"].startswith(("actions/checkout@", "actions/setup-python@")), step
    return Job(code, printed, summary.read_text())


def keep(path: Path, artifact: Path) -> None:
    """A folder's contents or a file, as an artifact is downloaded again."""
    shutil.rmtree(artifact, ignore_errors=True)
    if path.is_dir():
        shutil.copytree(path, artifact, ignore=shutil.ignore_patterns(".*"))  # as upload-artifact leaves hidden files
    else:
        artifact.mkdir(parents=True)
        shutil.copy(path, artifact)


@pytest.mark.slow
def test_a_push_keeps_the_baseline_and_pull_requests_are_gated_against_it(tmp_path: Path) -> None:
    repository, artifacts = made(tmp_path), tmp_path / "artifacts"
    early = job(repository, "pull_request", artifacts)
    assert early.code == 0, early.printed
    assert "::warning::Nothing is gated: main has kept no baseline yet" in early.printed and not early.summary

    pushed = job(repository, "push", artifacts)
    assert pushed.code == 0, pushed.printed
    assert (artifacts / "baseline" / "plan.json").is_file() and not (artifacts / "gate").exists()

    repository.commit(SYSTEM, *REFACTOR, "Say it in a function")
    innocent = job(repository, "pull_request", artifacts)
    assert innocent.code == 0, innocent.printed
    assert innocent.summary.startswith("## gate: pass (12 passed): runs/new against runs/baseline")

    repository.commit(SYSTEM, *SHIFT, "Count from one")
    bad = job(repository, "pull_request", artifacts)
    assert bad.code == 1, bad.printed
    assert "::error title=gate%3A rouge_l of drill corrected::rouge_l of drill corrected: " in bad.printed
    assert "| regression | drill corrected | rouge_l |" in bad.summary
    report = ElementTree.parse(artifacts / "gate" / "gate.xml").getroot()
    assert int(report.attrib["failures"]) >= 1


def test_the_configuration_on_the_page_is_one(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(block("toml"))
    choices = gather({}, config=str(file))
    assert choices.task == "detox" and choices.changes["budget"] == "300steps"
    margins = gate_margins.read(tomllib.loads(block("toml"))["gate"], "gate.toml")
    assert margins.metrics.keys() == {"exact_j", "bleu"} and not margins.others


def test_the_workflow_keeps_the_whole_history() -> None:
    """Without it git does not have the baseline's commit."""
    workflow: Any = yaml.safe_load(block("yaml"))
    (checkout,) = (s for s in workflow["jobs"]["gate"]["steps"] if s.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["fetch-depth"] == 0


def test_the_margins_on_the_page_are_those_of_the_code(tmp_path: Path) -> None:
    """The table of the section on scores, read as what it is: TOML."""
    (found,) = re.findall(r"    \[gate\]\n(?:    .*\n)+", PAGE)
    table = tomllib.loads(re.sub("^    ", "", found, flags=re.MULTILINE))["gate"]
    margins = gate_margins.read(table, "the page")
    assert margins.speed is not None and margins.speed.amount == gate_margins.Margins.speed.amount  # type: ignore[union-attr]
    assert margins.calls is not None and margins.calls.amount == gate_margins.Margins.calls.amount  # type: ignore[union-attr]


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_every_step_is_for_a_known_event(event: str) -> None:
    steps = yaml.safe_load(block("yaml"))["jobs"]["gate"]["steps"]
    assert sum(wanted(step.get("if"), event, False) for step in steps) == {"push": 5, "pull_request": 7}[event]


def test_the_filter_on_the_page_says_nothing_where_there_is_no_run() -> None:
    """`null` would be taken for a run: the filter ends with jq's `// empty`."""
    steps = yaml.safe_load(block("yaml"))["jobs"]["gate"]["steps"]
    (step,) = (step for step in steps if step.get("name") == "Fetch the baseline")
    assert "--jq '.[0].databaseId // empty')" in step["run"]
