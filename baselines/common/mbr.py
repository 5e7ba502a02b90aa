"""Minimum Bayes risk: of several texts drawn for one request, the one most like the others (Kumar and Byrne, 2004).

No reference is looked at. The gain is the sentence BLEU of tokens, the choice of Diffusion-LM and DiffuSeq. All
candidates are made within the one call of `generate` that is timed, each by network calls of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from baselines.common.token_rows import samples_from_tokens
from baselines.contract import Request, Sample
from cosmos.io.errors import check_range
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.batches import hashed

LONGEST = 4
MOST = 1000  # candidates


def check_candidates(candidates: int) -> None:
    """Raise `UserError` unless there can be so many texts to choose from."""
    check_range("candidates", candidates, 1, MOST)


def generate(
    requests: Sequence[Request],
    draw: Callable[[Tensor], Tensor],
    candidates: int,
    vocabulary: Vocabulary,
    *,
    whole: bool = False,
) -> list[Sample]:
    """A sample per request, of each the one of its `candidates` that is most like the others.

    The first candidate is the text without any choice; the others have seeds of their own, which follow from the
    request's alone.

    Args:
        draw: seeds, int64 [B] -> tokens, int64 [B, L]; called once for each candidate.
        whole: as of `samples_from_tokens`.
    """
    drawn = []
    for number in range(candidates):
        seeds = [hashed(r.seed, "candidate", number) if number else r.seed for r in requests]
        drawn.append(draw(torch.from_numpy(np.array(seeds, dtype=np.int64))))
    each = [samples_from_tokens(requests, tokens, vocabulary, whole=whole) for tokens in drawn]
    if candidates == 1:
        return each[0]
    best = []
    for samples in zip(*each, strict=True):
        texts = [(sample.sequence or ())[: sample.tokens] for sample in samples]
        best.append(samples[consensus(texts)])
    return best


def sentence_bleu(text: Sequence[int], reference: Sequence[int]) -> float:
    """BLEU of one text, in [0, 1]; counts of two tokens and more are raised by one (Lin and Och, 2004)."""
    if not text or not reference:
        return float(not text and not reference)
    logs = 0.0
    for n in range(1, LONGEST + 1):
        mine, theirs = _counted(text, n), _counted(reference, n)
        right, smooth = (mine & theirs).total(), int(n > 1)
        if right + smooth == 0:
            return 0.0
        logs += math.log((right + smooth) / (mine.total() + smooth)) / LONGEST
    return math.exp(logs + min(0.0, 1.0 - len(reference) / len(text)))


def consensus(candidates: Sequence[Sequence[int]]) -> int:
    """The place of the candidate with the greatest mean BLEU against all others; the first among equals."""
    gains = [
        sum(sentence_bleu(text, other) for j, other in enumerate(candidates) if j != i)
        for i, text in enumerate(candidates)
    ]
    return gains.index(max(gains))


def _counted(tokens: Sequence[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
