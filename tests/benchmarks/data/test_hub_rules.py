"""The rules by which tables of the hub become documents, on small tables shaped like the hub's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, UserError
from benchmarks.data import hub_rules
from benchmarks.data.source import SPLITS

sys.path.insert(0, str(Path(__file__).parent))
from hub_tables import SQUAD, STORIES, columns


def test_stories_are_joined_and_no_text_is_in_two_splits() -> None:
    found = hub_rules.stories(STORIES)
    first = {split: [d.target.partition(" ")[0] for d in part] for split, part in found.items()}
    assert first == {"train": ["Ann"], "validation": ["Bob", "Eve"], "test": ["Tom", "Ida"]}
    assert found["train"][0].target == "Ann woke. They ran. They sat. They ate. They slept."
    assert found["train"][0].source is None
    assert found["train"][0].id.startswith("roc-")


def test_squad_has_its_own_split_and_other_questions_are_references() -> None:
    found = hub_rules.questions(SQUAD)
    assert found["test"] == [
        Document("7", "answer: Ice context: Ice is cold.", "What is cold?", ("What is cold?",)),
    ]
    learnt = {document.id: document for document in (*found["train"], *found["validation"])}
    assert sorted(learnt) == ["1", "2", "3", "4", "6"]
    assert learnt["1"].source == "answer: Rome context: Rome is old."
    assert learnt["1"].references == ("What is old?", "Which city is old?")
    assert learnt["2"].references == ("Which city is old?", "What is old?")
    assert learnt["3"].references == ("How is Rome?",)
    titles = {"1": "rome", "2": "rome", "3": "rome"}
    assert len({name in {d.id for d in found["validation"]} for name in titles}) == 1, "an article is in one split"


def test_squad_by_article_lists() -> None:
    articles = hub_rules.article_lists({"train": "University of Rome\n\nTea\n", "validation": "ice", "test": "Beyoncé"})
    found = hub_rules.questions(SQUAD, articles)
    assert {split: [d.id for d in part] for split, part in found.items()} == {
        "train": ["1", "2", "3", "6"],
        "validation": ["7"],
        "test": ["4"],
    }
    with pytest.raises(UserError, match=r"2 of 4 articles of the set are in no list of data\.articles \(ice, tea\)"):
        hub_rules.questions(SQUAD, {title: split for title, split in articles.items() if title not in ("ice", "tea")})
    with pytest.raises(UserError, match="'tea' is in the lists of train and test"):
        hub_rules.article_lists({"train": "Tea", "test": "tea"})


def test_summaries_keep_their_ids_and_lose_empty_documents() -> None:
    row = {"document": "A long text.", "summary": "A text. ", "id": "123"}
    tables = {
        "train": columns(row, {**row, "id": "124", "document": "\n"}, {**row, "id": "125", "document": "Another."}),
        "validation": columns({**row, "id": "126", "document": "A third."}),
        "test": columns({**row, "id": "127"}),
    }
    found = hub_rules.summaries(tables)
    assert {split: [d.id for d in part] for split, part in found.items()} == {
        "train": ["125"],
        "validation": ["126"],
        "test": ["127"],
    }
    assert found["test"][0] == Document("127", "A long text.", "A text.", ("A text.",))


def test_detox_rewrites_become_references_and_what_shares_one_stays_together() -> None:
    rows = [{"en_toxic_comment": f"rude {i}", "en_neutral_comment": f"polite {i}"} for i in range(400)]
    rows += [{"en_toxic_comment": f"rude {i}", "en_neutral_comment": f"nice {i // 10}"} for i in range(400)]
    rows += [{"en_toxic_comment": "same", "en_neutral_comment": "Same "}]
    rows += [{"en_toxic_comment": "rude  3", "en_neutral_comment": "polite 3"}]
    found = hub_rules.detox({"train": columns(*rows)})
    every = [document for part in found.values() for document in part]
    assert len(every) == 400
    assert all(len(document.references) == 2 and document.references[0] == document.target for document in every)
    for split, part in found.items():
        for document in part:
            group = int(str(document.source).split()[1]) // 10
            inside = [d for d in part if int(str(d.source).split()[1]) // 10 == group]
            assert len(inside) == 10, split
    assert 40 <= len(found["test"]) + len(found["validation"]) <= 160
    assert found["test"]
    assert found["validation"]
    assert hub_rules.detox({"train": columns(*rows[::-1])})["test"][0].id in {d.id for d in found["test"]}


@pytest.mark.parametrize("names", [("source", "target"), ("text_src", "text_trg")])
def test_prepared_pairs_keep_their_splits(names: tuple[str, str]) -> None:
    def table(split: str) -> dict[str, list[str]]:
        return {names[0]: [f"{split} {i}" for i in range(5)], names[1]: [f"to {i}" for i in range(5)]}

    found = hub_rules.prepared({split: table(split) for split in SPLITS}, conditional=True)
    assert [len(found[split]) for split in SPLITS] == [5, 5, 5]
    assert found["test"][1].source == "test 1"
    assert found["test"][1].target == "to 1"
    with pytest.raises(UserError, match="none of the columns source, text_src; its columns are text"):
        hub_rules.prepared({"train": {"text": ["a"]}}, conditional=True)


def test_prepared_texts_without_validation_get_one_by_hash() -> None:
    tables = {"train": {"text": [f"text {i}" for i in range(1000)]}, "test": {"text": ["text 5", "a test"]}}
    found = hub_rules.prepared(tables, conditional=False)
    assert [d.target for d in found["test"]] == ["text 5", "a test"]
    assert 20 < len(found["validation"]) < 90
    assert len(found["train"]) + len(found["validation"]) == 999
    assert "text 5" not in {d.target for d in found["train"]}


def test_passages_are_sentences_of_long_paragraphs_joined() -> None:
    sentence = "This sentence has exactly seven words here."
    text = f"Title\n\nToo short.\n\n{' '.join([sentence] * 40)}\n\n{' '.join(['word'] * 200)}"
    found = hub_rules.passages(text)
    assert [len(passage.split()) for passage in found] == [126, 126, 28, 200]
    assert " ".join(found[:3]) == " ".join([sentence] * 40)
    assert hub_rules.passages("") == []


def test_a_stream_is_read_no_further_than_needed_and_split_by_article() -> None:
    read = 0

    def articles() -> Any:
        nonlocal read
        for i in range(10_000):
            read += 1
            yield {"id": str(i), "text": None if i == 3 else f"Article {i} says this. " + "It goes on and on. " * 12}

    found = hub_rules.from_stream(articles(), {"train": 30, "validation": 2, "test": 2}, "wiki")
    assert [len(found[split]) for split in SPLITS] == [30, 2, 2]
    assert 30 < read < 2000
    again = hub_rules.from_stream(articles(), {"train": 10, "validation": 2, "test": 1}, "wiki")
    assert again["train"] == found["train"][:10]
