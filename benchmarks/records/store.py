"""Where a run keeps what, and how it is read again. Standard library only.

    RUN/plan.json                what was chosen, and the ids of the cells in order
    RUN/documents/HASH.jsonl     the test documents
    RUN/learnt/HASH.jsonl.gz     the targets of the training documents of that hash
    RUN/tokenizers/HASH.json.gz  the tokenizer that the run's systems share
    RUN/checkpoints/ID/          what a system's training left; ID.json beside it: what that cost
    RUN/cells/ID/                one cell, as `benchmarks.records.schema` says
    RUN/report/                  the report

Reading needs no lock, never fails on what a killed process left, and refuses what was changed since it was written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.records import links, seals
from benchmarks.records.files import StoreError, parsed_lines, write_json
from benchmarks.records.older_cells import as_identified
from benchmarks.records.parts import StoredPlan
from benchmarks.records.schema import (
    SCHEMA,
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
from cosmos.io.typed_json import read_as, shown

PLAN, HEADER, SAMPLES, TIMINGS, SCORES = "plan.json", "header.json", "samples.jsonl", "timings.jsonl", "scores.jsonl"
LIKELIHOODS = "likelihoods.jsonl"
# What a cell's header seals when the cell is done: files that change no more. The last is there only where the system
# gives likelihoods.
SEALED = (SAMPLES, TIMINGS, LIKELIHOODS)
AS_WRITTEN = "as_written.jsonl"
JUDGED = (SCORES, AS_WRITTEN)  # what scoring leaves in a cell, and what is void when the cell is made again
_ANEW = "delete its folder and run again"
_RESTORE = "restore it from a copy, or delete the folder {} and run again"
_PROBE = ".probe."  # what a write is tried with
ID = re.compile(r"[0-9a-zA-Z_-]{1,128}")  # of a cell or of documents: the name of a file or folder


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
    links.refuse_links(run)
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
        UserError: it is damaged, changed since it was written, or of a newer schema; or something in the run's folder
            is a link.
    """
    links.refuse_links(run)
    path = run / PLAN
    if not path.exists():
        return None
    remedy = "delete this file, and give the command of the run again: nothing is made anew"
    stored = read_json(path, remedy)
    check_schema(stored.get("schema"), str(path))
    plan = seals.opened(stored, str(path), remedy, wanted=stored["schema"] >= seals.SINCE)
    read_as(StoredPlan, plan, str(path), remedy)
    for cell_id in plan["cells"]:
        if not ID.fullmatch(cell_id):
            raise UserError(f"{path} is damaged ({shown(cell_id)} is no id of a cell); {remedy}.")
    return plan


def write_plan(run: Path, plan: Json) -> None:
    write_json(run / PLAN, seals.sealed({"schema": SCHEMA, **plan} | {"schema": SCHEMA}))


def write_header(folder: Path, header: Header) -> None:
    make_folder(folder, StoreError)
    write_json(folder / HEADER, seals.sealed(to_json(header) | {"schema": SCHEMA}))


def read_header(folder: Path) -> Header | None:
    """A cell's header, or None where the cell was not begun.

    Raises:
        UserError: it is damaged, of a newer schema, changed since it was written, or that of another cell.
    """
    path = folder / HEADER
    if not path.exists():
        return None
    stored, remedy = read_json(path, _ANEW), _RESTORE.format(folder)
    check_schema(stored.get("schema"), str(path))
    rest = seals.opened(stored, str(path), remedy, wanted=stored["schema"] >= seals.SINCE)
    header = as_identified(header_from_json(rest, str(path)), rest)
    if header.cell.id != folder.name:
        raise UserError(f"{folder} holds the record of another cell, {header.cell.id}; {remedy}.")
    return header


def check_record(folder: Path, header: Header) -> None:
    """See that a cell's files are those that were written, as far as they are there and sealed.

    Raises:
        UserError: one was changed; the message names it.
    """
    if header.status == "done":
        seals.check_files(folder, header.files, _RESTORE.format(folder))
        strange = [name for name in SEALED if header.files and name not in header.files and (folder / name).exists()]
        if strange:
            raise UserError(f"{folder / strange[0]} is no file of this cell; delete it.")
    elif seals.changed_batches(read_samples(folder), read_timings(folder)):
        raise UserError(
            f"{folder / SAMPLES} or {folder / TIMINGS} was changed after it was written; {_RESTORE.format(folder)}."
        )


def read_samples(folder: Path) -> tuple[SampleRecord, ...]:
    return tuple(parsed_lines(folder / SAMPLES, sample_from_json))


def count_samples(folder: Path) -> int:
    """How many whole lines of samples a cell has."""
    path = folder / SAMPLES
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_generated(folder: Path) -> bool:
    """Whether a cell came to its end and all its texts are there."""
    header = read_header(folder)
    if header is None or header.status != "done":
        return False
    about = header.documents.get("test")
    return about is not None and count_samples(folder) == about["count"]


def read_timings(folder: Path) -> tuple[TimingRecord, ...]:
    return tuple(parsed_lines(folder / TIMINGS, timing_from_json))


def read_likelihoods(folder: Path) -> tuple[LikelihoodRecord, ...] | None:
    """None where none were kept."""
    path = folder / LIKELIHOODS
    return tuple(parsed_lines(path, likelihood_from_json)) if path.exists() else None


def read_scores(folder: Path, header: Header | None = None) -> tuple[Score, ...]:
    """The scores of a cell that is done.

    Args:
        header: the cell's, where it was read already.

    Raises:
        UserError: they are damaged, were changed, or are of other samples than the cell has.
    """
    return _read_scores(folder / SCORES, header)


def _read_scores(path: Path, header: Header | None) -> tuple[Score, ...]:
    folder = path.parent
    if not path.exists():
        return ()
    header = read_header(folder) if header is None else header
    files = header.files if header is not None else {}
    samples = seals.file_sha256(folder / SAMPLES) or files.get(SAMPLES)
    remedy = "delete it, and score the run again"
    lines = iter(path.read_bytes().split(b"\n"))

    def unsealed(row: Any, where: str) -> Score:
        row = read_as(dict[str, Any], row, where, remedy)  # its seal comes first, and then what it says
        rest = seals.opened_line(next(lines), row, str(path), remedy, wanted=bool(files))
        scored = rest.pop(SAMPLES, samples)
        if samples is not None and scored != samples:
            raise UserError(f"{path} holds scores of other samples than {folder / SAMPLES}; {remedy}.")
        return score_from_json(rest, where)

    return tuple(parsed_lines(path, unsealed))


def write_scores(folder: Path, scores: Iterable[Score]) -> None:
    """Keep the scores of the samples that a cell has."""
    _write_scores(folder / SCORES, scores)


def _write_scores(path: Path, scores: Iterable[Score]) -> None:
    of = {SAMPLES: seals.file_sha256(path.parent / SAMPLES)}
    lines = "".join(seals.sealed_line({**to_json(score), **of}) for score in scores)
    write_bytes(path, lines.encode(), StoreError)


def read_as_written(folder: Path, header: Header | None = None) -> tuple[Score, ...]:
    """What the references score against themselves as they were written, as `read_scores`; nothing of most cells."""
    return _read_scores(folder / AS_WRITTEN, header)


def write_as_written(folder: Path, scores: Iterable[Score]) -> None:
    _write_scores(folder / AS_WRITTEN, scores)


def read_cell(folder: Path) -> Record:
    """Everything one cell left on disk.

    Raises:
        UserError: there is no cell in the folder, it is damaged, changed since it was written, or of a newer schema.
    """
    header = read_header(folder)
    if header is None:
        raise UserError(f"{folder} holds no cell.")
    check_record(folder, header)
    if header.status != "done":  # scores are an earlier attempt's
        return Record(header, read_samples(folder), read_timings(folder), ())
    scores, as_written = read_scores(folder, header), read_as_written(folder, header)
    return Record(header, read_samples(folder), read_timings(folder), scores, as_written)


def read_run(run: Path) -> list[Record]:
    """The records of all cells that were begun, in the order of the plan.

    Raises:
        UserError: the folder holds no run.
    """
    return [read_cell(folder) for folder in _folders(run) if (folder / HEADER).exists()]


def read_headers(run: Path) -> list[Header]:
    """What `read_run` reads, without samples, timings and scores.

    Raises:
        UserError: the folder holds no run.
    """
    return [header for folder in _folders(run) if (header := read_header(folder)) is not None]


def _folders(run: Path) -> list[Path]:
    """Where the cells of the plan are, in its order."""
    plan = read_plan(run)
    if plan is None:
        raise UserError(f"{run} holds no run; make one with `python -m benchmarks run --task TASK --out {run}`.")
    return [cell_folder(run, cell_id) for cell_id in plan["cells"]]
