"""Likelihoods of the test documents: once for all settings, the same bytes, and whatever fits into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, Likelihood, UserError
from benchmarks.records import store
from benchmarks.running import likelihoods
from benchmarks.running.likelihoods import TEXTS, TargetLikelihoods
from benchmarks.running.seeds import request_seed

DOCUMENTS = [Document(f"d{n}", None, "a text", ("a text",)) for n in range(2 * TEXTS + 3)]


class Guesser:
    """Gives a likelihood by the seed alone, and no more than `most` at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[int] = []

    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        self.asked.append(len(documents))
        if len(documents) > self.most:
            raise MemoryError
        return [Likelihood(d.id, (seed % 1000) / 7, "bound", 4) for d, seed in zip(documents, seeds, strict=True)]


@pytest.fixture(autouse=True)
def _exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihoods.memory, "is_exhausted", lambda error: isinstance(error, MemoryError))


def of(system: Any, shares: list[float] | None = None) -> TargetLikelihoods:
    told = [] if shares is None else shares
    return TargetLikelihoods(system, DOCUMENTS, 5, lambda texts: [7] * len(texts), told.append)


def test_they_are_worked_out_once_and_kept_in_every_cell(tmp_path: Path) -> None:
    system = Guesser(TEXTS)
    shares: list[float] = []
    found = of(system, shares)
    for name in ("greedy", "sample"):
        (tmp_path / name).mkdir()
        assert found.keep(tmp_path / name) is None
    assert system.asked == [TEXTS, TEXTS, 3] and shares[-1] == 1.0
    rows = store.read_likelihoods(tmp_path / "greedy")
    assert rows is not None and [row.id for row in rows] == [document.id for document in DOCUMENTS]
    files = [(tmp_path / name / store.LIKELIHOODS).read_bytes() for name in ("greedy", "sample")]
    assert files[0] == files[1]
    seed = request_seed(5, "likelihood\x1fd0")
    assert rows[0].nats == round((seed % 1000) / 7, 6) and (rows[0].kind, rows[0].draws) == ("bound", 4)
    assert {row.tokens for row in rows} == {7}  # as the run counts
    assert store.LIKELIHOODS in store.SEALED


def test_fewer_are_looked_at_together_where_memory_is_short(tmp_path: Path) -> None:
    system = Guesser(5)
    of(system).keep(tmp_path)
    assert max(system.asked[3:]) == TEXTS // 4
    whole, few = tmp_path / "whole", tmp_path / store.LIKELIHOODS
    whole.mkdir()
    of(Guesser(TEXTS)).keep(whole)
    assert few.read_bytes() == (whole / store.LIKELIHOODS).read_bytes()
    with pytest.raises(UserError, match="even one text"):
        of(Guesser(0)).keep(tmp_path)


def test_nothing_is_left_of_an_interrupted_pass(tmp_path: Path) -> None:
    class Interrupted(Guesser):
        def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
            if self.asked:
                raise KeyboardInterrupt
            return super().likelihoods(documents, seeds)

    with pytest.raises(KeyboardInterrupt):
        of(Interrupted(TEXTS)).keep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_gives_none_says_why(tmp_path: Path) -> None:
    class Silent:
        no_likelihood = "it is a stone"

    assert of(Silent()).keep(tmp_path) == "it is a stone"
    assert of(object()).keep(tmp_path) == "the system gives no likelihood"
    assert store.read_likelihoods(tmp_path) is None and list(tmp_path.iterdir()) == []
