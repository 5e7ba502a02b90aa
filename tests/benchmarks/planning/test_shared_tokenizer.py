"""One tokenizer for all systems of a run: whose it is, when a run is refused, and what identities say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from baselines import registry
from baselines.common import checkpoint
from baselines.common.system import TokenSystem
from baselines.contract import Budget, Corpus, DecidesTokenizer, Document, Limits, UserError
from benchmarks.planning import plan_file
from benchmarks.planning.plan import Plan, make
from benchmarks.planning.run_config import gather
from benchmarks.records.schema import Cell, identity

CASED = "bert-base-cased"
LATENT = ("cosmos", "tencdm", "ld4lg")


def planned(*assignments: str, **flags: Any) -> Plan:
    return make(gather({"task": "detox", **flags}, assignments), "cpu")


def tokenizers(plan: Plan) -> set[str | None]:
    return {planned_cell.cell.tokenizer for planned_cell in plan.cells}


def test_a_run_has_the_tokenizer_of_its_text_encoder() -> None:
    """At `base` that is another than the packaged one, for rivals and floors as for Cosmos."""
    for preset, expected in (("nano", None), ("small", None), ("base", CASED)):
        assert tokenizers(planned(preset=preset)) == {expected}
    assert tokenizers(planned("cosmos.recipe.model.text_encoder=./mine")) == {"./mine"}


def test_it_makes_no_difference_which_systems_a_run_is_begun_with() -> None:
    for system in ("gpt2", "mdlm", "ld4lg", "copy"):
        assert tokenizers(planned(system=system, preset="base")) == {CASED}
        assert tokenizers(planned(system=system)) == {None}
    assert tokenizers(planned(system="gpt2", preset="pretrained")) == {None}


def test_unlike_encoders_are_refused_in_one_sentence() -> None:
    expected = (
        "All systems of a run share the tokenizer of its text encoder, but cosmos has the packaged one and ld4lg has "
        r"'\./mine'; name one for all \(--set ld4lg\.recipe\.text_encoder=\.\.\.\), or make a run of each\."
    )
    with pytest.raises(UserError, match=expected):
        planned("ld4lg.recipe.text_encoder=./mine", system="cosmos,ld4lg")
    both = ("ld4lg.recipe.text_encoder=./mine", "cosmos.recipe.model.text_encoder=./mine")
    assert tokenizers(planned(*both, system="cosmos,ld4lg,gpt2")) == {"./mine"}


def test_a_run_is_not_gone_on_with_by_another_tokenizer() -> None:
    old = plan_file.describe(planned(system="gpt2"))
    new = plan_file.describe(planned("cosmos.recipe.model.text_encoder=./mine", system="cosmos"))
    with pytest.raises(UserError, match=r"tokenizer = none, and .* tokenizer = \./mine: go on with systems whose text"):
        plan_file.join(old, new, Path("run"))
    assert plan_file.join({k: v for k, v in old.items() if k != "tokenizer"}, old, Path("run")) == old


def test_identities_hold_a_tokenizer_that_is_not_the_packaged_one() -> None:
    cell = planned(system="gpt2").cells[0].cell
    without = {k: v for k, v in dataclasses.asdict(cell).items() if k not in ("tokenizer", "contents", "devices")}
    assert cell.id == identity(without)
    assert cell.checkpoint_id == identity({name: without[name] for name in Cell._TRAINING if name != "tokenizer"})
    other = dataclasses.replace(cell, tokenizer=CASED)
    assert other.id != cell.id
    assert other.checkpoint_id != cell.checkpoint_id


def test_the_command_of_a_cell_names_who_decided_its_tokenizer() -> None:
    plan = planned("cosmos.recipe.model.text_encoder=./mine", "gpt2.recipe.width=48", system="cosmos,gpt2")
    for one in plan.cells:
        words = plan_file.command_of_cell(plan, one.cell)
        assert "cosmos.recipe.model.text_encoder=./mine" in words, one.cell.system
        assert ("gpt2.recipe.width" in words) == (one.cell.system == "gpt2")
    assert "text_encoder" not in plan_file.command_of_cell(planned(), planned().cells[0].cell)


def test_systems_with_an_encoder_say_so() -> None:
    deciding = {name for name in registry.names() if issubclass(registry.find(name), DecidesTokenizer)}
    assert deciding == {*LATENT, "cosmos-joint", *(f"cosmos-{n}" for n in (8, 16, 32, 64, 128, "full"))}
    for name in deciding:
        system = registry.find(name)
        for recipe in system.presets.values():
            [weights] = system.external_weights(recipe)  # type: ignore[attr-defined]
            named = system.shared_tokenizer(recipe)  # type: ignore[attr-defined]
            assert named == (None if "MiniLM" in weights else weights)


class StoppedError(Exception):
    pass


WRITERS = [
    name
    for name in registry.names()
    if issubclass(registry.find(name), TokenSystem) and not issubclass(registry.find(name), DecidesTokenizer)
]


@pytest.mark.parametrize("name", WRITERS)
def test_every_system_that_writes_tokens_takes_the_tokenizer_of_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def of(texts: Iterable[str], encoder: str | None = None) -> None:
        asked.append(encoder)
        raise StoppedError

    monkeypatch.setattr("baselines.common.system.Vocabulary.of", of)
    documents = [Document("0", "a b", "b a", ("b a",))]
    system = registry.find(name)
    for tokenizer in (None, CASED):
        with pytest.raises(StoppedError):
            system(system.presets["nano"], Limits(8, 8)).fit(
                Corpus(documents, (), (), tokenizer), Budget(1, "steps"), tmp_path, seed=0, device="cpu"
            )
    assert asked == [None, CASED]


def test_a_checkpoint_of_another_tokenizer_is_another() -> None:
    documents = [Document("0", None, "b a", ("b a",))]
    plain, cased = (checkpoint.inputs(Corpus(documents, (), (), t), Budget(1, "steps"), 0) for t in (None, CASED))
    assert set(plain) == {"documents", "budget", "seed"}
    assert cased == {**plain, "tokenizer": CASED}


def test_a_pretrained_system_says_whose_tokenizer_it_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    system = registry.find("gpt2")
    said = {name: system.own_tokenizer(recipe) for name, recipe in system.presets.items()}  # type: ignore[attr-defined]
    assert said == {"nano": None, "small": None, "base": None, "pretrained": "openai-community/gpt2"}
    marker = object()
    monkeypatch.setattr("baselines.autoregressive.pretrained.tokenizer_of", lambda name: (marker, name))
    fine_tuned = system(system.presets["pretrained"], Limits(8, 8))
    assert fine_tuned.vocabulary_of([], CASED) == (marker, "openai-community/gpt2")  # type: ignore[attr-defined]
