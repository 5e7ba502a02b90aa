"""Summary: one sentence that gives the salient event of a document."""

from __future__ import annotations

from baselines.contract import Limits
from benchmarks.tasks import Task

TASK = Task(
    name="summary",
    version="1",
    title="Summarisation: from a document, one sentence that says what matters",
    conditional=True,
    limits=Limits(source_tokens=512, target_tokens=64),
    metrics=(
        "exact_facts",
        "exact_facts_kept",
        "exact_salient",
        "exact_language",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "rouge_lsum",
        "bleu",
        "bleu_copy",
        "chrf",
        "meteor",
        "meteor_stems",
        "bertscore",
        "copy_rate",
        "length",
        "nll",
        "nll_perplexity",
        "nll_entropy",
    ),
    headline=("exact_facts", "rouge_l"),
    floors=("lead", "copy", "unigram", "retrieval", "reference"),
    systems=("cosmos", "gpt2", "mdlm"),
    sources=("world", "local", "hub"),
    note=(
        "The world's reports are made by this project (Apache-2.0); their cities are real, their events are not. "
        "XSum's articles belong to the BBC and are used for research; SciTLDR is Apache-2.0; Wikipedia is CC BY-SA. A "
        "summary may state what its document does not; do not pass it on as news."
    ),
)
