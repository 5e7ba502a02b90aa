"""The law of headlines: what is no answer scores below the reference, or the metric sums no table up.

No answer are: the source itself, the source without its rude words, the words of the reference sorted, one text for
all, the reference said twice, nothing, and a text learnt by heart. Of a task with sources that is the answer to the
nearest training source; of one without, training texts, one for all and one each. Nor is one story told with other
names, colours and seasons.
"""

from __future__ import annotations

import os
import random
import statistics
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest

from baselines import registry
from baselines.contract import Budget, Corpus, Document, NoSetting, Request, UserError
from baselines.reference import disliked
from benchmarks import metrics, tasks
from benchmarks.data.built_in import World, WorldOptions
from benchmarks.data.local import Local, LocalOptions
from benchmarks.data.source import Source
from benchmarks.data.world.language import lexicon

FOLDER = Path(os.environ.get("COSMOS_DATA") or Path(__file__).parents[4] / "shared" / "data")
USERS = {name: os.environ.get(name) for name in ("COSMOS_CACHE", "HF_HUB_CACHE")}
LARGE = {"lm", "grammar", "toxicity", "acceptability"}  # roles whose models come with no package of the project
TEXTS, MORE = 16, 200  # texts judged, and where judges are large
RATES = (0.02, 0.05, 0.1, 0.2, 0.4)  # of words that are others


def roles(name: str, source: str) -> set[str] | None:
    """The roles whose models judge by a metric; None where nobody does."""
    metric = metrics.find(name)
    evaluator = metric.evaluator(source)
    found = [roles(part, source) for part in metric.parts] or [set(evaluator.models) if evaluator else None]
    return None if None in found else set().union(*(those for those in found if those))


def headlines() -> list[Any]:
    """Every headline of every task, on every source where somebody judges by it.

    Slow is what large models judge, and what is read from large files though it is exact by definition.
    """
    found = []
    for task in tasks.names():
        for name in tasks.find(task).headline:
            for source in ("world", "local"):
                judges = roles(name, source)
                if judges is not None:
                    large = bool(judges & LARGE)
                    slow = large or (source == "local" and task != "detox")
                    count = MORE if large else TEXTS
                    found.append(pytest.param(task, name, source, count, marks=[pytest.mark.slow] if slow else []))
    return found


@cache
def documents(task: str, source: str, count: int = TEXTS) -> tuple[Sequence[Document], Sequence[Document]]:
    """Test and training documents."""
    if source == "world":
        made: Source = World(WorldOptions(train=20 * count, validation=1, test=count))
    else:
        made = Local(LocalOptions(folder=str(FOLDER), train=20 * count, validation=1, test=count))
    return made.load(task, "test"), made.load(task, "train")


@cache
def disliked_here(words: tuple[str, ...]) -> tuple[str, ...]:
    """What `disliked.disliked` gives, asked in this process, which has the judge anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the packaged model was saved by an earlier scikit-learn
        from profanity_check import predict_prob

        chances = predict_prob(list(words))
    return tuple(word for word, chance in zip(words, chances, strict=True) if chance >= disliked.THRESHOLD)


def answers(system: str, task: str, test: Sequence[Document], train: Sequence[Document]) -> list[str]:
    """What a trivial baseline says."""
    made = registry.find(system)(NoSetting(), tasks.find(task).limits)
    with TemporaryDirectory() as folder, mock.patch.object(disliked, "disliked", disliked_here):
        made.fit(Corpus(train, ()), Budget(1, "steps"), Path(folder), seed=1, device="cpu")
        made.load(Path(folder), device="cpu", dtype="float32")
        requests = [Request(document.id, document.source, number, 1000) for number, document in enumerate(test)]
        return [sample.text for sample in made.generate(requests, NoSetting())]


def refilled(text: str, count: int) -> list[str]:
    """One story of the world so many times, each with another name, colour or season, by chance and all different."""
    kinds = [
        lexicon.WOMEN,
        lexicon.MEN,
        tuple(look for look in lexicon.LOOKS if look not in ("small", "big")),
        ("spring", "summer", "autumn", "winter"),
    ]
    draw, found = random.Random(3), dict[str, None]()
    while len(found) < count:
        told = text.split()
        for kind in kinds:
            others = dict(zip(kind, draw.sample(kind, len(kind)), strict=True))  # the same everywhere in a story
            told = [
                others.get(word.strip("."), word) + "." * (word.endswith(".") and word[:-1] in kind) for word in told
            ]
        found[" ".join(told)] = None
    return list(found)


@cache
def wrong(task: str, source: str, count: int) -> dict[str, list[str]]:
    """Texts that are no answers, by what is wrong with them."""
    test, train = documents(task, source, count)
    targets = [document.target for document in test]
    found = {
        "sorted": [" ".join(sorted(text.split())) for text in targets],
        "one for all": [targets[0]] * len(test),
        "said twice": [f"{text} {text}" for text in targets],
        "nothing": [""] * len(test),
        "one training text": [train[0].target] * len(test),
        "training texts": [document.target for document in train[: len(test)]],
    }
    if (task, source) == ("story", "world"):
        found["one story, other words"] = refilled(targets[0], len(test))
    if tasks.find(task).conditional:
        found |= {system: answers(system, task, test, train) for system in ("copy", "delete", "retrieval")}
    return found


def value(task: str, name: str, source: str, texts: Sequence[str], count: int = TEXTS) -> float:
    """The score of texts, turned so that more is better."""
    test, train = documents(task, source, count)
    batch = metrics.MetricInput(task, source, test, texts, training=[document.target for document in train])
    [score] = metrics.score(batch, [name])
    if score.value is None and str(score.reason).startswith("too few: none of"):
        return 0.0  # nothing is no answer, and no score
    assert score.value is not None, score.reason
    return score.value if score.direction == "higher" else -score.value


@pytest.fixture
def users_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models on this machine, where large ones judge."""
    for name, value in USERS.items():
        if value is not None:
            monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("users_models")
@pytest.mark.parametrize(("task", "name", "source", "count"), headlines())
def test_the_reference_beats_all_that_is_no_answer(task: str, name: str, source: str, count: int) -> None:
    if source == "local" and not FOLDER.is_dir():
        pytest.skip(f"no data sets in {FOLDER}; name some with COSMOS_DATA")
    for entry in metrics.available(source):
        if entry.metric == name and not entry.works:
            pytest.skip(entry.hint)
    try:
        test, _ = documents(task, source, count)
    except UserError as absent:
        pytest.skip(str(absent))
    best = value(task, name, source, [document.target for document in test], count)
    found = {kind: value(task, name, source, texts, count) for kind, texts in wrong(task, source, count).items()}
    print(f"\n{task} {name} {source} reference {best:.3f}", {kind: round(score, 3) for kind, score in found.items()})
    assert {kind: score for kind, score in found.items() if score >= best} == {}


def spoilt(texts: Sequence[str], rate: float) -> list[str]:
    """Texts of whose words so many, by chance, are other words of the texts; more where the rate is greater."""
    draw = random.Random(7)
    vocabulary = sorted({word for text in texts for word in text.split()})
    found = []
    for text in texts:
        drawn = [(draw.random(), draw.choice(vocabulary)) for _ in text.split()]
        words = [other if chance < rate else word for word, (chance, other) in zip(text.split(), drawn, strict=True)]
        found.append(" ".join(words))
    return found


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks, of which equal values share the mean."""

    def ranks(values: Sequence[float]) -> list[float]:
        return [sum(v < value for v in values) + (sum(v == value for v in values) - 1) / 2 for value in values]

    return statistics.correlation(ranks(one), ranks(other))


def test_the_rank_correlation_by_hand() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 15]) == pytest.approx(0.5)
    assert rank_correlation([1, 1, 2], [5, 5, 9]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)


@pytest.mark.slow
@pytest.mark.usefixtures("users_models")
def test_what_stands_in_for_j_ranks_entries_as_the_exact_one_does() -> None:
    """Entries of all qualities on `world`: references with more and more other words, mixtures of reference and source,
    trivial baselines, and texts that are no answers."""
    count = 40
    for entry in metrics.available("world"):
        if entry.metric == "j_offline" and not entry.works:
            pytest.skip(entry.hint)
    test, _ = documents("detox", "world", count)
    targets, sources = [d.target for d in test], [str(d.source) for d in test]
    entries = {"reference": targets, **{f"words {rate:.0%}": spoilt(targets, rate) for rate in RATES}}
    entries |= {
        f"copies 1/{n}": [s if i % n == 0 else t for i, (t, s) in enumerate(zip(targets, sources, strict=True))]
        for n in (2, 4)
    }
    entries |= wrong("detox", "world", count)
    scores = {
        name: {kind: value("detox", name, "world", texts, count) for kind, texts in entries.items()}
        for name in ("exact_j", "j_offline", "j_profanity")
    }
    for kind in entries:
        print(f"\n{kind:20}" + "".join(f"{name} {scores[name][kind]:.3f}   " for name in scores), end="")
    answers_of = [kind for kind in entries if kind.startswith(("reference", "words", "copies"))]
    found = {}
    for among, kinds in (("all", list(entries)), ("answers", answers_of)):
        exact = [scores["exact_j"][kind] for kind in kinds]
        for name in ("j_offline", "j_profanity"):
            found[name, among] = rank_correlation([scores[name][kind] for kind in kinds], exact)
    print("\nSpearman with exact_j:", {" of ".join(key): round(rank, 3) for key, rank in found.items()})
    # What is said twice, deleted from or retrieved stands too high among all: 0.72 as it was measured, and 0.62.
    assert found["j_offline", "all"] > 0.65 and found["j_offline", "answers"] > 0.9
    assert all(found["j_offline", among] > found["j_profanity", among] for among in ("all", "answers"))
    assert max(scores["j_offline"], key=scores["j_offline"].__getitem__) == "reference"


@pytest.mark.slow
def test_what_is_judged_by_words_alone_rewards_deleting_them_and_leads_nowhere() -> None:
    """On people's texts, by the judge that the trivial baseline asks: so j_profanity is no headline."""
    pytest.importorskip("profanity_check", reason="alt-profanity-check is of the extra eval")
    if not (FOLDER / "paradetox").is_dir():
        pytest.skip(f"no paradetox in {FOLDER}; name a folder with COSMOS_DATA")
    test, train = documents("detox", "local", 50)
    deleted = answers("delete", "detox", test, train)
    references = [document.target for document in test]
    mixed = [" ".join(sorted(text.split())) for text in deleted]
    found = [value("detox", "j_profanity", "local", texts, 50) for texts in (references, deleted, mixed)]
    assert found[1] > found[0] and found[2] > 0.85 * found[0], found
    assert all("j_profanity" not in tasks.find(task).headline for task in tasks.names())


def test_a_headline_of_detox_never_stands_without_a_copy_beside_it() -> None:
    """A copy has a good BLEU, so every score of detox that leads where copies are not judged rude brings it along."""
    assert tasks.find("detox").headline == ("exact_j", "j", "j_offline", "bleu")
    assert metrics.find("bleu").companions == ("bleu_copy",)
    assert metrics.find("j_offline").companions == ("bleu", "bleu_copy")
    assert "delete" in tasks.find("detox").floors
    test, _ = documents("detox", "world")
    copies = value("detox", "bleu", "world", [str(document.source) for document in test])
    [beside] = metrics.score(metrics.MetricInput("detox", "world", test, [""] * TEXTS), ["bleu_copy"])
    assert beside.value == pytest.approx(copies) and copies > 30
    stories, _ = documents("story", "world")
    [none] = metrics.score(metrics.MetricInput("story", "world", stories, ["a"] * TEXTS), ["bleu_copy"])
    assert none.reason == "not run: the task gives no source text to compare with"


def test_a_story_with_other_words_is_one_story_and_diversity_stands_beside() -> None:
    """Many copies differ in all three words, and the least alike are still one story."""
    test, _ = documents("story", "world", 200)
    told = refilled(test[0].target, 200)
    assert len(set(told)) == 200
    assert value("story", "exact_language", "world", told, 200) == 1.0
    assert value("story", "exact_novel", "world", told, 200) < 0.05
    assert value("story", "exact_novel", "world", [document.target for document in test], 200) > 0.95
    assert metrics.find("exact_novel").companions == ("diversity",)


@pytest.mark.slow
def test_the_judge_that_the_baseline_asks_is_the_judge_of_the_metric() -> None:
    pytest.importorskip("profanity_check", reason="alt-profanity-check is of the extra eval")
    words = ("anna", "idiot", "lamp", "shit")
    assert disliked.disliked(words) == ("idiot", "shit")
    evaluator = metrics.find("sta_profanity").evaluator("local")
    assert evaluator is not None and evaluator.name() == disliked.judge()
