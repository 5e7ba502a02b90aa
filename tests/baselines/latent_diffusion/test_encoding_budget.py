"""How many documents a budget can have encoded."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from baselines import registry
from baselines.contract import Budget, Corpus, Document, Limits, UserError
from baselines.latent_diffusion.encoding_budget import CHOICE, VALIDATION_SHARE, affordable
from benchmarks.planning.overrides import plain
from cosmos.data.state_cache import cache_states
from cosmos.runtime.flops import measure_flops
from cosmos.text.encoder import TextEncoder
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parents[2] / "cosmos"))
from tiny_cosmos import WORDS, tiny_encoder

LIMITS = Limits(source_tokens=30, target_tokens=14)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


def document(number: int) -> Document:
    """Sources and targets of many lengths, some of them too long."""
    target = " ".join(WORDS[(number + i) % len(WORDS)] for i in range(1 + number % 17))
    source = " ".join(WORDS[(number * 7 + i) % len(WORDS)] for i in range(1 + number * 5 % 37))
    return Document(str(number), source, target, (target,))


CORPUS = Corpus([document(n) for n in range(300)], [document(n) for n in range(300, 360)])


def choose(encoder: TextEncoder, folder: Path, budget: Budget, **changes: Any) -> Corpus:
    values: dict[str, Any] = {"share": 0.5, "batch_size": 4, "run": TrainingRun(folder, 0, "cpu"), **changes}
    return affordable(values.pop("corpus", CORPUS), encoder, values.pop("limits", LIMITS), budget, **values)


def cost(encoder: TextEncoder, documents: Any, folder: Path) -> float:
    """What is really paid for the states of sources and targets."""
    sources = cache_states(encoder, [d.source for d in documents], folder / "sources", LIMITS.source_tokens)
    targets = cache_states(encoder, [d.target for d in documents], folder / "targets", LIMITS.target_tokens)
    return sources.cost.flops + targets.cost.flops


@pytest.mark.parametrize("lengths", [[5], [1, 31], [7] * 3, [30, 2, 19, 19, 6]])
def test_the_cost_of_encoding_is_known_before(encoder: TextEncoder, lengths: list[int]) -> None:
    rows = [[5] * length for length in lengths]
    real = sum(measure_flops(lambda g=group: encoder.states([rows[i] for i in g])) for group in encoder.groups(rows))
    assert encoder.flops(rows) == real


def test_the_first_documents_use_the_share_up(encoder: TextEncoder, tmp_path: Path) -> None:
    budget = Budget(cost(encoder, CORPUS.train, tmp_path), "flops")
    chosen = choose(encoder, tmp_path, budget)
    for name, part in (("train", 1.0 - VALIDATION_SHARE), ("validation", VALIDATION_SHARE)):
        found, every = getattr(chosen, name), getattr(CORPUS, name)
        assert list(found) == every[: len(found)]
        assert 0.9 < cost(encoder, found, tmp_path / name) / (0.5 * budget.amount * part) <= 1.0
    assert 60 < len(chosen.train) < 200


def test_a_large_budget_takes_all_and_one_too_small_is_refused(encoder: TextEncoder, tmp_path: Path) -> None:
    assert choose(encoder, tmp_path / "a", Budget(1e12, "flops")) == CORPUS
    assert choose(encoder, tmp_path / "b", Budget(1e12, "flops"), corpus=Corpus(CORPUS.train, [])).validation == []
    with pytest.raises(UserError, match="does not pay for encoding one document"):
        choose(encoder, tmp_path / "c", Budget(10, "flops"))


def test_targets_alone_are_paid_for_where_there_are_no_sources(encoder: TextEncoder, tmp_path: Path) -> None:
    texts = [dataclasses.replace(d, source=None) for d in CORPUS.train]
    targets = cache_states(encoder, [d.target for d in texts[:50]], tmp_path / "targets", LIMITS.target_tokens)
    budget = Budget(2 * targets.cost.flops / (1.0 - VALIDATION_SHARE), "flops")
    chosen = choose(encoder, tmp_path, budget, corpus=Corpus(texts, []), limits=Limits(0, 14))
    assert 45 <= len(chosen.train) <= 50


def test_steps_pay_for_no_encoding_but_no_more_is_encoded_than_seen(encoder: TextEncoder, tmp_path: Path) -> None:
    chosen = choose(encoder, tmp_path / "a", Budget(9, "steps"))
    assert (len(chosen.train), len(chosen.validation)) == (36, 4)
    assert choose(encoder, tmp_path / "b", Budget(9000, "steps")) == CORPUS


def test_seconds_buy_what_the_encoder_does_in_them_and_the_choice_is_kept(
    encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((100.0, 100.5))  # half a second for the first 64 documents
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    chosen = choose(encoder, tmp_path, Budget(1.0, "seconds"))
    monkeypatch.undo()
    known = cost(encoder, CORPUS.train[:64], tmp_path / "known")
    real = cost(encoder, chosen.train, tmp_path / "chosen")
    assert known * 0.8 < real <= known * (1.0 - VALIDATION_SHARE)
    assert choose(encoder, tmp_path, Budget(1.0, "seconds")) == chosen
    assert (tmp_path / CHOICE).exists()


def test_passages_are_paid_from_what_documents_leave(encoder: TextEncoder, tmp_path: Path) -> None:
    passages = [document(n).target for n in range(1000, 1200)]
    corpus = dataclasses.replace(CORPUS, passages=passages)
    documents = cost(encoder, CORPUS.train, tmp_path)
    whole = sum(cache_states(encoder, passages, tmp_path / "passages", LIMITS.target_tokens).cost.flops for _ in (0,))
    share = 1.0 - VALIDATION_SHARE

    def chosen(flops: float, name: str) -> Corpus:
        return choose(encoder, tmp_path / name, Budget(flops / share, "flops"), share=1.0 - 1e-9, corpus=corpus)

    with pytest.raises(UserError, match=r"pays for encoding 2\d\d of 300 documents and no passage"):
        chosen(documents * 0.9, "few")
    some = chosen(documents + whole / 2, "some")
    assert len(some.train) == len(CORPUS.train)
    assert 50 < len(some.passages) < 150
    assert some.passages == passages[: len(some.passages)]
    assert len(chosen(documents + whole * 1.01, "all").passages) == 200
    stepped = choose(encoder, tmp_path / "steps", Budget(90, "steps"), corpus=corpus)  # 360 rows are looked at
    assert len(stepped.passages) == 360 - len(CORPUS.train)


@pytest.mark.parametrize("name", ["cosmos", "cosmos-joint", "tencdm", "ld4lg"])
def test_every_latent_system_can_read_the_first_layers_of_its_encoder(
    encoder: TextEncoder, tmp_path: Path, name: str
) -> None:
    """They make another training of it, and cost less, so the same share pays for more documents."""
    kind = registry.find(name)
    whole, part = (_reading(kind.presets["nano"], layers) for layers in (None, 0))
    made = [kind(recipe, LIMITS) for recipe in (whole, part)]
    assert [system.latent_recipe().encoder_layers for system in made] == [None, 0]
    assert made[0].read_files() != made[1].read_files()
    stored = [
        json.dumps([plain(recipe), system.configured]) for recipe, system in zip((whole, part), made, strict=True)
    ]
    assert ["encoder_layers" in text for text in stored] == [False, True]  # so those of before have the same identity
    budget = Budget(80.0 * encoder.flops([[1] * 20]), "flops")
    embeddings = TextEncoder(str(encoder.folder), layers=0)
    counts = [len(choose(read, tmp_path / str(i), budget).train) for i, read in enumerate((encoder, embeddings))]
    assert counts[0] < counts[1]


def _reading(recipe: Any, layers: int | None) -> Any:
    if hasattr(recipe, "model"):
        return dataclasses.replace(recipe, model=_reading(recipe.model, layers))
    return dataclasses.replace(recipe, encoder_layers=layers)
