"""Texts from elsewhere as a cell of a run: nothing is generated and nothing timed, but all else is as for any cell.

The run may be one that systems of this machine are in. Where there is none, one is made of the task's floors alone, so
that no score stands without its scale.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.contract import Document, UserError
from baselines.titles import SYSTEMS, entry_name
from benchmarks import tasks
from benchmarks.importing import texts_file
from benchmarks.planning import plan as planning
from benchmarks.planning import plan_file
from benchmarks.planning.overrides import plain
from benchmarks.planning.run_config import Choices, as_flags
from benchmarks.records import environment, run_texts, seals, store
from benchmarks.records.files import StoreError, locked, write_lines
from benchmarks.records.schema import Cell, Header, Json, SampleRecord, TimingRecord
from benchmarks.records.titles import display_setting, display_system
from benchmarks.records.validity import LATENCY, throughput
from benchmarks.running import scoring
from benchmarks.running.cell_status import ProgressReporter, label
from cosmos.io.counting import counted
from cosmos.io.files import saving

PRESET = "elsewhere"  # of their cells, for they were trained, if at all, by nobody's recipe here
NOT_TIMED = "said by whoever made the texts, and not timed here"
_NO_MODEL = "texts from elsewhere came without the model that made them"
_NAME = re.compile(r"\w[\w .+()&'–-]{0,59}")
_HASH_SHOWN = 8


@dataclass(frozen=True)
class TextsFromElsewhere:
    """What is brought: a file, the name of the system that made its texts, and the seconds that all of them took.

    Raises:
        UserError: a name that a system here has or is called by, whatever its case, or that could not be told from a
            path, or no possible time.
    """

    file: Path
    name: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name != self.name.strip():
            raise UserError(
                f"--name must be 1 to 60 letters, digits, spaces or signs of . _ + - ( ) & ', such as 'Their model', "
                f"not {self.name[:80]!r}."
            )
        if registry.has(self.name) or self.name.casefold() in map(str.casefold, SYSTEMS.values()):
            raise UserError(
                f"'{self.name}' is a system here, which these texts are not from; give them another --name."
            )
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise UserError(f"--seconds must be how long all texts took, more than 0, not {self.seconds:g}.")


def documents_asked(choices: Choices) -> Sequence[Document]:
    """The test documents that texts are wanted for: those of the run where there is one, or else the source's.

    Raises:
        UserError: the run asks something else than the choices, or the source cannot be read.
    """
    header = _begun(choices)
    if header is not None:
        return run_texts.read_documents(planning.default_folder(choices), header.documents["test"]["sha256"])
    task, _, _ = planning.check_names(choices)
    return planning.open_source(choices, train=False).load(task.name, "test", choices.limit)


def bring(choices: Choices, texts: TextsFromElsewhere, voice: ProgressReporter, *, fresh: bool = False) -> Path:
    """Put texts into a run and score them; returns the run's folder. Done already, nothing is made again.

    Args:
        fresh: whether other texts of that name and seed may be replaced.

    Raises:
        UserError: before anything is written: the file does not answer the test documents, or it is not that which
            texts of this name came from.
    """
    if strange := [key for key in choices.changes if not key.startswith("data.")]:
        raise UserError(f"Texts from elsewhere have no {strange[0]}; only data.KEY can be set here.")
    documents = documents_asked(choices)
    folder, header = planning.default_folder(choices), _begun(choices)
    asked = f"{choices.task} on {choices.source or 'its usual source'}"
    if header is not None:
        asked = f"{header.cell.task} on {header.cell.source}"
    written, told_sources = texts_file.answers(texts.file, documents, asked)
    scoring.check_cache()
    _refuse_changed(folder, choices.seed, texts, fresh=fresh)
    if not told_sources and documents[0].source is not None:
        voice.say(f"{texts.file} says no sources, so that it answers these documents is known by their ids alone")
    if header is None or _only_scale(folder):
        _make_scale(choices, voice)
        header = _begun(choices)
        if header is None:
            raise UserError(
                f"No floor of the run in {folder} came to its end; mend what was said above, and run again."
            )
    with locked(folder):
        cell = _cell_of(header.cell, texts.name, choices.seed)
        at = store.cell_folder(folder, cell.id)
        if fresh and at.exists():
            _remove(at)
        _join_plan(folder, cell)
        if store.is_generated(at):
            voice.say(f"{label(cell)}: brought already")
        else:
            _write(folder, cell, header, documents, written, texts, _command(choices, texts))
            voice.say(f"{label(cell)}: {counted(len(written), 'text')}")
        _score(folder, choices, voice)
    return folder


def _begun(choices: Choices) -> Header | None:
    """The header of a cell of the run that is done, which says what was asked; None where there is none.

    Raises:
        UserError: something else was asked than the choices say.
    """
    folder = planning.default_folder(choices)
    stored = store.read_plan(folder)
    if stored is None:
        return None
    task = stored["task"].get("name")
    told: list[tuple[str, Any, Any]] = [("--task", choices.task, task), ("--source", choices.source, stored["source"])]
    told.append(("--limit", choices.limit, stored["limit"]))
    data = {key.removeprefix("data."): value for key, value in choices.changes.items() if key.startswith("data.")}
    told += [(f"--set data.{key}", value, stored["data"].get(key)) for key, value in data.items()]
    for flag, now, before in told:
        if now is not None and str(now).lower() != str(plain(before)).lower():
            raise UserError(
                f"The run in {folder} was made with {flag} {before}, and this command says {now}: leave it out, or "
                "choose another folder with --out."
            )
    headers = store.read_headers(folder)
    return next((header for header in headers if header.status == "done" and "test" in header.documents), None)


def _refuse_changed(folder: Path, seed: int, texts: TextsFromElsewhere, *, fresh: bool) -> None:
    """Raise `UserError` where the name is another's, or texts of the name and seed came from another file."""
    if store.read_plan(folder) is None:
        return
    name = texts.name.casefold()
    for header in store.read_headers(folder):
        if header.cell.system != texts.name or not header.imported:
            title, setting = display_system(header), display_setting(header)
            called = (header.cell.system, title, *_whole(title, setting))
            if name in map(str.casefold, called):
                raise UserError(f"'{texts.name}' is a system of the run in {folder}; give the texts another --name.")
            continue
        now = seals.file_sha256(texts.file)
        if header.cell.seed == seed and not fresh and header.imported["sha256"] != now:
            before, shown = str(header.imported["sha256"]), _HASH_SHOWN
            raise UserError(
                f"{texts.file} is not the file that the texts of '{texts.name}' in {folder} came from (SHA-256 "
                f"{before[:shown]} then, {str(now)[:shown]} now): give it another --name, or replace them with --fresh."
            )
        if header.cell.seed == seed and not fresh and header.imported["seconds"] != texts.seconds:
            raise UserError(
                f"The texts of '{texts.name}' in {folder} were brought with {_said(header.imported['seconds'])}, and "
                f"this command says {_said(texts.seconds)}: say the same, or replace them with --fresh."
            )


def _whole(title: str, setting: str) -> tuple[str, str]:
    """A system and its setting as reports write them."""
    return entry_name(title, setting), ", ".join(part for part in (title, setting) if part)


def _said(seconds: float | None) -> str:
    return "no --seconds" if seconds is None else f"--seconds {seconds:g}"


def _only_scale(folder: Path) -> bool:
    """Whether a run holds floors and texts from elsewhere alone, and a floor is not finished."""
    stored = store.read_plan(folder)
    assert stored is not None
    floors = set(stored["task"].get("floors", ()))
    brought = {header.cell.system for header in store.read_headers(folder) if header.imported}
    if not set(stored["systems"]) <= floors | brought:
        return False
    return not all(store.is_generated(store.cell_folder(folder, cell_id)) for cell_id in stored["cells"])


def _make_scale(choices: Choices, voice: ProgressReporter) -> None:
    """Run the task's floors and its reference, and nothing else."""
    from benchmarks.running import runner

    task = tasks.find(choices.need_task())
    if not task.floors:
        raise UserError(
            f"The task {task.name} has no floors to stand beside these texts; put them into a run of its own."
        )
    alone = dataclasses.replace(choices, system=task.floors, setting=(), steps=(), seed=0, seeds=1)
    runner.run(planning.make(alone, environment.find_device(alone.device)), voice)


def _cell_of(other: Cell, name: str, seed: int) -> Cell:
    """The cell of texts that answer the same documents as another cell of the run."""
    return dataclasses.replace(
        other,
        system=name,
        preset=PRESET,
        recipe={},
        budget="none",
        setting="default",
        setting_values={},
        seed=seed,
        sweep=(),
        devices=(),
        contents={key: content for key, content in other.contents.items() if key.startswith("data.")},
    )


def _join_plan(folder: Path, cell: Cell) -> None:
    """Add a cell to the plan of the run."""
    stored = store.read_plan(folder)
    assert stored is not None, "the run was begun"
    system: Json = {"preset": PRESET, "recipe": {}, "budget": "none", "settings": {cell.setting: {}}}
    new = {**stored, "commands": [], "contents": {}, "systems": {cell.system: system}, "cells": [cell.id]}
    store.write_plan(folder, plan_file.put_together(stored, new))


def _write(
    run: Path,
    cell: Cell,
    other: Header,
    documents: Sequence[Document],
    written: Sequence[str],
    texts: TextsFromElsewhere,
    command: str,
) -> None:
    """Leave a whole cell; killed meanwhile, all of it is written again."""
    folder = store.cell_folder(run, cell.id)
    origin = environment.made_with("cpu")
    header = Header(
        cell=cell,
        status="started",
        created=environment.now(),
        command=command,
        titles={"system": cell.system, "setting": ""},
        method=cell.system,
        no_likelihood=_NO_MODEL,
        commit=origin["commit"],
        dirty=origin["dirty"],
        packages=origin["packages"],
        imported={
            "file": texts.file.name,
            "sha256": str(seals.file_sha256(texts.file)),
            "seconds": texts.seconds,
        },
        content=other.content,
        documents={"test": other.documents["test"]},
        tokenizer={key: other.tokenizer[key] for key in ("name", "sha256") if key in other.tokenizer},
    )
    store.write_header(folder, header)
    counts = scoring.normaliser_of(run, header).token_counts(written)  # their ends counted
    samples = [
        SampleRecord(document.id, text, count - 1, True, cell.seed, {})
        for document, text, count in zip(documents, written, counts, strict=True)
    ]
    write_lines(folder / store.SAMPLES, map(seals.sample_row, samples))
    if texts.seconds is not None:
        write_lines(folder / store.TIMINGS, [vars(_told(samples, texts.seconds, sum(counts)))])
    reason = [NOT_TIMED if texts.seconds is not None else "no time was said"]
    doubts = {"valid": False, "reasons": reason}
    verdict = {
        **doubts,
        "batch_size": len(samples),
        "quantities": {
            LATENCY: {"valid": False, "reasons": ["no single text was timed"]},
            throughput(len(samples)): doubts,
        },
    }
    files = seals.file_hashes(folder, store.SEALED)
    done = dataclasses.replace(header, status="done", finished=environment.now(), verdict=verdict, files=files)
    store.write_header(folder, done)


def _told(samples: Sequence[SampleRecord], seconds: float, tokens: int) -> TimingRecord:
    """What was said of the time, as a call that made all texts at once."""
    texts = [sample.text for sample in samples]
    kept = {"words": sum(len(text.split()) for text in texts), "tokens": tokens}
    ids = tuple(sample.id for sample in samples)
    timing = TimingRecord("batch", 0, ids, seconds, {}, kept=kept, texts=seals.texts_sha256(texts))
    return dataclasses.replace(timing, seal=seals.timing_seal(timing, samples))


def _command(choices: Choices, texts: TextsFromElsewhere) -> str:
    words = ["--texts", str(texts.file), "--name", texts.name]
    words += [] if texts.seconds is None else ["--seconds", f"{texts.seconds:g}"]
    return shlex.join(["python", "-m", "benchmarks", "import", *as_flags(choices), *words])


def _score(folder: Path, choices: Choices, voice: ProgressReporter) -> None:
    """Score what lacks a score that the choices ask for: these texts, and whoever they stand beside."""
    from benchmarks.metrics.core import selection

    stored = store.read_plan(folder)
    assert stored is not None
    asked = selection.select(choices.metric, stored["task"].get("metrics", ()), stored.get("evaluators", {}))
    for header, at in _finished(folder):
        todo = scoring.missing(at, asked, header.cell.source)
        if todo:
            scoring.score(folder, at, header, asked, todo, voice=voice)


def _finished(folder: Path) -> Iterator[tuple[Header, Path]]:
    for header in store.read_headers(folder):
        at = store.cell_folder(folder, header.cell.id)
        if store.is_generated(at):
            yield header, at


def _remove(at: Path) -> None:
    """Delete a cell; its header goes first, so that what is left of it passes for nothing whole."""
    with saving(at, StoreError):
        (at / store.HEADER).unlink(missing_ok=True)
        shutil.rmtree(at)
