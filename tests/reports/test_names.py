"""What people read is called by words: those of the record, or, of older ones, those made of identifiers."""

from dataclasses import replace

import pytest

from reports.content import build
from reports.names import (
    display_budget,
    display_metric,
    display_setting,
    display_system,
    entry_name,
    short_names,
    within_sentence,
)


def test_an_entry_is_named_in_a_sentence_without_loose_commas():
    assert entry_name("Cosmos, 16 latents", "20 steps") == "Cosmos (16 latents, 20 steps)"
    assert entry_name("GPT-2", "greedy", "cuda") == "GPT-2 (greedy, cuda)"
    assert entry_name("Retrieval", "") == "Retrieval"


def test_budgets_have_their_units_apart():
    budgets = ("480seconds", "3e+12flops", "300000steps", "none")
    assert [display_budget(budget) for budget in budgets] == ["480 s", "3e12 FLOP", "300,000 steps", "none"]


def test_short_names_leave_out_what_all_share_and_nothing_else():
    short = short_names(
        {
            "a": ("Cosmos, 16 latents", "5 steps", "small"),
            "b": ("Cosmos, 16 latents", "released sampler, 200 steps", "small"),
            "c": ("GPT-2", "greedy", "small"),
            "d": ("MDLM", "ancestral, 32 steps"),
            "e": ("MDLM", "ancestral, 32 steps", "cuda"),
        }
    )
    assert short == {
        "a": "Cosmos, 5 steps",
        "b": "Cosmos, released sampler, 200 steps",
        "c": "GPT-2",
        "d": "MDLM",
        "e": "MDLM, cuda",
    }


def test_short_names_differ_wherever_names_do():
    parts = {"a": ("A", "x"), "b": ("A", "x, x"), "c": ("A", "x", "y"), "d": ("A", "y", "x")}
    assert len(set(short_names(parts).values())) == 4


@pytest.fixture
def words(fake_run, tmp_path):
    """A run whose records are of Cosmos and GPT-2 and say what these are called."""
    fake_run.add("cosmos", "fast")
    fake_run.add("gpt2", "greedy")
    for place, titles in enumerate(({"system": "Cosmos, 16 latents", "setting": "20 steps"}, {"system": "GPT-2"})):
        header, *rest = fake_run.cells[place]
        fake_run.cells[place] = (replace(header, titles=titles), *rest)
    return fake_run


def test_the_words_of_records_are_everywhere_and_identifiers_nowhere(words, tmp_path):
    section = build(words.write(tmp_path / "run"), tmp_path / "out").sections[0]
    assert {(row.title, row.detail, row.short) for block in section.glance.blocks for row in block.rows} == {
        ("Cosmos, 16 latents", "20 steps", "Cosmos"),
        ("GPT-2", "greedy", "GPT-2"),
    }
    said = " ".join((*section.reading, *section.legend))
    assert "Cosmos (16 latents, 20 steps)" in said and "GPT-2 (greedy)" in said
    assert "cosmos (" not in said and "gpt2" not in said


def test_entries_that_are_called_alike_are_told_apart(words, tmp_path):
    words.add("mdlm", "steps-8")
    header, *rest = words.cells[2]
    words.cells[2] = (replace(header, titles={"system": "GPT-2", "setting": "greedy"}), *rest)
    section = build(words.write(tmp_path / "run"), tmp_path / "out").sections[0]
    assert {entry.name for entry in section.panel.entries} == {
        "Cosmos (16 latents, 20 steps)", "GPT-2 (greedy, gpt2 greedy)", "GPT-2 (greedy, mdlm steps-8)"
    }  # fmt: skip


def test_metrics_are_called_by_their_title_and_found_by_their_name(words, tmp_path):
    header, samples, timings, scores = words.cells[0]
    named = [
        replace(score, metric={"J": "exact_j", "STA": "one_two"}.get(score.metric, score.metric)) for score in scores
    ]
    named[2] = replace(named[2], metric="mine", title="BLEU")
    words.cells = [(header, samples, timings, named)]
    columns = build(words.write(tmp_path / "run"), tmp_path / "out").sections[0].panel.columns
    assert {column.metric: column.title for column in columns[:4]} == {
        "exact_j": "J (exact)", "one_two": "one two", "mine": "BLEU [mine]", "BLEU": "BLEU [BLEU]"
    }  # fmt: skip


def test_older_records_are_called_by_the_same_rule(words, tmp_path):
    header = replace(words.cells[0][0], titles={})
    cell = replace(header.cell, system="cosmos-16", setting="dpmpp_2m-20", setting_values={"steps": 20})
    old = replace(header, cell=cell)
    assert (display_system(old), display_setting(old)) == ("Cosmos, 16 latents", "20 steps")
    assert display_metric("rouge_l") == "ROUGE-L"
    assert display_metric("evaluate:google_bleu") == "google bleu (evaluate)"
    assert display_metric("my_score") == "my score"


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("Mean of all texts", "mean of all texts"),
        ("MAUVE of all texts", "MAUVE of all texts"),
        ("A share", "a share"),
        ("F", "f"),
        ("", ""),
    ],
)
def test_a_sentence_begins_within_another_without_its_capital_but_for_names(text: str, within: str) -> None:
    assert within_sentence(text) == within
