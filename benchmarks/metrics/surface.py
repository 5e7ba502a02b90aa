"""What can be seen without any evaluator: whether a text copies its source, and how long it is."""

from __future__ import annotations

from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.signature import ours


def canonical(text: str) -> str:
    """A text without case and white space, so that detokenisation ("word ." against "word.") makes no difference."""
    return "".join(text.casefold().split())


def words(text: str) -> int:
    """How many pieces between white space hold a letter or digit."""
    return sum(any(character.isalnum() for character in piece) for piece in text.split())


def sources(batch: MetricInput) -> list[str]:
    """The source of each document; `Absent` if the task is unconditional."""
    present = [document.source for document in batch.documents if document.source is not None]
    if len(present) < len(batch.documents):
        raise Absent("not run: the task gives no source text to compare with")
    return present


def _copies(batch: MetricInput) -> Measured:
    pairs = zip(batch.texts, sources(batch), strict=True)
    same = (not blank(text) and canonical(text) == canonical(source) for text, source in pairs)
    return Measured(values=tuple(map(float, same)))


def _lengths(batch: MetricInput) -> Measured:
    return Measured(values=tuple(float(words(text)) for text in batch.texts))


COPY_RATE = Metric(
    name="copy_rate",
    summary="Share of texts equal to their source but for case and spacing; 0 to 1, a blank text is no copy.",
    direction="lower",
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_copies)},
)

LENGTH = Metric(
    name="length",
    summary="Mean number of words; a blank text has 0.",
    direction="none",
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_lengths)},
)
