"""ROUGE-1, 2, L and Lsum (rouge-score), stemmed as in the papers' own script, and the variants without stemming.

The two ways are in use side by side and differ by a point or two, so each has its own name. The library reads the
letters a to z alone; where most letters of the references are others, our own words are counted, and none is stemmed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from benchmarks.metrics.core.metric import ANYWHERE, Evaluator, Measured, Metric, MetricInput
from benchmarks.metrics.core.scripts import ANY_SCRIPT, share_ascii, words_of_any_script
from benchmarks.metrics.core.signature import library

_KINDS = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}
_PLAIN = "rouge, plain letters"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def sentences(text: str) -> str:
    """A text with each sentence on its own line, which is what ROUGE-Lsum wants: cut after . ! ? and white space."""
    return "\n".join(_SENTENCE_END.split(text.strip()))


def _rouge(kind: str, stemmed: bool) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        values = _all_kinds(batch, stemmed)[kind]
        options = {"measure": "f1", "references": "best", "stemmer": stemmed and _plain(batch)}
        options |= {} if _plain(batch) else {"tokens": ANY_SCRIPT}
        return Measured(values=values, options=options | ({"sentences": ".!?"} if kind == "rougeLsum" else {}))

    return measure


class _AnyScript:
    """Cuts texts into words as `words_of_any_script` does, for a library that knows a to z alone."""

    def tokenize(self, text: str) -> list[str]:
        return words_of_any_script(text)


def _plain(batch: MetricInput) -> bool:
    """Whether the references are written in the letters that the library knows: most of theirs are a to z."""
    if _PLAIN not in batch.memo:
        batch.memo[_PLAIN] = share_ascii(r for d in batch.documents for r in d.references) >= 0.5
    return bool(batch.memo[_PLAIN])


def _all_kinds(batch: MetricInput, stemmed: bool) -> dict[str, tuple[float | None, ...]]:
    """F1 of every kind for each text, worked out once per scoring: reading and stemming are most of the work.

    A text has none where its references hold no word.
    """
    memo = f"rouge, stemmed {stemmed}"
    if memo not in batch.memo:
        from rouge_score.rouge_scorer import RougeScorer

        plain = _plain(batch)
        kinds = list(_KINDS.values())
        scorer = RougeScorer(kinds, use_stemmer=stemmed and plain, tokenizer=None if plain else _AnyScript())
        scored = []
        for text, document in zip(batch.texts, batch.documents, strict=True):
            # Line breaks are read by ROUGE-Lsum alone; to the others they are white space.
            references = [sentences(reference) for reference in document.references]
            told = any(re.search("[a-z0-9]", r.lower()) if plain else words_of_any_script(r) for r in references)
            scored.append(scorer.score_multi(references, sentences(text)) if told else None)
        batch.memo[memo] = {
            kind: tuple(None if scores is None else float(scores[kind].fmeasure) for scores in scored) for kind in kinds
        }
    out: dict[str, tuple[float | None, ...]] = batch.memo[memo]
    return out


_SAYS = {
    "rouge_1": "words shared with",
    "rouge_2": "pairs of words shared with",
    "rouge_l": "the longest common subsequence with",
    "rouge_lsum": "the longest common subsequences, sentence by sentence, with",
}


def _metric(name: str, stemmed: bool) -> Metric:
    return Metric(
        name=name if stemmed else f"{name}_unstemmed",
        summary=f"Mean F1 of {_SAYS[name]} the best reference, {'' if stemmed else 'not '}stemmed; 0 to 1, blank 0.",
        direction="higher",
        evaluators={
            ANYWHERE: Evaluator(
                name=lambda: library("rouge-score"), measure=_rouge(_KINDS[name], stemmed), modules=("rouge_score",)
            )
        },
    )


ROUGE_1, ROUGE_2, ROUGE_L, ROUGE_LSUM = (_metric(name, stemmed=True) for name in _KINDS)
UNSTEMMED_1, UNSTEMMED_2, UNSTEMMED_L, UNSTEMMED_LSUM = (_metric(name, stemmed=False) for name in _KINDS)
