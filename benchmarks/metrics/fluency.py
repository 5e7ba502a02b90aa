"""Fluency without a classifier of acceptability, and the joint score of detoxification that it makes.

Sources of detoxification are people's comments, and few are sentences of a grammar. Both judges therefore compare a
text with its source: it is fluent where it is no less so than what it was made from. Each hears what the other does
not: to a language model a text that says everything twice is likelier than before, and many a comment links without
the words that were dropped from it.

On `world`, where the truth is known, the joint score ranks answers that get worse and worse as `exact_j` does
(Spearman 0.95); among entries of all kinds it is 0.72, since texts said twice, deletion and retrieval stand too high in
it, though below the reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmarks.evaluators.cache_paths import file_hash
from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.signature import library
from benchmarks.metrics.language_model import TOKENS, likelihoods_and_states
from benchmarks.metrics.surface import sources

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array


def links(unused: float, unused_of_source: float, most: int) -> bool:
    """Whether a text leaves no more words unused than its source, and at most `most`."""
    return unused <= min(unused_of_source, most)


def likelihood_ratio(nats: Array, nats_of_sources: Array) -> Array:
    """min(1, perplexity of the source / perplexity of the text) from mean nats a token; shape (n,) all."""
    import numpy as np

    out: Array = np.exp(np.minimum(0.0, nats_of_sources - nats))
    return out


def _links(batch: MetricInput) -> Measured:
    from benchmarks.evaluators.link_parser import MOST, unused_words
    from benchmarks.evaluators.locate import link_library

    model = batch.models["grammar"]
    library = link_library(model.folder)
    if library is None:
        raise Absent("missing evaluator: the library of Link Grammar does not lie beside its dictionary")

    def make(missing: list[str]) -> Iterable[tuple[list[str], Array]]:
        import numpy as np

        yield missing, np.array(unused_words(model.folder, library, missing)[0], dtype=float)[:, None]

    asked = sources(batch)
    kept = f"{model.name}|{model.state}|{file_hash(library)}|{MOST}"
    said = [text for text in (*batch.texts, *asked) if not blank(text)]
    unused = dict(zip(said, batch.vectors.of(kept, said, make)[:, 0] if said else (), strict=True))
    values = []
    for text, source in zip(batch.texts, asked, strict=True):
        judged = (unused.get(text, math.inf), unused.get(source, math.inf))  # of what is blank there is none
        values.append(float(links(*judged, MOST)))
    options = {"against": "source", "blank": 0, "library": file_hash(library)[:8], "most": MOST}
    return Measured(values=tuple(values), options=options)


def _likelihood(batch: MetricInput) -> Measured:
    def nats(texts: Sequence[str]) -> Array:
        rows = likelihoods_and_states(batch, "lm", texts)  # (n, 2 + d)
        means: Array = rows[:, 0] / rows[:, 1].clip(min=1)
        return means

    fluent = likelihood_ratio(nats(batch.texts), nats(sources(batch)))
    values = tuple(0.0 if blank(text) else float(value) for text, value in zip(batch.texts, fluent, strict=True))
    options = {"against": "source", "blank": 0, "dtype": "float32", "end": False, "start": True, "tokens": TOKENS}
    return Measured(values=values, options=options)


FL_LINKS = Metric(
    name="fl_links",
    summary="Share of texts in which Link Grammar leaves 3 words unused at most and no more than in the source; "
    "0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={ANYWHERE: Evaluator(name=lambda: "link-grammar", measure=_links, models=("grammar",))},
)

FL_LM = Metric(
    name="fl_lm",
    summary="Mean of the source's perplexity over the text's, 1 at most, under another model; 0 to 1, a blank text "
    "has 0.",
    direction="higher",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("transformers"),
            measure=_likelihood,
            modules=("torch", "transformers"),
            models=("lm",),
        )
    },
)

J_OFFLINE = Metric(
    name="j_offline",
    summary="What stands in for J offline: mean over texts of the product of STA (profanity), SIM, FL (Link Grammar) "
    "and FL (language model) of the same text.",
    direction="higher",
    parts=("sta_profanity", "sim", "fl_links", "fl_lm"),
    companions=("bleu", "bleu_copy"),
)
