"""The file of texts made elsewhere, and the file of what is asked: read, written, and held against the test documents.

A row has `id`, that of a test document, and `text`, the answer to it, which may be blank. Where it has `source` too,
that must be the document's, since sets that were made alike number their documents alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from baselines.contract import Document, UserError
from benchmarks.data.local import read_columns
from benchmarks.records.files import StoreError
from cosmos.io.files import make_folder, write_bytes
from cosmos.io.typed_json import is_whole_text

_NEEDED = ("id", "text")
_SHOWN = 3  # ids of each kind that an error names


def answers(path: Path, documents: Sequence[Document], asked: str) -> tuple[list[str], bool]:
    """The text for each document, in the order of the documents, and whether the rows say the sources they answer.

    Args:
        path: a file of JSON lines, or of Parquet.
        asked: what the documents are, for errors, such as "detox on world".

    Raises:
        UserError: the file cannot be read; a row has no id or no text; an id comes twice, is none of a test document
            or has another source than that; or a document has no row.
    """
    columns = _columns(path)
    ids = [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in columns["id"]]
    for name, values in (("id", ids), ("text", columns["text"])):
        bad = [row for row, value in enumerate(values) if not isinstance(value, str) or not is_whole_text(value)]
        if bad:
            raise UserError(
                f"In {path} {_counted(len(bad), 'row has', 'rows have')} no {name} that is text (rows {_few(bad)}, "
                "counted from 0)."
            )
    if repeated := [key for key, count in Counter(ids).items() if count > 1]:
        raise UserError(
            f"In {path} {_counted(len(repeated), 'id comes', 'ids come')} more than once ({_few(repeated)}); keep one "
            "text for each document."
        )
    by_id = dict(zip(ids, columns["text"], strict=True))
    _check_ids(path, by_id, documents, asked)
    sources = dict(zip(ids, columns["source"], strict=True)) if "source" in columns else {}
    _check_sources(path, sources, documents, asked)
    return [by_id[document.id] for document in documents], bool(sources)


def _columns(path: Path) -> Mapping[str, Sequence[Any]]:
    if not path.is_file():
        raise UserError(f"{path} is no file; name one with a JSON object a line, of `id` and `text`.")
    columns, _ = read_columns(path, (*_NEEDED, "source"))
    if path.suffix == ".parquet" and "source" not in columns:
        columns, _ = read_columns(path, _NEEDED)
    if not columns:
        raise UserError(f"{path} holds no rows; write a JSON object a line, of `id` and `text`.")
    if missing := [name for name in _NEEDED if name not in columns]:
        raise UserError(
            f"{path} has no column {' and no column '.join(missing)}; its columns are {', '.join(columns)}."
        )
    return columns


def _check_ids(path: Path, by_id: Mapping[str, str], documents: Sequence[Document], asked: str) -> None:
    known = {document.id for document in documents}
    strange = [key for key in by_id if key not in known]
    if len(strange) == len(by_id):
        raise UserError(
            f"None of the {_counted(len(by_id), 'id', 'ids')} in {path} ({_few(strange)}) is one of the "
            f"{_counted(len(known), 'test document', 'test documents')} of {asked} ({_few(sorted(known))}): these are "
            "texts for another test set."
        )
    if strange:
        raise UserError(
            f"In {path} {_counted(len(strange), 'id is', 'ids are')} none of the test documents of {asked} "
            f"({_few(strange)}); the file must hold a text for each of these {len(known)} and for no other."
        )
    if lacking := [document.id for document in documents if document.id not in by_id]:
        raise UserError(
            f"{path} has no text for {len(lacking)} of the {len(known)} test documents of {asked} ({_few(lacking)}); a "
            "system that wrote nothing has a blank text."
        )


def _check_sources(path: Path, sources: Mapping[str, Any], documents: Sequence[Document], asked: str) -> None:
    other = [d.id for d in documents if d.source is not None and sources.get(d.id, d.source) not in (d.source, None)]
    if other:
        raise UserError(
            f"In {path} {_counted(len(other), 'id has', 'ids have')} another source than the test document of that id "
            f"of {asked} ({_few(other)}): these are texts for another test set."
        )


def write_requests(path: Path, documents: Sequence[Document]) -> None:
    """Write what is asked, and no answers: JSON lines of `id` and, where the task has sources, `source`."""
    rows = [{"id": d.id} if d.source is None else {"id": d.id, "source": d.source} for d in documents]
    make_folder(path.absolute().parent, StoreError)
    write_bytes(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode(), StoreError)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _few(things: Sequence[object]) -> str:
    return ", ".join(map(str, things[:_SHOWN])) + (", ..." if len(things) > _SHOWN else "")
