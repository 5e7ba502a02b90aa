"""Put runs of several machines together. What differs is refused, and the same runs give the same bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.contract import UserError
from benchmarks.planning import plan_file
from benchmarks.records import run_texts, seals, store
from benchmarks.records.files import StoreError
from benchmarks.records.schema import Json, Record
from benchmarks.running import fitting, reuse
from cosmos.io.files import make_folder, saving

_OF_CELLS = ("cells", "checkpoints", "report")  # files in other folders are named by what is in them
_PARTIAL = ".{}.partial"


@dataclass(frozen=True)
class StoredRun:
    """A run as it was read, every seal checked."""

    folder: Path
    plan: Json
    records: Mapping[str, Record]  # by the id of the cell, in the order of the plan

    @classmethod
    def read(cls, folder: Path) -> StoredRun:
        """Read a run's folder; see `benchmarks.records.store.read_run` for errors."""
        records = {record.header.cell.id: record for record in store.read_run(folder)}
        plan = store.read_plan(folder)
        assert plan is not None, "a run that can be read has a plan"
        return cls(folder, plan, records)


def merge(folders: Sequence[Path], out: Path) -> list[str]:
    """Copy runs into a new one, which appears at once when it is whole.

    A trivial baseline is part of every run. Where its texts are the same, its record is that of the first run.

    Returns:
        sentences on what was taken from one of several runs.

    Raises:
        UserError: a run cannot be read or is changed, two differ in what they asked or in a cell that both have, or
            `out` is there already.
    """
    if len({folder.resolve() for folder in folders}) < 2:
        raise UserError("Say at least two runs to merge, each another folder.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already; choose another folder with --out.")
    if any(out.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise UserError(f"{out} lies in one of the runs to merge; choose another folder with --out.")
    runs = [StoredRun.read(folder) for folder in folders]
    first, *others = runs
    plan = first.plan
    for other in others:
        plan = joined_plan(plan, other.plan, first.folder, other.folder)
    said = check_cells(runs)
    check_checkpoints(runs)
    check_texts(runs)
    _write(runs, plan, out.resolve())
    return said


def joined_plan(one: Json, other: Json, first: Path, second: Path) -> Json:
    """The plan of two runs that asked the same.

    Raises:
        UserError: they did not; the message says what differs, and both values.
    """
    plan_file.check_contents(one, other, f"between the runs {first} and {second}; merge runs of the same files")
    before, now = _asked(one), _asked(other)
    named = {*one.get("contents", {}), *other.get("contents", {})}  # compared by what is in them
    may_be_alone = {*one["systems"].keys() ^ other["systems"].keys(), "evaluators"}
    for key in dict.fromkeys((*before, *now)):
        alone = (key in before) != (key in now)
        allowed = alone and (key.partition(".")[0] in may_be_alone or ".settings." in key)
        if key not in named and not allowed and before.get(key) != now.get(key):
            raise UserError(
                f"The runs {first} and {second} cannot be merged: {key} is {before.get(key, 'not set')} in one and "
                f"{now.get(key, 'not set')} in the other."
            )
    return plan_file.put_together(one, other)


def _asked(plan: Json) -> dict[str, object]:
    """All that a plan says was asked, under dotted keys."""
    evaluators = plan_file.leaves("evaluators", plan.get("evaluators", {}))
    return dict([*plan_file.stored_choices(plan), *plan_file.leaves("task", plan["task"]), *evaluators])


def check_cells(runs: Sequence[StoredRun]) -> list[str]:
    """See that cells of several runs can stand in one; returns sentences on trivial baselines that several have.

    Raises:
        UserError: other documents or devices, or two different records of one cell.
    """
    seen: dict[str, tuple[StoredRun, Record]] = {}
    said: list[str] = []
    known: dict[str, tuple[str, Path]] = {}  # what must be one -> what it is, and in which run
    for run in runs:
        for cell_id, record in run.records.items():
            for what, value in _shared(record).items():
                earlier, where = known.setdefault(what, (value, run.folder))
                if earlier != value:
                    raise UserError(
                        f"The runs {where} and {run.folder} cannot be merged: {what} {earlier} in one and {value} in "
                        "the other."
                    )
            if cell_id not in seen:
                seen[cell_id] = (run, record)
            elif (sentence := _clash(*seen[cell_id], run, record)) is not None:
                said.append(sentence)
    return said


def _shared(record: Record) -> dict[str, str]:
    """What must be the same in all cells that are done: documents and device."""
    header = record.header
    if header.status != "done":
        return {}
    documents = {f"{reuse.SPLITS[split]} have the SHA-256": str(d["sha256"]) for split, d in header.documents.items()}
    tokenizer = (
        {"texts go through a tokenizer with the SHA-256": sha} if (sha := header.tokenizer.get("sha256")) else {}
    )
    machine = {} if header.imported else {"texts were timed on": str(header.device.get("name"))}
    return {**documents, **tokenizer, **machine}


def _clash(one: StoredRun, ours: Record, other: StoredRun, theirs: Record) -> str | None:
    """What to say of a cell that two runs have; None where nothing is.

    Raises:
        UserError: the two are different records.
    """
    cell = ours.header.cell
    folders = [store.cell_folder(run.folder, cell.id) for run in (one, other)]
    if seals.tree_hashes(folders[0]) == seals.tree_hashes(folders[1]):
        return None
    if cell.budget == "none" and _written(ours) == _written(theirs):
        return f"{cell.system} seed {cell.seed}: the record of {one.folder}, whose texts are those of {other.folder}"
    raise UserError(
        f"{folders[0]} and {folders[1]} are two different records of one cell ({cell.system} {cell.setting} seed "
        f"{cell.seed}); delete one of them."
    )


def _written(record: Record) -> tuple[str, object]:
    """How a cell ended and what its texts are: their hash, where they were not published."""
    return record.header.status, record.samples or record.header.files.get(store.SAMPLES)


def check_texts(runs: Sequence[StoredRun]) -> None:
    """See that documents, learnt texts and tokenizers are those that the headers name, as far as they are there.

    Raises:
        UserError: one was changed, or is damaged.
    """
    for run in runs:
        for record in run.records.values():
            documents, tokenizer = record.header.documents, record.header.tokenizer
            if (test := documents.get("test")) is not None:
                run_texts.has_documents(run.folder, test["sha256"])
            if (train := documents.get("train")) is not None:
                run_texts.read_learnt(run.folder, train["sha256"], train.get("targets"))
            if tokenizer and run_texts.has_tokenizer(run.folder, tokenizer["sha256"]):
                run_texts.read_tokenizer(run.folder, tokenizer["sha256"])


def check_checkpoints(runs: Sequence[StoredRun]) -> None:
    """See that every checkpoint is what was trained, and that runs which share one have the same.

    Raises:
        UserError: one was changed, or was trained once in each of two runs; floors are not trained.
    """
    seen: dict[str, tuple[Path, str | None]] = {}
    for run in runs:
        for checkpoint_id in dict.fromkeys(record.header.cell.checkpoint_id for record in run.records.values()):
            fitting.check_files(run.folder, checkpoint_id)
        for record in run.records.values():
            cell = record.header.cell
            path = store.fit_file(run.folder, cell.checkpoint_id)
            sha256 = seals.file_sha256(path)
            if sha256 is None or cell.budget == "none":
                continue
            earlier, known = seen.setdefault(cell.checkpoint_id, (path, sha256))
            if known != sha256:
                raise UserError(
                    f"{earlier} and {path} are two trainings of one checkpoint ({cell.system} seed {cell.seed}), so "
                    "the runs cannot be merged; keep one of them."
                )


def _write(runs: Sequence[StoredRun], plan: Json, out: Path) -> None:
    """Copy everything beside `out` first; what a killed process left there is deleted."""
    partial = out.with_name(_PARTIAL.format(out.name))
    make_folder(out.parent, StoreError)
    with saving(out, StoreError):
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir()
        for run in runs:
            for cell_id in run.records:
                if not store.cell_folder(partial, cell_id).exists():
                    _copy(store.cell_folder(run.folder, cell_id), store.cell_folder(partial, cell_id))
                _copy_checkpoint(run.folder, partial, run.records[cell_id].header.cell.checkpoint_id)
            for folder in sorted(path for path in run.folder.iterdir() if path.is_dir()):
                if folder.name not in _OF_CELLS and not folder.name.startswith("."):
                    _copy(folder, partial / folder.name)
        store.write_plan(partial, plan)
        store.read_run(partial)
        os.replace(partial, out)


def _copy_checkpoint(run: Path, target: Path, checkpoint_id: str) -> None:
    """Copy a checkpoint and its record, where it is finished and not there yet."""
    if store.fit_file(run, checkpoint_id).exists() and not store.fit_file(target, checkpoint_id).exists():
        _copy(store.checkpoint_folder(run, checkpoint_id), store.checkpoint_folder(target, checkpoint_id))
        store.fit_file(target, checkpoint_id).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.fit_file(run, checkpoint_id), store.fit_file(target, checkpoint_id))


def _copy(source: Path, target: Path) -> None:
    """Copy the files of a folder that are not there yet."""
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        place = target / path.relative_to(source)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
