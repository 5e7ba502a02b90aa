"""Systems with random weights: texts of full length from every trained system, without a training or an encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.common.random_weights import made_up_vocabulary
from baselines.contract import Limits, Request, SupportsRandomWeights, UserError
from cosmos.text import tokenizer
from cosmos.text.vocabulary import SEP

LENGTH = 20
LONGER = ("cosmos-32", "cosmos-64", "cosmos-128")  # more latents than that, so they want longer texts
SYSTEMS = [name for name in registry.SYSTEMS.built_in if registry.find(name).trained and name not in (*LONGER, "hf")]


def made(name: str, limits: Limits | None = None) -> Any:
    system: Any = registry.find(name)
    found = system(system.presets["nano"], limits or Limits(0, LENGTH))
    found.untrained(300, seed=3, device="cpu", dtype="float32")
    return found


@pytest.fixture
def no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise UserError("no encoder is installed")

    monkeypatch.setattr(tokenizer, "default_encoder", missing)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_trained_system_writes_without_a_training(name: str, no_encoder: None) -> None:
    before = torch.get_rng_state()
    system = made(name)
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(system, SupportsRandomWeights)
    setting = next(iter(type(system).settings.values()))
    if hasattr(setting, "steps"):
        setting = replace(setting, steps=2)
    requests = [Request(str(n), None, n, LENGTH - 1) for n in range(3)]
    first, again = system.generate(requests, setting), system.generate(requests, setting)
    assert [sample.id for sample in first] == ["0", "1", "2"]
    assert first == again
    assert any(sample.tokens == LENGTH - 1 for sample in first)


@pytest.mark.parametrize(("name", "settings"), [("gpt2", ("greedy", "sample")), ("ld4lg", (None,))])
def test_who_writes_word_by_word_never_ends_early(name: str, settings: tuple[str | None, ...]) -> None:
    system = made(name)
    for setting in settings:
        chosen = next(iter(type(system).settings.values())) if setting is None else type(system).settings[setting]
        if hasattr(chosen, "steps"):
            chosen = replace(chosen, steps=1)
        samples = system.generate([Request(str(n), None, n, LENGTH - 1) for n in range(64)], chosen)
        assert {(sample.tokens, sample.finished) for sample in samples} == {(LENGTH - 1, False)}


def test_the_end_token_of_gpt2_is_impossible_and_the_others_are_not() -> None:
    logits = made("gpt2").model(torch.randint(5, 300, (2, 7))).logits
    assert (logits[..., SEP] <= -999).all()
    assert logits[..., :SEP].abs().max() < 50
    assert logits[..., SEP + 1 :].std() > 0


@pytest.mark.parametrize("name", ["gpt2", "cosmos", "tencdm"])
def test_sources_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="without sources"):
        made(name, Limits(8, LENGTH))


def test_an_encoder_of_unknown_width_is_refused() -> None:
    system: Any = registry.find("tencdm")
    recipe = replace(system.presets["nano"], text_encoder="somewhere/else")
    with pytest.raises(UserError, match="somewhere/else"):
        system(recipe, Limits(0, LENGTH)).untrained(300, seed=0, device="cpu", dtype="float32")


def test_a_made_up_vocabulary_has_its_size_and_reads_its_own_words() -> None:
    vocabulary = made_up_vocabulary(1000)
    assert len(vocabulary) == 1000
    encoded = vocabulary.encode(["word0 word1x4 word7"], 10)
    assert encoded.tokens[0].tolist()[1:-1] == [5, 6, 9, 12]
    assert vocabulary.decode(encoded.tokens[:, 1:])[0].text == "word0 word1x4 word7"
    with pytest.raises(UserError, match="more than 5"):
        made_up_vocabulary(5)
