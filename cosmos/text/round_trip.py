"""A text as a tokenizer gives it back: cut into pieces and joined again.

What it takes from a text (capitals, accents, signs without a piece, unusual spacing) is nothing that a system could be
asked for which writes in the tokenizer's pieces. No framework is imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from cosmos.text.detokenise import detokenise
from cosmos.text.tokenizer import find_encoder, tokenize, tokenizer_file, tokenizer_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RULE = "round trip 1"
"""The name of the rule in signatures; changed with every change of what it gives."""

PACKAGED = "all-MiniLM-L6-v2, packaged"
"""What the tokenizer is called that texts have where no other is named."""

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_END = "[SEP]"


@lru_cache(maxsize=4)
def _read(content: bytes) -> Tokenizer:
    """The tokenizer, once a process: to read it takes longer than to score some hundred texts with it."""
    return tokenizer_of(content, "The tokenizer of the run")


class RoundTrip:
    """The round trip through one tokenizer.

    Args:
        content: the bytes of its tokenizer.json.

    Attributes:
        sha256: of these bytes.
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.sha256 = content, hashlib.sha256(content).hexdigest()

    @property
    def form(self) -> str:
        """What texts are called that went through."""
        return f"{RULE}, tokenizer {self.sha256[:8]}"

    @cached_property
    def _pieces(self) -> list[str | None]:
        """The piece of each of the tokenizer's ids; None for the special tokens."""
        pieces = map(self._tokenizer.id_to_token, range(self._tokenizer.get_vocab_size()))
        return [None if piece in SPECIALS else piece for piece in pieces]

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _read(self.content)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Each text as it is when going through again changes nothing, which is nearly always so after once.

        Should the round trip lead from text to text and back, it is the first of these in the order of characters.
        """
        out = self.once(texts)
        seen = {place: [text] for place, (text, before) in enumerate(zip(out, texts, strict=True)) if text != before}
        while seen:
            again = self.once([those[-1] for those in seen.values()])
            pending = {}
            for (place, those), text in zip(seen.items(), again, strict=True):
                if text in those:
                    out[place] = min(those[those.index(text) :])
                else:
                    pending[place] = [*those, text]
            seen = pending
        return out

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, its end token counted."""
        return [len(ids) + 1 for ids in tokenize(self._tokenizer, texts)]

    def once(self, texts: Sequence[str]) -> list[str]:
        """What `cosmos.text.vocabulary.Vocabulary` with every piece makes of each text: encoded whole, then decoded."""
        return [self._join(ids) for ids in tokenize(self._tokenizer, texts)]

    def _join(self, ids: Sequence[int]) -> str:
        end = self._tokenizer.token_to_id(_END)
        before_end = ids[: ids.index(end)] if end in ids else ids
        pieces = (self._pieces[number] for number in before_end)
        return detokenise([piece for piece in pieces if piece is not None])


def find(name: str | None) -> RoundTrip:
    """The round trip through an encoder's tokenizer; name and errors as in `cosmos.text.tokenizer.find_encoder`."""
    return RoundTrip(tokenizer_file(find_encoder(name)))
