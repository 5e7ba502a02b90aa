"""METEOR (nltk): with the synonyms of WordNet where it is; the variant of words and stems alone has its own name.

As nltk has it: a repeated word goes with its last occurrence in the reference, and synonyms are looked up for the stems
of what no word and no stem matched, so that words which are not their own stem find none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.evaluators.suppress_output import quiet
from benchmarks.metrics.core.metric import ANYWHERE, INSTALL_EVAL, Evaluator, Measured, Metric, MetricInput
from benchmarks.metrics.core.signature import library
from benchmarks.metrics.core.words import cut_of

_OPTIONS = {"alpha": 0.9, "beta": 3.0, "gamma": 0.5, "references": "best"}


class _NoSynonyms:
    """A word net that knows no word."""

    def synsets(self, word: str) -> list[Any]:
        return []


def _wordnet(batch: MetricInput) -> Any:
    """NLTK's reader of the word net on this machine."""
    return _reader(batch.models["wordnet"].folder)


@functools.lru_cache(maxsize=1)
def _reader(folder: Path) -> Any:
    """The reader of a folder, whose indices take seconds to read and are read once per process."""
    import nltk

    root = str(folder.parent.parent)  # NLTK reads only below the folders that it is told of
    if root not in nltk.data.path:
        nltk.data.path.append(root)
    from nltk.corpus.reader import WordNetCorpusReader

    with quiet():  # of the warning that it has one language
        return WordNetCorpusReader(str(folder), None)


def _meteor(words: Callable[[MetricInput], Any]) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        from nltk.translate.meteor_score import meteor_score

        net, cut = words(batch), cut_of(batch)
        values = []
        for text, document in zip(batch.texts, batch.documents, strict=True):
            asked, references = cut.words(text), [cut.words(reference) for reference in document.references]
            filled = [those for those in references if those]
            values.append(float(meteor_score(filled, asked, wordnet=net)) if asked and filled else 0.0)
        return Measured(values=tuple(values), options={**_OPTIONS, "tokens": cut.name})

    return measure


METEOR = Metric(
    name="meteor",
    summary="Mean METEOR with the best reference: words, stems and WordNet's synonyms; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("nltk"),
            measure=_meteor(_wordnet),
            modules=("nltk",),
            command=INSTALL_EVAL,
            models=("wordnet",),
        )
    },
)

METEOR_STEMS = Metric(
    name="meteor_stems",
    summary="Mean METEOR with the best reference: words and stems, without synonyms; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("nltk"),
            measure=_meteor(lambda batch: _NoSynonyms()),
            modules=("nltk",),
            command=INSTALL_EVAL,
        )
    },
)
