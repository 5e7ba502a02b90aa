"""The tokenizer all systems share: an encoder's WordPiece, restricted to the tokens that training texts use.

A network that reads or writes one task needs a few hundred or thousand of the tokenizer's 30,522 tokens. `Vocabulary`
keeps those, numbered 0 ... V-1 without gaps ("compact ids"); every other token is [UNK]. [SEP] ends a text, as in BERT.
Texts are cut into pieces by the whole tokenizer, never by the restricted one, so that places agree with the frozen
encoder's states.

Axis legend: B texts, L tokens, V compact ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from cosmos.io.errors import UserError
from cosmos.io.files import read_json, write_bytes
from cosmos.io.typed_json import AnyJson, read_as
from cosmos.text.detokenise import may_be_mark, only_words, separated, with_spaces, words
from cosmos.text.round_trip import SPECIALS as SPECIALS
from cosmos.text.tokenizer import find_encoder, load_tokenizer, tokenize, tokenizer_of

PAD, UNK, CLS, SEP, MASK = range(5)
"""Compact ids of the special tokens, the same in every vocabulary."""

ROW_END = b"\xff"  # behind the pieces of a text, where those of many are put together: a byte that UTF-8 does not have
ESCAPED = "surrogateescape"  # how bytes are written and read that are no UTF-8
FILL = b"\x00"  # behind the bytes of a piece, up to those of the longest


class Encoded(NamedTuple):
    """Tokens of some texts."""

    tokens: Tensor  # int64 [B, L], compact ids, PAD after the last token
    mask: Tensor  # bool [B, L], True where there is a token, specials included
    cut: int  # how many texts were longer than the limit and lost their tail


class Decoded(NamedTuple):
    """A text read from compact ids."""

    text: str
    tokens: int  # ids up to and with the end token, or all of them
    finished: bool  # whether there was an end token


def before_end(
    rows: npt.NDArray[np.int64], limits: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """How many ids of each row [B, L] stand before its end token, or within its limit [B], and whether it has one."""
    ends, length = rows == SEP, rows.shape[1]
    first = np.where(ends.any(1), ends.argmax(1) if length else 0, length)
    within = np.minimum(limits, length)
    return np.minimum(first, within), first < within


class StoredVocabulary(TypedDict):
    """What a file of a vocabulary says."""

    pieces: list[str]
    tokenizer: AnyJson


def check_vocabulary(path: Path) -> StoredVocabulary:
    """What `Vocabulary.save` wrote; `UserError` where it is missing or damaged."""
    return read_as(StoredVocabulary, read_json(path), str(path), "restore it from a copy")


class Vocabulary:
    """Compact ids of a restricted WordPiece tokenizer.

    Args:
        tokenizer: the fast tokenizer it restricts.
        pieces: the token strings in the order of compact ids; the first five are `SPECIALS`.

    Attributes:
        to_full: int64 [V], the tokenizer's id of each compact id.
        to_compact: int64 [size of the tokenizer], the compact id of each of its ids, UNK where it is not kept.
    """

    def __init__(self, tokenizer: Tokenizer, pieces: Sequence[str]) -> None:
        if tuple(pieces[: len(SPECIALS)]) != SPECIALS:
            raise UserError(f"The vocabulary does not begin with {' '.join(SPECIALS)}; it was made by something else.")
        numbers = [tokenizer.token_to_id(piece) for piece in pieces]
        if None in numbers:
            missing = pieces[numbers.index(None)]
            raise UserError(f"The tokenizer has no token '{missing}'; give an encoder with a BERT tokenizer.")
        if max(numbers) >= tokenizer.get_vocab_size():
            raise UserError("The tokenizer leaves out numbers between those of its tokens; restore it from a copy.")
        self.tokenizer, self.pieces = tokenizer, tuple(pieces)
        own = tuple(enumerate(self.pieces))[len(SPECIALS) :]
        strings = [*("" for _ in SPECIALS), *(separated(piece) for _, piece in own)]
        encoded = [string.encode(errors=ESCAPED) for string in strings]
        # Behind the pieces, what is no piece says nothing, and then comes the end of a row.
        self._separated = np.array([*encoded, b"", ROW_END])  # bytes [V + 2], filled up
        marks = [*(False for _ in SPECIALS), *(may_be_mark(piece) for _, piece in own)]
        self._marks = np.array([*marks, False, False])  # [V + 2]
        # The same for one text alone, without what says nothing.
        strings = (part.replace(FILL, b"").decode(errors=ESCAPED) for part in encoded)
        self._separated_of = {number: string for number, string in enumerate(strings) if string}
        self._mark_ids = frozenset(number for number, mark in enumerate(marks) if mark)
        self.to_full = torch.tensor(numbers)
        self.to_compact = torch.full((tokenizer.get_vocab_size(),), UNK)
        self.to_compact[self.to_full] = torch.arange(len(numbers))

    @classmethod
    def of(cls, texts: Iterable[str], encoder: str | None = None) -> Vocabulary:
        """The vocabulary of training texts (sources and targets): the specials, then pieces by the tokenizer's number.

        `encoder`, whose tokenizer is restricted, and errors are as in `find_encoder`.
        """
        tokenizer = load_tokenizer(find_encoder(encoder))
        return cls._of({number for ids in tokenize(tokenizer, list(texts)) for number in ids}, tokenizer)

    @classmethod
    def of_numbers(cls, numbers: Iterable[int], encoder: str | None = None) -> Vocabulary:
        """The same where the tokens of all texts are known by the tokenizer's numbers."""
        return cls._of(numbers, load_tokenizer(find_encoder(encoder)))

    @classmethod
    def _of(cls, numbers: Iterable[int], tokenizer: Tokenizer) -> Vocabulary:
        pieces = [tokenizer.id_to_token(number) for number in sorted(numbers)]
        return cls(tokenizer, [*SPECIALS, *(piece for piece in pieces if piece not in SPECIALS)])

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def padded_size(self) -> int:
        """V rounded up to a multiple of 64, a fast width for embeddings and logits; ids past V are never decoded."""
        return -(-len(self) // 64) * 64

    def encode(
        self, texts: Sequence[str], max_tokens: int, add_specials: bool = True, pad_to: int | None = None
    ) -> Encoded:
        """Compact ids of texts, padded on the right.

        Args:
            max_tokens: longest result, specials included; longer texts lose their tail (and keep [SEP]).
            add_specials: [CLS] before and [SEP] after each text.
            pad_to: the width L; None: the longest of these texts.
        """
        limit = max_tokens - 2 if add_specials else max_tokens
        assert limit > 0 and (pad_to is None or pad_to >= max_tokens)
        ids = tokenize(self.tokenizer, texts)
        cut = sum(len(row) > limit for row in ids)
        before, after = ([int(self.to_full[CLS])], [int(self.to_full[SEP])]) if add_specials else ([], [])
        rows = [before + row[:limit] + after for row in ids]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        width = pad_to or max([1, *lengths.tolist()])
        mask = torch.arange(width) < lengths[:, None]  # [B, L]
        tokens = torch.full(mask.shape, PAD)
        tokens[mask] = self.to_compact[torch.tensor([number for row in rows for number in row], dtype=torch.int64)]
        return Encoded(tokens, mask, cut)

    def decode(self, tokens: Tensor | Sequence[Sequence[int]]) -> list[Decoded]:
        """Read rows of compact ids [B, L]: up to the first [SEP], specials dropped, pieces joined to words, spaces set
        as in English. Inverts `encode` on lower-case sentences in ordinary punctuation."""
        if isinstance(tokens, Tensor):
            rows, limits = tokens.numpy(force=True), np.full(len(tokens), tokens.shape[1])
        else:
            limits = np.array([len(row) for row in tokens], dtype=np.int64)
            rows = np.full((len(tokens), max([0, *limits])), PAD)
            rows[np.arange(rows.shape[1]) < limits[:, None]] = [number for row in tokens for number in row]
        counts, finished = before_end(rows, limits)
        read = zip(self.texts(rows, counts), counts.tolist(), finished.tolist(), strict=True)
        return [Decoded(text, count + end, end) for text, count, end in read]

    def texts(self, rows: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> list[str]:
        """The texts of the first `counts` [B] ids of rows [B, L], whatever ids they are, all at once."""
        nothing, length = len(self), rows.shape[1]
        known = np.empty((len(rows), length + 1), dtype=np.int64)
        known[:, :length] = rows
        known = np.minimum(known.view(np.uint64), nothing).view(np.int64)  # an id below zero is large without its sign
        known = np.where(np.arange(length + 1) < counts[:, None], known, nothing)
        known[:, length] = nothing + 1  # the end of the row
        together = self._separated.take(known).tobytes().translate(None, FILL)
        *joined, _ = together.split(ROW_END)  # as bytes, of which one that is no UTF-8 makes no text wider
        marked = zip(joined, self._marks.take(known).any(1).tolist(), strict=True)
        read = ((text.decode(errors=ESCAPED), marks) for text, marks in marked)
        return [with_spaces(words(text)) if marks else only_words(text) for text, marks in read]

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, whatever ids they are: what `texts` gives, of one alone in a third of the time."""
        joined = "".join(filter(None, map(self._separated_of.get, ids)))
        return only_words(joined) if self._mark_ids.isdisjoint(ids) else with_spaces(words(joined))

    def save(self, path: Path) -> None:
        stored = {"pieces": list(self.pieces), "tokenizer": json.loads(self.tokenizer.to_str())}
        # On one line: with thirty thousand tokens an indented file takes many times as long.
        write_bytes(path, json.dumps(stored, sort_keys=True, ensure_ascii=False).encode())

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote; `UserError` where it is missing or damaged."""
        stored = check_vocabulary(path)
        return cls(tokenizer_of(json.dumps(stored["tokenizer"]).encode(), path), stored["pieces"])
