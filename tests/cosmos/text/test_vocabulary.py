"""The shared vocabulary: compact ids, decoding inverts encoding, cutting, saving."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models

from cosmos.io.errors import UserError
from cosmos.text.detokenise import detokenise, separated, words
from cosmos.text.tokenizer import default_encoder, find_encoder, load_tokenizer
from cosmos.text.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary

SENTENCES = [
    "don't do it, john's (old) car... isn't \"good\"!",
    'a well-known 3.5% e.g. "cafe" costs $5.20, i.e. 1,000 dogs\' tails at 3:30 p.m.',
    "he said 'sit down' and it's o'clock -- they're; we'll: i'd? i've i'm",
    "the dogs [both] sleep/eat.",
    "'well', she said, \"you're late\"?!",
    "unbelievably, the electroencephalographers re-examined antidisestablishmentarianism.",
]

NOUNS = "dog cats neighbour letter mother-in-law bicycle james".split()  # noqa: SIM905
VERBS = "sees isn't couldn't misplaced quarrels they'll won't".split()  # noqa: SIM905
MARKS = [".", "!", "?", "...", "?!"]


def sentence(rng: random.Random) -> str:
    """A lower-case English-like sentence with quotations, brackets, numbers, contractions and possessives."""
    parts = []
    for _ in range(rng.randint(1, 4)):
        noun = rng.choice(NOUNS) + rng.choice(["", "", "'s"])
        phrase = f"{noun} {rng.choice(VERBS)}"
        kind = rng.randrange(7)
        if kind == 0:
            phrase = f'"{phrase}"'
        elif kind == 1:
            phrase = f"({phrase})"
        elif kind == 2:
            phrase += f" {rng.randint(1, 99)}.{rng.randint(0, 9)}%"
        elif kind == 3:
            phrase += f" at {rng.randint(1, 12)}:{rng.randint(10, 59)} p.m."
        elif kind == 4:
            phrase = f"${rng.randint(1, 9)},{rng.randint(100, 999)} {phrase}"
        parts.append(phrase)
    text = rng.choice([", ", "; ", " -- ", ": "]).join(parts)
    return text if text.endswith(".") else text + rng.choice(MARKS)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    rng = random.Random(0)
    return Vocabulary.of([*SENTENCES, *(sentence(rng) for _ in range(300)), "the quick brown fox"])


def test_decoding_inverts_encoding(vocabulary: Vocabulary) -> None:
    rng = random.Random(0)
    texts = [*SENTENCES, *(sentence(rng) for _ in range(300))]
    encoded = vocabulary.encode(texts, max_tokens=128)
    assert encoded.cut == 0 and not (encoded.tokens == UNK).any()
    decoded = vocabulary.decode(encoded.tokens)
    assert [sample.text for sample in decoded] == texts
    assert all(sample.finished for sample in decoded)
    assert [sample.tokens for sample in decoded] == encoded.mask.sum(1).tolist()


def test_ids_are_compact_and_specials_come_first(vocabulary: Vocabulary) -> None:
    tokenizer = load_tokenizer(find_encoder(None))
    assert (PAD, UNK, CLS, SEP, MASK) == (0, 1, 2, 3, 4)
    assert vocabulary.pieces[:5] == SPECIALS
    assert [tokenizer.id_to_token(i) for i in vocabulary.to_full.tolist()] == list(vocabulary.pieces)
    assert torch.equal(vocabulary.to_compact[vocabulary.to_full], torch.arange(len(vocabulary)))
    assert int((vocabulary.to_compact == UNK).sum()) == tokenizer.get_vocab_size() - len(vocabulary) + 1
    assert vocabulary.padded_size % 64 == 0 and 0 <= vocabulary.padded_size - len(vocabulary) < 64


def test_encoding_places_specials_and_padding(vocabulary: Vocabulary) -> None:
    tokens, mask, cut = vocabulary.encode(["the fox", "the quick brown fox"], 16)
    assert tokens.dtype == torch.int64 and mask.dtype == torch.bool and cut == 0
    assert tokens.shape == (2, 6) and mask.sum(1).tolist() == [4, 6]
    assert tokens[0, 0] == CLS and tokens[0, 3] == SEP and tokens[0, 4:].tolist() == [PAD, PAD]
    plain = vocabulary.encode(["the fox"], 16, add_specials=False, pad_to=16)
    assert plain.tokens.shape == (1, 16) and torch.equal(plain.tokens[0, :2], tokens[0, 1:3])
    assert vocabulary.encode([""], 16).tokens.tolist() == [[CLS, SEP]]
    assert vocabulary.encode([], 16).tokens.shape[0] == 0
    assert vocabulary.encode([""], 16, add_specials=False).mask.tolist() == [[False]]


def test_the_order_of_texts_makes_no_difference_to_ids(vocabulary: Vocabulary) -> None:
    assert Vocabulary.of(["b a", "c"]).pieces == Vocabulary.of(iter(["c", "a b", "a"])).pieces


def test_long_texts_are_cut_and_counted(vocabulary: Vocabulary) -> None:
    tokens, mask, cut = vocabulary.encode(["the quick brown fox", "fox"], 4)
    assert cut == 1 and tokens.shape == (2, 4) and mask[0].all()
    assert tokens[0, -1] == SEP
    assert vocabulary.decode(tokens)[0].text == "the quick"
    assert vocabulary.encode(["the quick brown fox"], 4, add_specials=False).cut == 0


def test_unseen_words_are_unknown_and_keep_their_place(vocabulary: Vocabulary) -> None:
    tokens, _, _ = vocabulary.encode(["the quick zebra fox"], 16)
    assert tokens[0, 3] == UNK and vocabulary.decode(tokens)[0].text == "the quick fox"


def test_decoding_stops_at_the_first_end_and_ignores_what_is_not_a_token(vocabulary: Vocabulary) -> None:
    the, fox = vocabulary.encode(["the fox"], 8, add_specials=False).tokens[0].tolist()
    samples = vocabulary.decode([[the, SEP, fox, SEP], [the, PAD, fox, MASK], [vocabulary.padded_size - 1, fox], [SEP]])
    assert [tuple(sample) for sample in samples] == [
        ("the", 2, True), ("the fox", 4, False), ("fox", 2, False), ("", 1, True),
    ]  # fmt: skip


def test_a_saved_vocabulary_needs_no_encoder(vocabulary: Vocabulary, tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    vocabulary.save(path)
    again = Vocabulary.load(path)
    assert again.pieces == vocabulary.pieces
    assert torch.equal(again.encode(SENTENCES, 64).tokens, vocabulary.encode(SENTENCES, 64).tokens)
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first


def test_damaged_files_are_user_errors(vocabulary: Vocabulary, tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    with pytest.raises(UserError, match="Cannot read"):
        Vocabulary.load(path)
    vocabulary.save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is damaged"):
        Vocabulary.load(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="lacks the field pieces"):
        Vocabulary.load(path)
    with pytest.raises(UserError, match="has no token 'xyzzyx'"):
        Vocabulary(vocabulary.tokenizer, [*SPECIALS, "xyzzyx"])


def test_places_agree_with_the_whole_tokenizer(vocabulary: Vocabulary) -> None:
    full = load_tokenizer(Path(default_encoder()))
    for text, row, mask in zip(SENTENCES, *vocabulary.encode(SENTENCES, 64)[:2], strict=True):
        assert full.encode(text).ids == vocabulary.to_full[row[mask]].tolist()


def test_pieces_are_joined_to_words() -> None:
    assert words("".join(map(separated, ["un", "##believ", "##ably", "good"]))) == ["unbelievably", "good"]
    assert detokenise([]) == "" and detokenise(["##s", "."]) == "s."
    assert detokenise(["##", "a"]) == "## a"


def piece_by_piece(pieces: list[str]) -> list[str]:
    """The words of pieces, put together one after the other."""
    found: list[str] = []
    for piece in pieces:
        continues = piece.startswith("##") and len(piece) > 2
        if continues and found:
            found[-1] += piece[2:]
        else:
            found.append(piece[2:] if continues else piece)
    return found


def test_words_are_those_of_the_pieces_one_after_the_other() -> None:
    draw = random.Random(0)
    some = ["cat", "##s", "##", "###", "##.", ".", "'", "a", "##'", "-", "1"]
    for _ in range(3000):
        pieces = draw.choices(some, k=draw.randint(0, 6))
        assert words("".join(map(separated, pieces))) == piece_by_piece(pieces)


def test_rows_are_read_as_their_pieces_whatever_is_among_them() -> None:
    """Words alone are read in another way than words and marks; ids that no piece has say nothing."""
    tokenizer = load_tokenizer(Path(default_encoder()))
    pieces = ("the", "cat", "##s", "sat", ".", ",", "'", "s", '"', "##.", "-", "12")
    small, draw = Vocabulary(tokenizer, [*SPECIALS, *pieces]), random.Random(1)
    seen = set()
    for _ in range(2000):
        among = draw.choice([range(5, 9), range(5, len(small)), range(-2, len(small) + 3)])
        row = draw.choices(among, k=draw.randint(0, 7))
        decoded = small.decode([row])[0]
        before_end = row[: row.index(SEP)] if SEP in row else row
        own = [small.pieces[i] for i in before_end if len(SPECIALS) <= i < len(small)]
        assert decoded.text == detokenise(own)
        assert decoded.finished == (SEP in row) and decoded.tokens == len(before_end) + decoded.finished
        seen.add((decoded.finished, "." in own, bool({-1, len(small)} & set(before_end))))
    assert len(seen) == 8, "every way is taken"


def test_pieces_with_control_characters_mix_no_rows() -> None:
    """Published vocabularies have such pieces, whatever texts have."""
    pieces = ["the", "a\x01b", "\x01", "##\x02", "\xff", "."]
    numbers = {piece: number for number, piece in enumerate((*SPECIALS, *pieces))}
    vocabulary = Vocabulary(Tokenizer(models.WordPiece(numbers, unk_token="[UNK]")), list(numbers))
    rows = [[5, 6, 7], [6], [], [9, 8, 7, 10], [7, 7, SEP, 5]]
    expected = [detokenise([vocabulary.pieces[i] for i in row[: (*row, SEP).index(SEP)]]) for row in rows]
    assert [decoded.text for decoded in vocabulary.decode(rows)] == expected
