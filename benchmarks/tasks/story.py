"""Story: five sentences about one thing, from nothing."""

from __future__ import annotations

from baselines.contract import Limits
from benchmarks.tasks import Task

TASK = Task(
    name="story",
    version="1",
    title="Story generation: five linked sentences, without a source",
    conditional=False,
    limits=Limits(source_tokens=0, target_tokens=80),
    metrics=(
        "exact_linked",
        "exact_language",
        "exact_novel",
        "mauve",
        "mauve_human",
        "perplexity",
        "unigram_entropy",
        "repetition",
        "length",
        "diversity",
        "distinct_1",
        "distinct_2",
        "distinct_3",
        "distinct_4",
        "memorisation",
        "memorisation_human",
        "longest_run",
        "longest_run_human",
        "training_copies",
        "training_copies_human",
        "nll",
        "nll_perplexity",
        "nll_entropy",
    ),
    headline=("mauve", "exact_novel"),
    floors=("unigram", "reference"),
    systems=("cosmos", "gpt2", "mdlm"),
    sources=("world", "local", "hub"),
    note=(
        "The world's stories are made by this project (Apache-2.0). ROCStories has no open licence: its authors give "
        "it out for research, so neither its texts nor what a system repeats of them may be passed on. Wikipedia is "
        "CC BY-SA; OpenWebText is a crawl whose texts belong to their authors. Stories are invented and can repeat the "
        "stereotypes of those who wrote the training texts; do not show them as something that happened."
    ),
)
