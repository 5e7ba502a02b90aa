"""Score the texts of one cell from what is on disk: no system, no checkpoint and no source is needed.

What models said of texts and finished scores are kept in the user's cache, so a scoring that was cut short goes on, and
a second one is done at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from baselines.contract import UserError, unknown
from benchmarks import store
from benchmarks.records import Header, Score

PREFIX = "evaluators"
"""The head of the keys of `--set` that give a role to a model: `evaluators.ROLE=NAME` or `=FOLDER`."""

USUAL, ALL = "usual", "all"
_CACHE = "scores"


@dataclass(frozen=True)
class Wanted:
    """The scores that a command asks for.

    Attributes:
        metrics: what is scored, in order, each followed by what it is never shown without.
        asked: those of them that are run even where a large model judges without a GPU.
        order: in which all scores of a cell are kept.
        evaluators: role -> name or folder of the model that takes it.
    """

    metrics: tuple[str, ...]
    asked: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    evaluators: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def sparing(self) -> frozenset[str]:
        return frozenset(self.metrics) - self.asked


def check_words(words: Sequence[str]) -> None:
    """Raise `UserError` for a word of `--metric` that is neither a metric nor one of the two that stand for several."""
    from benchmarks import metrics

    for word in words:
        if word not in (USUAL, ALL):
            try:
                metrics.find(word)
            except UserError:
                if word.startswith("evaluate:"):
                    raise
                raise unknown("metric", word, [USUAL, ALL, *metrics.names()]) from None


def wanted(
    words: Sequence[str], usual: Sequence[str], evaluators: Mapping[str, str] | None = None, device: str = "cpu"
) -> Wanted:
    """What words of `--metric` ask for: metrics by name, `usual` for those of the task, `all` for these at any cost.

    Args:
        usual: the metrics of the task.

    Raises:
        UserError: an unknown metric, an unknown role, or a folder that is not there.
    """
    from benchmarks import evaluators as judges
    from benchmarks import metrics

    check_words(words)
    chosen = dict(evaluators or {})
    judges.check(chosen)
    named: list[str] = []
    asked: set[str] = set()
    for word in words or (USUAL,):
        those = metrics.expand(usual if word in (USUAL, ALL) else [word])
        named += those
        if word != USUAL:
            asked.update(those, *(metrics.find(name).parts for name in those))
    names = tuple(dict.fromkeys(named))
    order = tuple(dict.fromkeys((*metrics.expand(usual), *names)))
    return Wanted(names, frozenset(asked), order, chosen, device)


def chosen(changes: Mapping[str, object]) -> dict[str, str]:
    """Role -> name or folder, of the changes that `--set evaluators.ROLE=` made.

    Raises:
        UserError: an unknown role, or neither a known name nor a folder.
    """
    from benchmarks import evaluators as judges

    found: dict[str, str] = {}
    for key, value in changes.items():
        head, _, role = key.partition(".")
        if head == PREFIX:
            if role not in judges.ROLES:
                raise unknown("key of --set", key, [f"{PREFIX}.{name}" for name in judges.ROLES])
            if not isinstance(value, str) or not value:
                raise UserError(f"{key} must be the name or folder of a model, not {value!r}.")
            # A folder is looked for from where this command runs, and a later one may run elsewhere.
            folder = Path(value).expanduser()
            found[role] = str(folder.resolve()) if folder.is_dir() else str(value)
    judges.check(found)
    return found


def missing(folder: Path, asked: Wanted, source: str) -> tuple[str, ...]:
    """The metrics that were not tried on the cell yet, or by another judge, or that had none when they were.

    One that was not run for another reason is tried again where it is asked for by name.
    """
    from benchmarks import metrics

    tried = {}
    for score in store.read_scores(folder):
        status = (score.reason or "").partition(":")[0]
        if status != "missing evaluator" and not (status == "not run" and score.metric in asked.asked):
            tried[score.metric] = score.signature.evaluator
    return tuple(m for m in asked.metrics if tried.get(m) != metrics.judge_of(m, source, asked.evaluators))


def score(run: Path, folder: Path, header: Header, asked: Wanted, metrics: Sequence[str] | None = None) -> None:
    """Score a cell and keep the scores by other metrics.

    Args:
        metrics: some of those asked for; all of them if None.

    Raises:
        UserError: samples or documents are missing, or the cache cannot be used.
    """
    from benchmarks import evaluators as judges
    from benchmarks import metrics as judgement

    by_id = {document.id: document for document in store.read_documents(run, header.documents["test"]["sha256"])}
    samples = store.read_samples(folder)
    train = header.documents.get("train")
    fresh = judgement.score(
        header.cell.task,
        header.cell.source,
        [by_id[sample.id] for sample in samples],
        [sample.text for sample in samples],
        asked.metrics if metrics is None else metrics,
        device=asked.device,
        training=None if train is None else store.read_learnt(run, train["sha256"]),
        cache=judges.cache_folder() / _CACHE,
        evaluators=asked.evaluators,
        sparing=asked.sparing,
    )
    old = {score.metric: score for score in store.read_scores(folder)}
    kept = old | {new.metric: new for new in fresh if not _spared(new, old.get(new.metric))}
    places = {metric: place for place, metric in enumerate(asked.order)}
    store.write_scores(folder, sorted(kept.values(), key=lambda score: places.get(score.metric, len(places))))


def _spared(new: Score, old: Score | None) -> bool:
    """Whether a score that was not run now was had before, by the same judge."""
    return (
        (new.reason or "").startswith("not run")
        and old is not None
        and old.value is not None
        and old.signature.evaluator == new.signature.evaluator
    )
