"""Minimum Bayes risk: of several texts drawn for one request, the one most like the others (Kumar and Byrne, 2004).

No reference is looked at. The gain is the sentence BLEU of tokens, the choice of Diffusion-LM and DiffuSeq.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4


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
