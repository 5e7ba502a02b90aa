"""The scores of detoxification: style (STA), similarity (SIM), fluency (FL) and their product per sentence (J).

J is the mean over sentences of the product (Logacheva et al. 2022, ParaDetox, section 6): the product of means would
lose the correlation that it is there to measure. STA and FL are judged by the grammar on `world` and by ParaDetox's own
classifiers elsewhere; the signature tells them apart. What judges in their place where they cannot be had is in
`benchmarks.metrics.toxicity`, under names of its own. SIM is in `benchmarks.metrics.similarity`.
"""

from __future__ import annotations

from benchmarks.metrics.classifiers import in_good_class
from benchmarks.metrics.core.metric import ANYWHERE, Metric
from benchmarks.metrics.exact import by_grammar, in_language, polite

STA = Metric(
    name="sta",
    version="2",
    summary="Style accuracy: share of texts that are not rude; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(polite, ("detox",)), ANYWHERE: in_good_class("toxicity")},
)

FL = Metric(
    name="fl",
    summary="Fluency: share of texts that a classifier accepts as English, on the world that its grammar can make; "
    "0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={"world": by_grammar(in_language, ("detox",)), ANYWHERE: in_good_class("acceptability")},
)

J = Metric(
    name="j",
    summary="Joint score: mean over texts of STA * SIM * FL of the same text; a blank text has 0.",
    direction="higher",
    parts=("sta", "sim", "fl"),
)
