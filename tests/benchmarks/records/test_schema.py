"""Records survive the way to disk and back, and identities depend on what they should."""

import dataclasses
import json

import pytest

from baselines.contract import UserError
from benchmarks.records.schema import (
    SCHEMA,
    Cell,
    Header,
    Network,
    SampleRecord,
    Score,
    Signature,
    TimingRecord,
    Training,
    difference,
    header_from_json,
    sample_from_json,
    score_from_json,
    timing_from_json,
    to_json,
)
from benchmarks.records.seals import sample_row

CELL = Cell(
    task="detox",
    task_version="1",
    source="world",
    data={"train": 10, "seed": 0},
    system="gpt2",
    preset="nano",
    recipe={"width": 8},
    budget="10steps",
    setting="greedy",
    setting_values={"temperature": 1.0},
    limit=None,
    batch_size=4,
    device="cpu",
    dtype="float32",
    seed=0,
)


def through_disk(value: object) -> dict:
    return json.loads(json.dumps(to_json(value)))


def test_header_round_trips() -> None:
    header = Header(
        cell=CELL,
        status="done",
        training=Training(10, 1.5, 2e9, 0.25, {"best_share": 0.5}),
        networks={"lm": Network(100, 90)},
        documents={"test": {"count": 3, "sha256": "ab"}},
        method="gpt",
        external_weights=("gpt2", "an-encoder"),
    )
    assert header_from_json(through_disk(header), "header.json") == header
    started = Header(cell=CELL, status="started")
    assert header_from_json(through_disk(started), "header.json") == started


def test_lines_round_trip() -> None:
    sample = SampleRecord("a", "text", 3, True, 7, {"lm": 4})
    assert sample_from_json(through_disk(sample)) == sample
    counted = dataclasses.replace(sample, entropy=1.25)
    assert sample_from_json(json.loads(json.dumps(sample_row(counted)))) == counted
    before = {key: value for key, value in through_disk(sample).items() if key != "entropy"}
    assert sample_row(sample) == before and sample_from_json(before) == sample
    with pytest.raises(UserError, match="entropy must be"):
        sample_from_json(before | {"entropy": -1.0})
    timing = TimingRecord("batch", 0, ("a", "b"), 0.5, {"lm": 4})
    assert timing_from_json(through_disk(timing)) == timing
    score = Score("j", 0.5, 0.4, 0.6, 0.95, 2, 2, "higher", Signature("j", "1", "x 1", {"k": 1}), None, (0.0, 1.0))
    assert score_from_json(through_disk(score)) == score
    said = dataclasses.replace(score, summary="What it says.", companions=("length", "sta"))
    assert score_from_json(through_disk(said)) == said
    before = {key: value for key, value in through_disk(score).items() if key not in ("summary", "companions")}
    assert score_from_json(before) == score
    absent = dataclasses.replace(score, value=None, low=None, high=None, values=None, reason="not run: no grammar")
    assert score_from_json(through_disk(absent)) == absent


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Cell)])
def test_every_field_is_part_of_the_identity(name: str) -> None:
    old = getattr(CELL, name)
    new = {"changed": 1} if isinstance(old, dict) else 5 if old is None or isinstance(old, int) else None
    new = new if new is not None else (*old, 7) if isinstance(old, tuple) else old + "x"
    assert dataclasses.replace(CELL, **{name: new}).id != CELL.id


def test_settings_share_a_checkpoint_and_recipes_do_not() -> None:
    assert dataclasses.replace(CELL, setting="sample", limit=3, batch_size=1).checkpoint_id == CELL.checkpoint_id
    assert dataclasses.replace(CELL, recipe={"width": 16}).checkpoint_id != CELL.checkpoint_id


def test_a_newer_schema_is_refused() -> None:
    data = through_disk(Header(cell=CELL, status="done")) | {"schema": SCHEMA + 1}
    with pytest.raises(UserError, match="newer"):
        header_from_json(data, "header.json")


FROZEN = {"parameters": 5, "trainable": 2}


@pytest.mark.parametrize(
    ("recipe", "parameters", "weights"),
    [
        ({"model": {"text_encoder": "a/MiniLM", "width": 3}}, FROZEN, ("a/MiniLM",)),
        ({"pretrained": "gpt2", "part": {"text_encoder": "a/MiniLM"}}, None, ("a/MiniLM", "gpt2")),
        ({"pretrained": None, "model": {"text_encoder": ""}}, None, ()),
        ({"width": 3}, FROZEN, ("frozen parameters",)),
        ({"width": 3}, {"parameters": 5, "trainable": 5}, ()),
    ],
)
def test_a_header_of_before_declarations_is_read_by_what_it_says(recipe, parameters, weights) -> None:
    old = through_disk(Header(cell=dataclasses.replace(CELL, recipe=recipe), status="done")) | {"schema": 2}
    del old["method"], old["external_weights"]
    old["parameters"] = parameters
    header = header_from_json(old, "header.json")
    assert (header.method, header.external_weights, header.schema) == ("gpt2", weights, SCHEMA)
    assert header_from_json(through_disk(header), "header.json") == header
    old["cell"]["system"] = "cosmos-8"
    assert header_from_json(old, "header.json").method == "cosmos"


def test_a_header_of_before_likelihoods_says_nothing_of_them() -> None:
    old = through_disk(Header(cell=CELL, status="done", no_likelihood="it is a floor")) | {"schema": 3}
    assert header_from_json(old, "header.json").no_likelihood == "it is a floor"
    del old["no_likelihood"]
    header = header_from_json(old, "header.json")
    assert header.no_likelihood is None and header.schema == 3


def test_a_header_that_should_declare_and_does_not_is_damaged() -> None:
    data = through_disk(Header(cell=dataclasses.replace(CELL, recipe={"text_encoder": "a/MiniLM"}), status="done"))
    assert header_from_json(data, "header.json").external_weights == ()  # nothing is guessed
    del data["external_weights"]
    with pytest.raises(UserError, match=r"header\.json is damaged"):
        header_from_json(data, "header.json")


def test_a_damaged_header_is_named() -> None:
    data = through_disk(Header(cell=CELL, status="done"))
    del data["cell"]["task"]
    with pytest.raises(UserError, match=r"header\.json is damaged"):
        header_from_json(data, "header.json")


def test_signatures_print_what_distinguishes_them() -> None:
    signature = Signature("sim", "1", "minilm 0.1.0", {"pooling": "mean"}, weights="0123456789abcdef")
    assert str(signature) == "sim|v1|minilm 0.1.0|pooling:mean|w:01234567"


ONE = Signature("bleu", "1", "sacrebleu 2.6.0", {"case": "lc", "tokens": 13}, "a" * 64)


def test_equal_signatures_differ_in_nothing() -> None:
    assert difference([ONE, dataclasses.replace(ONE, options=dict(ONE.options))]) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "chrf"}, "metric “bleu” against “chrf”"),
        ({"version": "2"}, "version “1” against “2”"),
        ({"evaluator": "sacrebleu 2.5.0"}, "evaluator “sacrebleu 2.6.0” against “sacrebleu 2.5.0”"),
        ({"options": {"case": "mixed", "tokens": 13}}, "option case “lc” against “mixed”"),
        ({"options": {"case": "lc"}}, "option tokens “13” against “not set”"),
        ({"options": {"case": "lc", "tokens": 13, "a": 1}}, "option a “not set” against “1”"),
        ({"weights": "b" * 64}, "weights “aaaaaaaa” against “bbbbbbbb”"),
        ({"weights": None}, "weights “aaaaaaaa” against “none”"),
        ({"weights": "a" * 63 + "b"}, f"weights “{'a' * 64}” against “{'a' * 63}b”"),
        (
            {"version": "2", "options": {"case": "mixed", "tokens": 4}},
            "version “1” against “2”; option case “lc” against “mixed”; option tokens “13” against “4”",
        ),
    ],
)
def test_what_keeps_scores_from_being_compared_is_said(change: dict, said: str) -> None:
    other = dataclasses.replace(ONE, **change)
    assert difference([ONE, other]) == said
    assert difference([other, ONE]) not in (None, said)
    third = dataclasses.replace(ONE, version="7")
    assert "version “1”" in (difference([ONE, other, ONE, third]) or "")
