"""The round trip of texts through a tokenizer: what a vocabulary decodes, and a form that does not change any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from cosmos.io.errors import UserError
from cosmos.text import round_trip
from cosmos.text.round_trip import RoundTrip
from cosmos.text.vocabulary import Vocabulary

WRITTEN = {
    "The Dog's “old” hat — naïve, well-known 3.5%!": "the dog's “old” hat — naive, well-known 3.5%!",
    'He said: "Go  now" ,then\tleft .': 'he said: "go now", then left.',
    "Bob's café 😀 in Zürich (e.g. at 3:30 P.M.)": "bob's cafe in zurich (e.g. at 3:30 p.m.)",
    "one [SEP] two [MASK]": "one",
    "😀": "",
    "": "",
}
UNSTEADY = "they paid £ e.g. for it"  # the sign clings to the next word, which then abbreviates nothing any more


@pytest.fixture(scope="module")
def trip() -> RoundTrip:
    return round_trip.find(None)


def test_what_comes_out_is_what_it_was(trip: RoundTrip) -> None:
    """Whoever changes one of these gives `RULE` another number: scores of the old form are not comparable."""
    assert round_trip.RULE == "round trip 1"
    assert dict(zip(WRITTEN, trip(list(WRITTEN)), strict=True)) == WRITTEN


def test_it_is_what_a_vocabulary_decodes_of_what_it_encodes(trip: RoundTrip) -> None:
    texts = [*WRITTEN, UNSTEADY]
    vocabulary = Vocabulary.of(texts)
    decoded = [d.text for d in vocabulary.decode(vocabulary.encode(texts, 128).tokens)]
    assert trip.once(texts) == decoded


def test_going_through_again_changes_nothing(trip: RoundTrip) -> None:
    texts = [*WRITTEN, UNSTEADY]
    once = trip.once(texts)
    assert trip.once(once) != once, "none of these shows why once is not enough"
    assert trip(trip(texts)) == trip(once) == trip(texts)
    assert trip([]) == []


def test_texts_that_lead_to_each_other_have_one_form(trip: RoundTrip, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"c": "b", "b": "a", "a": "b", "d": "d"}
    monkeypatch.setattr(trip, "once", lambda texts: [steps[text] for text in texts])
    assert trip(["c", "b", "a", "d"]) == ["a", "a", "a", "d"]


def test_its_name_holds_rule_and_tokenizer(trip: RoundTrip, tmp_path: Path) -> None:
    assert trip.form == f"round trip 1, tokenizer {trip.sha256[:8]}"
    assert RoundTrip(trip.content).form == trip.form
    assert RoundTrip(trip.content + b" ").form != trip.form
    with pytest.raises(UserError, match="neither a folder nor in the local"):
        round_trip.find("no-such-encoder")


def test_a_cased_tokenizer_keeps_capitals() -> None:
    pieces = [*round_trip.SPECIALS, "The", "the", "Dog", "##s", "."]
    cased = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    cased.normalizer = normalizers.BertNormalizer(lowercase=False)
    cased.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert RoundTrip(cased.to_str().encode())(["The Dogs .", "the dog."]) == ["The Dogs.", "the."]


def test_tokens_are_counted_with_their_end() -> None:
    """So likelihoods are divided."""
    assert round_trip.find(None).token_counts(["zebras", "a lamp", ""]) == [3, 3, 1]
