"""Which metrics a command asks for, and which models are to judge: decided from words, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from baselines.contract import UserError, unknown
from benchmarks import evaluators as judges
from benchmarks.metrics.core.evaluate import expand
from benchmarks.metrics.core.metric_names import find, names
from cosmos.io.files import expanded

PREFIX = "evaluators"
"""The head of the keys of `--set` that give a role to a model: `evaluators.ROLE=NAME` or `=FOLDER`."""

USUAL, ALL = "usual", "all"


@dataclass(frozen=True)
class Selection:
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
    for word in words:
        if word not in (USUAL, ALL):
            try:
                find(word)
            except UserError:
                if word.startswith("evaluate:"):
                    raise
                raise unknown("metric", word, [USUAL, ALL, *names()]) from None


def select(
    words: Sequence[str], usual: Sequence[str], evaluators: Mapping[str, str] | None = None, device: str = "cpu"
) -> Selection:
    """What words of `--metric` ask for: metrics by name, `usual` for those of the task, `all` for these at any cost.

    Args:
        usual: the metrics of the task.

    Raises:
        UserError: an unknown metric, an unknown role, or a folder that is not there.
    """
    check_words(words)
    chosen = dict(evaluators or {})
    judges.check(chosen)
    named: list[str] = []
    asked: set[str] = set()
    for word in words or (USUAL,):
        those = expand(usual if word in (USUAL, ALL) else [word])
        named += those
        if word != USUAL:
            asked.update(those, *(find(name).parts for name in those))
    names = tuple(dict.fromkeys(named))
    order = tuple(dict.fromkeys((*expand(usual), *names)))
    return Selection(names, frozenset(asked), order, chosen, device)


def chosen_evaluators(changes: Mapping[str, object]) -> dict[str, str]:
    """Role -> name or folder, of the changes that `--set evaluators.ROLE=` made.

    Raises:
        UserError: an unknown role, or neither a known name nor a folder.
    """
    models: dict[str, str] = {}
    for key, value in changes.items():
        head, _, role = key.partition(".")
        if head == PREFIX:
            if role not in judges.ROLES:
                raise unknown("key of --set", key, [f"{PREFIX}.{name}" for name in judges.ROLES])
            if not isinstance(value, str) or not value:
                raise UserError(f"{key} must be the name or folder of a model, not {value!r}.")
            # A folder is looked for from where this command runs, and a later one may run elsewhere.
            folder = expanded(value)
            models[role] = str(folder.resolve()) if folder.is_dir() else str(value)
    judges.check(models)
    return models
