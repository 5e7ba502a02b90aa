"""The table [gate]: margins by metric, defaults by direction and scale, and every way to write it wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.metrics import find
from benchmarks.planning import gate_margins
from benchmarks.planning.gate_margins import Margin, Margins
from benchmarks.planning.run_config import gather, read_config
from benchmarks.records.schema import Direction, Score, Signature


def score(metric: str, value: float = 0.5, values: tuple[float, ...] | None = None, **changed: Any) -> Score:
    """A score as a record has it, with the definition of the metric."""
    known = find(metric)
    direction: Direction = known.direction
    signature = Signature(metric, "1", "somebody")
    return Score(
        metric, value, None, None, None, 9, 9, direction, signature, values=values, summary=known.summary, **changed
    )


@pytest.mark.parametrize(
    ("metric", "margin"),
    [
        ("exact_facts", Margin(0.02)),
        ("rouge_l", Margin(0.02)),
        ("sim", Margin(0.02)),  # -1 to 1
        ("bleu", Margin(2.0)),
        ("chrf", Margin(2.0)),
        ("perplexity", Margin(0.02, relative=True)),
        ("nll", Margin(0.02, relative=True)),
        ("length", None),
        ("mauve_human", None),
    ],
)
def test_the_default_follows_direction_and_scale(metric: str, margin: Margin | None) -> None:
    assert Margins().of(score(metric)) == margin


def test_a_scale_that_no_summary_states_is_that_of_the_values() -> None:
    assert Margins().of(score("j", values=(0.0, 0.4, 1.0))) == Margin(0.02)
    assert Margins().of(score("perplexity", values=(12.0, 40.0))) == Margin(0.02, relative=True)


def test_a_relative_margin_is_of_the_baselines_value() -> None:
    assert Margin(0.02, relative=True).of(40.0) == pytest.approx(0.8)
    assert Margin(0.02, relative=True).of(-40.0) == pytest.approx(0.8)
    assert Margin(0.02).of(40.0) == 0.02


def test_a_table_is_read() -> None:
    table = {"exact_j": 0.05, "bleu": "3 %", "chrf": False, "others": False, "speed": "10%", "calls": 0}
    margins = gate_margins.read(table, "plan.toml")
    assert margins.of(score("exact_j", values=(1.0, 0.0))) == Margin(0.05, stated=True)
    assert margins.of(score("bleu")) == Margin(0.03, relative=True, stated=True)
    assert margins.of(score("chrf")) is None and margins.of(score("rouge_l")) is None
    assert margins.speed == Margin(0.1, relative=True, stated=True)
    assert margins.calls == Margin(0.0, relative=True, stated=True)
    assert gate_margins.read({"speed": False}, "x").speed is None


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"exact_jj": 1}, "Unknown metric of [gate] in plan.toml 'exact_jj'; did you mean exact_j"),
        ({"bleu": -1}, "gate.bleu in plan.toml must be a number that is not negative"),
        ({"bleu": "-1%"}, "gate.bleu in plan.toml must be a number that is not negative"),
        ({"bleu": float("nan")}, "gate.bleu in plan.toml must be a number"),
        ({"bleu": float("inf")}, "gate.bleu in plan.toml must be a number"),
        ({"bleu": True}, "gate.bleu in plan.toml must be a number"),
        ({"bleu": [2]}, "gate.bleu in plan.toml must be a number"),
        ({"bleu": {"x": 2}}, "gate.bleu in plan.toml must be a number"),
        ({"speed": "schnell €"}, "gate.speed in plan.toml must be a number"),
        ({"length": 1}, "gate.length in plan.toml has no effect: neither more nor less of length is better"),
        ({"others": "maybe"}, "gate.others in plan.toml must be true or false, not 'maybe'."),
        (["bleu"], "[gate] in plan.toml must be a table of margins"),
        (2, "[gate] in plan.toml must be a table of margins"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(table: Any, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        gate_margins.read(table, "plan.toml")
    assert str(error.value).startswith(sentence)


def test_the_table_changes_no_run_and_is_checked_by_all(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('task = "detox"\n[data]\ntrain = 9\n[gate]\nbleu = 1.5\n')
    assert gather({}, config=str(file)).changes == {"data.train": 9}
    assert read_config(file)["gate"] == {"bleu": 1.5}
    file.write_text('task = "detox"\n[gate]\nblue = 1.5\n')
    with pytest.raises(UserError, match="Unknown metric of"):
        gather({}, config=str(file))
    file.write_text('task = "detox"\ngate = 3\n')
    with pytest.raises(UserError, match="must be a table of margins"):
        gather({}, config=str(file))
