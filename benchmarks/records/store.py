"""Where a run keeps what, and how it is read again. Standard library only.

    RUN/plan.json                what was chosen, and the ids of the cells in order
    RUN/documents/HASH.jsonl     the test documents
    RUN/learnt/HASH.jsonl.gz     the targets of the training documents of that hash
    RUN/checkpoints/ID/          what a system's training left; ID.json beside it: what that cost
    RUN/cells/ID/                one cell, as `benchmarks.records.schema` says
    RUN/report/                  the report

Reading needs no lock and never fails on what a killed process left.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from baselines.contract import Document, UserError
from benchmarks.records.files import StoreError, line, read_lines, write_json, write_lines
from benchmarks.records.schema import (
    SCHEMA,
    Cell,
    Header,
    Json,
    LikelihoodRecord,
    Record,
    SampleRecord,
    Score,
    TimingRecord,
    check_schema,
    header_from_json,
    likelihood_from_json,
    sample_from_json,
    score_from_json,
    timing_from_json,
    to_json,
)
from cosmos.io.files import make_folder, read_json, saving, write_bytes

PLAN, HEADER, SAMPLES, TIMINGS, SCORES = "plan.json", "header.json", "samples.jsonl", "timings.jsonl", "scores.jsonl"
LIKELIHOODS = "likelihoods.jsonl"
GENERATED = (SAMPLES, TIMINGS, LIKELIHOODS)
"""What the generating stage leaves in a cell beside its header; the last only where the system gives likelihoods."""

_ANEW = "delete its folder and run again"
_PROBE = ".probe."  # what a write is tried with
_PLAN_KEYS = {"task", "source", "preset", "data", "limit", "batch_size", "device", "dtype", "systems", "cells"}

Line = TypeVar("Line")


def cell_folder(run: Path, cell_id: str) -> Path:
    return run / "cells" / cell_id


def checkpoint_folder(run: Path, checkpoint_id: str) -> Path:
    return run / "checkpoints" / checkpoint_id


def fit_file(run: Path, checkpoint_id: str) -> Path:
    """Beside the checkpoint, whose folder belongs to the system."""
    return run / "checkpoints" / f"{checkpoint_id}.json"


def prepare(run: Path) -> None:
    """Make the run's folder, or see that it is one.

    Raises:
        UserError: it is a file, cannot be written, is of a newer schema, or holds other things.
    """
    if run.exists() and not run.is_dir():
        raise UserError(f"{run} is a file; choose a folder with --out.")
    make_folder(run, StoreError)
    with saving(run, StoreError):
        present = {path.name for path in run.iterdir() if not path.name.startswith(_PROBE)}
        probe = run / f"{_PROBE}{os.getpid()}"
        try:
            probe.write_bytes(b"?" * 4096)
        finally:
            probe.unlink(missing_ok=True)
    if present and not present & {PLAN, ".lock"}:
        raise UserError(f"{run} holds other things than a run; choose another folder with --out.")
    read_plan(run)


def read_plan(run: Path) -> Json | None:
    """The run's plan, or None where none was made yet.

    Raises:
        UserError: it is damaged, or of a newer schema.
    """
    path = run / PLAN
    if not path.exists():
        return None
    remedy = "delete this file, and give the command of the run again: nothing is made anew"
    plan = read_json(path, remedy)
    check_schema(plan.get("schema"), str(path))
    if not plan.keys() >= _PLAN_KEYS:
        raise UserError(f"{path} is damaged (it lacks {', '.join(sorted(_PLAN_KEYS - plan.keys()))}); {remedy}.")
    return plan


def write_plan(run: Path, plan: Json) -> None:
    write_json(run / PLAN, {"schema": SCHEMA, **plan})


def _lines(documents: Iterable[Document]) -> Iterable[str]:
    return (line(dataclasses.asdict(document)) for document in documents)


def digest(documents: Sequence[Document]) -> Json:
    """How many documents, and the SHA-256 of their lines."""
    hashed = hashlib.sha256()
    for text in _lines(documents):
        hashed.update(text.encode())
    return {"count": len(documents), "sha256": hashed.hexdigest()}


def write_documents(run: Path, documents: Sequence[Document]) -> Json:
    """Keep documents, so that scoring and reports need no source; returns their digest."""
    about = digest(documents)
    path = run / "documents" / f"{about['sha256']}.jsonl"
    if not path.exists():
        make_folder(path.parent, StoreError)
        write_bytes(path, "".join(_lines(documents)).encode(), StoreError)
    return about


def read_documents(run: Path, sha256: str) -> list[Document]:
    """The documents that were kept under a hash.

    Raises:
        UserError: they are not there.
    """
    path = run / "documents" / f"{sha256}.jsonl"
    if not path.exists():
        raise UserError(f"The run {run} has lost its documents {path.name}; run it again.")
    return _parsed(path, lambda row: Document(**{**row, "references": tuple(row["references"])}))


def write_learnt(run: Path, documents: Sequence[Document]) -> Json:
    """Keep the targets of training documents, so that scoring needs no source; returns the documents' digest."""
    about = digest(documents)
    path = _learnt(run, about["sha256"])
    if not path.exists():
        make_folder(path.parent, StoreError)
        rows = "".join(f"{json.dumps(document.target)}\n" for document in documents)
        write_bytes(path, gzip.compress(rows.encode(), mtime=0), StoreError)
    return about


def is_learnt(run: Path, sha256: str) -> bool:
    """Whether the targets of the training documents of a hash were kept."""
    return _learnt(run, sha256).exists()


def read_learnt(run: Path, sha256: str) -> list[str] | None:
    """The targets of the training documents of a hash, in order; None if they were not kept.

    Raises:
        UserError: the file is damaged.
    """
    path = _learnt(run, sha256)
    if not path.exists():
        return None
    try:
        return [json.loads(row) for row in gzip.decompress(path.read_bytes()).splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} is damaged; delete it, and give the command of the run again.") from error


def _learnt(run: Path, sha256: str) -> Path:
    return run / "learnt" / f"{sha256}.jsonl.gz"


def _parsed(path: Path, parse: Callable[[Json], Line]) -> list[Line]:
    """Every whole line of a file, read as what it stands for.

    Raises:
        UserError: a line is damaged.
    """
    parsed = []
    for number, row in enumerate(read_lines(path), start=1):
        try:
            parsed.append(parse(row))
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged at line {number}; delete its folder and run again.") from error
    return parsed


def write_header(folder: Path, header: Header) -> None:
    make_folder(folder, StoreError)
    write_json(folder / HEADER, to_json(header))


def read_header(folder: Path) -> Header | None:
    """A cell's header, or None where the cell was not begun."""
    path = folder / HEADER
    return header_from_json(read_json(path, _ANEW), str(path)) if path.exists() else None


def header_of(folder: Path, cell: Cell) -> Header | None:
    """The header of exactly this cell.

    Raises:
        UserError: the folder holds another cell; the message says which field differs.
    """
    header = read_header(folder)
    if header is not None and header.cell != cell:
        names = [f.name for f in dataclasses.fields(cell) if getattr(header.cell, f.name) != getattr(cell, f.name)]
        raise UserError(
            f"{folder} holds a cell with another {' and '.join(names)}; delete it, or choose another with --out."
        )
    return header


def read_samples(folder: Path) -> tuple[SampleRecord, ...]:
    return tuple(_parsed(folder / SAMPLES, sample_from_json))


def count_samples(folder: Path) -> int:
    """How many whole lines of samples a cell has."""
    path = folder / SAMPLES
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_generated(folder: Path) -> bool:
    """Whether a cell came to its end and all its texts are there."""
    header = read_header(folder)
    if header is None or header.status != "done":
        return False
    asked: int = header.documents["test"]["count"]
    return count_samples(folder) == asked


def read_timings(folder: Path) -> tuple[TimingRecord, ...]:
    return tuple(_parsed(folder / TIMINGS, timing_from_json))


def read_likelihoods(folder: Path) -> tuple[LikelihoodRecord, ...] | None:
    """None where none were kept."""
    path = folder / LIKELIHOODS
    return tuple(_parsed(path, likelihood_from_json)) if path.exists() else None


def read_scores(folder: Path) -> tuple[Score, ...]:
    return tuple(_parsed(folder / SCORES, score_from_json))


def write_scores(folder: Path, scores: Iterable[Score]) -> None:
    write_lines(folder / SCORES, (to_json(score) for score in scores))


def read_cell(folder: Path) -> Record:
    """Everything one cell left on disk.

    Raises:
        UserError: there is no cell in the folder, it is damaged, or of a newer schema.
    """
    header = read_header(folder)
    if header is None:
        raise UserError(f"{folder} holds no cell.")
    return Record(header, read_samples(folder), read_timings(folder), read_scores(folder))


def read_run(run: Path) -> list[Record]:
    """The records of all cells that were begun, in the order of the plan.

    Raises:
        UserError: the folder holds no run.
    """
    plan = read_plan(run)
    if plan is None:
        raise UserError(f"{run} holds no run; make one with `python -m benchmarks run --task TASK --out {run}`.")
    folders = [cell_folder(run, cell_id) for cell_id in plan["cells"]]
    return [read_cell(folder) for folder in folders if (folder / HEADER).exists()]
