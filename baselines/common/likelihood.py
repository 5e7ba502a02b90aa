"""What the likelihood of a target comes to: which targets a system can write, and what an unknown token costs.

A restricted vocabulary has one [UNK] for all pieces of its tokenizer that training texts did not use. It is charged as
what it stands for, each of them as likely as the others, so that a system's probabilities are of the tokenizer's own
token sequences and sum to one over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor

from baselines.common.token_rows import TokenPairs, encode_pairs
from baselines.contract import Document, Likelihood, Limits
from cosmos.text.tokenizer import tokenize
from cosmos.text.vocabulary import UNK, Vocabulary


def unknown_nats(vocabulary: Vocabulary) -> float:
    """What an [UNK] costs besides its own probability: which of the pieces that it stands for it is, in nats."""
    return math.log(max(1, int((vocabulary.to_compact == UNK).sum())))


def target_likelihoods(
    documents: Sequence[Document],
    vocabulary: Vocabulary,
    limits: Limits,
    nats: Callable[[TokenPairs, list[int]], Tensor],
    *,
    longest: int | None = None,
    kind: Literal["exact", "bound"] = "exact",
    draws: int = 0,
) -> list[Likelihood]:
    """The likelihoods of documents' targets by a system that writes tokens.

    Args:
        nats: of encoded documents and their places among `documents`: -log P(target | source) or a bound, [n].
        longest: tokens of the longest target that the system writes, its end token counted; None: as the task allows.
        draws: of a bound that is estimated.
    """
    most = limits.target_tokens - 1  # besides [CLS], which rows do not have
    most = most if longest is None else min(most, longest)
    texts = [document.target for document in documents]
    lengths = (len(row) + 1 for row in tokenize(vocabulary.tokenizer, texts))  # the end token counted
    fitting = [place for place, length in enumerate(lengths) if length <= most]
    nats_at: dict[int, float] = {}
    if fitting:
        pairs = encode_pairs([documents[place] for place in fitting], vocabulary, limits)
        unknown = (pairs.targets == UNK).sum(1).double() * unknown_nats(vocabulary)
        nats_at = dict(zip(fitting, (nats(pairs, fitting).double().cpu() + unknown).tolist(), strict=True))
    reason = f"the target is longer than the {most} tokens that the system writes"
    return [
        Likelihood(document.id, nats_at.get(place), kind, draws, None if place in nats_at else reason)
        for place, document in enumerate(documents)
    ]
