"""The scores of detoxification: style (STA), similarity (SIM), fluency (FL) and their product per sentence (J).

J is the mean over sentences of the product (Logacheva et al. 2022, ParaDetox, section 6): the product of means would
lose the correlation that it is there to measure. STA and FL are judged by the grammar on `world` and by others
elsewhere; the signature tells them apart. SIM is in `benchmarks.metrics.similarity`.
"""

from __future__ import annotations

import warnings

from benchmarks.metrics.exact import by_grammar, grammatical, polite
from benchmarks.metrics.metric import ANYWHERE, Batch, Evaluator, Measured, Metric, blank
from benchmarks.metrics.signature import library

THRESHOLD = 0.5


def _profanity(batch: Batch) -> Measured:
    """1 where alt-profanity-check gives a probability of profanity below one half."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the packaged model was saved by an earlier scikit-learn
        from profanity_check import predict_prob

        present = [text for text in batch.texts if not blank(text)]
        found = iter(predict_prob(present) if present else [])
    values = tuple(0.0 if blank(text) else float(next(found) < THRESHOLD) for text in batch.texts)
    return Measured(values=values, options={"blank": 0, "threshold": THRESHOLD})


STA = Metric(
    name="sta",
    summary="Style accuracy: share of texts that are not rude; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={
        "world": by_grammar(polite),
        ANYWHERE: Evaluator(
            name=lambda: library("alt-profanity-check"),
            measure=_profanity,
            modules=("profanity_check",),
            command="pip install -c constraints.txt -e '.[eval]'",
        ),
    },
)

FL = Metric(
    name="fl",
    summary="Fluency: share of texts that are grammatical sentences; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(grammatical)},
    absent=(
        "missing evaluator: no package brings a classifier of acceptability; fluency is judged on the built-in source: "
        "python -m benchmarks run --task detox --source world"
    ),
)

J = Metric(
    name="j",
    summary="Joint score: mean over texts of STA * SIM * FL of the same text; a blank text has 0.",
    direction="higher",
    parts=("sta", "sim", "fl"),
)
