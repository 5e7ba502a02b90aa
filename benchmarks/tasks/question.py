"""Question: ask what a given answer in a passage answers."""

from __future__ import annotations

from baselines.contract import Limits
from benchmarks.tasks import Task

TASK = Task(
    name="question",
    version="1",
    title="Question generation: from a passage and an answer in it, the question it answers",
    conditional=True,
    limits=Limits(source_tokens=384, target_tokens=40),
    metrics=(
        "exact_facts",
        "exact_facts_kept",
        "exact_answerable",
        "exact_language",
        "bleu",
        "bleu_copy",
        "chrf",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "meteor",
        "meteor_stems",
        "bertscore",
        "copy_rate",
        "length",
        "nll",
        "nll_perplexity",
        "nll_entropy",
    ),
    headline=("exact_facts", "bleu"),
    floors=("copy", "unigram", "retrieval", "reference"),
    systems=("cosmos", "gpt2", "mdlm"),
    sources=("world", "local", "hub"),
    note=(
        "The world's passages are made by this project (Apache-2.0). SQuAD is CC BY-SA 4.0, its passages are from "
        "Wikipedia. A generated question may presuppose what its passage does not say; do not show it as a fact."
    ),
)
