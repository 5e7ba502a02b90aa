"""Likelihood of the references under the system itself: the objective that most of the systems here are trained on.

It is read from what the generating stage left in the cell, so scoring needs no network. All systems are held to one
unit, nats for each token that the *shared* tokenizer gives a reference (its end counted), whatever their own tokens
are: a pretrained GPT-2 with its byte pairs says how likely the same text is, and its own tokens, fewer or more, do not
enter. It is not quite the same text: the shared tokenizer folds letter case, and where another spells it out, that has
to be predicted too.

What diffusion over tokens gives is a bound: -log p is at most that, by an unknown slack. So a bound is never compared
with an exact value (their signatures differ), and reports write "≤" before it. References that a system cannot write
are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput
from benchmarks.metrics.core.signature import ours, world_grammar
from benchmarks.records.schema import LikelihoodRecord
from cosmos.io.counting import counted

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

NOT_KEPT = "not run: no likelihood was kept when the texts were made, by an earlier version or elsewhere"


def rate_from_sums(sums: Array) -> Array:
    """Summed nats / summed tokens of sums of shape (m, 2), one value each, shape (m,)."""
    rates: Array = sums[:, 0] / sums[:, 1]
    return rates


def perplexity_of_rates(sums: Array) -> Array:
    """The exponential of `rate_from_sums`."""
    import numpy as np

    exponentials: Array = np.exp(rate_from_sums(sums))
    return exponentials


def _kept(batch: MetricInput) -> list[tuple[int, LikelihoodRecord]]:
    """The places of the documents that have a likelihood, with it."""
    if batch.no_likelihood is not None:
        raise Absent(f"not run: {batch.no_likelihood}")
    if batch.likelihoods is None:
        raise Absent(NOT_KEPT)
    kept = [(place, row) for place, row in enumerate(batch.likelihoods) if row.nats is not None]
    if not kept:
        why = next((row.reason for row in batch.likelihoods if row.reason), "no text was given")
        raise Absent(f"too few: none of {counted(len(batch.texts), 'reference')} has a likelihood: {why}")
    return kept


def _over_tokens(
    kept: Sequence[tuple[int, LikelihoodRecord]],
    nats: Sequence[float],
    statistic: Callable[[Array], Array],
    options: dict[str, Any],
) -> Measured:
    import numpy as np

    rows = np.array([nats, [row.tokens for _, row in kept]], dtype=float).T  # (n, 2)
    places = [place for place, _ in kept]
    total = float(statistic(rows.sum(axis=0, keepdims=True))[0])
    unit = {"end": True, "unit": "token of the shared tokenizer"}
    return Measured(total=total, n=len(nats), rows=rows, statistic=statistic, places=places, options=unit | options)


def _of_the_system(statistic: Callable[[Array], Array]) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        kept = _kept(batch)
        said = {(row.kind, row.draws) for _, row in kept}
        if len(said) > 1:
            raise Absent("failed: some likelihoods are exact and others bounds, or bounds of other numbers of draws")
        [(kind, draws)] = said
        options: dict[str, Any] = {"kind": kind} | ({"draws": draws} if kind == "bound" else {})
        return _over_tokens(kept, [float(row.nats or 0.0) for _, row in kept], statistic, options)

    return measure


def _of_the_world(batch: MetricInput) -> Measured:
    from benchmarks.data.world import ENTROPIES

    kept = _kept(batch)
    entropy = ENTROPIES[batch.task]
    nats = [entropy(batch.documents[place].source) for place, _ in kept]
    return _over_tokens(kept, nats, rate_from_sums, {})


NLL = Metric(
    name="nll",
    summary="Negative log-likelihood of the references under the system, in nats for each token of the shared "
    "tokenizer; 0 or more, exact for autoregression, at most this (≤) for token diffusion.",
    direction="lower",
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_of_the_system(rate_from_sums), likelihoods=True)},
    companions=("nll_entropy",),
)

NLL_PERPLEXITY = Metric(
    name="nll_perplexity",
    summary="The exponential of `nll`: perplexity of the references under the system, for each token of the shared "
    "tokenizer; 1 or more, at most this (≤) where it is a bound.",
    direction="lower",
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_of_the_system(perplexity_of_rates), likelihoods=True)},
    companions=("nll_entropy",),
)

NLL_ENTROPY = Metric(
    name="nll_entropy",
    summary="Entropy of the language's own distribution of these references, given their sources, in the unit of "
    "`nll`: no system can be below it but for the chance of the choice of references; exact.",
    direction="none",
    evaluators={"world": Evaluator(name=world_grammar, measure=_of_the_world, likelihoods=True)},
    absent="not run: the source's own distribution is not known",
)
