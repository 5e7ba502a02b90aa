"""The rows of two lists of texts as one, and passages cut into pieces."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from cosmos.data.datasets import JoinedDataset, TextDataset
from cosmos.data.state_cache import cache_states
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import pieces
from cosmos.text.vocabulary import Vocabulary

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_cosmos import SOURCES, TARGETS, tiny_encoder

LIMIT = 14


@pytest.mark.parametrize("index", [[0, 1], [9, 8], [3, 9, 0, 12, 5, 8, 11], [12]])
def test_joined_rows_are_those_of_one_list(index: list[int], tmp_path: Path) -> None:
    encoder = TextEncoder(str(tiny_encoder(tmp_path / "encoder")))
    first, second = TARGETS[:9], SOURCES[:5]
    vocabulary = Vocabulary.of([*first, *second], str(encoder.folder))

    def rows(name: str, texts: list[str]) -> TextDataset:
        return TextDataset(cache_states(encoder, texts, tmp_path / name, LIMIT), texts, vocabulary, LIMIT)

    joined = JoinedDataset(rows("first", first), rows("second", second))
    one = rows("one", [*first, *second])
    assert len(joined) == len(one) == 14
    found, expected = (given.batch(torch.tensor(index)) for given in (joined, one))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=2e-3)  # float16 states of other groups of texts
    assert torch.equal(found["tokens"], expected["tokens"])


def test_pieces_are_whole_sentences_up_to_a_number_of_words() -> None:
    passage = 'It rained. "Anna left." They asked why. This sentence alone is longer than the limit allows. End'
    assert pieces([passage, "  ", "One more."], 5) == [
        'It rained. "Anna left."',
        "They asked why.",
        "This sentence alone is longer than the limit allows.",
        "End",
        "One more.",
    ]
    assert pieces([], 5) == []
