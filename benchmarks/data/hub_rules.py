"""How the tables of hub data sets become documents in three splits: pure functions, one for each kind of set.

Rows without text are left out. No text is in two splits: test keeps all of its own, validation what is not in test,
train what is in neither. Where a set has no validation or no test split, it is made by a hash of what must stay
together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from baselines.contract import Document, UserError
from benchmarks.data.blank import blank
from benchmarks.data.rows import CONTEXT, Columns, share_of, without
from benchmarks.data.source import Split

Tables = Mapping[str, Columns]
"""The tables of a set by the hub's names of its splits."""
Splits = dict[Split, list[Document]]
Articles = Mapping[str, Split]
"""Article title -> split."""

_TEXT = ("text", "text_trg", "target")
_SOURCE = ("source", "text_src")
_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[A-Z0-9\"'(])")


def stories(tables: Tables) -> Splits:
    """A first sentence in `prompt` and the rest in `continuation`; the hub's three splits."""
    splits: Splits = {}
    for split in _THREE:
        rows = _rows(tables[split], "prompt", "continuation")
        splits[split] = _plain("roc", (f"{prompt.strip()} {rest.strip()}" for prompt, rest in rows))
    return apart(splits)


def questions(tables: Tables, articles: Articles | None = None) -> Splits:
    """SQuAD: passage and first answer to question; further questions of one passage and answer are references.

    Args:
        articles: the split of each article; without it the official dev set is test, and articles of the official
            training set whose title has a hash in the lowest twentieth are validation.

    Raises:
        UserError: an article is in no list.
    """
    rows = [(hub, *row) for hub in ("train", "validation") for row in _squad_rows(tables[hub])]
    if articles is not None:
        _check_listed({_title(title) for _, _, title, _, _ in rows}, articles)
    groups: dict[tuple[Split, str], list[tuple[str, str]]] = {}
    for hub, name, title, source, question in rows:
        split = articles[_title(title)] if articles is not None else _official(hub, title)
        groups.setdefault((split, source), []).append((name, question))
    splits: Splits = {split: [] for split in _THREE}
    for (split, source), asked in groups.items():
        every = tuple(dict.fromkeys(question for _, question in asked))
        for name, question in asked:
            others = (other for other in every if other != question)
            splits[split].append(Document(name, source, question, (question, *others)))
    return apart(splits)


def _squad_rows(columns: Columns) -> Iterator[tuple[str, str, str, str]]:
    """Id, title, source and question of each question that has an answer."""
    texts = [columns[name] for name in ("id", "title", "context", "question")]
    for (name, title, context, question), answers in zip(zip(*texts, strict=True), columns["answers"], strict=True):
        spans = answers["text"] if answers else ()
        if _all_text(name, title, context, question) and _all_text(*spans[:1]) and spans:
            yield name, title, f"answer: {spans[0].strip()}{CONTEXT}{context.strip()}", question.strip()


def _official(hub: str, title: str) -> Split:
    if hub == "validation":
        return "test"
    return "validation" if share_of(_title(title)) < 0.05 else "train"


def _title(title: str) -> str:
    return " ".join(unquote(title).replace("_", " ").split()).lower()


def article_lists(texts: Mapping[Split, str]) -> Articles:
    """The split of each article from lists of titles, one a line.

    Raises:
        UserError: a title is in two lists.
    """
    split_of: dict[str, Split] = {}
    for split, text in texts.items():
        for title in filter(None, map(_title, text.splitlines())):
            if split_of.setdefault(title, split) != split:
                raise UserError(
                    f"The article '{title}' is in the lists of {split_of[title]} and {split}; keep it in one."
                )
    return split_of


def _check_listed(titles: set[str], articles: Articles) -> None:
    missing = sorted(titles - articles.keys())
    if missing:
        few = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(f"{len(missing)} of {len(titles)} articles of the set are in no list of data.articles ({few}).")


def summaries(tables: Tables) -> Splits:
    """XSum: `document` to `summary`, with its own `id` and splits."""
    return apart(
        {
            split: [
                Document(str(name), document.strip(), summary.strip(), (summary.strip(),))
                for document, summary, name in _rows(tables[split], "document", "summary", "id")
            ]
            for split in _THREE
        }
    )


def detox(tables: Tables) -> Splits:
    """ParaDetox: all rewrites of one toxic sentence are its references; sentences that share a rewrite stay together,
    and a tenth of the groups, by hash, is test, a tenth validation."""
    rewrites: dict[str, list[str]] = {}
    for toxic, neutral in _rows(tables["train"], "en_toxic_comment", "en_neutral_comment"):
        source, target = " ".join(toxic.split()), " ".join(neutral.split())
        if source.lower() != target.lower():
            rewritten = rewrites.setdefault(source, [])
            if target not in rewritten:
                rewritten.append(target)
    splits: Splits = {split: [] for split in _THREE}
    for group in _linked(rewrites):
        split = _tenths(share_of(min(group)))
        splits[split] += [
            Document(_name("paradetox", source), source, rewrites[source][0], tuple(rewrites[source]))
            for source in sorted(group)
        ]
    return apart(splits)


def _linked(rewrites: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Sources in groups: those that share a rewrite, directly or through others, are in one."""
    root: dict[str, str] = {source: source for source in rewrites}

    def find(source: str) -> str:
        while root[source] != source:
            root[source] = root[root[source]]
            source = root[source]
        return source

    owner: dict[str, str] = {}
    for source, targets in rewrites.items():
        for target in targets:
            root[find(source)] = find(owner.setdefault(target.lower(), source))
    groups: dict[str, list[str]] = {}
    for source in rewrites:
        groups.setdefault(find(source), []).append(source)
    return list(groups.values())


def _tenths(share: float) -> Split:
    return "test" if share < 0.1 else "validation" if share < 0.2 else "train"


def prepared(tables: Tables, conditional: bool) -> Splits:
    """A set prepared by the authors: one column of texts, or one of sources and one of targets; their splits where they
    have them, else a twentieth of train, by hash, for each that is missing."""
    splits: Splits = {split: [] for split in _THREE}
    for hub, columns in tables.items():
        text = _column(columns, _TEXT)
        if conditional:
            pairs = [(s.strip(), t.strip()) for s, t in _rows(columns, _column(columns, _SOURCE), text)]
            documents = [Document(_name("authors", f"{s}\t{t}"), s, t, (t,)) for s, t in pairs]
        else:
            documents = _plain("authors", (t.strip() for (t,) in _rows(columns, text)))
        for document in documents:
            splits[_split_of(hub, share_of(document.source or document.target), tables)].append(document)
    return apart(splits)


def _split_of(hub: str, share: float, tables: Tables) -> Split:
    if hub in ("test", "validation"):
        return "test" if hub == "test" else "validation"
    if "test" not in tables and share < 0.05:
        return "test"
    return "validation" if "validation" not in tables and 0.05 <= share < 0.1 else "train"


def passages(text: str, words: int = 128, least: int = 150) -> list[str]:
    """The passages of an article: paragraphs of at least `least` characters, their sentences joined while they stay
    under `words` words. (A sentence that is longer stands alone.)"""
    runs: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if len(paragraph.strip()) < least:
            continue
        current: list[str] = []
        for sentence in _SENTENCE_END.split(" ".join(paragraph.split())):
            more = sentence.split()
            if current and len(current) + len(more) > words:
                runs.append(" ".join(current))
                current = []
            current += more
        runs.append(" ".join(current))
    return runs


def from_stream(articles: Iterable[Mapping[str, Any]], counts: Mapping[Split, int], name: str) -> Splits:
    """The first passages of a stream of articles, as many as asked for in each split.

    An article goes to test or validation with a hundredth of the hashes each. Reading stops when all splits are full.
    """
    splits: Splits = {split: [] for split in _THREE}
    seen: set[str] = set()
    for article in articles:
        if all(len(splits[split]) >= counts[split] for split in _THREE):
            break
        text = article.get("text")
        if not isinstance(text, str) or blank(text):
            continue
        share = share_of(str(article.get("id") or text))
        split: Split = "test" if share < 0.01 else "validation" if share < 0.02 else "train"
        for passage in passages(text):
            if len(splits[split]) < counts[split] and passage not in seen:
                seen.add(passage)
                splits[split].append(Document(_name(name, passage), None, passage, (passage,)))
    return apart(splits)


def apart(splits: Mapping[Split, Sequence[Document]]) -> Splits:
    """The splits without what is in a split before: test first, then validation, then train."""
    test = without(splits["test"], ())
    validation = without(splits["validation"], test)
    return {"train": without(splits["train"], [*test, *validation]), "validation": validation, "test": test}


_THREE: tuple[Split, ...] = ("train", "validation", "test")


def _rows(columns: Columns, *names: str) -> Iterator[tuple[Any, ...]]:
    """The rows of some columns, those with a value that is no text or is blank left out."""
    for row in zip(*(columns[name] for name in names), strict=True):
        if _all_text(*row):
            yield row


def _all_text(*values: object) -> bool:
    return all(isinstance(value, str) and not blank(value) for value in values)


def _column(columns: Columns, names: Sequence[str]) -> str:
    for name in names:
        if name in columns:
            return name
    raise UserError(f"The set has none of the columns {', '.join(names)}; its columns are {', '.join(columns)}.")


def _plain(prefix: str, texts: Iterable[str]) -> list[Document]:
    return [Document(_name(prefix, text), None, text, (text,)) for text in texts]


def _name(prefix: str, text: str) -> str:
    """An id that comes from the text, for sets that have none."""
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
