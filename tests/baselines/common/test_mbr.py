"""Minimum Bayes risk: the gain is BLEU, and the choice is the candidate most like the others."""

from __future__ import annotations

import math
from array import array

import pytest
import torch
from torch import Tensor

from baselines.common import mbr
from baselines.common.mbr import consensus, sentence_bleu
from baselines.contract import Request, UserError
from cosmos.text.vocabulary import SEP, Vocabulary


def test_bleu_by_hand() -> None:
    assert sentence_bleu([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(1.0)
    assert sentence_bleu([7, 8], [1, 2]) == 0.0
    # Of [1, 2, 3, 9]: 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, 0 of 1 quadruple; one added from pairs on.
    expected = (3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert sentence_bleu([1, 2, 3, 9], [1, 2, 3, 4]) == pytest.approx(expected)
    short = (1.0 * 1.0 * 1.0 * 1.0) ** 0.25 * math.exp(1 - 4 / 2)
    assert sentence_bleu([1, 2], [1, 2, 3, 4]) == pytest.approx(short), "a short text pays"
    assert sentence_bleu([1, 1, 1], [1, 2, 3]) < sentence_bleu([1, 2, 9], [1, 2, 3]), "a word counts once per match"
    assert (sentence_bleu([], []), sentence_bleu([], [1]), sentence_bleu([1], [])) == (1.0, 0.0, 0.0)


def test_the_one_like_the_others_is_chosen() -> None:
    assert consensus([[9, 9], [1, 2, 3, 4], [1, 2, 3, 5], [8]]) == 1
    assert consensus([[1, 2, 3, 5], [9], [1, 2, 3, 4], [1, 2, 3, 4]]) == 2
    assert consensus([[5], [6]]) == 0, "the first among equals"
    assert consensus([[5]]) == 0


def test_candidates_are_drawn_apart_and_one_of_them_is_kept() -> None:
    """Two requests with five candidates each, of which the last three are alike."""
    vocabulary = Vocabulary.of(["a b c d e f g h"], None)
    words = vocabulary.encode(["a b c d", "e f g h"], 9).tokens[:, 1:5]
    asked: list[list[int]] = []

    def draw(seeds: Tensor) -> Tensor:
        asked.append(seeds.tolist())
        rows = words[[int(len(asked) > 2)] * 2].clone()
        if len(asked) == 1:
            rows[:, 3] = SEP
        return rows

    requests = [Request("x", None, 3, 8), Request("y", None, 4, 8)]
    samples = mbr.generate(requests, draw, 5, vocabulary)
    assert [(sample.id, sample.text) for sample in samples] == [("x", "e f g h"), ("y", "e f g h")]
    assert asked[0] == [3, 4] and len({seed for seeds in asked for seed in seeds}) == 10
    assert {tuple(sample.sequence or ()) for sample in samples} == {tuple(words[1].tolist())}
    asked.clear()
    [one, other] = mbr.generate(requests, draw, 1, vocabulary)
    assert one.sequence == other.sequence == array("q", (*words[0, :3].tolist(), SEP)), (
        "what follows the end means nothing"
    )
    asked.clear()
    rows = torch.cat([words[:1, :3], torch.full((1, 3), SEP), words[:1, :1]], 1)
    [whole] = mbr.generate(requests[:1], lambda seeds: rows, 1, vocabulary, whole=True)
    assert (whole.text, whole.sequence) == ("a b c", array("q", rows[0].tolist()))
    assert [sample.text for sample in mbr.generate(requests, draw, 1, vocabulary)] == ["a b c"] * 2 and len(asked) == 1
    with pytest.raises(UserError, match="candidates must lie between 1 and 1000, not at 0"):
        mbr.check_candidates(0)
