"""Likelihoods as scores: by hand, null with the reason, in one unit, bounds apart from exact values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from baselines.contract import Document
from benchmarks import metrics, tasks
from benchmarks.data import world
from benchmarks.records.schema import LikelihoodRecord, Score

NAMES = ("nll", "nll_perplexity", "nll_entropy")
DOCUMENTS = world.detox("test", 4)


def row(document: Document, nats: float | None, tokens: int, draws: int = 0) -> LikelihoodRecord:
    reason = "the target is too long" if nats is None else None
    return LikelihoodRecord(document.id, nats, tokens, "bound" if draws else "exact", draws, reason)


def scored(
    rows: list[LikelihoodRecord] | None, why: str | None = None, source: str = "world", cache: Path | None = None
) -> dict[str, Score]:
    texts = [document.target for document in DOCUMENTS]
    batch = metrics.MetricInput("detox", source, DOCUMENTS, texts, likelihoods=rows, no_likelihood=why)
    return {score.metric: score for score in metrics.score(batch, NAMES, cache=cache)}


def test_nats_for_each_shared_token_and_the_entropy_beside_it() -> None:
    nats, tokens = (3.0, 1.0, None, 6.0), (10, 5, 60, 5)
    found = scored([row(d, n, t) for d, n, t in zip(DOCUMENTS, nats, tokens, strict=True)])
    assert found["nll"].value == pytest.approx(10 / 20)
    assert found["nll_perplexity"].value == pytest.approx(math.exp(10 / 20), abs=1e-6)
    entropy = sum(world.target_entropy(str(DOCUMENTS[i].source)) for i in (0, 1, 3)) / 20
    assert found["nll_entropy"].value == pytest.approx(entropy, abs=1e-6)
    for score in found.values():
        assert (score.n, score.total) == (3, 4)
    assert found["nll"].direction == "lower" and found["nll"].companions == ("nll_entropy",)
    assert found["nll"].signature.options["kind"] == "exact"


def test_a_bound_is_signed_as_one() -> None:
    exact, bound = (scored([row(d, 2.0, 4, draws) for d in DOCUMENTS])["nll"] for draws in (0, 16))
    assert exact.value == bound.value == 0.5
    assert bound.signature.options["kind"] == "bound" and bound.signature.options["draws"] == 16
    assert str(exact.signature) != str(bound.signature)
    mixed = scored([row(d, 2.0, 4, draws) for d, draws in zip(DOCUMENTS, (0, 16, 16, 16), strict=True)])["nll"]
    assert mixed.value is None and str(mixed.reason).startswith("failed: some likelihoods are exact")


@pytest.mark.parametrize(
    ("rows", "why", "reason"),
    [
        (None, "latent diffusion has no likelihood", "not run: latent diffusion has no likelihood"),
        (None, None, "not run: no likelihood was kept when the texts were made, by an earlier version or elsewhere"),
        ([row(d, None, 90) for d in DOCUMENTS], None, "too few: none of 4 references has a likelihood: the target is"),
    ],
)
def test_null_says_why(rows: list[LikelihoodRecord] | None, why: str | None, reason: str) -> None:
    for score in scored(rows, why).values():
        assert score.value is None and str(score.reason).startswith(reason)


def test_another_source_has_no_entropy() -> None:
    found = scored([row(d, 2.0, 4) for d in DOCUMENTS], source="local")
    assert found["nll"].value == 0.5 and found["nll_entropy"].reason == (
        "not run: the source's own distribution is not known"
    )


def test_a_kept_score_is_of_these_likelihoods(tmp_path: Path) -> None:
    values = [scored([row(d, nats, 4) for d in DOCUMENTS], cache=tmp_path)["nll"].value for nats in (2.0, 4.0, 2.0)]
    assert values == [0.5, 1.0, 0.5]


def test_every_task_has_it_and_none_is_headed_by_it() -> None:
    for name in ("story", "question", "summary", "detox"):
        task = tasks.find(name)
        assert set(NAMES) <= set(task.metrics) and not set(NAMES) & set(task.headline)
        assert name in world.ENTROPIES and name in world.LOG_PROBABILITIES
