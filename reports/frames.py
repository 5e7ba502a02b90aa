"""From the files of a run to tidy pandas frames: one row per cell, score, timing and sample.

Reads every record through `benchmarks.records`, tolerates the torn last line that a killed process leaves, and writes
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from baselines.contract import Document, UserError
from benchmarks.records import (
    Json,
    Record,
    header_from_json,
    identity,
    sample_from_json,
    score_from_json,
    timing_from_json,
    to_json,
)

TEST_SPLIT = "test"
SCORE_COLUMNS = (
    *("id", "entry", "seed", "position", "metric", "signature", "value", "low", "high", "level"),
    *("n", "total", "direction", "reason", "per_text"),
)

Line = TypeVar("Line")


@dataclass(frozen=True)
class Run:
    """What a run's folder holds.

    Attributes:
        plan: `plan.json`, empty where there is none.
        records: one per cell that was begun, in the order of the plan.
        documents: hash of a document file -> its documents by id.
    """

    folder: Path
    plan: Json
    records: tuple[Record, ...]
    documents: Mapping[str, Mapping[str, Document]]


def read_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        UserError: the folder is missing, holds no cells, or a record is damaged or of a later version.
    """
    if not folder.is_dir():
        raise UserError(f"There is no run at {folder}; name the folder that `run` wrote.")
    paths = sorted((folder / "cells").glob("*/header.json"))
    if not paths:
        raise UserError(f"{folder} holds no cells; run `python -m benchmarks run --out {folder}` first.")
    records = [_read_record(path.parent) for path in paths]
    plan_path = folder / "plan.json"
    plan = _read_json(plan_path) if plan_path.exists() else {}
    places = {cell_id: place for place, cell_id in enumerate(plan.get("cells", ()))}
    records.sort(key=lambda r: (places.get(r.header.cell.id, len(places)), r.header.created, r.header.cell.id))
    hashes = {documents_hash(record) for record in records}
    documents = {sha: _read_documents(folder / "documents" / f"{sha}.jsonl") for sha in sorted(hashes) if sha}
    return Run(folder, plan, tuple(records), documents)


def documents_hash(record: Record) -> str:
    """The hash of the test documents of a cell, "" where its header does not say."""
    return str(record.header.documents.get(TEST_SPLIT, {}).get("sha256", ""))


def entry_key(record: Record) -> str:
    """Equal for cells that differ by their seed alone: one row of a table."""
    cell = to_json(record.header.cell)
    del cell["seed"]
    return identity([cell, documents_hash(record)])


def panel_key(record: Record) -> str:
    """Equal for cells that were asked the same: only these may share a table."""
    cell = record.header.cell
    return identity([cell.task, cell.task_version, cell.source, cell.data, cell.limit, documents_hash(record)])


def cells(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell: its entry, how many networks and parameters it has, and what its training cost."""
    rows = []
    for record in records:
        header = record.header
        training = header.training
        networks = header.networks.values()
        rows.append(
            {
                "id": header.cell.id,
                "entry": entry_key(record),
                "trainable": sum(network.trainable for network in networks),
                "frozen": sum(network.parameters - network.trainable for network in networks),
                "networks": len(header.networks),
                "train_seconds": None if training is None else training.seconds,
                "train_flops": None if training is None else training.flops,
            }
        )
    return pd.DataFrame(rows)


def scores(records: Iterable[Record]) -> pd.DataFrame:
    """One row per cell and metric; `per_text` maps a document's id to its score, empty for corpus metrics."""
    rows = []
    for record in records:
        cell_id, entry = record.header.cell.id, entry_key(record)
        ids = [sample.id for sample in record.samples]
        for position, score in enumerate(record.scores):
            values = score.values if score.values is not None and len(score.values) == len(ids) else ()
            per_text = {key: value for key, value in zip(ids, values, strict=False) if value is not None}
            rows.append(
                {
                    "id": cell_id,
                    "entry": entry,
                    "seed": record.header.cell.seed,
                    "position": position,
                    "metric": score.metric,
                    "signature": score.signature,
                    "value": score.value,
                    "low": score.low,
                    "high": score.high,
                    "level": score.level,
                    "n": score.n,
                    "total": score.total,
                    "direction": score.direction,
                    "reason": score.reason,
                    "per_text": per_text,
                }
            )
    frame = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    return frame.astype(dict.fromkeys(("value", "low", "high", "level"), "float64"))


def timings(records: Iterable[Record]) -> pd.DataFrame:
    """One row per timed call of `generate`: entry, kind, texts made, seconds."""
    rows = []
    for record in records:
        cell_id, entry = record.header.cell.id, entry_key(record)
        for timing in record.timings:
            rows.append(
                {
                    "id": cell_id,
                    "entry": entry,
                    "kind": timing.kind,
                    "texts": len(timing.ids),
                    "seconds": timing.seconds,
                }
            )
    return pd.DataFrame(rows, columns=["id", "entry", "kind", "texts", "seconds"])


def samples(records: Iterable[Record]) -> pd.DataFrame:
    """One row per sample and network: entry, document, network, calls."""
    rows = [
        {
            "id": cell_id,
            "entry": entry,
            "document": sample.id,
            "network": network,
            "calls": calls,
        }
        for record, cell_id, entry in ((record, record.header.cell.id, entry_key(record)) for record in records)
        for sample in record.samples
        for network, calls in sample.calls.items()
    ]
    return pd.DataFrame(rows, columns=["id", "entry", "document", "network", "calls"])


def _read_record(folder: Path) -> Record:
    header_path = folder / "header.json"
    return Record(
        header_from_json(_read_json(header_path), str(header_path)),
        tuple(_read_lines(folder / "samples.jsonl", sample_from_json)),
        tuple(_read_lines(folder / "timings.jsonl", timing_from_json)),
        tuple(_read_lines(folder / "scores.jsonl", score_from_json)),
    )


def _read_documents(path: Path) -> dict[str, Document]:
    documents = _read_lines(
        path,
        lambda data: Document(data["id"], data.get("source"), data["target"], tuple(data.get("references") or ())),
    )
    return {document.id: document for document in documents}


def _read_json(path: Path) -> Json:
    try:
        data: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); delete its folder and run again.") from error
    return data


def _read_lines(path: Path, parse: Callable[[Json], Line]) -> list[Line]:
    """Every whole line of a file. A last line without its end was being written when its process died: left out."""
    if not path.exists():
        return []
    parsed = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            parsed.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged at line {number}; delete its folder and run again.") from error
    return parsed
