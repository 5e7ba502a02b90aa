"""Bad texts, through the command line: one sentence that says what is wrong and where, exit code 2, nothing begun."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
Rows = list[dict[str, Any]]


def pairs(split: str, count: int) -> Rows:
    return [{"id": f"{split}-{i}", "source": f"ask {split} {i}", "target": f"say {i}"} for i in range(count)]


def whole() -> dict[str, Rows]:
    return {"train": pairs("train", 20), "validation": pairs("validation", 5), "test": pairs("test", 6)}


def write(folder: Path, splits: Mapping[str, Rows], name: str = "mine") -> None:
    """A data set in sets/NAME below a folder."""
    place = folder / "sets" / name
    place.mkdir(parents=True)
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows), place / f"{split}.parquet")


def refused(command: Command, folder: Path, *words: str) -> str:
    """The sentence with which a run on the set "mine" is refused."""
    done = command(
        "run", "--task", "echo", "--system", "toy", "--device", "cpu", "--source", "local",
        "--set", "data.folder=sets", "--set", "data.name=mine", *words, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert not list(folder.rglob("checkpoints")) and not list(folder.rglob("header.json"))
    return lines[0]


def spoil(change: Callable[[dict[str, Rows]], object]) -> dict[str, Rows]:
    found = whole()
    change(found)
    return found


def without_column(found: dict[str, Rows]) -> None:
    for row in found["test"]:
        row["question"] = row.pop("source")


def null_texts(found: dict[str, Rows]) -> None:
    for row in found["train"][:4]:
        row["target"] = None


def empty_text(found: dict[str, Rows]) -> None:
    found["validation"][2]["source"] = " \n "


def repeated_ids(found: dict[str, Rows]) -> None:
    for at in range(4):
        found["train"][at + 10]["id"] = found["train"][at]["id"]


def shared_texts(found: dict[str, Rows]) -> None:
    found["test"] += [{**row, "id": f"again-{i}"} for i, row in enumerate(found["train"][:5])]


def shared_ids(found: dict[str, Rows]) -> None:
    for row, other in zip(found["validation"][:4], found["test"][:4], strict=True):
        row["id"] = other["id"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            without_column,
            "sets/mine/test.parquet has no column source; its columns are id, target, question.",
        ),
        (
            null_texts,
            "In sets/mine/train.parquet 4 rows of 20 have no text in column target (rows 0, 1, 2, ..., counted from "
            "0).",
        ),
        (
            empty_text,
            "In sets/mine/validation.parquet 1 row of 5 has no text in column source (rows 2, counted from 0).",
        ),
        (
            repeated_ids,
            "In sets/mine/train.parquet 4 ids come more than once (train-0, train-1, train-2, ...).",
        ),
        (
            shared_texts,
            "In sets/mine 5 texts of test are in train too (ids in test: again-0, again-1, again-2, ...); take them "
            "out of one of the two.",
        ),
        (
            shared_ids,
            "In sets/mine 4 ids of test are in validation too (test-0, test-1, test-2, ...); every id must be in one "
            "split only.",
        ),
        (
            lambda found: found.pop("test"),
            "The set mine has no test split, it has train and validation; add test.parquet or test.jsonl, or choose "
            "another.",
        ),
        (
            lambda found: found.pop("train"),
            "The set mine has no train split, it has validation and test; add train.parquet or train.jsonl, or choose "
            "another.",
        ),
        (
            lambda found: (found.pop("train"), found.pop("validation")),
            "The set mine has no train split: it is for evaluation only; train on another with data.name=NAME and "
            "evaluate on this one with data.test_name=mine.",
        ),
    ],
    ids=["column", "null", "empty", "ids", "texts in two splits", "ids in two splits", "no test", "no train", "only"],
)
def test_a_bad_set_is_refused(
    command: Command, tmp_path: Path, change: Callable[[dict[str, Rows]], object], said: str
) -> None:
    write(tmp_path, spoil(change))
    assert refused(command, tmp_path) == said


@pytest.mark.parametrize("kept", [-40, 100, 0])
def test_a_truncated_file_is_refused(command: Command, tmp_path: Path, kept: int) -> None:
    write(tmp_path, whole())
    path = tmp_path / "sets" / "mine" / "train.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    said = refused(command, tmp_path)
    assert said.startswith("sets/mine/train.parquet cannot be read as Parquet, it may be truncated (")
    assert said.endswith("put a whole copy in its place.")


def test_truncated_lines_are_refused(command: Command, tmp_path: Path) -> None:
    write(tmp_path, {split: rows for split, rows in whole().items() if split != "train"})
    text = "".join(json.dumps(row) + "\n" for row in whole()["train"])
    (tmp_path / "sets" / "mine" / "train.jsonl").write_text(text[:-10])
    assert refused(command, tmp_path).startswith("Line 20 of sets/mine/train.jsonl is not JSON, the file may be trunc")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data.folder=nowhere",), "The folder of data sets nowhere does not exist; choose another with data.folder."),
        (("data.name=mien",), "Unknown data set in sets 'mien'; did you mean mine?"),
        (("data.test_name=mien",), "Unknown data set in sets 'mien'; did you mean mine?"),
        (("data.train=21",), "data.train asks for 21 documents where there are 20 documents; ask for no more, or 0."),
        (("data.test=7",), "data.test asks for 7 documents where there are 6 documents; ask for no more, or 0."),
        (("data.name=",), "The task echo has no usual data set; name one with --set data.name=NAME."),
    ],
)
def test_a_wrong_choice_is_refused(command: Command, tmp_path: Path, words: Sequence[str], said: str) -> None:
    write(tmp_path, whole())
    assert refused(command, tmp_path, *(part for word in words for part in ("--set", word))) == said


def test_a_set_in_place_of_the_folder_of_sets_is_told(command: Command, tmp_path: Path) -> None:
    write(tmp_path, whole())
    said = refused(command, tmp_path, "--set", "data.folder=sets/mine")
    assert said == (
        "sets/mine is a data set and no folder of data sets; "
        f"say --set data.folder={tmp_path / 'sets'} --set data.name=mine."
    )


def test_one_document_is_enough_but_none_is_not(command: Command, tmp_path: Path) -> None:
    write(tmp_path, {split: rows[:1] for split, rows in whole().items()})
    words = ("run", "--task", "echo", "--system", "toy", "--device", "cpu", "--source", "local", "--out", "one")
    done = command(*words, "--set", "data.folder=sets", "--set", "data.name=mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "sets" / "mine" / "train.parquet"
    pq.write_table(pa.Table.from_pylist(whole()["train"]).slice(0, 0), path)
    again = command(*words, "--set", "data.folder=sets", "--set", "data.name=mine", cwd=tmp_path)
    assert (again.returncode, "data.folder names changed" in again.stderr) == (2, True), (
        "nor is what is trained another"
    )
    shutil.rmtree(tmp_path / "one")
    assert refused(command, tmp_path) == (
        "The source local has no training documents for echo; choose another with --source."
    )
    path.unlink()
    path.with_suffix(".jsonl").write_text("\n")
    assert refused(command, tmp_path).startswith("sets/mine/train.jsonl has no column id and no column source and no")


BLOCKED = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "datasets", "huggingface_hub")))
from benchmarks.cli.main import main
for words in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def test_what_is_wrong_is_said_before_a_framework_is_imported(tmp_path: Path) -> None:
    """Through `main`, in a process in which neither torch nor transformers nor datasets can be imported."""
    write(tmp_path, spoil(null_texts))
    write(tmp_path, {"test": whole()["test"]}, "only")
    mistakes = (
        (("--source", "local", "--set", "data.folder=sets", "--set", "data.name=mine"), "4 rows of 20 have no text"),
        (("--source", "local", "--set", "data.folder=sets", "--set", "data.name=only"), "it is for evaluation only"),
        (("--source", "hub"), "is not in the cache of datasets and the hub is not asked (HF_HUB_OFFLINE is set)"),
        (("--source", "hub", "--set", "data.name=paradetoks"), "did you mean paradetox"),
    )
    commands = [(verb, "--task", "detox", *words) for words, _ in mistakes for verb in ("run", "plan")]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], input=json.dumps(commands), capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    expected = [said for _, said in mistakes for _ in ("run", "plan")]
    for said, line in zip(expected, done.stdout.splitlines(), strict=True):
        code, out, err = json.loads(line)
        assert (code, out) == (2, ""), err
        assert said in err and len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def broken_utf8(place: Path) -> None:
    """A Parquet file whose strings are no UTF-8, which its writer does not notice."""
    names = ("id", "source", "target")
    offsets, data = pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"ab\xff\xfe")
    bad = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    pq.write_table(pa.table([pa.array(["a", "b"]), pa.array(["c", "d"]), bad], names=names), place / "test.parquet")


def doubled(place: Path) -> None:
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"]), pa.array(["d"])]
    pq.write_table(pa.table(columns, names=["id", "source", "target", "target"]), place / "test.parquet")


def floats(place: Path) -> None:
    rows = [{**row, "id": float(number)} for number, row in enumerate(pairs("test", 3))]
    pq.write_table(pa.Table.from_pylist(rows), place / "test.parquet")


def lines(*changes: dict[str, Any]) -> Callable[[Path], None]:
    def write_lines(place: Path) -> None:
        (place / "test.parquet").unlink()
        rows = [{**row, **change} for row, change in zip(pairs("test", len(changes)), changes, strict=True)]
        (place / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return write_lines


@pytest.mark.parametrize(
    ("spoil_file", "said"),
    [
        (broken_utf8, "Row 1 of sets/mine/test.parquet (counted from 0) has text in column target that is not UTF-8;"),
        (doubled, "sets/mine/test.parquet has more than one column target; keep one of each."),
        (floats, "3 rows of 3 have no text but floating-point numbers in column id (rows 0, 1, 2, counted from 0)."),
        (lines({}, {"id": "\ud83d"}), "1 row of 2 has half of a surrogate pair in column id (rows 1, counted from 0)."),
        (lines({"target": "\udc00x"}), "1 row of 1 has half of a surrogate pair in column target (rows 0, counted"),
        (lines({"target": "\u200b\ufeff\u2060"}), "1 row of 1 has no text in column target (rows 0, counted from 0)."),
        (lines({"target": True}), "1 row of 1 has no text but truth values in column target"),
        (lines({"references": {"a": 1}}), "id test-0 are no list of texts, none of them blank."),
        (lines({"references": "say"}), "id test-0 are no list of texts, none of them blank."),
        (lines({"references": ["say", ""]}), "id test-0 are no list of texts, none of them blank."),
        (lines({"references": ["\ud800"]}), "id test-0 are no list of texts, none of them blank."),
        (lines({"references": 7}), "id test-0 are no list of texts, none of them blank."),
    ],
    ids=["utf8", "doubled", "floats", "id", "target", "unseen", "flag", "object", "text", "empty", "half", "number"],
)
def test_a_value_that_is_no_text_is_refused(
    command: Command, tmp_path: Path, spoil_file: Callable[[Path], None], said: str
) -> None:
    write(tmp_path, whole())
    spoil_file(tmp_path / "sets" / "mine")
    assert said in refused(command, tmp_path)


def test_a_configuration_may_begin_with_a_byte_order_mark(command: Command, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b'\xef\xbb\xbftask = "echo"\n')
    done = command("plan", "--device", "cpu", "--config", "run.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
