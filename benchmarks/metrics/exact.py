"""Exact scores on the built-in source `world`, whose grammar knows what every sentence says.

Each text is read once by the grammar; the metrics look at the reading from different sides. A blank text is no
rewriting: it scores 0 everywhere, so silence is never a way to be polite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.metrics.metric import Absent, Batch, Evaluator, Measured, Metric, blank
from benchmarks.metrics.surface import sources

if TYPE_CHECKING:
    from benchmarks.data.world import Judgement

NO_GRAMMAR = "not run: the source has no grammar"
_MEMO = "readings by the world grammar"


@dataclass(frozen=True)
class Reading:
    """What the grammar says of one text: whether it is a sentence, rude or neutral, and its judgement by the source."""

    member: bool
    judgement: Judgement


def readings(batch: Batch) -> tuple[Reading | None, ...]:
    """What the grammar says of each text, None for blank ones; worked out once per scoring."""
    if batch.task != "detox":
        raise Absent(f"not run: the grammar does not judge task '{batch.task}'")
    if _MEMO not in batch.memo:
        from benchmarks.data.world import is_member, judge

        pairs = zip(batch.texts, sources(batch), strict=True)
        batch.memo[_MEMO] = tuple(
            None if blank(text) else Reading(is_member(text), judge(text, source)) for text, source in pairs
        )
    found: tuple[Reading | None, ...] = batch.memo[_MEMO]
    return found


def polite(reading: Reading) -> float:
    """1 if no rudeness is left."""
    return float(not reading.judgement.rude)


def grammatical(reading: Reading) -> float:
    """1 if the text is a sentence of the grammar, rude or neutral: rudeness is judged elsewhere."""
    return float(reading.member)


def faithful(reading: Reading) -> float:
    """1 if every fact of the source is kept and none is invented."""
    return float(not reading.judgement.lost and not reading.judgement.invented)


def kept_share(reading: Reading) -> float:
    """The share of the source's facts that the text states; 1 if the source states none."""
    kept, lost = reading.judgement.kept, reading.judgement.lost
    return kept / (kept + lost) if kept + lost else 1.0


def by_grammar(view: Callable[[Reading], float]) -> Evaluator:
    """The evaluator that gives each text the value of one view of its reading."""

    def measure(batch: Batch) -> Measured:
        values = tuple(0.0 if found is None else view(found) for found in readings(batch))
        return Measured(values=values, options={"blank": 0})

    return Evaluator(name=_grammar, measure=measure)


def _grammar() -> str:
    from benchmarks.data.world import VERSION

    return f"world grammar {VERSION}"


RUDENESS = Metric(
    name="exact_rudeness",
    summary="Share of texts with no rudeness left, so higher is better; 0 to 1, exact, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(polite)},
    absent=NO_GRAMMAR,
)

FACTS = Metric(
    name="exact_facts",
    summary="Share of texts that keep every fact of the source and invent none; 0 to 1, exact, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(faithful)},
    absent=NO_GRAMMAR,
)

FACTS_KEPT = Metric(
    name="exact_facts_kept",
    summary="Mean share of the source's facts that are kept; 0 to 1, exact, blind to inventions, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(kept_share)},
    absent=NO_GRAMMAR,
)

LANGUAGE = Metric(
    name="exact_language",
    summary="Share of texts that are sentences of the grammar, rude or neutral; 0 to 1, exact, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(grammatical)},
    absent=NO_GRAMMAR,
)

J = Metric(
    name="exact_j",
    summary="Share of texts with no rudeness left, every fact kept, none invented, and grammatical; 0 to 1, exact.",
    direction="higher",
    parts=("exact_rudeness", "exact_facts", "exact_language"),
)
