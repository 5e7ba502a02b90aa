"""The source local: what it reads, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baselines.contract import Document, UserError
from benchmarks.data import rows
from benchmarks.data.local import Local, LocalOptions
from benchmarks.data.source import SPLITS

Rows = Sequence[Mapping[str, Any]]


def pairs(split: str, count: int) -> list[dict[str, Any]]:
    return [{"id": f"{split}-{i}", "source": f"ask {split} {i}", "target": f"say {i}"} for i in range(count)]


def texts(split: str, count: int) -> list[dict[str, Any]]:
    return [{"id": f"{split}-{i}", "text": f"a {split} text, number {i}."} for i in range(count)]


def write(folder: Path, name: str, **splits: Rows) -> Path:
    """A data set of JSON-lines files."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for split, found in splits.items():
        lines = "".join(json.dumps(row) + "\n" for row in found)
        (folder / name / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def write_parquet(folder: Path, name: str, **splits: Rows) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for split, found in splits.items():
        pq.write_table(pa.Table.from_pylist(list(found)), folder / name / f"{split}.parquet", compression="zstd")
    return folder


def whole(make: Any = pairs) -> dict[str, list[dict[str, Any]]]:
    return {"train": make("train", 20), "validation": make("validation", 5), "test": make("test", 6)}


def local(folder: Path, **options: Any) -> Local:
    return Local(LocalOptions(**({"folder": str(folder), "name": "mine"} | options)))


def test_parquet_and_json_lines_give_the_same_documents(tmp_path: Path) -> None:
    found = whole()
    found["test"][0]["references"] = ["say 0", "tell 0"]
    lines, parquet = write(tmp_path / "a", "mine", **found), write_parquet(tmp_path / "b", "mine", **found)
    for split in SPLITS:
        assert local(lines).load("detox", split) == local(parquet).load("detox", split)
    by_id = {document.id: document for document in local(lines).load("detox", "test")}
    assert by_id["test-0"] == Document("test-0", "ask test 0", "say 0", ("say 0", "tell 0"))
    assert by_id["test-1"] == Document("test-1", "ask test 1", "say 1", ("say 1",))


def test_texts_have_no_source(tmp_path: Path) -> None:
    folder = write(tmp_path, "mine", **whole(texts))
    document = local(folder).load("story", "test")[0]
    assert document.source is None
    assert document.references == (document.target,)


def test_the_target_is_the_first_reference_whatever_the_file_says(tmp_path: Path) -> None:
    found = whole()
    found["test"] = [{"id": 7, "source": "a", "target": "b", "references": ["c", "b", "c"]}]
    assert local(write(tmp_path, "mine", **found)).load("detox", "test") == [Document("7", "a", "b", ("b", "c"))]


def test_the_first_documents_come_from_their_ids_not_from_the_file(tmp_path: Path) -> None:
    found = whole()
    one = local(write(tmp_path / "a", "mine", **found), train=7)
    found["train"] = found["train"][::-1]
    other = local(write(tmp_path / "b", "mine", **found), train=5)
    every = local(tmp_path / "a").load("detox", "train")
    assert len(every) == 20
    assert one.load("detox", "train") == every[:7]
    assert other.load("detox", "train") == every[:5]
    assert other.load("detox", "train", 3) == every[:3]
    assert other.load("detox", "train", 99) == every[:5]
    assert [d.id for d in every] != sorted(d.id for d in every)
    assert len(one.load("detox", "test")) == 6


def test_the_folder_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "paradetox", **whole())
    monkeypatch.setenv("COSMOS_DATA", str(tmp_path))
    assert len(Local(LocalOptions()).load("detox", "test")) == 6
    monkeypatch.delenv("COSMOS_DATA")
    with pytest.raises(UserError, match="COSMOS_DATA"):
        Local(LocalOptions()).load("detox", "test")
    with pytest.raises(UserError, match="does not exist"):
        Local(LocalOptions(folder=str(tmp_path / "nowhere"))).load("detox", "test")


def test_the_record_names_what_was_read(tmp_path: Path) -> None:
    folder = write(tmp_path, "mine", **whole())
    content = local(folder).content("detox")
    assert content["sets"] == ["mine"]
    assert {name: file["rows"] for name, file in content["files"].items()} == {
        "train.jsonl": 20,
        "validation.jsonl": 5,
        "test.jsonl": 6,
    }
    (folder / "mine" / "test.jsonl").write_text(json.dumps(pairs("test", 1)[0]) + "\n")
    after = local(folder).content("detox")["files"]
    assert after["test.jsonl"]["sha256"] != content["files"]["test.jsonl"]["sha256"]
    assert after["train.jsonl"] == content["files"]["train.jsonl"]


def test_a_set_for_evaluation_only_is_not_trained_on_but_evaluated_on(tmp_path: Path) -> None:
    write(tmp_path, "only", test=pairs("test", 4))
    alone = local(tmp_path, name="only")
    assert len(alone.load("detox", "test")) == 4
    for split in ("train", "validation"):
        with pytest.raises(UserError, match=r"only has no .* for evaluation only; .*data\.test_name=only"):
            alone.load("detox", split)
    found = whole()
    del found["test"]
    write(tmp_path, "mine", **found)
    both = local(tmp_path, test_name="only")
    assert [len(both.load("detox", split)) for split in SPLITS] == [20, 5, 4]
    assert both.content("detox")["sets"] == ["mine", "only"]


def spoiled(split: str, change: Any) -> dict[str, list[dict[str, Any]]]:
    found = whole()
    change(found[split])
    return found


def rename(found: Rows) -> None:
    for row in found:
        row["question"] = row.pop("source")  # type: ignore[attr-defined]


def drop_targets(found: Rows) -> None:
    for row in found[:4]:
        row["target"] = None  # type: ignore[index]


def blank(found: Rows) -> None:
    found[3]["target"] = " \n"  # type: ignore[index]


def repeat_ids(found: Rows) -> None:
    for at in range(4):
        found[at + 10]["id"] = found[at]["id"]  # type: ignore[index]


@pytest.mark.parametrize("writer", [write, write_parquet], ids=["lines", "parquet"])
@pytest.mark.parametrize(
    ("split", "change", "message"),
    [
        pytest.param(
            "test", rename, r"test\.\w+ has no column source; its columns are id, target, question", id="column"
        ),
        pytest.param(
            "train", drop_targets, r"4 rows of 20 have no text in column target \(rows 0, 1, 2, \.\.\.", id="null texts"
        ),
        pytest.param("test", blank, r"1 row of 6 has no text in column target \(rows 3,", id="blank text"),
        pytest.param("train", repeat_ids, r"4 ids come more than once \(train-0, train-1, train-2, \.\.\.\)", id="ids"),
    ],
)
def test_bad_rows_are_refused_with_counts_and_examples(
    tmp_path: Path, writer: Any, split: str, change: Any, message: str
) -> None:
    folder = writer(tmp_path, "mine", **spoiled(split, change))
    with pytest.raises(UserError, match=message):
        local(folder).load("detox", "test")


def test_splits_that_overlap_are_refused_with_counts_and_examples(tmp_path: Path) -> None:
    found = whole()
    found["test"] += [
        {**row, "id": f"again-{i}", "source": row["source"].upper()} for i, row in enumerate(found["train"][:4])
    ]
    with pytest.raises(
        UserError, match=r"4 texts of test are in train too \(ids in test: again-0, again-1, again-2, \.\.\."
    ):
        local(write(tmp_path / "a", "mine", **found)).load("detox", "test")
    found = whole()
    found["validation"][0]["id"] = "train-3"
    with pytest.raises(UserError, match=r"1 id of validation is in train too \(train-3\)"):
        local(write(tmp_path / "b", "mine", **found)).load("detox", "train")
    found = whole(texts)
    found["test"][2]["text"] = found["validation"][0]["text"]
    with pytest.raises(UserError, match=r"1 text of test is in validation too \(ids in test: test-2\)"):
        local(write(tmp_path / "c", "mine", **found)).load("story", "train")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    parquet = write_parquet(tmp_path / "a", "mine", **whole())
    path = parquet / "mine" / "test.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"test\.parquet cannot be read as Parquet, it may be truncated"):
        local(parquet).load("detox", "test")
    path.write_bytes(b"")
    with pytest.raises(UserError, match="may be truncated"):
        local(parquet).load("detox", "test")
    lines = write(tmp_path / "b", "mine", **whole())
    path = lines / "mine" / "test.jsonl"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(UserError, match=r"Line 6 of .*test\.jsonl is not JSON, the file may be truncated"):
        local(lines).load("detox", "test")
    path.write_text('["a"]\n')
    with pytest.raises(UserError, match=r"Line 1 of .* no JSON object"):
        local(lines).load("detox", "test")
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(UserError, match="UTF-8"):
        local(lines).load("detox", "test")


def test_a_line_ends_only_where_json_lines_end(tmp_path: Path) -> None:
    """Unicode has more line ends than JSON lines have, and a file from Windows may begin with a mark."""
    text = "one\u2028two\x85three\x0bfour"
    found = whole(texts)
    folder = write(tmp_path, "mine", **found)
    row = json.dumps({"id": "only", "text": text}, ensure_ascii=False)
    (folder / "mine" / "test.jsonl").write_text("\ufeff" + row + "\r\n\n", encoding="utf-8", newline="")
    assert [document.target for document in local(folder).load("story", "test")] == [text]


def test_more_documents_than_there_are_are_not_promised(tmp_path: Path) -> None:
    folder = write(tmp_path, "mine", **whole())
    with pytest.raises(UserError, match=r"data\.train asks for 21 documents where there are 20 documents"):
        local(folder, train=21).load("detox", "train")
    assert len(local(folder, train=20).load("detox", "train")) == 20


def test_a_missing_split_set_or_name_is_told(tmp_path: Path) -> None:
    found = whole()
    del found["test"]
    folder = write(tmp_path, "mine", **found)
    with pytest.raises(UserError, match="mine has no test split, it has train and validation"):
        local(folder).load("detox", "test")
    with pytest.raises(UserError, match="did you mean mine"):
        local(folder, name="mein").load("detox", "test")
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="no split at all"):
        local(folder, name="empty").load("detox", "test")
    write_parquet(tmp_path, "mine", train=found["train"])
    with pytest.raises(UserError, match=r"train\.parquet and train\.jsonl; keep one"):
        local(folder).load("detox", "train")
    with pytest.raises(UserError, match=r"data\.test must be 0"):
        LocalOptions(test=-1)


def test_references_must_be_lists_of_texts(tmp_path: Path) -> None:
    for given in ("say", [1, 2]):
        found = whole()
        found["test"][1]["references"] = given
        with pytest.raises(UserError, match="id test-1 are no list of texts"):
            local(write(tmp_path, "mine", **found)).load("detox", "test")


def test_the_content_hash_sees_every_part_and_where_it_ends() -> None:
    one = Document("a", "b", "c", ("c",))
    others = [
        Document("ab", "", "c", ("c",)),
        Document("a", "bc", "", ("c",)),
        Document("a", "b", "c", ("c", "d")),
        Document("b", "b", "c", ("c",)),
    ]
    assert len({rows.content_hash([document]) for document in (one, *others)}) == 5
    assert rows.content_hash([one]) == rows.content_hash(iter([one]))
    assert rows.content_hash([one, others[0]]) != rows.content_hash([others[0], one])


def test_passages_come_from_the_train_split_of_another_set(tmp_path: Path) -> None:
    folder = write(write(tmp_path, "mine", **whole()), "wiki", train=texts("train", 9), test=texts("test", 2))
    source = local(folder, passages="wiki")
    found = source.passages("detox")
    assert sorted(found) == sorted(row["text"] for row in texts("train", 9))
    assert local(folder, passages="wiki", passage_count=4).passages("detox") == found[:4]
    assert local(folder).passages("detox") == []
    content = source.content("detox")["passages"]
    assert (content["set"], content["rows"]) == ("wiki", 9)
    assert len(content["sha256"]) == 64
    assert "passages" not in local(folder).content("detox")


def test_passages_that_may_not_be_learnt_from_are_refused(tmp_path: Path) -> None:
    folder = write(write(tmp_path, "mine", **whole()), "judged", test=texts("test", 2))
    with pytest.raises(UserError, match=r"judged has no train split: it is for evaluation only.*data\.passages=NAME"):
        local(folder, passages="judged").passages("detox")
    write(folder, "narrow", train=[{"id": "1", "words": "a"}])
    with pytest.raises(UserError, match="has no column text"):
        local(folder, passages="narrow").passages("detox")
    with pytest.raises(UserError, match=r"wikki.*did you mean wiki"):
        local(write(folder, "wiki", train=texts("train", 2)), passages="wikki").passages("detox")
    with pytest.raises(UserError, match=r"passage_count asks for 5 documents where there are 2"):
        local(folder, passages="wiki", passage_count=5).passages("detox")
    with pytest.raises(UserError, match=r"data\.passage_count must be 0"):
        local(folder, passage_count=-1)
    with pytest.raises(UserError, match=r"passage_count is of no use without data\.passages"):
        local(folder, passage_count=3)


def test_passages_with_held_out_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, "mine", **whole())
    held_out = [
        {
            "id": "t",
            "source": "answer: Rome context: The city lies on seven  hills.",
            "target": "Where does it lie today?",
        }
    ]
    write(folder, "mine", train=pairs("train", 3), validation=pairs("validation", 2), test=held_out)
    fine = "Somebody asked. It is not said here where does it lie today? The city lies on six hills."
    passages = [
        fine,
        'It was asked: "Why?" Where does it lie Today? Nobody knew.',
        "One sentence. the city lies on seven hills. Another.",
        "The city lies on seven hills.",
        "Ask validation 1 and no more.",  # three words are everybody's
    ]
    write(folder, "wiki", train=[{"id": str(i), "text": text} for i, text in enumerate(passages)])
    source = local(folder, passages="wiki")
    assert sorted(source.passages("detox")) == sorted([fine, passages[-1]])
    assert source.content("detox")["passages"]["left_out"] == 3
