"""MAUVE (Pillutla et al. 2021): how near the texts are to human ones, all together, in the space of a language model.

Features are the last hidden state at the last token of any causal language model, our own and kept; mauve-text clusters
them and draws the curve. It depends on the number of texts and on the seed of the clustering, so the number stands in
the signature, several seeds are averaged, and human texts against human texts of the same number, the ceiling, stand
beside it as `mauve_human`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.evaluators.suppress_output import quiet
from benchmarks.metrics.core.cache import texts_hash
from benchmarks.metrics.core.metric import (
    ANYWHERE,
    INSTALL_EVAL,
    Absent,
    Evaluator,
    Measured,
    Metric,
    MetricInput,
    blank,
)
from benchmarks.metrics.core.signature import library
from benchmarks.metrics.language_model import TOKENS, likelihoods_and_states
from cosmos.io.counting import counted

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array, Interval

SEEDS = 5  # clusterings averaged
GROUPS = 5  # disjoint subsets, at most
POINTS, SCALING, _EDGE = 25, 5.0, 1e-6  # of the curve, as mauve-text has them
FEWEST = 50  # texts on each side, below which there are no five clusters
LEVEL = 0.95


def clustered(texts: Array, references: Array, seed: int) -> Any:
    """What mauve-text finds for features, shape (n, d) both, with its defaults and the seed of one clustering."""
    with quiet():
        from mauve import compute_mauve

        return compute_mauve(p_features=texts, q_features=references, seed=seed, verbose=False)


def mauve(texts: Array, references: Array, seed: int) -> float:
    """MAUVE of features, shape (n, d) both, by one clustering; 0 to 1."""
    clusters = clustered(texts, references, seed)
    return area(clusters.p_hist, clusters.q_hist)


def area(p: Array, q: Array) -> float:
    """The area under the divergence curve of two histograms (Pillutla et al. 2021, equations 1 and 2).

    mauve-text computes the same, but sorts points of equal abscissa in no fixed order: for equal histograms, whose area
    is 1, it gives 1, 0.75 or 0.5.
    """
    import numpy as np

    w = np.linspace(_EDGE, 1 - _EDGE, POINTS)[:, None]  # (points, 1)
    mixed = w * p + (1 - w) * q  # (points, buckets)
    curve = [np.minimum(1.0, np.exp(-SCALING * _divergences(one, mixed))) for one in (q, p)]
    x, y = np.append(curve[0], [1.0, 0.0]), np.append(curve[1], [0.0, 1.0])
    return float(_under(x, y) + _under(y, x)) / 2


def _divergences(p: Array, mixed: Array) -> Array:
    """Kullback-Leibler divergences in nats of a histogram from each of some that hold it, shape (points,)."""
    import numpy as np

    here = p > 0
    out: Array = (p[here] * np.log(p[here] / mixed[:, here])).sum(axis=1)
    return out


def _under(x: Array, y: Array) -> float:
    """The area under a curve that falls, by trapezia."""
    import numpy as np

    order = np.lexsort((-y, x))
    return float(np.trapezoid(y[order], x[order]))


class MauveSpread(NamedTuple):
    """MAUVE by each seed of the clustering, and of each disjoint subset of the texts; its interval where it has one."""

    by_seed: tuple[float, ...]
    by_subset: tuple[float, ...]
    interval: Interval | None


def spread(texts: Array, references: Array) -> MauveSpread:
    """MAUVE over seeds, whose mean is the score, with its interval and the disjoint subsets that is drawn from.

    The variance is that of random groups (Wolter 2007, Introduction to Variance Estimation, section 2.2): of MAUVE
    between disjoint subsets of both sides, divided by their number, plus that between seeds divided by theirs; limits
    by Student's t with one degree of freedom less than there are subsets. A bootstrap would draw texts twice, which
    clustering sees. There is no interval below two subsets of `FEWEST` texts.
    """
    import numpy as np

    from benchmarks.stats.bootstrap import Interval

    values = tuple(mauve(texts, references, seed) for seed in range(SEEDS))
    value = math.fsum(values) / SEEDS
    groups = min(GROUPS, len(texts) // FEWEST)
    if groups < 2:
        return MauveSpread(values, (), None)
    from scipy.stats import t

    parts = tuple(mauve(texts[start::groups], references[start::groups], start) for start in range(groups))
    error = math.sqrt(np.var(parts, ddof=1) / groups + np.var(values, ddof=1) / SEEDS)
    margin = float(t.ppf((1 + LEVEL) / 2, groups - 1)) * error
    return MauveSpread(values, parts, Interval(max(0.0, value - margin), min(1.0, value + margin), LEVEL))


def _order(keys: Sequence[str]) -> list[int]:
    """Places in an order that depends on the keys alone."""
    return sorted(range(len(keys)), key=lambda place: hashlib.sha256(keys[place].encode()).digest())


def _measured(batch: MetricInput, texts: Sequence[str], references: Sequence[str], **options: object) -> Measured:
    if len(texts) < FEWEST:
        raise Absent(f"too few: {counted(len(texts), 'text')}, and MAUVE needs {FEWEST} on each side")
    found = spread(
        likelihoods_and_states(batch, "lm", texts)[:, 2:], likelihoods_and_states(batch, "lm", references)[:, 2:]
    )
    settings = {
        "buckets": "n/10",
        "dtype": "float32",
        "features": "last state",
        "groups": min(GROUPS, len(texts) // FEWEST),
        "scaling": SCALING,
        "seeds": SEEDS,
        "start": True,
        "texts": len(texts),
        "tokens": TOKENS,
        "variance": 0.9,
    }
    return Measured(
        total=math.fsum(found.by_seed) / SEEDS,
        n=len(texts),
        interval=found.interval,
        groups=found.by_subset,
        repeats=found.by_seed,
        options=settings | options,
    )


def _mauve(batch: MetricInput) -> Measured:
    """Blank texts stay: their feature is that of the start token, which no human text has."""
    order = _order([document.id for document in batch.documents])
    texts = ["" if blank(batch.texts[place]) else batch.texts[place].strip() for place in order]
    return _measured(batch, texts, [batch.documents[place].target for place in order])


def _ceiling(batch: MetricInput) -> Measured:
    """As many texts of the training set, chosen by their hash, in the place of the system's."""
    order = _order([document.id for document in batch.documents])
    references = [batch.documents[place].target for place in order]
    unseen = sorted({text for text in batch.training or () if not blank(text)} - set(references))
    drawn = [unseen[place] for place in _order(unseen)][: len(references)]
    if len(drawn) < len(references):
        raise Absent(f"too few: {len(drawn)} training texts that differ from the {len(references)} references")
    return _measured(batch, drawn, references, against=f"training {texts_hash(drawn)[:8]}")


_NEEDS = ("mauve", "torch", "transformers")


def _name() -> str:
    return ", ".join(library(name) for name in ("mauve-text", "faiss-cpu", "transformers"))


MAUVE = Metric(
    name="mauve",
    summary="MAUVE of all texts and all references, mean of five clusterings; 0 to 1, relative, blank texts count.",
    direction="higher",
    evaluators={ANYWHERE: Evaluator(name=_name, measure=_mauve, modules=_NEEDS, command=INSTALL_EVAL, models=("lm",))},
    companions=("mauve_human", "training_copies", "training_copies_human"),
)

MAUVE_HUMAN = Metric(
    name="mauve_human",
    summary="The ceiling of MAUVE: training texts in the place of the system's, as many as there are references.",
    direction="none",
    evaluators={
        ANYWHERE: Evaluator(
            name=_name, measure=_ceiling, modules=_NEEDS, command=INSTALL_EVAL, models=("lm",), training=True
        )
    },
)
