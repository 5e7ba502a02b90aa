"""Minimum Bayes risk: the gain is BLEU, and the choice is the candidate most like the others."""

from __future__ import annotations

import math

import pytest

from baselines.embedding_diffusion.mbr import consensus, sentence_bleu


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
