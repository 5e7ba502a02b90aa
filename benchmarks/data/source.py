"""What a source is, and which there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

from baselines.contract import Document
from baselines.registry import Registry

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


class Source(Protocol):
    """Documents of a task.

    Class attributes:
        Options: frozen dataclass of all that may be set (`--set data.KEY=...`); it goes into a cell's identity.
        version: goes up when the same options give other documents; in the identity too.
    """

    Options: ClassVar[type[Any]]
    version: ClassVar[str]

    def __init__(self, options: Any) -> None: ...

    def load(self, task: str, split: Split, limit: int | None = None) -> Sequence[Document]:
        """The documents of a split, or its first `limit`.

        Raises:
            UserError: the source has no such task, or cannot be read.
        """
        ...


@runtime_checkable
class HasProvenance(Protocol):
    """A source that can say more of its documents than its options do."""

    def content(self, task: str) -> dict[str, Any]:
        """What was read, as JSON for the record: names, revision, hashes; for a language that is known, its entropy."""
        ...


@runtime_checkable
class ReadsNamedFiles(Protocol):
    """A source whose options name files or a folder: cells are known by what is in them, not by where they lie."""

    def named_files(self, task: str) -> dict[str, list[Path]]:
        """Option -> the files that are read of what it names; nothing of an option that names nothing."""
        ...


@runtime_checkable
class HasAuxiliaryTexts(Protocol):
    """A source that can give texts of another corpus too (`baselines.contract.Corpus.passages`)."""

    def passages(self, task: str) -> Sequence[str]:
        """Those that its options name, without held-out texts of the task; none where they name none.

        Raises:
            UserError: the corpus cannot be had.
        """
        ...


@runtime_checkable
class HasTrueDistribution(Protocol):
    """A source that knows the distribution of its own targets, which the system `oracle` draws from."""

    def law(self, task: str) -> Callable[[str | None, int], str]:
        """`draw(source, seed)`: a target from P(target | source), or from P(target) where the source is None."""
        ...


@runtime_checkable
class HasTrueProbability(Protocol):
    """A source that knows how likely each of its targets is, as `oracle` says of the references."""

    def log_probability(self, task: str) -> Callable[[str, str | None], float]:
        """`log_probability(target, source)`: log P(target | source) in nats, log P(target) where the source is None."""
        ...


def _fault(source: Any) -> str | None:
    """What an outside class lacks of `Source`."""
    missing = [name for name in ("Options", "version", "load") if not hasattr(source, name)]
    if missing:
        return f"has no {' and no '.join(missing)}"
    if not dataclasses.is_dataclass(source.Options):
        return "has Options that are no dataclass"
    return None


_SOURCES = Registry(
    "source",
    "cosmos_bench.sources",
    {
        "world": "benchmarks.data.built_in:World",
        "local": "benchmarks.data.local:Local",
        "hub": "benchmarks.data.hub:Hub",
    },
    _fault,
    summaries={
        "world": "the built-in grammar, which knows the right answers and needs no download",
        "local": "your own texts, from files (docs/data.md)",
        "hub": "the usual sets of the Hugging Face hub",
    },
)


def names() -> tuple[str, ...]:
    """The names of all sources."""
    return _SOURCES.names()


def summary(name: str) -> str:
    """What a source is, or which package offers it."""
    return _SOURCES.summary(name)


def find(name: str) -> type[Source]:
    """The class of a source; an unknown name is a `UserError` with the nearest names."""
    source: type[Source] = _SOURCES.find(name)
    return source
