"""Overlap with references in characters and n-grams: corpus BLEU and chrF (sacrebleu), with its own signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from baselines.contract import Document
from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.scripts import share_unspaced
from benchmarks.metrics.core.signature import library
from benchmarks.metrics.surface import sources
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
    # An order without any n-gram leaves nothing to average.
    scored = (total > 0).all(axis=1) & (matched > 0).any(axis=1)
    safe = np.where(total > 0, total, 1.0)
    precision = np.exp(np.log(numerators / safe).mean(axis=1))
    shortness = np.minimum(0.0, 1 - reference / np.maximum(length, 1.0))
    out: Array = np.where(scored, 100 * precision * np.exp(shortness), 0.0)
    return out


def _bleu(batch: MetricInput) -> Measured:
    return _bleu_of(batch, list(batch.texts))


def _bleu_of_copies(batch: MetricInput) -> Measured:
    return _bleu_of(batch, sources(batch))


def _bleu_of(batch: MetricInput, texts: list[str]) -> Measured:
    from sacrebleu.metrics.bleu import BLEU as Sacre  # noqa: N811, ours has the same name

    references = [useful_references(document) for document in batch.documents]
    tokens = _tokens([text for those in references for text in those])
    corpus = Sacre(lowercase=True, force=True, tokenize=tokens)  # force: no warning about texts that end in " ."
    if not any(len(corpus.tokenizer(text).split()) >= ORDER for those in references for text in those):
        raise Absent(f"too few: no reference has {ORDER} words, and BLEU counts runs of so many")
    total = float(corpus.corpus_score(texts, streams(references)).score)
    # Its counts are the corpus's, its own score is not used.
    sentence = Sacre(lowercase=True, effective_order=True, force=True, tokenize=tokens)
    rows = np.zeros((len(references), 2 + 2 * ORDER))  # (n, 10)
    for row, text, those in zip(rows, texts, references, strict=True):
        counted = sentence.sentence_score(text, those)
        row[:] = [counted.sys_len, counted.ref_len, *counted.counts, *counted.totals]
    return Measured(
        total=total, rows=rows, statistic=bleu_from_sums, options={"sacrebleu": str(corpus.get_signature())}
    )


def _tokens(references: Sequence[str]) -> str:
    """How sacrebleu cuts texts into words: 13a, or every character where the references' script has no spaces."""
    return "char" if share_unspaced(references) >= 0.5 else "13a"


def chrf_from_sums(sums: Array, beta: float = 2.0) -> Array:
    """Corpus chrF from summed counts (Popovic 2015): F-beta of precision and recall averaged over the orders present.

    Args:
        sums: shape (m, 3 k): for each of k orders n-grams of the texts, of the references, and of both.

    Returns:
        Shape (m,), 0 to 100.
    """
    texts, references, both = sums[:, 0::3], sums[:, 1::3], sums[:, 2::3]  # (m, k) each
    present = (texts > 0) & (references > 0)
    orders = np.maximum(present.sum(axis=1), 1)
    precision = (both / np.where(present, texts, 1.0) * present).sum(axis=1) / orders
    recall = (both / np.where(present, references, 1.0) * present).sum(axis=1) / orders
    below = beta**2 * precision + recall
    out: Array = np.where(below > 0, 100 * (1 + beta**2) * precision * recall / np.where(below > 0, below, 1.0), 0.0)
    return out


def _chrf(batch: MetricInput) -> Measured:
    from sacrebleu.metrics.chrf import CHRF as Sacre  # noqa: N811, ours has the same name

    references = [useful_references(document) for document in batch.documents]
    if all(blank(text) for those in references for text in those):
        raise Absent("not run: the tokenizer of the run leaves nothing of the references")
    corpus = Sacre()
    total = float(corpus.corpus_score(list(batch.texts), streams(references)).score)
    # The counts of each text with its best reference, which the library keeps to itself and tests of significance use.
    rows = np.array(
        [
            corpus._extract_corpus_statistics([text], [[reference] for reference in those])[0]
            for text, those in zip(batch.texts, references, strict=True)
        ],
        dtype=float,
    )  # (n, 18)
    return Measured(
        total=total, rows=rows, statistic=chrf_from_sums, options={"sacrebleu": str(corpus.get_signature())}
    )


def useful_references(document: Document) -> Sequence[str]:
    """The references that say something; all of them if none does."""
    return [text for text in document.references if not blank(text)] or list(document.references)


def streams(references: Sequence[Sequence[str]]) -> Any:
    """References as sacrebleu wants them: the first of every text, the second, ...; None where there is none."""
    most = max(len(those) for those in references)
    return [[those[index] if index < len(those) else None for those in references] for index in range(most)]


BLEU = Metric(
    name="bleu",
    summary="Corpus BLEU against all references, lower-cased, 13a tokens, characters in scripts without spaces; "
    "0 to 100, a blank text matches nothing.",
    direction="higher",
    evaluators={ANYWHERE: Evaluator(name=lambda: library("sacrebleu"), measure=_bleu, modules=("sacrebleu",))},
    companions=("bleu_copy",),
)

BLEU_COPY = Metric(
    name="bleu_copy",
    summary="What BLEU the sources get, unchanged, in the place of the texts; a system below has added nothing.",
    direction="none",
    evaluators={
        ANYWHERE: Evaluator(name=lambda: library("sacrebleu"), measure=_bleu_of_copies, modules=("sacrebleu",))
    },
)

CHRF = Metric(
    name="chrf",
    summary="Corpus chrF2 against the best reference, characters 1 to 6; 0 to 100, a blank text matches nothing.",
    direction="higher",
    evaluators={ANYWHERE: Evaluator(name=lambda: library("sacrebleu"), measure=_chrf, modules=("sacrebleu",))},
)
