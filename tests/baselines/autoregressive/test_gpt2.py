"""GPT-2's settings behind the contract, with random weights and without a source, and one after a little training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baselines.autoregressive.beam import Beam
from baselines.autoregressive.decoding import Decoding
from baselines.autoregressive.gpt2 import GPT2System
from baselines.contract import Limits, Request, Sample, UserError
from benchmarks.planning.generation_settings import available
from benchmarks.timing.probes import counting
from cosmos.runtime import compilation

LENGTH = 20
REQUESTS = [Request(str(n), None, 7 * n, LENGTH - 1 - n % 3) for n in range(9)]


@pytest.fixture(scope="module")
def system() -> GPT2System:
    made = GPT2System(replace(GPT2System.presets["nano"], width=48, layers=2), Limits(0, LENGTH))
    made.untrained(200, seed=3, device="cpu", dtype="float32")
    return made


def texts(samples: list[Sample]) -> list[str]:
    return [sample.text for sample in samples]


@pytest.mark.parametrize("name", available(GPT2System))
def test_every_setting_writes_without_a_source(name: str, system: GPT2System) -> None:
    setting = available(GPT2System)[name]
    together = system.generate(REQUESTS, setting)
    assert [sample.id for sample in together] == [request.id for request in REQUESTS]
    assert system.generate(REQUESTS[::-1], setting) == together[::-1]
    assert [system.generate([request], setting)[0] for request in REQUESTS] == together
    assert [sample.tokens for sample in together] == [request.max_tokens for request in REQUESTS]


@pytest.mark.parametrize("how", ["greedy", "sample"])
def test_plain_generate_writes_the_same_texts_in_as_many_calls(how: str, system: GPT2System) -> None:
    served, plain = GPT2System.settings[how], GPT2System.other_settings[f"generate-{how}"]
    with counting(system.networks()) as calls:
        expected = system.generate(REQUESTS, served)
    with counting(system.networks()) as theirs:
        assert system.generate(REQUESTS, plain) == expected
    assert calls == theirs == {"gpt2": LENGTH - 1}, "a lone [SEP] needs no call of its own"


def test_a_search_costs_one_call_per_token_and_limit(system: GPT2System) -> None:
    with counting(system.networks()) as calls:
        system.generate(REQUESTS[:1], Beam(4))
    assert calls["gpt2"] == LENGTH - 1


def test_the_kv_cache_is_kept_from_batch_to_batch_and_grows(system: GPT2System) -> None:
    setting = Decoding(greedy=True)
    system.kv_decoder = None
    small = system.generate(REQUESTS[:2], setting)
    first: Any = system.kv_decoder
    assert system.generate(REQUESTS[:1], setting) == small[:1]
    assert system.kv_decoder is first
    assert system.generate(REQUESTS, setting)[:2] == small
    assert system.kv_decoder is not first and system.kv_decoder.rows == len(REQUESTS)


@pytest.mark.parametrize("setting", [Decoding(greedy=True), Decoding(), Decoding(top_p=0.9)])
def test_compiled_steps_write_the_same(setting: Decoding, system: GPT2System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        compilation, "BACKEND", "eager"
    )  # traces whole blocks, which must not break, and compiles nothing
    system.kv_decoder = None
    assert texts(system.generate(REQUESTS, replace(setting, capture="compile"))) == texts(
        system.generate(REQUESTS, setting)
    )


@pytest.mark.parametrize("bad", [{"heads": 5}, {"heads": 0}, {"width": 0}, {"layers": 0}, {"dropout": 1.0}])
def test_sizes_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError):
        replace(GPT2System.presets["nano"], **bad)
