"""Measuring speed with random weights, at a size that takes seconds: what is counted, restart, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from baselines.contract import UserError
from benchmarks.cli.main import main
from benchmarks.planning.run_config import gather
from benchmarks.speed import lines, profiles, schema, timed_steps, work
from benchmarks.speed import measure_all as runs
from benchmarks.timing import ceilings
from cosmos.recipes import RECIPES
from cosmos.runtime.call_count import add_calls

SMALL = ("--length", "16", "--vocabulary", "300", "--seconds", "0.01", "--steps", "2", "--device", "cpu")


@pytest.fixture(autouse=True, scope="module")
def small_ceilings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceilings, "MATRIX", {"cpu": 64})
        patch.setattr(ceilings, "COPY_BYTES", {"cpu": 1 << 16})
        yield


def speed(folder: Path, *words: str) -> int:
    return main(["speed", *SMALL, "--out", str(folder), *words])


def options_of(*batches: int, **flags: str) -> lines.SpeedOptions:
    return lines.SpeedOptions(gather(flags), batches or (1,), length=16, vocabulary=300, seconds=0.01, training=False)


# -- what is counted ----------------------------------------------------------------------------------------------


class Attending(torch.nn.Module):
    """A matrix product, and attention to a cache that grows by a position a call."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 8, bias=False)
        self.cache = torch.zeros(1, 1, 0, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.cache = torch.cat([self.cache, x[:, None]], 2)
        attended = functional.scaled_dot_product_attention(x[:, None], self.cache, self.cache)
        return self.linear(attended[:, 0])


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 9])
def test_operations_of_a_growing_cache_are_exact(calls: int) -> None:
    network = Attending()
    found = work.count({"net": network}, lambda: [network(torch.randn(1, 1, 8)) for _ in range(calls)])
    assert found.calls == {"net": calls}
    positions = calls * (calls + 1) / 2
    assert found.flops == calls * 2 * 8 * 8 + positions * 4 * 8  # two products with the cache, 2 * 8 each a position
    assert found.attended == positions * 2 * 8 * 4  # keys and values, float32
    assert network._compiled_call_impl is None  # nothing stays changed


def test_what_is_done_in_a_networks_place_is_counted_too() -> None:
    """A network whose counters are told of calls that another makes."""
    told, does = torch.nn.Identity(), torch.nn.Linear(4, 4, bias=False)

    def generate() -> None:
        for _ in range(5):
            does(torch.ones(1, 4))
            add_calls(told, 1)

    found = work.count({"net": told}, generate)
    assert found.calls == {"net": 5}
    assert found.flops == 5 * 2 * 4 * 4
    assert work.arguments({"net": told}, generate, found.calls) == {}


@pytest.mark.parametrize("calls", [1, 7])
def test_what_is_done_once_beside_the_calls_is_counted_once(calls: int) -> None:
    network, before = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 3, bias=False)

    def generate() -> None:
        rows = before(torch.ones(calls, 4))
        for row in rows:
            network(torch.ones(1, 4) + row.sum())

    found = work.count({"net": network}, generate)
    assert found.elsewhere == calls * 2 * 4 * 3
    assert found.flops == found.elsewhere + calls * 2 * 4 * 4


def test_a_network_that_is_not_called_costs_nothing() -> None:
    network = torch.nn.Linear(2, 2)
    assert work.count({"net": network}, lambda: None).flops == 0.0


def test_arguments_are_copies_of_the_call_half_way() -> None:
    network, values = torch.nn.Identity(), torch.arange(9.0)
    networks: dict[str, Any] = {"net": network}

    def generate() -> None:
        for place in range(9):
            network(values[place : place + 1])

    found = work.arguments(networks, generate, {"net": 9})
    values.zero_()
    assert found["net"].positional[0].tolist() == [4.0]
    shorter = work.arguments(networks, lambda: [network(torch.full((1,), n)) for n in range(3)], {"net": 200})
    assert shorter["net"].positional[0].tolist() == [1]


def test_a_call_that_hands_on_an_object_is_left_out() -> None:
    class Takes(torch.nn.Module):
        def forward(self, x: torch.Tensor, cache: object) -> torch.Tensor:
            return x

    network = Takes()
    assert work.arguments({"net": network}, lambda: network(torch.zeros(1), object()), {"net": 1}) == {}


# -- entries ------------------------------------------------------------------------------------------------------


def test_the_table_has_every_trained_system_and_what_the_bars_need() -> None:
    made = lines.entries(lines.SpeedOptions(gather({"preset": "nano"})), "cpu", "float32")
    subjects = [entry.subject for entry in made]
    assert {s.system for s in subjects} == {
        "cosmos-16", "cosmos-full", "gpt2", "mdlm", "duo", "sedd", "tencdm", "ld4lg", "diffuseq",
    }  # fmt: skip
    assert {s.batch for s in subjects if s.kind == "generation"} == {1, 8, 64, 512}
    cosmos = {(s.system, s.values.get("steps")) for s in subjects}
    assert {(n, steps) for n in ("cosmos-16", "cosmos-full") for steps in (200, 50, 10)} <= cosmos
    mdlm = {s.values["steps"] for s in subjects if s.system == "mdlm"}
    assert {64, 16} <= mdlm
    trained = {(s.system, s.what, s.batch) for s in subjects if s.kind == "training"}
    nano = RECIPES["nano"]
    sizes = nano.diffusion_training.batch_size, nano.autoencoder_training.batch_size
    assert trained == {("cosmos-full", "diffusion", sizes[0]), ("cosmos-16", "autoencoder", sizes[1])}
    assert len({s.key for s in subjects}) == len(subjects)


def test_an_entry_is_captured_where_the_device_can() -> None:
    made = lines.entries(options_of(system="cosmos", preset="nano"), "cuda", "bfloat16")
    assert {entry.subject.capture for entry in made} == {"graph"}
    both = replace(options_of(system="cosmos", preset="nano"), capture=("off", "compile"))
    captures = [e.subject.capture for e in lines.entries(both, "cpu", "float32")]
    assert captures == ["off", "compile"] * (len(captures) // 2)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"system": "copy"}, "cannot be timed without a training"),
        ({"system": "gpt3"}, "gpt2"),
        ({"system": "gpt2", "preset": "huge"}, "huge"),
        ({"system": "gpt2", "setting": "gredy"}, "greedy"),
    ],
)
def test_names_are_checked_before_anything_is_measured(flags: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        lines.entries(options_of(**flags), "cpu", "float32")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batch", "0"), "--batch must name sizes"),
        (("--length", "2"), "--length must be at least 4"),
        (("--vocabulary", "ten"), "--vocabulary must be a whole number"),
        (("--capture", "grph"), "graph"),
        (("--seconds", "0"), "--seconds must be positive"),
        (("--dtype", "float16"), "bfloat16"),
        (("--set", "gpt3.recipe.width=8"), "key of --set"),
        (("--set", "gpt2.recipe.widht=8"), "width"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speed(tmp_path / "out", "--system", "gpt2", *words) == 2
    complaint = capsys.readouterr().err
    assert said in complaint and complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


# -- a run --------------------------------------------------------------------------------------------------------


SHALLOW = (
    "gpt2.recipe.layers=2", "cosmos.recipe.model.denoiser.layers=2", "cosmos.recipe.model.autoencoder.layers=1",
    "mdlm.recipe.trunk.layers=2", "ld4lg.recipe.denoiser.layers=2", "ld4lg.recipe.decoder_layers=1",
)  # fmt: skip
FOUR = (
    "--system", "gpt2,cosmos,mdlm,ld4lg", "--setting", "gpt2:greedy", "--batch", "1,3", "--no-training",
    *(word for change in SHALLOW for word in ("--set", change)),
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, schema.Speed]:
    folder = tmp_path_factory.mktemp("speed")
    assert speed(folder, *FOUR) == 0
    return folder, schema.read_records(folder)


def test_a_run_measures_every_system_and_says_that_weights_are_random(
    measured: tuple[Path, schema.Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, found = measured
    assert found.ceilings is not None and found.ceilings.matrix_flops_per_second > 0
    assert {r.subject.system for r in found.measured} == {"gpt2", "cosmos", "mdlm", "ld4lg"}
    for record in found.measured:
        assert (record.status, record.weights) == ("done", "random weights")
        assert len(record.seconds) >= 3 and len(record.preparation) >= 2 and min(record.seconds) > 0
        assert record.tokens == record.subject.batch * 15
        assert record.flops and record.bytes_read
        assert record.made["device"]["name"]
    by = {(r.subject.system, r.subject.batch): r for r in found.measured}
    assert by["gpt2", 1].calls == {"gpt2": 15}
    assert by["mdlm", 3].calls == {"mdlm": 2}
    assert by["cosmos", 1].calls == {"denoiser": 2, "decompressor": 1}
    assert by["ld4lg", 1].calls["decoder"] == 15
    assert set(by["cosmos", 3].parts) == {"denoiser", "decompressor"}
    assert by["cosmos", 3].flops == 3 * (by["cosmos", 1].flops or 0)
    for name in ("speed.md", "speed.tex", "speed.html"):
        assert "random weights" in (folder / name).read_text().replace("{}", "")


def test_a_profile_tells_the_operations_of_a_generation_and_of_its_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--system", "cosmos,gpt2", "--setting", "cosmos:release-200,gpt2:generate-greedy", "--batch", "2")
    assert speed(tmp_path, *words, "--profile") == 0
    said = capsys.readouterr()
    assert f"kernels: {tmp_path / profiles.FILE}" in said.out
    found = json.loads((tmp_path / profiles.FILE).read_text())
    cosmos, gpt2 = (next(found[name] for name in found if name.startswith(system)) for system in ("cosmos", "gpt2"))
    assert set(cosmos) == {"generation", "denoiser", "decompressor"}
    assert list(gpt2) == ["generation"]  # its call is handed an object that cannot be given twice
    for kernels in (*cosmos.values(), *gpt2.values()):
        seconds = [kernel["seconds"] for kernel in kernels]
        assert seconds == sorted(seconds, reverse=True) and all(value > 0 for value in seconds)
        assert sum(kernel["share"] for kernel in kernels) == pytest.approx(1, abs=0.35)  # the longest of all
        assert any("mm" in kernel["name"] for kernel in kernels)
    assert "decompressor: " in said.err and not (tmp_path / schema.FILE).exists()


def test_what_is_on_disk_is_not_measured_again(measured: tuple[Path, schema.Speed]) -> None:
    folder, found = measured
    lines_before = (folder / schema.FILE).read_bytes().splitlines(keepends=True)
    kept = [line for line in lines_before if b'"system":"ld4lg"' not in line]
    # The run was killed while it wrote a record.
    (folder / schema.FILE).write_bytes(b"".join(kept) + lines_before[-1][:30])
    assert speed(folder, *FOUR) == 0
    after = (folder / schema.FILE).read_bytes().splitlines(keepends=True)
    assert after[: len(kept)] == kept != lines_before
    assert {r.subject.key for r in schema.read_records(folder).measured} == found.keys
    assert len(after) == len(lines_before)


def test_another_machine_is_refused(
    measured: tuple[Path, schema.Speed], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = measured
    capsys.readouterr()
    monkeypatch.setattr(runs, "alike", lambda one, other: False)
    assert speed(folder, "--system", "gpt2", "--batch", "1", "--no-training") == 2
    assert "another machine" in capsys.readouterr().err


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, stage: str, share: float, loss: float | None) -> None: ...


def run(
    folder: Path, entries: Sequence[lines.PlannedTiming], asked: lines.SpeedOptions
) -> tuple[schema.Speed, list[str]]:
    voice = Told()
    return runs.run(entries, asked, folder, "cpu", "float32", voice), voice.lines


def test_a_failure_is_recorded_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = options_of(1, 2, system="gpt2", preset="nano", setting="greedy")
    entries = lines.entries(asked, "cpu", "float32")
    assert [entry.subject.batch for entry in entries] == [1, 2]
    system = entries[0].system
    generate = system.generate

    def short_of_memory(self: Any, requests: Any, setting: Any) -> Any:
        if len(requests) == 1 and short_of_memory.begun:  # type: ignore[attr-defined]
            raise RuntimeError("CUDA out of memory. Tried to allocate 1 TB.\nmore lines")
        short_of_memory.begun = True  # type: ignore[attr-defined]
        return generate(self, requests, setting)

    short_of_memory.begun = False  # type: ignore[attr-defined]  # the first call, which counts, may pass
    monkeypatch.setattr(system, "generate", short_of_memory)
    found, said = run(tmp_path, entries, asked)
    assert [record.status for record in found.measured] == ["failed", "done"]
    assert found.measured[0].reason.startswith("out of memory (RuntimeError: CUDA out of memory. Tried")
    assert "\n" not in found.measured[0].reason
    assert any("failed: out of memory" in line for line in said)
    again, said = run(tmp_path, entries, asked)
    assert len(again.measured) == 2 and not any("gpt2" in line for line in said)


def test_a_batch_that_was_measured_counts_though_its_calls_could_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = options_of(1, system="mdlm", preset="nano", steps="2")
    entries = lines.entries(asked, "cpu", "float32")[:1]

    def refuse(*_: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(entries[0].system, "repeated", refuse)
    found, _ = run(tmp_path, entries, asked)
    assert (found.measured[0].status, found.measured[0].parts) == ("done", {})
    assert found.measured[0].reason == "no single call was timed: RuntimeError: no such kernel"


def test_a_system_that_cannot_be_built_fails_in_all_its_entries(tmp_path: Path) -> None:
    asked = options_of(1, 2, system="tencdm", preset="nano")
    asked = replace(asked, choices=replace(asked.choices, changes={"tencdm.recipe.text_encoder": "some/encoder"}))
    found, _ = run(tmp_path, lines.entries(asked, "cpu", "float32"), asked)
    assert [record.status for record in found.measured] == ["failed", "failed"]
    assert "some/encoder" in found.measured[1].reason


@pytest.mark.parametrize("stage", ["autoencoder", "diffusion"])
def test_training_steps_are_those_of_the_projects_own_loop(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed_steps, "SHORT", timed_steps.StepCounts(2, 3, 1))
    monkeypatch.setattr(runs, "BATCHES_OF_ROWS", 1)
    asked = replace(options_of(system="cosmos", preset="nano"), training=True)
    monkeypatch.setattr(lines, "TRAINING", (("cosmos", stage),))
    entry = next(e for e in lines.entries(asked, "cpu", "float32") if e.subject.kind == "training")
    assert entry.subject.batch == getattr(entry.recipe, f"{stage}_training").batch_size
    entries = [
        replace(entry, subject=replace(entry.subject, batch=batch), recipe=shallow(entry.recipe, batch, stage))
        for batch in (8, 4)
    ]
    many, few = run(tmp_path, entries, asked)[0].measured
    assert (many.status, few.status) == ("done", "done")
    assert 0 < len(many.seconds) <= 3 and min(many.seconds) > 0
    assert many.flops is not None and few.flops is not None and many.flops > few.flops > 0
    assert many.tokens == 8 * 16


def shallow(recipe: Any, batch: int, stage: str) -> Any:
    """The recipe with as few layers as can be, and a batch size."""
    model = recipe.model
    autoencoder = replace(model.autoencoder, layers=1)
    smaller = replace(model, autoencoder=autoencoder, denoiser=replace(model.denoiser, layers=2))
    training = f"{stage}_training"
    return replace(recipe, model=smaller, **{training: replace(getattr(recipe, training), batch_size=batch)})


def test_ceilings_count_a_copy_twice_and_a_product_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_seconds", lambda run, clock: 0.5)
    found = ceilings.measure("cpu", "bfloat16")
    assert found.matrix_flops_per_second == 2 * 64**3 / 0.5
    assert found.copy_bytes_per_second == 2 * (1 << 16) / 0.5


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / schema.FILE).write_text('{"schema":1,"kind":"generation"}\n')
    with pytest.raises(UserError, match=r"speed.jsonl is damaged"):
        schema.read_records(tmp_path)
    (tmp_path / schema.FILE).write_text('{"schema":99,"kind":"ceilings"}\n')
    with pytest.raises(UserError, match="schema 99"):
        schema.read_records(tmp_path)


def test_help_names_the_systems_that_are_measured_by_default() -> None:
    from benchmarks.cli import speed as verb
    from benchmarks.speed.lines import LINES

    assert [line.system for line in LINES] == verb._DEFAULT.split(",")
