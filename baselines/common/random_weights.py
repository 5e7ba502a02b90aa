"""What stands in for a training where speed alone is measured; see `baselines.contract.SupportsRandomWeights`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from baselines.contract import UserError
from cosmos.text.vocabulary import SPECIALS, Vocabulary

CONTINUED = 5  # one piece in so many continues a word, about as in BERT's table (5,828 of 30,522)


def made_up_vocabulary(tokens: int) -> Vocabulary:
    """A WordPiece vocabulary of so many tokens, specials included, of words that mean nothing.

    Raises:
        UserError: fewer tokens than the specials and one word.
    """
    if tokens <= len(SPECIALS):
        raise UserError(f"A vocabulary needs more than {len(SPECIALS)} tokens, not {tokens}.")
    own = range(tokens - len(SPECIALS))
    pieces = [*SPECIALS, *(f"##x{n}" if n % CONTINUED == CONTINUED - 1 else f"word{n}" for n in own)]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Vocabulary(tokenizer, pieces)


def first_number(call: Callable[[], Any]) -> Tensor:
    """One number of what a network call returns: a recording hands out a copy, which shall cost nothing."""
    out = call()
    while not isinstance(out, Tensor):
        out = out[0]
    return out.flatten()[:1]
