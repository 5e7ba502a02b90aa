"""Runs that are made up: texts, seeds, scores and timings as a test says, written as the harness writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from baselines.contract import Document
from benchmarks.records import run_texts, seals, store
from benchmarks.records.files import write_lines
from benchmarks.records.schema import (
    Cell,
    Header,
    Network,
    SampleRecord,
    Score,
    Signature,
    TimingRecord,
    Training,
    to_json,
)

COMMITS = ("0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef")
SIGNATURE = Signature("quality", "1", "a judge 1", {"form": "through a tokenizer"})


def documents(count: int, word: str = "cup") -> list[Document]:
    return [
        Document(
            f"test-{n:04d}", f"damned {word} number {n} fell off the table", f"the {word} number {n} fell down", ()
        )
        for n in range(count)
    ]


def per_text(metric: str, values: Sequence[float | None], signature: Signature = SIGNATURE, **more: Any) -> Score:
    """A score that is a mean over texts."""
    present = [value for value in values if value is not None]
    mean = float(np.mean(present)) if present else None
    named = dataclasses.replace(signature, metric=metric)
    reason = None if present else "failed: nothing was judged"
    plain = Score(metric, mean, None, None, None, len(present), len(values), "higher", named, reason, tuple(values))
    return dataclasses.replace(plain, **more)


@dataclass
class MadeCell:
    """A cell as a test wants it; `speeds` are seconds of calls by (process, round), None for no timings."""

    system: str
    setting: str
    seed: int
    scores: tuple[Score, ...]
    texts: tuple[str, ...] = ()
    latency: tuple[float, ...] = ()
    batches: tuple[float, ...] = ()
    calls: int = 8
    header: Mapping[str, Any] = field(default_factory=dict)
    cell: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class MadeRun:
    """Cells that were asked the same documents."""

    documents: list[Document]
    cells: list[MadeCell] = field(default_factory=list)

    def add(self, system: str = "gpt2", setting: str = "greedy", *scores: Score, seed: int = 0, **more: Any) -> MadeRun:
        self.cells.append(MadeCell(system, setting, seed, scores, **more))
        return self

    def write(self, folder: Path) -> Path:
        about = run_texts.write_documents(folder, self.documents)
        ids = [self._write(folder, each, about) for each in self.cells]
        plan = {
            "task": {"name": "detox"}, "source": "world", "preset": "nano", "data": {}, "limit": None, "batch_size": 4,
            "device": "cpu", "dtype": "float32", "systems": {}, "cells": ids,
        }  # fmt: skip
        store.write_plan(folder, plan)
        return folder

    def _write(self, run: Path, made: MadeCell, about: Mapping[str, Any]) -> str:
        header = made_header(made, about)
        folder = store.cell_folder(run, header.cell.id)
        store.write_header(folder, header)
        ids = [document.id for document in self.documents]
        values = next((score.values for score in made.scores if score.values), None) or [""] * len(ids)
        texts = made.texts or tuple(f"{made.system} {n} {v}" for n, v in enumerate(values))  # scores alike, texts alike
        calls = {"network": made.calls} if header.networks else {}
        samples = [
            SampleRecord(key, text, 5, True, number, calls)
            for number, (key, text) in enumerate(zip(ids, texts, strict=True))
        ]
        write_lines(folder / store.SAMPLES, map(seals.sample_row, samples))
        timings = [TimingRecord("latency", n, (ids[n],), seconds, calls) for n, seconds in enumerate(made.latency)]
        for n, seconds in enumerate(made.batches):
            timings.append(TimingRecord("batch", n, tuple(ids[4 * n : 4 * n + 4]), seconds, calls))
        write_lines(folder / store.TIMINGS, map(to_json, timings))
        store.write_header(folder, dataclasses.replace(header, files=seals.file_hashes(folder, store.SEALED)))
        store.write_scores(folder, made.scores)
        return header.cell.id


def made_header(made: MadeCell, about: Mapping[str, Any]) -> Header:
    cell = Cell(
        task="detox", task_version="1", source="world", data={"seed": 0}, system=made.system, preset="nano",
        recipe={"width": 64}, budget="10 s", setting=made.setting, setting_values={"steps": 8}, limit=None,
        batch_size=4, device="cpu", dtype="float32", seed=made.seed,
    )  # fmt: skip
    trained = made.system not in ("copy", "unigram")
    plain = Header(
        cell=dataclasses.replace(cell, **made.cell),
        status="done",
        created="2026-01-02T03:04:05Z",
        finished="2026-01-02T03:05:05Z",
        method=made.system,
        commit=COMMITS[0],
        dirty=False,
        packages={"torch": "2.11.0", "transformers": "5.0"},
        device={"name": "An ordinary CPU", "cores": 2, "threads": 1, "python": "3.11.7"},
        documents={"test": dict(about), "train": {"count": 9, "sha256": "ab" * 32}},
        training=Training(10, 1.0, 1e6, 1.5, {}) if trained else None,
        networks={"network": Network(10, 10)} if trained else {},
        verdict={"valid": True, "reasons": []},
    )
    return dataclasses.replace(plain, **made.header)
