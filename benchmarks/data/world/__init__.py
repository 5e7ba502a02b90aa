"""The built-in source `world`: a probabilistic grammar of everyday sentences whose every probability is known exactly.

Detox documents are pairs of a rude sentence and a neutral one that states the same facts. A text is read into facts by
the grammar that made it, so membership, facts kept and rudeness left are exact, not estimated.
"""

from __future__ import annotations

from benchmarks.data.world.documents import detox, stream
from benchmarks.data.world.judging import (
    Judgement,
    canonical,
    facts,
    is_member,
    is_neutral,
    judge,
    log_prob_source,
    log_prob_target,
    rudeness,
    target_entropy,
)
from benchmarks.data.world.measures import distinct_pairs, vocabulary

VERSION = "1"

__all__ = [
    "VERSION",
    "Judgement",
    "canonical",
    "detox",
    "distinct_pairs",
    "facts",
    "is_member",
    "is_neutral",
    "judge",
    "log_prob_source",
    "log_prob_target",
    "rudeness",
    "stream",
    "target_entropy",
    "vocabulary",
]
