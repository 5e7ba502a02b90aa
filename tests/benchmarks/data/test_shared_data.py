"""The source local on real sets, where there are any: COSMOS_DATA, or shared/data beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks import tasks
from benchmarks.data.local import DEFAULT_NAMES, Local, LocalOptions
from benchmarks.data.source import SPLITS

FOLDER = Path(os.environ.get("COSMOS_DATA") or Path(__file__).parents[4] / "shared" / "data")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no data sets in {FOLDER}; name some with COSMOS_DATA")


def local(name: str = "", **options: str | int) -> Local:
    if not (FOLDER / (name or "paradetox")).is_dir():
        pytest.skip(f"{FOLDER} has no set {name}")
    return Local(LocalOptions(folder=str(FOLDER), name=name, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["story", "summary", "detox"])
def test_the_usual_set_of_a_task_has_three_splits_apart(task: str) -> None:
    source = local(DEFAULT_NAMES[task])
    splits = {split: source.load(task, split) for split in SPLITS}
    assert all(len(found) >= 500 for found in splits.values())
    assert len(splits["train"]) > len(splits["test"])
    conditional = tasks.find(task).conditional
    for document in splits["test"]:
        assert (document.source is not None) == conditional
        assert document.references[0] == document.target


def test_questions_hold_answer_and_context() -> None:
    source = local("squad_qg", train=100, validation=10)
    assert [len(source.load("question", split)) for split in SPLITS[:2]] == [100, 10]
    test = source.load("question", "test")
    assert len(test) > 10_000
    assert all(str(d.source).startswith("answer: ") and " context: " in str(d.source) for d in test)
    assert any(len(d.references) > 1 for d in test)


def test_a_set_for_evaluation_only_refuses_training() -> None:
    assert len(local("summarization_xsum_eval").load("summary", "test", 5)) == 5
    with pytest.raises(UserError, match="for evaluation only"):
        local("summarization_xsum_eval").load("summary", "train")
    both = local("summarization_wikilead", test_name="summarization_xsum_eval", test=7)
    assert len(both.load("summary", "test")) == 7
    assert len(both.load("summary", "validation")) == 500


def test_the_record_has_the_hashes_of_the_files() -> None:
    import hashlib

    files = local("paradetox").content("detox")["files"]
    path = FOLDER / "paradetox" / "test.parquet"
    assert files["test.parquet"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert files["test.parquet"]["rows"] > 500


def test_a_set_without_sources_is_no_set_for_a_task_with_them() -> None:
    with pytest.raises(UserError, match="has no column source and no column target; its columns are id, text"):
        local("rocstories").load("detox", "test")


@pytest.mark.parametrize("task", ["story", "question", "summary", "detox"])
def test_limits_are_quantiles_of_the_usual_training_sets(task: str) -> None:
    """A limit holds 99 % of the texts, and 99 % of them need more than half of it; in tokens of the shared tokenizer,
    specials included. Sources of summaries are cut where the encoder's positions end, and a fifth of them is."""
    from cosmos.text.encoder import TextEncoder

    encoder, limits = TextEncoder(), tasks.find(task).limits
    documents = local(DEFAULT_NAMES[task]).load(task, "train", 1500)
    for side, limit in (("target", limits.target_tokens), ("source", limits.source_tokens)):
        if limit == 0:
            continue
        rows, cut = encoder.ids([getattr(d, side) for d in documents], encoder.positions)
        lengths = [len(row) for row in rows]
        within = sum(length <= limit for length in lengths) / len(lengths)
        quantile = sorted(lengths)[int(0.99 * len(lengths))]
        assert limit / 2 < quantile, side
        if (task, side) == ("summary", "source"):
            assert limit == encoder.positions
            assert 0.15 < cut / len(documents) < 0.25
        else:
            assert within >= 0.985, side
