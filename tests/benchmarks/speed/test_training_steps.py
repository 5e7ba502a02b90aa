"""The table of training steps, at sizes that take a second."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import RandomTraining, UserError
from benchmarks.cli.main import main
from benchmarks.speed import ceilings, step_lines, step_table
from benchmarks.speed.step_lines import LINES, OTHERS, StepLine, lines_named, train_steps
from benchmarks.speed.step_table import MODES, TableOptions, table

COSMOS = {
    f"model.{part}.{field}": value
    for part in ("autoencoder", "denoiser")
    for field, value in {"width": 24, "heads": 2, "layers": 2}.items()
}
TRUNK = {"layers": 1, "heads": 2, "width": 16, "inner": 24}
CHANGES: dict[str, dict[str, Any]] = {"autoencoder-16": COSMOS, "denoiser-16": COSMOS, "gpt2": TRUNK}
OPTIONS = TableOptions("cpu", 24, 100, changes=CHANGES, training={"batch_size": 4})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "MATRIX", {"cpu": 64})
    monkeypatch.setattr(ceilings, "COPY_BYTES", {"cpu": 1 << 16})
    for name, value in (("WARM_STEPS", 2), ("BLOCKS", 3), ("BLOCK_STEPS", 1), ("PROFILED_STEPS", 2)):
        monkeypatch.setattr(step_table, name, value)
    short = tuple(replace(line, length=16) for line in LINES)
    monkeypatch.setattr(step_lines, "LINES", short)


def test_steps_are_those_of_the_loop_with_their_operations_and_kernels() -> None:
    said: list[str] = []
    found = table(lines_named(("autoencoder-16", "denoiser-16", "gpt2")), replace(OPTIONS, profiled=True), said.append)
    steps = found["steps"]
    assert [(part["line"], part["mode"], part["batch"]) for part in steps] == [
        (name, "launched", 4) for name in ("autoencoder-16", "denoiser-16", "gpt2")
    ]  # a CPU records nothing
    for part in steps:
        assert part["seconds"] > 0 and part["flops"] > 0 and part["reason"] == ""
        assert part["ceiling"] == pytest.approx(part["flops"] / part["seconds"] / found["matrix_flops_per_second"])
        assert any(line.startswith(part["line"]) and f"{1e3 * part['seconds']:.2f}" in line for line in said)
    for kernels in found["kernels"].values():
        assert any("mm" in kernel["name"] for kernel in kernels)
        shares = [kernel["share"] for kernel in kernels]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-9
    json.dumps(found)


def test_a_line_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(line: StepLine, *rest: Any) -> Any:
        if line.name == "gpt2":
            raise RuntimeError("CUDA out of memory.\nmore")
        return train_steps(line, *rest)

    monkeypatch.setattr(step_table, "train_steps", short_of_memory)
    said: list[str] = []
    found = table(lines_named(("gpt2", "denoiser-16")), OPTIONS, said.append)
    assert [part["reason"] for part in found["steps"]] == ["RuntimeError: CUDA out of memory.", ""]
    assert any("failed: RuntimeError: CUDA out of memory." in line for line in said)


def test_lines_have_the_sizes_that_bars_name() -> None:
    assert {line.name for line in LINES} >= {"autoencoder-16", "denoiser-16", "denoiser-92", "gpt2", "mdlm"}
    by_name = {line.name: line for line in (*LINES, *OTHERS)}
    assert by_name["denoiser-92"].length == 92 and by_name["denoiser-128-base"].length == 128
    assert [(mode.compiled, mode.recorded) for mode in MODES[:3]] == [(False, False), (False, True), (True, True)]
    assert {name for name, line in by_name.items() if line.ragged} == {
        "autoencoder-16", "autoencoder-128-base", "gpt2",
    }  # fmt: skip


@pytest.mark.parametrize("line", [*LINES, *OTHERS], ids=lambda line: line.name)
def test_every_line_trains_with_the_batch_of_its_preset(line: StepLine, tmp_path: Path) -> None:
    small = {"width": 16, "heads": 2, "layers": 2}
    trunk = {f"trunk.{field}": value for field, value in {**small, "inner": 16}.items()}
    one_stage = TRUNK if line.system == "gpt2" else trunk
    changes = {**COSMOS} if line.stage else one_stage
    asked = RandomTraining(line.stage, 1, 12, 80, {"length_buckets": 2, "batch_size": 6})
    trained, batch = train_steps(replace(line, length=20), asked, changes, tmp_path, "cpu", lambda step: None)
    assert (trained.steps, batch) == (1, 6) and trained.flops > 0
    assert len(trained.notes["preparation"]["lengths"]) == (2 if line.ragged else 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--training-steps", "gtp2"), "gpt2"),
        (("--training-steps", "gpt2", "--vocabulary", "3"), "--vocabulary must lie between"),
        (("--profile",), "--training-steps"),
    ],
)
def test_a_mistake_is_one_sentence(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed", "--device", "cpu", *words]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint and complaint.count("\n") == 1


def test_the_command_needs_no_metric_and_writes_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(step_table, "TableOptions", lambda device, **given: replace(OPTIONS, **given))
    step_table.TableOptions.vocabulary = 100
    assert main(["speed", "--device", "cpu", "--training-steps", "denoiser-16", "--out", str(tmp_path)]) == 0
    assert "denoiser-16" in capsys.readouterr().out
    assert json.loads((tmp_path / "training_steps.json").read_text())["steps"][0]["seconds"] > 0


def test_names_are_told_as_the_nearest() -> None:
    with pytest.raises(UserError, match="denoiser-16"):
        lines_named(("denoiser-17",))
