"""The samples of a panel as data for the page's browser: every document with what every entry made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from baselines.contract import Document
from benchmarks.records.schema import identity
from reports.html.origins import first_seed, sorting_columns
from reports.panels import Panel
from reports.templating import printable


@dataclass(frozen=True)
class SampleData:
    """What the browser shows.

    Attributes:
        data: JSON without a "<", so that it can stand in a page.
        entries: key and name of those that have texts.
        metrics: titles of those that score single texts.
        documents, of: how many documents are here, and how many there are.
        samples: how many texts are here.
        conditional: whether documents have a source.
    """

    data: Markup
    entries: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...]
    documents: int
    of: int
    samples: int
    conditional: bool


def sample_data(panel: Panel, documents: Mapping[str, Document], most_bytes: int) -> SampleData | None:
    """The texts of each entry's first seed; None where documents or texts were not kept.

    Where all would take more than `most_bytes` in UTF-8 there are those of fewer documents, chosen by the hashes of
    their ids, so that nobody picked them.
    """
    entries = [entry for entry in (*panel.trained, *panel.for_scale) if entry.records[0].samples]
    texts = [{sample.id: sample for sample in entry.records[0].samples} for entry in entries]
    ids = [key for key in documents if any(key in of for of in texts)]
    if not ids:
        return None
    columns = sorting_columns(panel)
    scores = [[first_seed(entry, column) for column in columns] for entry in entries]

    def row(key: str) -> list[Any]:
        """Of one document: id, source, references, and by entry text, whether it was cut, and scores."""
        document = documents[key]
        made: list[Any] = []
        for of, judged in zip(texts, scores, strict=True):
            sample = of.get(key)
            if sample is None:
                made.append(None)
            else:
                values = [_rounded(by_id.get(key)) for by_id in judged]
                made.append([printable(sample.text), 0 if sample.finished else 1, *values])
        source = None if document.source is None else printable(document.source)
        references = [printable(reference) for reference in document.references or (document.target,)]
        return [printable(key), source, references, made]

    rows = {key: _json(row(key)) for key in ids}
    kept = _within(rows, most_bytes)
    head = _json(
        {
            "entries": [[entry.key, printable(entry.name)] for entry in entries],
            "metrics": [[printable(column.title), column.direction] for column in columns],
        }
    )
    return SampleData(
        data=Markup(f'{head[:-1]},"documents":[\n' + ",\n".join(rows[key] for key in kept) + "\n]}"),
        entries=tuple((entry.key, entry.name) for entry in entries),
        metrics=tuple(column.title for column in columns),
        documents=len(kept),
        of=len(ids),
        samples=sum(key in of for of in texts for key in kept),
        conditional=any(documents[key].source is not None for key in kept),
    )


def _within(rows: Mapping[str, str], most_bytes: int) -> Sequence[str]:
    """The ids of the rows that fit, in their order."""
    sizes = {key: len(row.encode("utf-8", "replace")) + 2 for key, row in rows.items()}
    if sum(sizes.values()) <= most_bytes:
        return list(rows)
    chosen, taken = set(), 0
    for key in sorted(rows, key=identity):
        taken += sizes[key]
        if taken > most_bytes:
            break
        chosen.add(key)
    return [key for key in rows if key in chosen]


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
