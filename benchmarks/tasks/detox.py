"""Detox: say the same without the rudeness."""

from __future__ import annotations

from baselines.contract import Limits
from benchmarks.tasks import Task

TASK = Task(
    name="detox",
    version="1",
    title="Detoxification: rewrite a rude sentence politely and keep every fact",
    conditional=True,
    limits=Limits(source_tokens=40, target_tokens=40),
    metrics=(
        "exact_j",
        "exact_rudeness",
        "exact_facts",
        "exact_facts_kept",
        "exact_language",
        "j",
        "sta",
        "sim",
        "fl",
        "sta_profanity",
        "j_profanity",
        "fl_links",
        "fl_lm",
        "j_offline",
        "detoxify",
        "bleu",
        "bleu_copy",
        "chrf",
        "rouge_l",
        "copy_rate",
        "length",
        "nll",
        "nll_perplexity",
        "nll_entropy",
    ),
    headline=("exact_j", "j", "j_offline", "bleu"),
    floors=("copy", "delete", "unigram", "retrieval", "reference"),
    systems=("cosmos", "gpt2", "mdlm"),
    sources=("world", "local", "hub"),
    note=(
        "The world's sentences are made by this project (Apache-2.0): mild insults and rude intensifiers, no slur. "
        "ParaDetox (CC0 1.0) holds offensive language as people wrote it. "
        "A system trained backwards would make polite text rude; do not train one for use."
    ),
)
