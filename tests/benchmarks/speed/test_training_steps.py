"""The table of training steps, at sizes that take a second."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import RandomTraining, UserError
from benchmarks.cli.main import main
from benchmarks.speed import step_lines, step_records, step_table, timed_steps
from benchmarks.speed.step_lines import LINES, OTHERS, StepLine, lines_named, system_of
from benchmarks.speed.step_records import FILE, StepRecords
from benchmarks.speed.step_table import MODES, TableOptions, table
from benchmarks.speed.timed_steps import StepCounts, train
from benchmarks.timing import ceilings

COSMOS = {
    f"model.{part}.{field}": value
    for part in ("autoencoder", "denoiser")
    for field, value in {"width": 24, "heads": 2, "layers": 2}.items()
}
TRUNK = {"layers": 1, "heads": 2, "width": 16, "inner": 24}
CHANGES: dict[str, dict[str, Any]] = {"autoencoder-16": COSMOS, "denoiser-16": COSMOS, "gpt2": TRUNK}
OPTIONS = TableOptions(
    "cpu", 24, 100, changes=CHANGES, training={"batch_size": 4}, counts=StepCounts(2, 3, 1), profiled_steps=2
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "MATRIX", {"cpu": 64})
    monkeypatch.setattr(ceilings, "COPY_BYTES", {"cpu": 1 << 16})
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
    def short_of_memory(system: Any, *rest: Any) -> Any:
        if system.name == "gpt2":
            raise RuntimeError("CUDA out of memory.\nmore")
        return train(system, *rest)

    monkeypatch.setattr(timed_steps, "train", short_of_memory)
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
def test_every_line_trains_with_the_batch_of_its_preset(line: StepLine) -> None:
    small = {"width": 16, "heads": 2, "layers": 2}
    trunk = {f"trunk.{field}": value for field, value in {**small, "inner": 16}.items()}
    one_stage = TRUNK if line.system == "gpt2" else trunk
    changes = {**COSMOS} if line.stage else one_stage
    asked = RandomTraining(line.stage, 1, 12, 80, {"length_buckets": 2, "batch_size": 6})
    trained, batch = train(system_of(replace(line, length=20), changes), asked, "cpu", lambda step: None)
    assert (trained.steps, batch) == (1, 6) and trained.flops > 0
    assert len(trained.notes["preparation"]["lengths"]) == (2 if line.ragged else 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--training-steps", "gtp2"), "gpt2"),
        (("--training-steps", "gpt2", "--vocabulary", "3"), "--vocabulary must lie between"),
        (("--profile", "--training"), "--training-steps"),
        *(
            (("--training-steps", "gpt2", *idle), f"{idle[0].replace('--no-', '--')} has no effect on --training-steps")
            for idle in (
                ("--set", "foo=1"), ("--set", "gpt2.recipe.nope=1"), ("--system", "nope"), ("--preset", "nope"),
                ("--preset", "small"), ("--setting", "x"), ("--steps", "3"), ("--batch", "0"), ("--length", "-4"),
                ("--seconds", "-1"), ("--capture", "nope"), ("--dtype", "float32"), ("--training",), ("--no-training",),
            )
        ),
        (("--training-steps", ""), "--training-steps names no line"),
        (("--training-steps", " , "), "--training-steps names no line"),
        (("--training-steps", "gpt2", "--out", "file"), "file"),
        (("--training-steps", "gpt2", "--out", "/proc/x"), "/proc/x"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_before_anything_is_measured(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    monkeypatch.setattr(ceilings, "measure", lambda *_: pytest.fail("it began to measure"))
    assert main(["speed", "--device", "cpu", *words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    assert not Path("runs").exists()


def test_all_are_all_lines_that_help_names(capsys: pytest.CaptureFixture[str]) -> None:
    names = [line.name for line in lines_named(())]
    assert names == [line.name for line in (*LINES, *OTHERS)] and names[-3:] == ["sedd", "duo", "diffuseq"]
    assert [line.name for line in lines_named(("duo", "gpt2", "duo"))] == ["duo", "gpt2"]
    with pytest.raises(SystemExit):
        main(["speed", "--help"])
    assert f"all, or lines by name: {', '.join(names)};" in " ".join(capsys.readouterr().out.split())


def test_an_interrupted_command_goes_on_with_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[str] = []

    def interrupted(system: Any, *rest: Any) -> Any:
        if system.name == "gpt2" and not trained.count("again"):
            raise KeyboardInterrupt
        trained.append(system.name)
        return train(system, *rest)

    monkeypatch.setattr(timed_steps, "train", interrupted)
    monkeypatch.setattr(step_table, "TableOptions", lambda device, **given: replace(OPTIONS, **given))
    step_table.TableOptions.vocabulary = 100
    words = ["speed", "--device", "cpu", "--training-steps", "denoiser-16,gpt2", "--profile", "--out", str(tmp_path)]
    assert main(words) == 130
    assert "goes on where this one stopped" in capsys.readouterr().err
    assert not (tmp_path / "training_steps.json").exists()
    first = (tmp_path / FILE).read_bytes()
    assert first.count(b"\n") == 3  # ceilings, a step and its kernels
    (tmp_path / FILE).write_bytes(first + b'{"half')

    monkeypatch.setattr(ceilings, "measure", lambda *_: pytest.fail("it was measured already"))
    trained[:] = ["again"]
    assert main(words) == 0
    assert trained == ["again", "gpt2", "gpt2"]  # timed and profiled
    assert (tmp_path / FILE).read_bytes().startswith(first)
    whole = json.loads((tmp_path / "training_steps.json").read_text())
    assert [part["line"] for part in whole["steps"]] == ["denoiser-16", "gpt2"] == list(whole["kernels"])
    said = capsys.readouterr().out
    assert main(words) == 0 and capsys.readouterr().out == said and trained.count("gpt2") == 2
    assert json.loads((tmp_path / "training_steps.json").read_text()) == whole

    # What was measured elsewhere, or changed since, is not gone on with.
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    lines[1]["step"]["seconds"] = 1e-9
    (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(words) == 2
    assert "Line 2" in capsys.readouterr().err
    monkeypatch.setattr(step_records, "alike", lambda *_: False)
    (tmp_path / FILE).write_bytes(first)
    assert main(words) == 2
    assert "other code or on another machine" in capsys.readouterr().err


def test_what_failed_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, short = StepRecords(), [True]

    def short_of_memory(*given: Any) -> Any:
        if short.pop():
            raise RuntimeError("CUDA out of memory.")
        return train(*given)

    monkeypatch.setattr(timed_steps, "train", short_of_memory)
    reasons = []
    for _ in range(3):
        found = table(lines_named(("gpt2",)), OPTIONS, lambda _: None, kept)
        reasons.append(found["steps"][0]["reason"])
        short[:] = [False] if len(reasons) < 2 else []  # a third training would find nothing to take
    assert reasons == ["RuntimeError: CUDA out of memory.", "", ""]


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
