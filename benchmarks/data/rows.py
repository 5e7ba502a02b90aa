"""From columns of a table to documents, and the refusals that keep bad data out. Pure functions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from baselines.contract import Document, UserError
from benchmarks.data.blank import blank
from benchmarks.data.source import Split
from cosmos.io.counting import counted
from cosmos.io.typed_json import is_whole_text

Columns = Mapping[str, Sequence[Any]]
"""A table: values by the name of their column, all columns of one length."""

_SHOWN = 3
_TELLING = 4  # words of a text that is not everybody's
_TYPES = {
    float: "floating-point numbers",
    bool: "truth values",
    dict: "objects",
    list: "lists",
    bytes: "bytes",
}
CONTEXT = " context: "  # between the answer and the passage in the source of a question


def needed(conditional: bool) -> tuple[str, ...]:
    """The columns that a task's tables must have; `references` may be there too."""
    return ("id", "source", "target") if conditional else ("id", "text")


def documents(columns: Columns, conditional: bool, where: str) -> list[Document]:
    """The documents of one split, in the order of the rows.

    Args:
        conditional: whether documents have a source.
        where: what to call the table in errors, such as its path.

    Raises:
        UserError: a column is missing, a value is null, empty or no text, or an id comes twice.
    """
    names = needed(conditional)
    missing = [name for name in names if name not in columns]
    if missing:
        column_names = ", ".join(columns) or "none"
        raise UserError(f"{where} has no column {' and no column '.join(missing)}; its columns are {column_names}.")
    ids = _texts(columns["id"], "id", where)
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise UserError(
            f"In {where} {_count(len(repeated), 'id comes', 'ids come')} more than once ({_few(repeated)})."
        )
    targets = _texts(columns[names[-1]], names[-1], where)
    sources = _texts(columns["source"], "source", where) if conditional else [None] * len(ids)
    others = columns.get("references") or [None] * len(ids)
    return [
        Document(name, source, target, _references(target, listed, f"{where}, id {name}"))
        for name, source, target, listed in zip(ids, sources, targets, others, strict=True)
    ]


def _texts(values: Sequence[Any], column: str, where: str) -> list[str]:
    """The values as texts; whole numbers are taken as texts, which ids often are."""
    texts = [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]
    faults = {row: fault for row, value in enumerate(texts) if (fault := _fault(value)) is not None}
    if faults:
        fault = next(iter(faults.values()))
        bad = [row for row, other in faults.items() if other == fault]
        raise UserError(
            f"In {where} {_count(len(bad), 'row', 'rows')} of {len(texts)} {'has' if len(bad) == 1 else 'have'} "
            f"{fault} in column {column} (rows {_few(bad)}, counted from 0)."
        )
    return texts


def _fault(value: Any) -> str | None:
    """What a value is that is no text anybody could read; None where it is one."""
    if isinstance(value, str):
        if not is_whole_text(value):
            return "half of a surrogate pair"
        return "no text" if blank(value) else None
    return "no text" if value is None else f"no text but {_TYPES.get(type(value), type(value).__name__ + ' values')}"


def _references(target: str, listed: Any, where: str) -> tuple[str, ...]:
    if listed is None:
        return (target,)
    if not isinstance(listed, list | tuple) or any(_fault(text) is not None for text in listed):
        raise UserError(f"The references of {where} are no list of texts, none of them blank.")
    return tuple(dict.fromkeys((target, *listed)))


def shared_text(document: Document) -> str:
    """What must not be in two splits: the source, or the text of a task without sources; spaces and case aside."""
    return _folded(document.target if document.source is None else document.source)


def check_apart(splits: Mapping[Split, Sequence[Document]], where: str) -> None:
    """Refuse splits that share an id or a text.

    Raises:
        UserError: they do; says how many, with up to three examples.
    """
    largest = max(splits, key=lambda name: len(splits[name]), default=None)
    ids = {name: {document.id for document in splits[name]} for name in splits if name != largest}
    texts = {name: {shared_text(d): d.id for d in splits[name]} for name in splits if name != largest}
    if largest is not None:  # of the largest only what others have too: it may have a million documents
        met_ids: set[str] = set()
        met_texts: dict[str, str] = {}
        for document in splits[largest]:
            if any(document.id in others for others in ids.values()):
                met_ids.add(document.id)
            text = shared_text(document)
            if any(text in others for others in texts.values()):
                met_texts[text] = document.id
        ids[largest], texts[largest] = met_ids, met_texts
    for one, other in combinations(splits, 2):
        both = sorted(ids[one] & ids[other])
        if both:
            raise UserError(
                f"In {where} {_count(len(both), 'id', 'ids')} of {other} {_are(both)} in {one} too ({_few(both)}); "
                "every id must be in one split only."
            )
        same = sorted(texts[other][text] for text in texts[one].keys() & texts[other].keys())
        if same:
            raise UserError(
                f"In {where} {_count(len(same), 'text', 'texts')} of {other} {_are(same)} in {one} too "
                f"(ids in {other}: {_few(same)}); take them out of one of the two."
            )


def unseen(passages: Iterable[Document], held_out: Iterable[Document]) -> list[Document]:
    """The passages of another corpus in which no held-out text begins with a sentence and goes on as it is.

    Held-out texts are sources (of a question, its passage) and answers, and only those of at least `_TELLING` words: a
    shorter one may stand anywhere. Case and spaces count nothing.
    """
    hidden: dict[tuple[str, ...], list[list[str]]] = {}
    for text in held_out_texts(held_out):
        words = _folded(text).split()
        if len(words) >= _TELLING:
            hidden.setdefault(tuple(words[:_TELLING]), []).append(words)
    return [passage for passage in passages if not _holds(_folded(passage.target).split(), hidden)]


def held_out_texts(documents: Iterable[Document]) -> Iterator[str]:
    """What must not be learnt from of held-out documents: sources (of a question, its passage) and answers."""
    for document in documents:
        for text in (document.source, document.target, *document.references):
            yield (text or "").split(CONTEXT)[-1]


def _holds(words: Sequence[str], hidden: Mapping[tuple[str, ...], Sequence[Sequence[str]]]) -> bool:
    """Whether one of the texts begins with a sentence of these words and goes on as they do."""
    starts = (at for at in range(len(words)) if at == 0 or words[at - 1].rstrip("\"')]")[-1:] in ".!?")
    return any(
        list(words[at : at + len(text)]) == text
        for at in starts
        for text in hidden.get(tuple(words[at : at + _TELLING]), ())
    )


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def without(documents: Iterable[Document], taken: Iterable[Document]) -> list[Document]:
    """The documents whose text is not among those taken, without repeats of text and target together."""
    gone = {shared_text(document) for document in taken}
    seen: set[tuple[str, str]] = set()
    left = []
    for document in documents:
        text, pair = shared_text(document), (shared_text(document), document.target)
        if text not in gone and pair not in seen:
            left.append(document)
            seen.add(pair)
    return left


def in_order(documents: Iterable[Document]) -> list[Document]:
    """Documents in an order that comes from their ids alone, so that the first few do not depend on the file."""
    return sorted(documents, key=lambda document: (share_of(document.id), document.id))


def first(documents: Sequence[Document], asked: int, limit: int | None, what: str) -> Sequence[Document]:
    """The first `limit` of those that an option asks for, of all if it is 0.

    Args:
        what: the option, such as "data.train", for the error.

    Raises:
        UserError: more are asked for than there are.
    """
    check_count(asked, len(documents), what)
    count = asked or len(documents)
    return documents[: count if limit is None else min(limit, count)]


def check_count(asked: int, there: int, what: str) -> None:
    """Raise `UserError` where an option asks for more documents than there are."""
    if asked > there:
        found = f"{'is' if there == 1 else 'are'} {_count(there, 'document', 'documents')}"
        raise UserError(f"{what} asks for {counted(asked, 'document')} where there {found}; ask for no more, or 0.")


def share_of(text: str) -> float:
    """A number in [0, 1) that comes from a text alone, the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / (1 << 48)


def content_hash(documents: Iterable[Document]) -> str:
    """The SHA-256 of documents, independent of how they were stored."""
    hashed = hashlib.sha256()
    for document in documents:
        for part in (document.id, document.source or "", document.target, *document.references):
            data = part.encode()
            hashed.update(len(data).to_bytes(8, "big") + data)
        hashed.update(b"\xff" * 8)
    return hashed.hexdigest()


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _few(things: Sequence[object]) -> str:
    return ", ".join(map(str, things[:_SHOWN])) + (", ..." if len(things) > _SHOWN else "")
