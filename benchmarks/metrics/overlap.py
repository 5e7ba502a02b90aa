"""Overlap with references: corpus BLEU (sacrebleu) and ROUGE-L (rouge-score)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from baselines.contract import Document
from benchmarks.metrics.metric import ANYWHERE, Batch, Evaluator, Measured, Metric, blank
from benchmarks.metrics.signature import library
from benchmarks.stats.bootstrap import Array

ORDER = 4  # longest n-grams of BLEU


def bleu_from_sums(sums: Array) -> Array:
    """Corpus BLEU from summed counts (Papineni et al. 2002), smoothed exponentially (Chen and Cherry 2014, method 3).

    Args:
        sums: shape (m, 10): text length, reference length, matched n-grams of order 1 to 4, all n-grams likewise.

    Returns:
        Shape (m,), 0 to 100.
    """
    length, reference = sums[:, 0], sums[:, 1]
    matched, total = sums[:, 2 : 2 + ORDER], sums[:, 2 + ORDER :]  # (m, 4) each
    # Each order without a match counts half as much as the one before it: 1/2, 1/4, ... of a match.
    halvings = np.cumsum((matched == 0) & (total > 0), axis=1)
    numerators = np.where(matched > 0, matched, 0.5**halvings)
    scored = (total > 0).all(axis=1) & (matched > 0).any(
        axis=1
    )  # an order without any n-gram leaves nothing to average
    safe = np.where(total > 0, total, 1.0)
    precision = np.exp(np.log(numerators / safe).mean(axis=1))
    shortness = np.minimum(0.0, 1 - reference / np.maximum(length, 1.0))
    out: Array = np.where(scored, 100 * precision * np.exp(shortness), 0.0)
    return out


def _bleu(batch: Batch) -> Measured:
    from sacrebleu.metrics.bleu import BLEU as Sacre  # noqa: N811, ours has the same name

    references = [_references(document) for document in batch.documents]
    most = max(len(those) for those in references)
    streams: Any = [[those[index] if index < len(those) else None for those in references] for index in range(most)]
    corpus = Sacre(lowercase=True, force=True)  # force: no warning about texts that end in " ."
    total = float(corpus.corpus_score(list(batch.texts), streams).score)
    sentence = Sacre(
        lowercase=True, effective_order=True, force=True
    )  # its counts are the corpus's, its own score is not used
    rows = np.zeros((len(references), 2 + 2 * ORDER))  # (n, 10)
    for row, text, those in zip(rows, batch.texts, references, strict=True):
        found = sentence.sentence_score(text, those)
        row[:] = [found.sys_len, found.ref_len, *found.counts, *found.totals]
    return Measured(
        total=total, rows=rows, statistic=bleu_from_sums, options={"sacrebleu": str(corpus.get_signature())}
    )


def _references(document: Document) -> Sequence[str]:
    """The references that say something; all of them if none does."""
    return [text for text in document.references if not blank(text)] or list(document.references)


def _rouge_l(batch: Batch) -> Measured:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    values = tuple(
        float(scorer.score_multi(document.references, text)["rougeL"].fmeasure)
        for text, document in zip(batch.texts, batch.documents, strict=True)
    )
    return Measured(values=values, options={"stemmer": True, "references": "best", "measure": "f1"})


BLEU = Metric(
    name="bleu",
    summary="Corpus BLEU against all references, lower-cased, 13a tokens; 0 to 100, a blank text matches nothing.",
    direction="higher",
    evaluators={ANYWHERE: Evaluator(name=lambda: library("sacrebleu"), measure=_bleu, modules=("sacrebleu",))},
)

ROUGE_L = Metric(
    name="rouge_l",
    summary="Mean F1 of the longest common subsequence with the best reference, stemmed; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={ANYWHERE: Evaluator(name=lambda: library("rouge-score"), measure=_rouge_l, modules=("rouge_score",))},
)
