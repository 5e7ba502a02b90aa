"""Scores as rivals' own scripts compute them: MDLM and Duo, TEncDM, LD4LG. As those of `benchmarks.metrics.legacy`,
they are there to be laid beside published numbers.

Models are the authors' (GPT-2 large, GPT-Neo 1.3B); where one is not on this machine the score is null, and
`--set evaluators.paper_lm=smollm2` has another judge, which the signature then names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.metrics.core.metric import Absent, Measured, MetricInput
from benchmarks.metrics.core.signature import library, ours
from benchmarks.metrics.language_model import TOKENS, likelihoods_and_states
from benchmarks.metrics.legacy import TRIMMED, legacy_metric, mauve_at_once, perplexities
from benchmarks.metrics.perplexity import PERPLEXITY, perplexity_from_sums
from cosmos.io.counting import counted

if TYPE_CHECKING:
    from benchmarks.records.schema import SampleRecord
    from benchmarks.stats.bootstrap import Array

CUT = 256  # tokens of a text that LD4LG's MAUVE reads
_LM = ("torch", "transformers")


def _samples(batch: MetricInput) -> Sequence[SampleRecord]:
    if batch.samples is None:
        raise Absent("not run: what the record says of each text was not given")
    return batch.samples


def _gen_ppl(batch: MetricInput) -> Measured:
    """exp(summed nats / tokens) of all texts; a finished text ends with the judge's end token, which counts."""
    import numpy as np

    texts: dict[bool, list[str]] = {True: [], False: []}  # by whether they are finished
    for text, sample in zip(batch.texts, _samples(batch), strict=True):
        if text or sample.finished:
            texts[sample.finished].append(text)
    parts = [
        likelihoods_and_states(batch, "paper_lm", those, start=False, end=finished)[:, :2]
        for finished, those in texts.items()
        if those
    ]
    rows: Array = np.concatenate(parts) if parts else np.zeros((0, 2))  # (n, 2)
    rows = rows[rows[:, 1] > 0]
    if len(rows) == 0:
        raise Absent(f"too few: none of {counted(len(batch.texts), 'text')} holds two tokens")
    return Measured(
        total=float(perplexity_from_sums(rows.sum(axis=0, keepdims=True))[0]),
        n=len(rows),
        rows=rows,
        statistic=perplexity_from_sums,
        options={"dtype": "float32", "end": True, "over": "corpus", "start": False, "tokens": TOKENS},
    )


def _sample_entropy(batch: MetricInput) -> Measured:
    values = tuple(sample.entropy for sample in _samples(batch))
    if values and all(value is None for value in values):
        raise Absent(
            "not run: the record has no entropy of own tokens: the system writes no tokens of its own, or an earlier "
            "version or another program made the texts"
        )
    return Measured(values=values, options={"unit": "nats", "tokens": "own"})


def cut_mean(values: Sequence[float], share: float) -> float:
    """The mean of the sorted values from place int(share * n) up to place int((1 - share) * n), as TEncDM's script cuts
    them: one more is left out at the top than at the bottom where `share` * n is not whole."""
    middle = sorted(values)[int(share * len(values)) : int((1 - share) * len(values))]
    if not middle:
        raise Absent("too few: of one text the script leaves none")
    return sum(middle) / len(middle)


def _ppl_neo(batch: MetricInput) -> Measured:
    values = perplexities(batch, "paper_neo")
    options = {"dtype": "float32", "over": "texts", "start": True, "trimmed": TRIMMED}
    return Measured(total=cut_mean(values, TRIMMED), n=len(values), options=options)


GEN_PPL = legacy_metric(
    "gen_ppl",
    "Generative perplexity of MDLM and Duo, over tokens: the first of a text is given, not predicted, as there is no "
    "start token, and the end of a finished text is one more; its companion says how far repetition lowers it.",
    _gen_ppl,
    lambda: library("transformers"),
    direction="lower",
    modules=_LM,
    models=("paper_lm",),
    samples=True,
    companions=("legacy_sample_entropy", "length"),
)
SAMPLE_ENTROPY = legacy_metric(
    "sample_entropy",
    "Entropy of Duo, beside which its perplexity is compared: nats of how often each of the system's own tokens stands "
    "in a text, mean over texts; whole sequences with their end tokens where the network writes those, so compare "
    "systems that do, or that do not.",
    _sample_entropy,
    ours,
    direction="none",
    samples=True,
)
PPL_NEO = legacy_metric(
    "ppl_neo",
    "Perplexity of TEncDM's script, by GPT-Neo 1.3B: the mean over texts between the places of 5 % and 95 %, rounded "
    "down both, so that one more may be missing at the top; empty texts are left out.",
    _ppl_neo,
    lambda: library("transformers"),
    direction="lower",
    modules=_LM,
    models=("paper_neo",),
    companions=PERPLEXITY.companions,
)
MAUVE_256 = legacy_metric(
    "mauve_256",
    f"MAUVE of LD4LG: as MAUVE (evaluate), of the first {CUT} tokens of every text.",
    lambda batch: mauve_at_once(batch, CUT),
    lambda: f"{library('mauve-text')}, {library('faiss-cpu')}, {library('transformers')}",
    modules=("mauve", *_LM),
    models=("paper_lm",),
)
