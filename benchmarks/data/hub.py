"""The source `hub`: data sets of the Hugging Face hub, by the package `datasets` of the extra `hub`.

Without a network the answer comes at once: the cache of `datasets` is looked at before anything is imported, and the
hub is asked once, with a short time limit, before a download begins.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from baselines.contract import Document, UserError, unknown
from benchmarks import tasks
from benchmarks.data import hub_rules, rows
from benchmarks.data.source import SPLITS, Split
from benchmarks.records.files import hugging_face_home

SECONDS = 5.0
"""How long the hub may take to say what it has."""


@dataclass(frozen=True)
class HubSet:
    """A data set of the hub.

    Attributes:
        tasks: which tasks it serves; the first set that names a task is its usual one.
        columns: the columns that are read; none for all.
        rule: tables to documents; None for a set too large to download, which is streamed.
    """

    repository: str
    tasks: tuple[str, ...]
    rule: Callable[[hub_rules.Tables], hub_rules.Splits] | None = None
    revision: str = "main"
    config: str | None = None
    columns: tuple[str, ...] = ()


def _pairs(tables: hub_rules.Tables) -> hub_rules.Splits:
    return hub_rules.prepared(tables, conditional=True)


def _texts(tables: hub_rules.Tables) -> hub_rules.Splits:
    return hub_rules.prepared(tables, conditional=False)


_AUTHORS = "bayes-group-diffusion"
SETS: Mapping[str, HubSet] = MappingProxyType(
    {
        "rocstories": HubSet("Ximing/ROCStories", ("story",), hub_rules.stories, columns=("prompt", "continuation")),
        "squad": HubSet(
            "rajpurkar/squad",
            ("question",),
            hub_rules.questions,
            columns=("id", "title", "context", "question", "answers"),
        ),
        "xsum": HubSet(
            "EdinburghNLP/xsum",
            ("summary",),
            hub_rules.summaries,
            revision="refs/convert/parquet",
            columns=("document", "summary", "id"),
        ),
        "paradetox": HubSet(
            "s-nlp/paradetox", ("detox",), hub_rules.detox, columns=("en_toxic_comment", "en_neutral_comment")
        ),
        "rocstories-authors": HubSet(f"{_AUTHORS}/rocstories", ("story",), _texts),
        "squad-authors": HubSet(f"{_AUTHORS}/squad", ("question",), _pairs),
        "squad-2.0-authors": HubSet(f"{_AUTHORS}/squad-2.0", ("question",), _pairs),
        "paradetox-authors": HubSet(f"{_AUTHORS}/paradetox", ("detox",), _pairs),
        "wikipedia": HubSet("wikimedia/wikipedia", ("story",), config="20231101.en"),
        "openwebtext": HubSet("Skylion007/openwebtext", ("story",), revision="refs/convert/parquet"),
    }
)
"""Wikipedia and OpenWebText are for the first stage of training; their documents are passages, without a source."""


@dataclass(frozen=True)
class HubOptions:
    """Which set, and how much of it.

    Attributes:
        name: the set; where it is empty, the usual one of the task.
        revision: branch, tag or commit; where it is empty, the usual one of the set.
        articles: for squad, a folder with doclist-train.txt, doclist-dev.txt and doclist-test.txt, the split by
            article of Du et al. 2017; where it is empty, SQuAD's own split.
        train, validation, test: how many documents of each split, 0 for all; chosen by a hash of their ids.
        passages: wikipedia or openwebtext, from which the first stage of Cosmos learns besides the task's own texts;
            none where it is empty. Those with held-out texts of the task in them are left out.
        passage_count: how many passages of it are read, the first of the stream.
        passage_revision: as `revision`, of that set.
    """

    name: str = ""
    revision: str = ""
    articles: str = ""
    train: int = 0
    validation: int = 0
    test: int = 0
    passages: str = ""
    passage_count: int = 0
    passage_revision: str = ""

    def __post_init__(self) -> None:
        if self.name and self.name not in SETS:
            raise unknown("set of the hub", self.name, SETS)
        for count in (*SPLITS, "passage_count"):
            if getattr(self, count) < 0:
                raise UserError(f"data.{count} must be 0 (all) or more, not {getattr(self, count)}.")
        streamed = [name for name, hub_set in SETS.items() if hub_set.rule is None]
        if self.passages and self.passages not in streamed:
            raise unknown("set of passages", self.passages, streamed)
        if (self.passage_count or self.passage_revision) and not self.passages:
            raise UserError("data.passage_count and data.passage_revision are of no use without data.passages.")
        if self.passages and not self.passage_count:
            raise UserError(
                f"The set {self.passages} is streamed, so say how many passages with --set data.passage_count=N."
            )


class Hub:
    """Documents downloaded from the hub, or found in the cache of `datasets`."""

    Options: ClassVar[type[HubOptions]] = HubOptions
    version: ClassVar[str] = "1"

    def __init__(self, options: HubOptions) -> None:
        self.options = options
        self._made = cache(self._make)
        self._passages = cache(self._read_passages)

    def load(self, task: str, split: Split, limit: int | None = None) -> Sequence[Document]:
        """The first `limit` (or all) documents of a split, in the order of a hash of their ids.

        Raises:
            UserError: the set cannot be had; in one sentence, at once.
        """
        return rows.first(self._made(task)[1][split], getattr(self.options, split), limit, f"data.{split}")

    def passages(self, task: str) -> Sequence[str]:
        """The passages that the options name, in the order of the stream.

        Raises:
            UserError: the set cannot be had.
        """
        return [passage.target for passage in self._passages(task)[1]]

    def content(self, task: str) -> dict[str, Any]:
        """What was read, for the record: set, repository, the commit it was at, and number and hash of documents."""
        name, _ = self._chosen(task)
        revision, splits = self._made(task)
        others = {}
        if self.options.passages:
            commit, documents = self._passages(task)
            others["passages"] = {
                "set": self.options.passages,
                "repository": SETS[self.options.passages].repository,
                "revision": commit,
                "rows": len(documents),
                "left_out": self.options.passage_count - len(documents),
                "sha256": rows.content_hash(documents),
            }
        return {
            **others,
            "set": name,
            "repository": SETS[name].repository,
            "revision": revision,
            "rows": {split: len(documents) for split, documents in splits.items()},
            "sha256": {split: rows.content_hash(documents) for split, documents in splits.items()},
        }

    def _chosen(self, task: str) -> tuple[str, HubSet]:
        fitting = [name for name, hub_set in SETS.items() if task in hub_set.tasks]
        if not fitting:
            raise UserError(f"The hub source has no set for the task {tasks.find(task).name}; choose another --source.")
        name = self.options.name or fitting[0]
        if name not in fitting:
            raise UserError(f"The set {name} is not for the task {task}; use {' or '.join(fitting)} with data.name.")
        if self.options.articles and name != "squad":
            raise UserError(f"data.articles is for the set squad, not for {name}; leave it out.")
        return name, SETS[name]

    def _make(self, task: str) -> tuple[str, dict[Split, list[Document]]]:
        name, hub_set = self._chosen(task)
        counts: dict[Split, int] = {split: getattr(self.options, split) for split in SPLITS}
        if hub_set.rule is None and not all(counts.values()):
            raise UserError(
                f"The set {name} is streamed, so say how many passages with "
                "--set data.train=N --set data.validation=N --set data.test=N."
            )
        if hub_set.rule is None:
            return _streamed(name, self.options.revision, counts)
        articles = _articles(Path(self.options.articles)) if self.options.articles else None
        commit = _commit(hub_set, self.options.revision)
        library = _library()
        loaded = _read(library, hub_set, commit, streaming=False)
        tables = {split: _columns(table, hub_set) for split, table in loaded.items()}
        by_split = hub_rules.questions(tables, articles) if articles is not None else hub_set.rule(tables)
        return commit or _cached_commit(loaded), {split: rows.in_order(part) for split, part in by_split.items()}

    def _read_passages(self, task: str) -> tuple[str, list[Document]]:
        """The commit and the passages."""
        if not self.options.passages:
            return "", []
        counts: dict[Split, int] = {"train": self.options.passage_count, "validation": 0, "test": 0}
        commit, passages = _streamed(self.options.passages, self.options.passage_revision, counts)
        splits = self._made(task)[1]
        return commit, rows.unseen(passages["train"], [*splits["validation"], *splits["test"]])


def _streamed(name: str, revision: str, counts: Mapping[Split, int]) -> tuple[str, dict[Split, list[Document]]]:
    """The commit and so many passages of a set that is too large to download."""
    commit = _commit(SETS[name], revision)
    return commit, hub_rules.from_stream(_read(_library(), SETS[name], commit, streaming=True)["train"], counts, name)


def _commit(hub_set: HubSet, revision: str) -> str:
    """The commit to read a set at; "" for that which is in the cache, where the hub must not be asked."""
    offline = offline_variable()
    if offline and (hub_set.rule is None or not is_cached(hub_set.repository)):
        raise UserError(
            f"{hub_set.repository} is not in the cache of datasets and the hub is not asked ({offline} is set); "
            "where there is a network add --no-offline, else use --source local or world."
        )
    return "" if offline else resolve(hub_set.repository, revision or hub_set.revision)


def offline_variable() -> str:
    """The environment variable that forbids asking the hub, or "" if none does."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if os.environ.get(name, "").upper() in ("1", "TRUE", "YES", "ON"):
            return name
    return ""


def cache_folder() -> Path:
    """Where `datasets` keeps what it has prepared."""
    return Path(os.path.expanduser(os.environ.get("HF_DATASETS_CACHE") or hugging_face_home() / "datasets"))


def is_cached(repository: str) -> bool:
    """Whether `datasets` has prepared a set before, at whatever revision."""

    def bare(name: str) -> str:
        return name.replace("_", "").lower()

    bare_name = bare(repository.replace("/", "___"))
    folder = cache_folder()
    return folder.is_dir() and any(
        bare(path.name) == bare_name and any(path.glob("*/*/*/*.arrow")) for path in folder.iterdir()
    )


def _library() -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        raise UserError(
            "The source hub needs the package datasets; add it with: pip install -c constraints.txt -e '.[hub]'."
        ) from error


def resolve(repository: str, revision: str) -> str:
    """The commit that a revision of a data set is at, asked once.

    Raises:
        UserError: there is no such set or revision, it needs a login, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    transport: Any = HfHubHTTPError.__bases__[0]  # the errors of the library it asks with, which changes
    try:
        return str(HfApi().dataset_info(repository, revision=revision, timeout=SECONDS).sha)
    except GatedRepoError as error:
        raise UserError(f"{repository} is given out on request only; ask for it on its page and log in.") from error
    except RevisionNotFoundError as error:
        raise UserError(f"{repository} has no revision {revision}; choose another with data.revision.") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"The hub has no data set {repository}, or it needs a login.") from error
    except HfHubHTTPError as error:
        raise UserError(f"The hub refused {repository}: {str(error).splitlines()[0]}") from error
    except (transport, OSError) as error:
        hint = (
            "it is in the cache, so use it as it is there with --offline"
            if is_cached(repository)
            else "use --source local or world, or come back with a network"
        )
        raise UserError(f"The hub cannot be reached ({type(error).__name__}) to get {repository}; {hint}.") from error


def _read(library: Any, hub_set: HubSet, commit: str, *, streaming: bool) -> Any:
    """The tables of a set at a commit; at the cached one if none is given."""
    revision = {"revision": commit} if commit else {}
    try:
        return library.load_dataset(hub_set.repository, hub_set.config, streaming=streaming, **revision)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise UserError(f"{hub_set.repository} cannot be loaded from the hub: {reason}.") from error


def _columns(table: Any, hub_set: HubSet) -> rows.Columns:
    missing = [name for name in hub_set.columns if name not in table.column_names]
    if missing:
        raise UserError(
            f"{hub_set.repository} has no column {' and no column '.join(missing)}; its columns are "
            f"{', '.join(table.column_names)}: choose an older one with data.revision."
        )
    columns: rows.Columns = (table.select_columns(list(hub_set.columns)) if hub_set.columns else table).to_dict()
    return columns


def _cached_commit(loaded: Mapping[str, Any]) -> str:
    """The commit at which the cached set was prepared: the name of the folder of its files."""
    files = [file["filename"] for table in loaded.values() for file in table.cache_files]
    return Path(files[0]).parent.name if files else "unknown"


def _articles(folder: Path) -> hub_rules.Articles:
    names: Mapping[Split, str] = {
        "train": "doclist-train.txt",
        "validation": "doclist-dev.txt",
        "test": "doclist-test.txt",
    }
    try:
        return hub_rules.article_lists({split: (folder / name).read_text("utf-8") for split, name in names.items()})
    except OSError as error:
        raise UserError(f"data.articles must name a folder with {', '.join(names.values())} ({error}).") from error
