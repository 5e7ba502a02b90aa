"""A metric for the library `evaluate`, in a folder of its own: which share of a reference's words a text has."""

import datasets
import evaluate


class SharedWords(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Share of the reference's words that the text has, 0 to 1.",
            citation="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions, references):
        pairs = [(set(p.lower().split()), set(r.lower().split())) for p, r in zip(predictions, references)]
        return {"shared_words": [len(ours & theirs) / max(1, len(theirs)) for ours, theirs in pairs]}
