"""A few test documents with what every system made of them, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from baselines.contract import Document
from benchmarks.records.schema import SampleRecord, identity
from reports.columns import ScoreColumn
from reports.numbers import significant
from reports.panels import Entry, Panel

COUNT = 5


@dataclass(frozen=True)
class Output:
    """What one entry wrote, with its headline score; `same_as` is "source" or "reference" where it is exactly that."""

    name: str
    trained: bool
    text: str
    same_as: str
    score: str
    finished: bool


@dataclass(frozen=True)
class Example:
    """One document; `source` is None for unconditional tasks, `references` empty where the documents are not stored."""

    id: str
    source: str | None
    references: tuple[str, ...]
    outputs: tuple[Output, ...]


def choose(panel: Panel, documents: Mapping[str, Document]) -> tuple[Example, ...]:
    """The same documents for all entries: those whose hashed ids come first, so that nobody picked them."""
    if not panel.entries:
        return ()
    samples = {entry.key: {sample.id: sample for sample in entry.records[0].samples} for entry in panel.entries}
    shared = set.intersection(*(set(of) for of in samples.values()))
    first = sorted(shared, key=identity)[:COUNT]
    return tuple(_example(key, documents.get(key), panel, samples) for key in first)


def _example(
    key: str, document: Document | None, panel: Panel, samples: Mapping[str, Mapping[str, SampleRecord]]
) -> Example:
    source = document.source if document else None
    references = (document.references or (document.target,)) if document else ()
    outputs = tuple(
        _output(entry, samples[entry.key][key], source, references, panel.headline)
        for entry in (*panel.trained, *panel.for_scale)
    )
    return Example(key, source, references, outputs)


def _output(
    entry: Entry, sample: SampleRecord, source: str | None, references: tuple[str, ...], column: ScoreColumn | None
) -> Output:
    score = column.scores.get(entry.key) if column else None
    value = score.per_text.get(sample.id) if score and len(entry.records) == 1 else None
    same = (
        "source" if source is not None and sample.text == source else "reference" if sample.text in references else ""
    )
    score_text = f"{column.title} {significant(value, 2)}" if column and value is not None else ""
    return Output(entry.name, entry.trained, sample.text, same, score_text, sample.finished)
