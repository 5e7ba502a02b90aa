"""From the files of a run to tidy pandas frames: one row per cell, score, timing and sample.

Everything is read through `benchmarks.records.store`, and nothing is written. Reports and `benchmarks.load` stand on
what is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.contract import Document, UserError
from benchmarks.records import run_texts, store, validity
from benchmarks.records.schema import Json, Record, identity

TEST_SPLIT = "test"
SCORE_COLUMNS = (
    *("id", "entry", "seed", "training", "position", "metric", "signature", "value", "low", "high"),
    *("n", "total", "direction", "reason", "per_text", "summary", "title", "companions"),
)
_ANY_TEXT = ("text", "reason")
_TAKEN = (
    *("id", "document", "text", "tokens", "finished", "calls", "entropy", "task", "source", "system", "preset"),
    *("setting", "seed", "commit", "device", "valid", "run", "cell"),
)
SAMPLE_COLUMNS = ("id", "document", "text", "tokens", "finished", "calls", "entropy")


@dataclass(frozen=True)
class Run:
    """What a run's folder holds.

    Attributes:
        plan: `plan.json`.
        records: one per cell that was begun, in the order of the plan.
        documents: hash of a document file -> its documents by id; without those that published records leave out.
    """

    folder: Path
    plan: Json
    records: tuple[Record, ...]
    documents: Mapping[str, Mapping[str, Document]]


def read_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        UserError: the folder holds no run or no cell, or something in it is damaged, lost or of a later version.
    """
    records = tuple(store.read_run(folder))
    if not records:
        raise UserError(f"{folder} holds no cells; run `python -m benchmarks run --out {folder}` first.")
    check_learnt(records, folder)
    asked = {documents_hash(record) for record in records}
    hashes = sorted(sha for sha in asked if run_texts.has_documents(folder, sha))
    documents = {sha: {document.id: document for document in run_texts.read_documents(folder, sha)} for sha in hashes}
    return Run(folder, store.read_plan(folder) or {}, records, documents)


def documents_hash(record: Record) -> str:
    """The hash of the test documents of a cell, "" where its header does not say."""
    return str(record.header.documents.get(TEST_SPLIT, {}).get("sha256", ""))


def entry_key(record: Record) -> str:
    """Equal for cells that differ by their seed alone: one row of a table."""
    return record.header.entry_id


def panel_key(record: Record) -> str:
    """Equal for cells that were asked the same: only these may share a table."""
    cell = record.header.cell
    data = cell.identified["data"]
    return identity([cell.task, cell.task_version, cell.source, data, cell.limit, documents_hash(record)])


def check_learnt(records: Iterable[Record], folder: Path) -> None:
    """See that cells that would be ranked together have learnt from the same documents.

    Raises:
        UserError: they have not; the message names two.
    """
    first: dict[tuple[str, str], Record] = {}
    for record in records:
        for split in ("train", "validation", "passages"):
            about = record.header.documents.get(split)
            if about is None or record.header.status != "done":
                continue
            earlier = first.setdefault((panel_key(record), split), record)
            if earlier.header.documents[split]["sha256"] != about["sha256"]:
                raise UserError(
                    f"The cells {earlier.header.cell.id} and {record.header.cell.id} of {folder} were made with other "
                    f"{split} texts, so they cannot share a ranking; keep one of them there."
                )


def cells(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell: its entry, how many networks and parameters it has (NaN where no record says), and what its
    training cost."""
    columns = ("id", "entry", "trainable", "frozen", "networks", "train_seconds", "train_flops")
    rows = []
    for record in records:
        header = record.header
        training = header.training
        parameters = header.parameters
        rows.append(
            {
                "id": header.cell.id,
                "entry": entry_key(record),
                "trainable": None if parameters is None else parameters.trainable,
                "frozen": None if parameters is None else parameters.parameters - parameters.trainable,
                "networks": len(header.networks),
                "train_seconds": None if training is None else training.seconds,
                "train_flops": None if training is None else training.flops,
            }
        )
    numbers = ("trainable", "frozen", "train_seconds", "train_flops")
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, "float64"))


def scores(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell and metric; `training` is what its settings share, `per_text` maps a document's id to its score,
    empty for corpus metrics."""
    rows = []
    for record in records:
        cell_id, entry = record.header.cell.id, entry_key(record)
        ids = run_texts.text_ids(record)
        for position, score in enumerate(record.scores):
            values = score.values if score.values is not None and len(score.values) == len(ids) else ()
            per_text = {key: value for key, value in zip(ids, values, strict=False) if value is not None}
            rows.append(
                {
                    "id": cell_id,
                    "entry": entry,
                    "seed": record.header.cell.seed,
                    "training": record.header.cell.checkpoint_id,
                    "position": position,
                    "metric": score.metric,
                    "signature": score.signature,
                    "value": score.value,
                    "low": score.low,
                    "high": score.high,
                    "n": score.n,
                    "total": score.total,
                    "direction": score.direction,
                    "reason": score.reason,
                    "per_text": per_text,
                    "summary": score.summary,
                    "title": score.title,
                    "companions": score.companions,
                }
            )
    return _frame(rows, SCORE_COLUMNS).astype(dict.fromkeys(("value", "low", "high"), "float64"))


TIMING_COLUMNS = ("id", "entry", "kind", "texts", "seconds", "process", "words", "tokens")


def timings(records: Iterable[Record]) -> pd.DataFrame:
    """One row per timed call that a latency or a throughput rests on: entry, kind, texts made, seconds, process, and
    the words and tokens that were kept (NaN where no record says).

    Whatever made as many texts at once as the scored ones were made by is of the kind "batch".
    """
    rows = []
    for record in records:
        cell_id, entry = record.header.cell.id, entry_key(record)
        sweeps = ((validity.throughput(size), "sweep") for size in validity.swept(record))
        quantities = ((validity.LATENCY, "latency"), (validity.throughput(record.header.batch_size), "batch"), *sweeps)
        for quantity, kind in quantities:
            for timing in validity.calls_of(record, quantity):
                own = (timing.seconds, timing.process, timing.kept.get("words"), timing.kept.get("tokens"))
                rows.append((cell_id, entry, kind, len(timing.ids), *own))
    return pd.DataFrame(rows, columns=TIMING_COLUMNS).astype({"words": "float64", "tokens": "float64"})


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a frame. What anybody may have written stays Python's: pandas' own strings hold no half of a pair of
    surrogates."""
    kinds = {name: object if name in _ANY_TEXT else None for name in columns}
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=kinds[name]) for name in columns})


def calls(records: Iterable[Record]) -> pd.DataFrame:
    """One row per text and network: entry, network, calls, and whether the text was made "alone" or "together" with
    others, whose calls it then shares."""
    rows = []
    for record in records:
        entry = entry_key(record)
        alone = [("alone", timing.calls) for timing in record.timings if timing.kind == "latency"]
        together = [("together", sample.calls) for sample in record.samples]
        for how, counts in (*alone, *together):
            rows += [{"entry": entry, "how": how, "network": name, "calls": count} for name, count in counts.items()]
    return pd.DataFrame(rows, columns=["entry", "how", "network", "calls"])


def samples(records: Iterable[Record]) -> pd.DataFrame:
    """One row per text, with a column for each metric that scored texts one by one ("metric NAME" where a frame has
    another column of that name); `text` is missing where texts were not published."""
    rows: list[dict[str, Any]] = []
    for record in records:
        per_text = {score.metric: score.values for score in record.scores if score.values is not None}
        written = {sample.id: sample for sample in record.samples}
        ids = run_texts.text_ids(record)
        for place, key in enumerate(ids):
            sample = written.get(key)
            rows.append(
                {
                    "id": record.header.cell.id,
                    "document": key,
                    "text": None if sample is None else sample.text,
                    "tokens": None if sample is None else sample.tokens,
                    "finished": None if sample is None else sample.finished,
                    "calls": None if sample is None else next(iter(sample.calls.values()), 0),
                    "entropy": None if sample is None else sample.entropy,
                    **{
                        f"metric {name}" if name in _TAKEN else name: values[place]
                        for name, values in per_text.items()
                        if len(values) == len(ids)
                    },
                }
            )
    frame = _frame(rows, tuple(dict.fromkeys([*SAMPLE_COLUMNS, *(name for row in rows for name in row)])))
    metrics = dict.fromkeys(frame.columns[len(SAMPLE_COLUMNS) :], "float64")
    kinds = {"tokens": "Int64", "finished": "boolean", "calls": "Int64", "entropy": "float64"}
    return frame.astype({**kinds, **metrics})


def curves(records: Iterable[Record]) -> pd.DataFrame:
    """One row per validation loss that was measured while training, of each training once: `stage` is the system where
    it trains one network, and the name of what is trained where it trains several."""
    rows = []
    for record in {record.header.cell.checkpoint_id: record for record in records}.values():
        cell, training = record.header.cell, record.header.training
        for stage, losses in _losses(cell.system, {} if training is None else training.notes):
            about = {"system": cell.system, "preset": cell.preset, "seed": cell.seed, "checkpoint": cell.checkpoint_id}
            rows += [{**about, "stage": stage, "step": step, "validation_loss": loss} for step, loss in losses]
    columns = ("system", "preset", "seed", "checkpoint", "stage", "step", "validation_loss")
    return pd.DataFrame(rows, columns=columns).astype({"seed": "int64", "step": "int64", "validation_loss": "float64"})


def _losses(stage: str, notes: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """The validation losses that notes of a training hold, and those of its stages within them."""
    own = notes.get("validation_losses")
    if isinstance(own, list):
        yield stage, own
    for name, part in notes.items():
        if isinstance(part, Mapping) and isinstance(part.get("notes"), Mapping):
            yield from _losses(name, part["notes"])
