"""Generative perplexity: how likely a language model that learnt elsewhere finds the texts.

It is one half of a divergence: dull and repeated texts are likely texts, so it is never shown without entropy,
repetition and length (Zheng et al. 2024, arXiv 2409.02908, show how it
falls without better writing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.signature import library
from benchmarks.metrics.language_model import TOKENS, likelihoods_and_states
from cosmos.io.counting import counted

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array


def perplexity_from_sums(sums: Array) -> Array:
    """exp(summed negative log-likelihood / tokens), sums of shape (m, 2), one value each, shape (m,)."""
    import numpy as np

    out: Array = np.exp(sums[:, 0] / sums[:, 1])
    return out


def _perplexity(batch: MetricInput) -> Measured:
    places = [place for place, text in enumerate(batch.texts) if not blank(text)]
    present = [batch.texts[place] for place in places]
    if not present:
        raise Absent(f"too few: none of {counted(len(batch.texts), 'text')} holds a word")
    rows = likelihoods_and_states(batch, "lm", present)[:, :2]  # (n, 2)
    return Measured(
        total=float(perplexity_from_sums(rows.sum(axis=0, keepdims=True))[0]),
        n=len(present),
        rows=rows,
        statistic=perplexity_from_sums,
        places=places,
        options={"dtype": "float32", "end": False, "start": True, "tokens": TOKENS, "over": "corpus"},
    )


PERPLEXITY = Metric(
    name="perplexity",
    summary="exp(mean negative log-likelihood per token) of all texts under another model; blank texts have none.",
    direction="lower",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("transformers"),
            measure=_perplexity,
            modules=("torch", "transformers"),
            models=("lm",),
        )
    },
    companions=("unigram_entropy", "repetition", "length"),
)
