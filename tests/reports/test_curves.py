"""Curves of settings: which entries are one, what is said of them, and that nothing is read beyond their ends."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

import reports
from reports import content
from reports.curves.equal import on_equal_terms
from reports.curves.knobs import curves_of


def cell(fake, system, setting, values, quality, milliseconds, *, spread=0.0):
    """A done cell: per-text scores around a quality, and six timed batches of ten texts, each text taking so long."""
    known = {"cosmos": "fast", "gpt2": "greedy", "mdlm": "steps-8"}[system]
    fake.add(system, known)
    header, samples, timings, scores = fake.cells[-1]
    header = replace(header, cell=replace(header.cell, setting=setting, setting_values=values))
    each = quality + spread * np.where(np.arange(fake.texts) % 2, 1.0, -1.0)
    first = replace(scores[0], value=float(each.mean()), values=tuple(map(float, each)))
    timed = [
        replace(one, seconds=milliseconds / 100 * (1.01 if one.index % 2 else 0.99)) if one.kind == "batch" else one
        for one in timings
    ]
    fake.cells[-1] = (header, samples, timed, [first, *scores[1:]])


@pytest.fixture
def steps(fake_run):
    """cosmos at 4, 16 and 64 steps: 1, 4 and 16 ms a text, of quality 0.2, 0.6 and 0.7; gpt2 at two nuclei."""
    fake_run.with_encoder = ()
    for count, quality, milliseconds in ((16, 0.6, 4), (4, 0.2, 1), (64, 0.7, 16)):
        values = {"solver": "a", "steps": count, "guided": False, "window": [0, 1]}
        cell(fake_run, "cosmos", f"any-name-{quality}", values, quality, milliseconds)
    return fake_run


def section(fake, folder):
    run = fake.write(folder)
    return content.build(run, run / "report").sections[0]


def test_declared_values_make_a_curve_and_names_do_not(steps, tmp_path):
    for setting, values in (
        ("any-name-8", {"solver": "b", "steps": 8, "guided": False, "window": [0, 1]}),
        ("any-name-9", {"solver": "a", "steps": 9, "guided": True, "window": [0, 1]}),
        ("any-name-10", {"solver": "a", "steps": 10, "guided": False, "window": [0, 2]}),
        ("any-name-11", {"solver": "a", "guided": False, "window": [0, 1]}),
    ):
        cell(steps, "cosmos", setting, values, 0.5, 2)
    cell(steps, "gpt2", "x", {"top_p": 0.9, "temperature": 1.0}, 0.5, 2)
    cell(steps, "gpt2", "y", {"top_p": 1.0, "temperature": 1.0}, 0.5, 2)
    cell(steps, "gpt2", "z", {"top_p": 1.0, "temperature": 0.7}, 0.5, 2)
    found = [
        (curve.system, curve.knob, curve.values) for curve in curves_of(section(steps, tmp_path / "r").panel.trained)
    ]
    assert found == [
        ("cosmos", "steps", (4, 16, 64)),
        ("gpt2", "top_p", (0.9, 1.0)),
        ("gpt2", "temperature", (0.7, 1.0)),
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([("5 steps", {"steps": 5}), ("20 steps", {"steps": 20})], "Cosmos (8 latents, 5 to 20 steps)"),
        (
            [("stochastic solver, 5 steps", {"steps": 5}), ("stochastic solver, 20 steps", {"steps": 20})],
            "Cosmos (8 latents, stochastic solver, 5 to 20 steps)",
        ),
        ([("nucleus 0.9", {"top_p": 0.9}), ("sampled", {"top_p": 1.0})], "Cosmos (8 latents, nucleus 0.9 to 1)"),
        ([("guidance 2", {"guidance": 2.0}), ("", {"guidance": 1.0})], "Cosmos (8 latents, guidance 1 to 2)"),
    ],
)
def test_a_curve_has_a_name_that_reads(fake_run, tmp_path, settings, expected):
    for place, (title, values) in enumerate(settings):
        cell(fake_run, "cosmos", f"any-{place}", values, 0.5, 2 + place)
        header, *rest = fake_run.cells[-1]
        fake_run.cells[-1] = (replace(header, titles={"system": "Cosmos, 8 latents", "setting": title}), *rest)
    (curve,) = curves_of(section(fake_run, tmp_path / "r").panel.trained)
    assert curve.name == expected


def test_a_setting_that_says_no_temperature_has_that_of_the_model(steps, tmp_path):
    for temperature in (0.5, 0.8):
        values = {"solver": "a", "steps": 16, "guided": False, "window": [0, 1], "temperature": temperature}
        cell(steps, "cosmos", f"cold-{temperature}", values, 0.5, 4)
    found = [(curve.knob, curve.values) for curve in curves_of(section(steps, tmp_path / "r").panel.trained)]
    assert found == [("steps", (4, 16, 64)), ("temperature", (0.5, 0.8, 1.0))]


def test_no_two_curves_have_one_name(steps, tmp_path):
    for count in (8, 32):
        cell(steps, "cosmos", f"other-{count}", {"solver": "b", "steps": count}, 0.5, count)
    for count in (4, 64):
        cell(steps, "cosmos", f"third-{count}", {"solver": "c", "steps": count}, 0.5, count)
    names = [curve.name for curve in curves_of(section(steps, tmp_path / "r").panel.trained)]
    assert names[1] == "cosmos (8 to 32 steps)"
    assert names[2] == "cosmos (4 to 64 steps, settings third-4 to third-64)" and len(set(names)) == 3


def test_another_training_is_another_curve(steps, tmp_path):
    steps.change(0, recipe={"width": 256})
    (curve,) = curves_of(section(steps, tmp_path / "r").panel.trained)
    assert curve.values == (4, 64)


def test_equal_time_and_equal_quality_are_read_between_the_points(steps, tmp_path):
    """In 2 ms the curve reaches 0.4, which is 0.1 less than gpt2 has then; to gpt2's 0.5 it takes sqrt(8) ms."""
    cell(steps, "gpt2", "greedy", {"greedy": True}, 0.5, 2)
    made = section(steps, tmp_path / "run")
    (terms,) = on_equal_terms(made.panel)
    assert terms.quality.value == pytest.approx(0.4, abs=2e-3)
    assert terms.ahead.value == pytest.approx(-0.1, abs=2e-3)
    assert terms.milliseconds.value == pytest.approx(8**0.5, rel=0.01)
    assert terms.times_as_fast.value == pytest.approx(2 / 8**0.5, rel=0.01)
    assert terms.ahead.low <= terms.ahead.value <= terms.ahead.high < 0
    assert "behind gpt2 (greedy) (−0.1" in made.curves_said[0]
    [table] = [table for table in made.tables if table.name.startswith("curves")]
    [block] = table.blocks
    assert [row.title for row in block.rows] == ["gpt2"]


@pytest.mark.parametrize(
    ("quality", "milliseconds", "by_time", "by_quality"),
    [
        (0.8, 2, None, "not reached by any of its settings"),
        (0.1, 2, None, "not measured: its fastest setting is better already"),
        (0.5, 0.5, "not measured: its fastest setting takes longer", None),
        (0.5, 32, "not measured: its slowest setting takes less", None),
    ],
)
def test_nothing_is_read_beyond_what_was_measured(steps, tmp_path, quality, milliseconds, by_time, by_quality):
    cell(steps, "gpt2", "greedy", {"greedy": True}, quality, milliseconds)
    made = section(steps, tmp_path / "run")
    (terms,) = on_equal_terms(made.panel)
    assert (terms.quality.reason, terms.ahead.reason) == (by_time, by_time)
    assert (terms.milliseconds.reason, terms.times_as_fast.reason) == (by_quality, by_quality)
    for one, reason in ((terms.ahead, by_time), (terms.times_as_fast, by_quality)):
        assert (one.value is None) == (reason is not None)


def test_near_an_end_there_is_no_interval_and_so_no_number(steps, tmp_path):
    cell(steps, "gpt2", "greedy", {"greedy": True}, 0.5, 1.0)
    (terms,) = on_equal_terms(section(steps, tmp_path / "run").panel)
    assert terms.ahead.value is None
    assert terms.ahead.reason.startswith("too near an end of the curve") or "takes longer" in terms.ahead.reason


def test_texts_are_paired_and_intervals_widen_with_their_spread(steps, tmp_path):
    """What is hard for all takes nothing from a comparison, and much from a quality by itself."""
    for place, (header, samples, timings, scores) in enumerate(steps.cells):
        each = scores[0].value + 0.2 * np.where(np.arange(steps.texts) % 2, 1.0, -1.0)
        steps.cells[place] = (header, samples, timings, [replace(scores[0], values=tuple(each)), *scores[1:]])
    cell(steps, "gpt2", "greedy", {"greedy": True}, 0.5, 2, spread=0.2)
    (terms,) = on_equal_terms(section(steps, tmp_path / "run").panel)
    assert terms.quality.high - terms.quality.low > 5 * (terms.ahead.high - terms.ahead.low)
    assert terms.ahead.high < 0


def test_a_lower_score_may_be_the_better_one(steps, tmp_path):
    cell(steps, "gpt2", "greedy", {"greedy": True}, 0.5, 2)
    for place, (header, samples, timings, scores) in enumerate(steps.cells):
        turned = replace(
            scores[0], direction="lower", value=1 - scores[0].value, values=tuple(1 - v for v in scores[0].values)
        )
        steps.cells[place] = (header, samples, timings, [turned, *scores[1:]])
    (terms,) = on_equal_terms(section(steps, tmp_path / "run").panel)
    assert terms.quality.value == pytest.approx(0.6, abs=2e-3)
    assert terms.ahead.value == pytest.approx(-0.1, abs=2e-3), "below 0 is behind, whichever way is better"


def test_timings_that_are_not_valid_make_no_curve(steps, tmp_path):
    cell(steps, "gpt2", "greedy", {"greedy": True}, 0.5, 2)
    for place in (0, 2):
        header, *rest = steps.cells[place]
        steps.cells[place] = (replace(header, verdict={"valid": False, "reasons": ["busy"]}), *rest)
    made = section(steps, tmp_path / "run")
    assert on_equal_terms(made.panel) == () and made.curves is None and made.curves_said == ()


def test_points_are_kept_for_whoever_draws_them(steps, tmp_path):
    cell(steps, "gpt2", "greedy", {"greedy": True}, 0.5, 2)
    run = steps.write(tmp_path / "run")
    written = reports.write(run)
    rows = list(csv.DictReader(io.StringIO(written["curves"].read_text())))
    assert [row["knob_value"] for row in rows] == ["4.0", "16.0", "64.0"]
    assert [float(row["milliseconds"]) for row in rows] == pytest.approx([1, 4, 16], rel=0.01)
    assert [float(row["quality"]) for row in rows] == pytest.approx([0.2, 0.6, 0.7])
    for kind in ("markdown", "html", "latex"):
        folder = written[kind].parent
        text = (folder / "tables.tex").read_text() if kind == "latex" else written[kind].read_text()
        assert "Quality at equal time and speed at equal quality" in text
    assert "In equal time, on J, cosmos (4 to 64 steps)" in " ".join(reports.terminal(run, 100).split())
    again = {name: path.read_bytes() for name, path in written.items() if path.is_file()}
    assert {name: path.read_bytes() for name, path in reports.write(run).items() if path.is_file()} == again


def test_a_run_without_a_curve_says_nothing_of_curves(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    written = reports.write(fake_run.write(tmp_path / "run"))
    assert "curves" not in written and "equal time" not in written["markdown"].read_text()
