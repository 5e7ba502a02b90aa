"""The report of speed: bars from records made up here, tables in three languages, failures with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.records.files import write_lines
from benchmarks.speed.schema import FILE, Ceilings, Speed, SpeedRecord, Subject, read_records, to_line
from reports.speed import figure, report
from reports.speed.bars import bars, excess, shares

MADE = {
    "commit": "0123456789abcdef",
    "dirty": False,
    "packages": {"torch": "2.11"},
    "device": {"name": "a GPU", "memory_bytes": 80 * 10**9, "sm_clock_mhz": 1980.0},
}
CEILINGS = Ceilings(8e14, 4e12, 8192, 1 << 32, "bfloat16", MADE)


def record(
    system: str,
    what: str,
    batch: int,
    seconds: float,
    values: Mapping[str, Any] | None = None,
    kind: Any = "generation",
    recipe: Mapping[str, Any] | None = None,
    **more: Any,
) -> SpeedRecord:
    subject = Subject(
        kind=kind,
        system=system,
        preset="base",
        recipe=dict(recipe or {}),
        what=what,
        values=dict(values or {}),
        batch=batch,
        length=128,
        vocabulary=30522,
        dtype="bfloat16",
        device="cuda",
    )
    return SpeedRecord(subject, "done", "2026-01-01", MADE, seconds=(seconds,) * 5, preparation=(1.0,), **more)


def cosmos(
    latents: int, batch: int, seconds: float, step: float, calls: int = 10, capture: str = "graph"
) -> SpeedRecord:
    return record(
        f"ours-{latents}",
        f"release-{calls}",
        batch,
        seconds,
        {"steps": calls, "capture": capture},
        recipe={"model": {"autoencoder": {"latents": latents}}},
        calls={"denoiser": calls, "decompressor": 1},
        parts={"denoiser": step, "decompressor": 0.001},
        flops=1e12,
        bytes_read=1e9,
        tokens=127 * batch,
        method="cosmos",
    )


def training(stage: str, latents: int, seconds: float, **recipe: Any) -> SpeedRecord:
    sizes = {"model": {"autoencoder": {"latents": latents}}, **recipe}
    return record(f"ours-{latents}", stage, 512, seconds, kind="training", recipe=sizes, flops=1e14, method="cosmos")


def verdicts(*measured: SpeedRecord) -> dict[str, tuple[str, str]]:
    return {bar.what: (bar.verdict, bar.measured) for bar in bars(Speed(CEILINGS, measured))}


def test_without_measurements_no_bar_is_judged() -> None:
    found = verdicts()
    assert len(found) == 10
    assert {verdict for verdict, _ in found.values()} == {"not measured"}


def test_the_static_cache_is_compared_with_generate_that_chooses_alike() -> None:
    greedy, drawn = {"greedy": True, "top_p": 1.0}, {"greedy": False, "top_p": 1.0}
    found = verdicts(
        record("gpt2", "generate-greedy", 1, 0.8, greedy),
        record("gpt2", "greedy", 1, 0.2, {**greedy, "capture": "off"}),
        record("gpt2", "greedy", 1, 0.1, {**greedy, "capture": "graph"}),
        record("gpt2", "sample", 1, 0.01, {**drawn, "capture": "graph"}),
        record("gpt2", "generate-greedy", 512, 2.4, greedy),
        record("gpt2", "greedy", 512, 1.0, {**greedy, "capture": "graph"}),
    )
    assert found["static cache against generate at batch 1 (generate-greedy)"] == ("held", "8.00 times")
    assert found["static cache against generate at batch 512 (generate-greedy)"] == ("missed", "2.40 times")


def test_a_step_is_judged_by_latents_and_batch_under_the_fastest_capture() -> None:
    found = verdicts(
        cosmos(16, 1, 0.01, 0.002, capture="off"),
        cosmos(16, 1, 0.01, 0.00045),
        cosmos(16, 512, 0.06, 0.0051),
        cosmos(128, 512, 0.3, 0.032),
    )
    assert found["one denoiser call of Cosmos with 16 latents at batch 1"] == ("held", "0.450 ms")
    assert found["one denoiser call of Cosmos with 16 latents at batch 512"] == ("missed", "5.10 ms")
    assert found["one denoiser call of Cosmos with 128 latents at batch 512"] == ("held", "32.0 ms")
    assert found["one decompressor call of Cosmos with 16 latents at batch 512"] == ("held", "1.00 ms")
    assert found["one decompressor call of Cosmos with 16 latents at batch 64"] == ("not measured", "")
    slow = replace(cosmos(16, 64, 0.06, 0.001), parts={"denoiser": 0.001, "decompressor": 0.0034})
    assert verdicts(slow)["one decompressor call of Cosmos with 16 latents at batch 64"] == ("missed", "3.40 ms")


def test_the_worst_batch_tells_how_far_the_whole_is_beyond_its_parts() -> None:
    good, bad = cosmos(16, 1, 0.0115, 0.001), cosmos(16, 8, 0.0123, 0.001)
    assert excess(good) == pytest.approx(0.0115 / 0.011 - 1)
    what = "generating with Cosmos against its network calls by themselves (worst: 16 latents, release-10, batch {})"
    assert verdicts(good)[what.format(1)] == ("held", "4.55 %")
    assert verdicts(good, bad)[what.format(8)] == ("missed", "11.8 %")
    slower = replace(cosmos(16, 8, 0.5, 0.001, capture="off"), parts={"denoiser": 0.001, "decompressor": 0.001})
    assert verdicts(good, bad, slower)[what.format(8)] == ("missed", "11.8 %")  # only the fastest capture counts
    assert excess(replace(good, parts={"denoiser": 0.001})) is None


def test_training_is_judged_by_the_measured_ceiling_and_full_means_every_position() -> None:
    found = verdicts(training("diffusion", 16, 0.5, full=True), training("autoencoder", 16, 0.5))
    assert found["training step of the diffusion stage of Cosmos with 128 latents"] == ("missed", "25.0 %")
    assert found["training step of the autoencoder stage of Cosmos with 16 latents"] == ("missed", "25.0 %")
    found = verdicts(training("diffusion", 128, 0.35), training("autoencoder", 16, 0.40))
    assert {verdict for what, (verdict, _) in found.items() if "training" in what} == {"held"}


@pytest.mark.parametrize(("system", "method"), [("cosmos-16", "cosmos"), ("cosmos", "cosmos"), ("duo", "duo")])
def test_a_record_of_before_methods_is_read_by_the_name_of_its_system(system: str, method: str, tmp_path: Path) -> None:
    old = {**to_line(record(system, "greedy", 1, 0.1)), "schema": 1}
    del old["method"], old["seal"]
    write_lines(tmp_path / FILE, [old])
    assert [one.method for one in read_records(tmp_path).measured] == [method]
    write_lines(tmp_path / FILE, [to_line(record("cosmos-like", "greedy", 1, 0.1, method="mine"))])
    assert [one.method for one in read_records(tmp_path).measured] == ["mine"]


def test_a_duration_that_was_changed_is_refused(tmp_path: Path) -> None:
    line = to_line(record("gpt2", "greedy", 1, 0.1))
    write_lines(tmp_path / FILE, [{**line, "seconds": [each / 100 for each in line["seconds"]]}])
    with pytest.raises(UserError, match=r"A line of .*speed\.jsonl was changed after it was written"):
        read_records(tmp_path)


def test_other_presets_are_not_judged() -> None:
    nano = cosmos(16, 1, 0.01, 0.0001)
    nano = replace(nano, subject=replace(nano.subject, preset="nano"))
    assert {verdict for verdict, _ in verdicts(nano).values()} == {"not measured"}


def test_shares_are_of_the_measured_ceilings() -> None:
    one = replace(cosmos(16, 1, 0.01, 0.001), flops=8e11, bytes_read=1e10)
    assert shares(one, CEILINGS) == pytest.approx((0.1, 0.25))
    assert shares(one, None) is None


def test_repeats_are_told_by_their_median_and_tenths_in_whatever_order_they_came() -> None:
    seconds = (0.004, 0.001, 0.003, 0.002)
    measured = tuple(replace(cosmos(16, batch, 1.0, 0.001), seconds=seconds) for batch in (1, 512))
    [table, *_] = report.tables(Speed(CEILINGS, measured))
    told = table.blocks[0].rows[0].cells[0]
    assert told.value == pytest.approx(2.5) and told.interval == "[1.30, 3.70]"
    [line] = figure.named(Speed(CEILINGS, measured))
    assert line.y == pytest.approx([400, 512 / 0.0025])
    assert line.bars[0] == pytest.approx((1 / 0.0037, 1 / 0.0013))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    measured = [
        cosmos(16, 1, 0.0115, 0.001),
        replace(cosmos(16, 512, 0.06, 0.005), peak_bytes=12_000_000_000, seconds=(0.06, 0.07)),
        replace(record("duo", "ancestral_32", 512, 1.0), status="failed", reason="out of memory (too & <much>)"),
        training("diffusion", 128, 0.35),
    ]
    write_lines(tmp_path / FILE, map(to_line, [CEILINGS, *measured]))
    return tmp_path


def test_records_come_back_as_they_were_written(folder: Path) -> None:
    found = read_records(folder)
    assert found.ceilings == CEILINGS
    assert found.measured[0] == cosmos(16, 1, 0.0115, 0.001)


def test_every_language_has_the_numbers_the_bars_and_the_warnings(folder: Path) -> None:
    written = report.write(folder)
    for kind, path in written.items():
        text = path.read_text().replace("{}", "")
        for part in ("random weights", "no quality", "11.5", "only their ratios", "out of memory", "12.0"):
            assert part in text, (kind, part)
    assert "<much>" not in written["html"].read_text()
    assert "too \\& " in written["latex"].read_text().replace("{}", "")
    for kind in ("markdown", "html"):
        text = written[kind].read_text()
        assert "27.5 %" in text and "800 TFLOP/s" in text and "a GPU, 80 GB" in text


def test_the_terminal_shows_rows_failures_and_bars(folder: Path) -> None:
    text = report.terminal(folder)
    row = next(line for line in text.splitlines() if line.startswith("ours-16, released sampler, 10 steps, graph"))
    assert row.split()[6:] == ["11.5", "87.0", "10", "+", "1", "1.00", "+", "1.00", "–", "10.9", "2.17"]
    assert "failed: out of memory" in text
    assert "held: generating with Cosmos" in text or "missed: generating with Cosmos" in text


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no measurement yet"):
        report.write(tmp_path)
