"""Exact scores on the built-in source `world`, whose grammar knows what every text says.

Each text is read once by the grammar; the metrics look at the reading from different sides, and each side is there for
the tasks that have it. A blank text answers nothing: it scores 0 everywhere, so silence is never a way to be polite.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.metrics.core.metric import Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.signature import world_grammar
from benchmarks.metrics.memorisation import Index, index_of

NO_GRAMMAR = "not run: the source has no grammar"
_MEMO = "readings by the world grammar"
_SENTENCES = 5  # of a story
# Share of words in common with a training story, or with another story of the system, from which a story is no new one.
# With a name changed it is .946 and more; of stories of one's own it is .875 and less beside 10,000 training stories.
COPIED = 0.92
_WITH_FACTS = ("detox", "question", "summary")


@dataclass(frozen=True)
class Reading:
    """What the grammar says of one text: whether it is of the language, and its judgement by the source.

    The judgement is the one of the task; see `benchmarks.data.world.JUDGES`.
    """

    member: bool
    judgement: Any


def readings(batch: MetricInput) -> tuple[Reading | None, ...]:
    """What the grammar says of each text, None for blank ones; worked out once per scoring."""
    if _MEMO not in batch.memo:
        from benchmarks.data.world import JUDGES

        judge = JUDGES[batch.task]
        pairs = [(text, document.source) for text, document in zip(batch.texts, batch.documents, strict=True)]
        batch.memo[_MEMO] = tuple(
            None if blank(text) else _read(batch.task, text, judge(text, source)) for text, source in pairs
        )
    cached: tuple[Reading | None, ...] = batch.memo[_MEMO]
    return cached


def _read(task: str, text: str, judgement: Any) -> Reading:
    """A rude sentence is of the language too, though its judgement asks for a neutral one."""
    from benchmarks.data.world import is_member

    return Reading(is_member(text) if task == "detox" else judgement.in_language, judgement)


def polite(reading: Reading) -> float:
    """1 if no rudeness is left."""
    return float(not reading.judgement.rude)


def in_language(reading: Reading) -> float:
    """1 if the grammar of `world` makes the text; of detoxification rude or neutral: rudeness is judged elsewhere.

    English is wider: a text may be good English and none of the language.
    """
    return float(reading.member)


def faithful(reading: Reading) -> float:
    """1 if every fact asked for is kept and none is invented, and, where the grammar knows more, the text is right."""
    right = getattr(reading.judgement, "right", True)
    return float(right and not reading.judgement.lost and not reading.judgement.invented)


def kept_share(reading: Reading) -> float:
    """The share of the facts asked for that the text states; 1 if there are none."""
    preserved, lost = reading.judgement.kept, reading.judgement.lost
    return preserved / (preserved + lost) if preserved + lost else 1.0


def linked(reading: Reading) -> float:
    """The share of a story's five sentences that can be of one story, each in its place."""
    return float(reading.judgement.linked / _SENTENCES)


def linked_of_all(reading: Reading) -> float:
    """The share of five sentences, or of as many as the text has if it has more, that can be of one story."""
    return float(reading.judgement.linked / max(_SENTENCES, reading.judgement.sentences))


def answerable(reading: Reading) -> float:
    """1 if the passage answers the question, rightly or not."""
    return float(reading.judgement.answerable)


def salient(reading: Reading) -> float:
    """1 if nothing is said that is in the report and does not belong in its summary."""
    return float(reading.judgement.minor == 0)


def by_grammar(view: Callable[[Reading], float], tasks: tuple[str, ...]) -> Evaluator:
    """The evaluator that gives each text of these tasks the value of one view of its reading."""

    def measure(batch: MetricInput) -> Measured:
        if batch.task not in tasks:
            raise Absent(f"not run: the grammar judges {' and '.join(tasks)} by this, not {batch.task}")
        values = tuple(0.0 if reading is None else view(reading) for reading in readings(batch))
        return Measured(values=values, options={"blank": 0})

    return Evaluator(name=world_grammar, measure=measure)


def _novel(batch: MetricInput) -> Measured:
    """What is known by heart or said again and again, but for a name perhaps, is no story that was made up: valid,
    unique and novel at once, as generated molecules are judged (Brown et al. 2019, GuacaMol)."""
    rightness = by_grammar(_linked_in_language, ("story",)).measure(batch).values or ()
    texts = [_words(text) for text in batch.texts]
    learnt, own = index_of(tuple(batch.training or ()), _words), Index(texts)
    values = tuple(
        0.0 if not right or learnt.nearest_share(words) >= COPIED else right / int((own.shares(words) >= COPIED).sum())
        for words, right in zip(texts, rightness, strict=True)
    )
    return Measured(values=values, options={"blank": 0, "words": "letters and digits, in lower case", "copied": COPIED})


def _letters(text: str) -> str:
    """What two texts share that differ in case, spacing and marks alone."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _words(text: str) -> list[str]:
    return _letters(text).split()


def _linked_in_language(reading: Reading) -> float:
    return linked_of_all(reading) * in_language(reading)


def _metric(name: str, summary: str, view: Callable[[Reading], float], tasks: tuple[str, ...]) -> Metric:
    evaluators = {"world": by_grammar(view, tasks)}
    return Metric(name=name, summary=summary, direction="higher", evaluators=evaluators, absent=NO_GRAMMAR)


RUDENESS = _metric(
    "exact_rudeness",
    "Share of texts with no rudeness left, so higher is better; 0 to 1, exact, a blank text has 0.",
    polite,
    ("detox",),
)

FACTS = _metric(
    "exact_facts",
    "Share of texts that keep every fact asked for and invent none; 0 to 1, a blank text has 0. Exact for sentences of "
    "the world's language. Another text has 0, but in detox its words decide, blind there to a dropped negation and to "
    "swapped roles.",
    faithful,
    _WITH_FACTS,
)

FACTS_KEPT = _metric(
    "exact_facts_kept",
    "Mean share of the facts asked for that are kept; 0 to 1, blind to inventions, a blank text has 0. Exact for "
    "sentences of the world's language. Of another text the words decide, blind there to a dropped negation and to "
    "swapped roles.",
    kept_share,
    _WITH_FACTS,
)

LANGUAGE = _metric(
    "exact_language",
    "Share of texts that the grammar of the world can make, rude or neutral, which is narrower than English; 0 to 1, "
    "exact, a blank text has 0.",
    in_language,
    ("story", *_WITH_FACTS),
)

LINKED = _metric(
    "exact_linked",
    "Mean share of a story's five sentences that can be of one story; 0 to 1, exact, a blank text has 0.",
    linked,
    ("story",),
)

NOVEL = Metric(
    name="exact_novel",
    summary="Mean share of a text's sentences, five at least, that can be of one story; 0 for a training text and for "
    "one that shares 92 % of its words with one, and a k-th of it where so much is shared by k of the texts; 0 to 1, "
    "exact, a blank text has 0.",
    direction="higher",
    version="3",
    evaluators={"world": Evaluator(name=world_grammar, measure=_novel, training=True)},
    absent=NO_GRAMMAR,
    companions=("diversity",),
)

ANSWERABLE = _metric(
    "exact_answerable",
    "Share of questions that the passage answers, rightly or not; 0 to 1, exact, a blank text has 0.",
    answerable,
    ("question",),
)

SALIENT = _metric(
    "exact_salient",
    "Share of texts that hold nothing of the report that does not belong in a summary; 0 to 1, exact, blank has 0.",
    salient,
    ("summary",),
)

J = Metric(
    name="exact_j",
    summary="Share of texts with no rudeness left, every fact kept, none invented, that the grammar of the world can "
    "make; 0 to 1, exact.",
    direction="higher",
    parts=("exact_rudeness", "exact_facts", "exact_language"),
)
