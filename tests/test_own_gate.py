"""This project gates itself: a small run, made by the code at work, against the baseline kept in the repository.

Quality and network calls, not speed, since the machines that run the tests differ (`tests/baseline/plan.toml`). What
such a gate is failed by is shown on this very baseline: its own texts, damaged, are gated against it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

import reports
from benchmarks.cli.main import main
from benchmarks.metrics.core import selection
from benchmarks.planning import gate_margins
from benchmarks.planning.run_config import read_config
from benchmarks.records import seals, store
from benchmarks.records.archive import unpacked
from benchmarks.records.files import Appender
from benchmarks.records.schema import SampleRecord
from benchmarks.running import scoring
from benchmarks.timing.clock import Clock
from benchmarks.tracking.gate import remaking
from benchmarks.tracking.gate.gating import GateRequest, gate
from benchmarks.tracking.gate.verdict import GateResult
from benchmarks.tracking.sides import read_side

BASELINE = Path(__file__).parent / "baseline"
PLAN, ARCHIVE = BASELINE / "plan.toml", BASELINE / "records.tar.xz"
TRAINED = ("cosmos dpmpp_2m-20", "mdlm confidence-24")


def in_this_process(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
    """What a gate starts to make the run anew, `python -m benchmarks run ...`, without a process of its own."""
    assert command[1:4] == ["-m", "benchmarks", "run"]
    return subprocess.CompletedProcess([*command], main(command[3:]))


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No speed is judged, so that as little is timed as may be: by a clock on which every call takes as long."""
    ticks = itertools.count()
    monkeypatch.setattr(Clock, "now", lambda self: next(ticks) * 1e-3)
    monkeypatch.setattr(Clock, "busy_outside", lambda self: 0.0)


def test_the_code_at_work_is_not_worse_than_the_baseline(
    untimed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the project's own plan, as the baseline was made: with one thread. That the verb makes a run in a process of
    its own is shown by a smaller one (tests/benchmarks/tracking/gate/test_commands.py)."""
    monkeypatch.setattr(remaking, "subprocess", SimpleNamespace(run=in_this_process))
    monkeypatch.setattr(reports, "publish", lambda folder, **how: ("", {}))
    out = tmp_path / "run"
    with mock.patch.dict(os.environ, {"COSMOS_CACHE": str(tmp_path / "cache")}):
        code = main(["gate", "--config", str(PLAN), "--against", str(ARCHIVE), "--out", str(out)])
    said = capfd.readouterr()
    assert code == 0, said.out + said.err
    last = said.out.splitlines()[-1]
    assert last.startswith("gate: pass (") and last.endswith(f"{out} against {ARCHIVE}")
    for entry in TRAINED:
        for quantity in ("rouge_l", "bleu", "calls"):
            assert f"pass: {quantity} of {entry}: " in said.out
    recipes = [line for line in said.out.splitlines() if line.startswith("note: recipe.")]
    assert not recipes, "recipes changed, so the baseline is of other systems: make it anew (tests/baseline/plan.toml)"


def test_the_baseline_is_small() -> None:
    assert ARCHIVE.stat().st_size < 60_000


Damage = Callable[[SampleRecord], SampleRecord]


def words(sample: SampleRecord, kept: slice) -> SampleRecord:
    return dataclasses.replace(sample, text=" ".join(sample.text.split()[kept]))


def half(sample: SampleRecord) -> SampleRecord:
    return words(sample, slice(0, len(sample.text.split()) // 2))


def shifted(sample: SampleRecord) -> SampleRecord:
    """The first word is lost, as by a decoder that starts a token too late."""
    return words(sample, slice(1, None))


def one_call_more(sample: SampleRecord) -> SampleRecord:
    return dataclasses.replace(sample, calls={name: count + 1 for name, count in sample.calls.items()})


def judged(folder: Path, system: str, damage: Damage) -> GateResult:
    """The baseline with the samples of one system damaged and scored again, against the baseline."""
    shutil.copytree(unpacked(ARCHIVE), folder, dirs_exist_ok=True)
    run = folder / "baseline"
    for header in store.read_headers(run):
        if header.cell.system == system:
            _damaged(run, store.cell_folder(run, header.cell.id), damage)
    margins = gate_margins.read(read_config(PLAN)[gate_margins.TABLE], str(PLAN))
    asked = GateRequest(margins, tuple(entry.split()[0] for entry in TRAINED), speed=False)
    return gate(read_side(str(ARCHIVE)), read_side(str(run)), asked)


def _damaged(run: Path, cell: Path, damage: Damage) -> None:
    samples, header = store.read_samples(cell), store.read_header(cell)
    assert header is not None
    metrics = [score.metric for score in store.read_scores(cell)]
    (cell / store.SAMPLES).unlink()
    with Appender(cell / store.SAMPLES) as appender:
        appender.append(seals.sample_row(damage(sample)) for sample in samples)
    (cell / store.SCORES).unlink()
    header = dataclasses.replace(header, files=seals.file_hashes(cell, store.SEALED))
    store.write_header(cell, header)
    scoring.score(run, cell, header, selection.select(metrics, ()))


@pytest.mark.parametrize("entry", TRAINED)
@pytest.mark.parametrize(
    ("damage", "quantities"),
    [(half, ("rouge_l", "bleu")), (one_call_more, ("calls",))],
)
def test_damage_to_the_texts_or_the_calls_of_a_system_is_a_regression(
    entry: str, damage: Damage, quantities: tuple[str, ...], tmp_path: Path
) -> None:
    result = judged(tmp_path, entry.split()[0], damage)
    assert result.exit_code == 1, [finding.sentence for finding in result.findings]
    assert {finding.title for finding in result.of("regression")} == {f"{name} of {entry}" for name in quantities}
    assert not result.of("cannot judge")


def test_a_decoder_that_is_off_by_a_token_is_a_regression(tmp_path: Path) -> None:
    """Of cosmos: half of what mdlm writes first after so short a training is no loss to any score."""
    result = judged(tmp_path, "cosmos", shifted)
    assert result.exit_code == 1, [finding.sentence for finding in result.findings]
    assert {finding.entry for finding in result.of("regression")} == {TRAINED[0]}


def test_the_baseline_as_it_is_passes(tmp_path: Path) -> None:
    """So that what fails above is the damage, not the way in which it is scored again."""
    result = judged(tmp_path, "cosmos", lambda sample: sample)
    assert result.exit_code == 0, [finding.sentence for finding in result.findings]
