"""Generated rows as samples: what each text, count and sequence is, one row and one id after the other."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import torch
from tokenizers import Tokenizer, models
from torch import Tensor

from baselines.common.token_rows import samples_from_tokens
from baselines.contract import Request, Sample
from cosmos.text.detokenise import detokenise
from cosmos.text.tokenizer import default_encoder, load_tokenizer
from cosmos.text.vocabulary import SEP, SPECIALS, Vocabulary

PIECES = ("the", "cat", "##s", "sat", ".", ",", "'", "s", '"', "##.", "-", "12")
MARKS = ".,'\"-"


def one_by_one(requests: list[Request], tokens: Tensor, vocabulary: Vocabulary, *, whole: bool) -> list[Sample]:
    """The same as `samples_from_tokens`, of lists and in loops."""
    samples = []
    for request, row in zip(requests, tokens.tolist(), strict=True):
        allowed = row[: request.max_tokens]
        finished = SEP in allowed
        read = allowed[: allowed.index(SEP)] if finished else allowed
        text = detokenise([vocabulary.pieces[i] for i in read if len(SPECIALS) <= i < len(vocabulary)])
        kept = row if whole else row[: len(read) + finished]
        samples.append(Sample(request.id, text, len(read), finished, array("q", kept)))
    return samples


def test_samples_are_those_of_reading_rows_one_by_one() -> None:
    vocabulary = Vocabulary(load_tokenizer(Path(default_encoder())), [*SPECIALS, *PIECES])
    draw, size, seen = random.Random(0), len(vocabulary), set()
    for _ in range(1500):
        rows, length, whole = draw.randint(0, 4), draw.randint(0, 9), draw.random() < 0.5
        among = draw.choice([range(5, 9), range(5, size), range(size), [-(2**62), -1, 3, 5, 6, 9, size, 2**40]])
        drawn = [draw.choices(among, k=length + 1) for _ in range(rows)]
        tokens = torch.tensor(drawn, dtype=torch.int64).reshape(rows, length + 1)[:, 1:]  # not in one piece of memory
        requests = [Request(str(n), None, n, draw.randint(0, 11)) for n in range(rows)]
        found = samples_from_tokens(requests, tokens, vocabulary, whole=whole)
        assert found == one_by_one(requests, tokens, vocabulary, whole=whole)
        for request, sample in zip(requests, found, strict=True):
            numbers = sample.sequence or ()
            assert type(sample.sequence) is array and {*map(type, (sample.tokens, *numbers))} == {int}
            assert type(sample.finished) is bool and type(sample.text) is str
            cut = not sample.finished and request.max_tokens < length
            ways = (
                whole,
                sample.finished,
                cut,
                length > 0,
                min(numbers, default=0) < 0,
                bool(set(sample.text) & {*MARKS}),
            )
            seen.add((rows == 1, *ways))
    assert len(seen) == 50, "every way is taken"
    assert sum(alone for alone, *_ in seen) == 24, "of one row alone too, which is read in a way of its own"


def test_one_row_alone_is_what_it_is_among_others_whatever_its_pieces_hold() -> None:
    """Published vocabularies have pieces of control characters, and of letters of several bytes."""
    pieces = ["the", "a\x00b", "\x00", "##\x01", "\xff", "##\xe9", "."]
    numbers = {piece: number for number, piece in enumerate((*SPECIALS, *pieces))}
    vocabulary = Vocabulary(Tokenizer(models.WordPiece(numbers, unk_token="[UNK]")), list(numbers))
    tokens = torch.tensor([[5, 6, 7, 8], [9, 10, 3, 5], [7, 7, 11, 2], [3, 8, 8, 8]])
    requests = [Request(str(n), None, n, 4) for n in range(4)]
    together = samples_from_tokens(requests, tokens, vocabulary)
    alone = [
        samples_from_tokens([request], row[None], vocabulary)[0] for request, row in zip(requests, tokens, strict=True)
    ]
    assert alone == together
    assert [sample.text for sample in together] == ["the ab \x01", "\xff\xe9", " .", ""]
