"""Train one checkpoint, or find it trained, and remember beside it what it cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from baselines.contract import (
    Budget,
    Corpus,
    Document,
    Progress,
    System,
    TellsTextsRead,
    TrainingResult,
    UserError,
    silent,
)
from benchmarks.data.rows import held_out_texts
from benchmarks.data.source import HasAuxiliaryTexts
from benchmarks.planning.overrides import plain
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import environment, run_texts, seals, store
from benchmarks.records.files import StoreError, write_json
from benchmarks.records.parts import DocumentsDigest, MadeWith
from benchmarks.records.schema import SCHEMA, Json, Training, check_schema
from benchmarks.running.devices.launched_fits import LaunchedFits
from benchmarks.tasks import Task
from benchmarks.timing import memory
from cosmos.io import launched
from cosmos.io.files import make_folder, read_json
from cosmos.io.typed_json import read_as

VALIDATION_DOCUMENTS = 256
"""How many validation documents systems are shown, the first. What measuring a validation loss costs is in no budget,
and on ten thousand long documents it would cost more than a training at nano."""


class StoredFit(TypedDict):
    """What stands beside a checkpoint."""

    inputs: Json
    training: Training
    documents: dict[str, DocumentsDigest]
    made_with: MadeWith


_NOTHING = Budget(1, "steps")  # what a floor is told it may spend


def corpus_of(plan: Plan) -> Corpus:
    """What the contestants of a plan learn from."""
    task, source = plan.task.name, plan.source
    passages = source.passages(task) if isinstance(source, HasAuxiliaryTexts) else ()
    validation = source.load(task, "validation", VALIDATION_DOCUMENTS)
    return Corpus(source.load(task, "train"), validation, passages, plan.cells[0].cell.tokenizer)


def training_of(run: Path, checkpoint_id: str) -> Training | None:
    """What a checkpoint cost, or None while it is not finished."""
    path = store.fit_file(run, checkpoint_id)
    return Training(**_read(path)["training"]) if path.exists() else None


def check(run: Path, planned: PlannedCell, task: Task, *, used: bool) -> None:
    """See that a finished checkpoint is whole and of this configuration.

    Args:
        used: whether texts will be made with it: then every byte is checked, else headers only.

    Raises:
        UserError: it is missing, truncated, changed since it was trained, or of another configuration.
    """
    cell = planned.cell
    path = store.fit_file(run, cell.checkpoint_id)
    if not path.exists():
        return
    stored = _read(path)
    differing = [key for key, value in _inputs(planned).items() if stored["inputs"].get(key) != value]
    if differing:
        raise UserError(f"{path} is of another {' and '.join(differing)}; delete it and its folder, and run again.")
    folder = store.checkpoint_folder(run, cell.checkpoint_id)
    try:
        planned.contestant.system(planned.contestant.recipe, task.limits).check(folder)
    except UserError as error:
        raise UserError(
            f"The checkpoint of {cell.system} cannot be used: {str(error).rstrip('.')} "
            f"(to train it again, delete {folder} and {path.name} beside it)."
        ) from error
    if used:
        check_files(run, cell.checkpoint_id)


def check_files(run: Path, checkpoint_id: str) -> None:
    """See that every file that a finished checkpoint has is what training left.

    Raises:
        UserError: one was changed; the message names it.
    """
    path, folder = store.fit_file(run, checkpoint_id), store.checkpoint_folder(run, checkpoint_id)
    if path.exists():
        remedy = f"restore it from a copy, or delete {folder} and {path.name} beside it, and run again"
        seals.check_files(folder, _read(path).get("files", {}), remedy)


def fit(
    run: Path,
    planned: PlannedCell,
    task: Task,
    corpus: Corpus,
    progress: Progress,
    held_out: Callable[[], Iterable[Document]] = tuple,
    fits: LaunchedFits | None = None,
) -> Training:
    """Train, or take training up where it was interrupted.

    Args:
        held_out: the documents that texts are judged by; asked where a system begins from what has read other corpora.
        fits: by which other processes of a launch are told what to train.
    """
    cell, contestant = planned.cell, planned.contestant
    earlier = training_of(run, cell.checkpoint_id)
    if earlier is not None:
        return earlier
    folder = store.checkpoint_folder(run, cell.checkpoint_id)
    make_folder(folder, StoreError)
    system = contestant.system(contestant.recipe, task.limits)
    if fits is not None:
        fits.next(cell.checkpoint_id, system)
    fitted = train(run, planned, system, corpus, progress)
    training = _training(fitted)
    if isinstance(system, TellsTextsRead):
        texts = list(dict.fromkeys(filter(None, held_out_texts(held_out()))))
        read = system.texts_read(texts)
        if read is not None:
            told = {"texts": len(texts), "told": read[1], "read": read[0]}
            training = dataclasses.replace(training, notes={**training.notes, "held_out_read": told})
    documents = {**run_texts.corpus_digests(corpus), "train": run_texts.write_learnt(run, corpus.train)}
    record = {
        "schema": SCHEMA,
        "inputs": _inputs(planned),
        "training": dataclasses.asdict(training),
        "documents": documents,
        "made_with": environment.made_with(cell.device),
        "files": seals.tree_hashes(folder),
    }
    write_json(store.fit_file(run, cell.checkpoint_id), seals.sealed(record))
    del system
    memory.free()
    return training


def train(
    run: Path, planned: PlannedCell, system: System, corpus: Corpus, progress: Progress = silent
) -> TrainingResult:
    """`System.fit` of a planned cell, on this process's own device."""
    cell, budget = planned.cell, planned.contestant.budget or _NOTHING
    folder, device = store.checkpoint_folder(run, cell.checkpoint_id), launched.own_device(cell.device)
    return system.fit(corpus, budget, folder, seed=cell.seed, device=device, progress=progress)


def documents_of(run: Path, checkpoint_id: str) -> Mapping[str, Json]:
    """The digests of what a finished checkpoint was trained on."""
    documents: Mapping[str, Json] = _read(store.fit_file(run, checkpoint_id))["documents"]
    return documents


def made_with(run: Path, checkpoint_id: str) -> Json:
    """The code and the machine that made a finished checkpoint."""
    origin: Json = _read(store.fit_file(run, checkpoint_id))["made_with"]
    return origin


def _read(path: Path) -> Json:
    """What stands beside a checkpoint.

    Raises:
        UserError: it is damaged, changed since it was written, or of a newer schema.
    """
    remedy = "delete this file, and run again: a checkpoint that is whole is not trained again"
    stored = read_json(path, remedy)
    check_schema(stored.get("schema"), str(path))
    stored = seals.opened(stored, str(path), remedy, wanted=stored["schema"] >= seals.SINCE)
    read_as(StoredFit, stored, str(path), remedy)
    return stored


def _inputs(planned: PlannedCell) -> Json:
    cell = planned.cell
    return cell.training_inputs


def _training(fitted: TrainingResult) -> Training:
    """As JSON: a loss that is no number is none."""
    loss = fitted.validation_loss
    return Training(
        steps=fitted.steps,
        seconds=fitted.seconds,
        flops=fitted.flops,
        validation_loss=loss if loss is not None and math.isfinite(loss) else None,
        notes=plain(fitted.notes),
    )
