"""Served decoding against what it must equal: Hugging Face's `generate`, uncached logits, enumerated languages."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from baselines.autoregressive import decoding
from baselines.autoregressive.cached_network import CachedGPT2
from baselines.autoregressive.decoding import (
    AT_ONCE,
    IN_BLOCKS,
    Choice,
    CompactionPolicy,
    Decoding,
    KVCacheDecoder,
    choose,
)
from baselines.autoregressive.gpt2 import target_nll
from baselines.autoregressive.hf_generate import PlainGenerate, generate
from baselines.common.sampling import nucleus
from baselines.common.token_rows import left_pad, lengths
from cosmos.runtime.call_count import CallCount
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import PAD, SEP

V, STEPS, LONGEST = 12, 40, 24
NEVER = CompactionPolicy(1000, None)  # no row leaves the batch
SMALL_BLOCKS = CompactionPolicy(3, 2)
COMPACTIONS = pytest.mark.parametrize("compaction", [AT_ONCE, IN_BLOCKS, SMALL_BLOCKS, NEVER])
UNCONDITIONAL = torch.full((60, 1), SEP)


def network(vocabulary: int, seed: int, positions: int = LONGEST + STEPS, scale: float = 0.4) -> GPT2LMHeadModel:
    """A small network whose predictions are far from flat."""
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=positions, n_embd=32, n_layer=3, n_head=4, n_inner=80,
        initializer_range=scale, bos_token_id=SEP, eos_token_id=SEP,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    return network(V, 5)


@pytest.fixture(scope="module")
def prompts() -> Tensor:
    """Sixty prompts of 1 to 24 tokens, padded on the right; the last token is [SEP]."""
    draw = torch.Generator().manual_seed(1)
    rows = torch.full((60, LONGEST), PAD)
    for row in rows:
        length = int(torch.randint(LONGEST, (), generator=draw))
        row[:length] = torch.randint(4, V, (length,), generator=draw)
        row[length] = SEP
    return rows


def serve(
    model: GPT2LMHeadModel,
    prompts: Tensor,
    setting: Decoding,
    compaction: CompactionPolicy | None = None,
    seeds: Tensor | None = None,
    steps: int = STEPS,
) -> Tensor:
    cached, ends = CachedGPT2(model), lengths(prompts) - 1
    kv_decoder = KVCacheDecoder("gpt2", cached, len(prompts), model.config.n_positions)
    furthest = int(ends.max())
    with torch.inference_mode():
        cached(prompts[:, :furthest], kv_decoder.kv_cache)
    last = prompts.gather(1, ends[:, None])[:, 0]
    streams = CounterRNG(torch.arange(len(prompts)) if seeds is None else seeds)
    return kv_decoder.decode(last, ends, furthest, steps, setting, streams, compaction=compaction)


def plain(model: GPT2LMHeadModel, prompts: Tensor, setting: Choice) -> Tensor:
    written = generate(model, prompts, STEPS, setting, CounterRNG(torch.arange(len(prompts))))
    return torch.nn.functional.pad(written, (0, STEPS - written.shape[1]), value=PAD)


def ending(written: Tensor) -> set[int]:
    """The steps at which rows end."""
    return {row.index(SEP) for row in written.tolist() if SEP in row}


@COMPACTIONS
def test_greedy_is_that_of_generate_token_for_token(
    model: GPT2LMHeadModel, prompts: Tensor, compaction: CompactionPolicy
) -> None:
    expected = plain(model, prompts, PlainGenerate(greedy=True))
    assert len(ending(expected)) > 8, "rows end at many steps, so that some leave the batch and some do not"
    assert torch.equal(serve(model, prompts, Decoding(greedy=True), compaction), expected)
    assert len({tuple(row) for row in expected.tolist()}) > 30


@COMPACTIONS
def test_draws_are_those_of_generate_token_for_token(
    model: GPT2LMHeadModel, prompts: Tensor, compaction: CompactionPolicy
) -> None:
    for prompt in (prompts, UNCONDITIONAL):
        expected = plain(model, prompt, PlainGenerate(temperature=0.8, top_p=0.9))
        assert torch.equal(serve(model, prompt, Decoding(temperature=0.8, top_p=0.9), compaction), expected)
        assert len(ending(expected)) > 4


def test_unconditional_greedy_is_that_of_generate(model: GPT2LMHeadModel) -> None:
    expected = plain(model, UNCONDITIONAL, PlainGenerate(greedy=True))
    assert torch.equal(serve(model, UNCONDITIONAL, Decoding(greedy=True)), expected)


def test_what_the_kv_cache_held_before_is_not_seen(model: GPT2LMHeadModel, prompts: Tensor) -> None:
    setting, cached = Decoding(greedy=True), CachedGPT2(model)
    kv_decoder = KVCacheDecoder("gpt2", cached, len(prompts), model.config.n_positions)
    ends = lengths(prompts) - 1
    with torch.inference_mode():
        for part in kv_decoder.kv_cache:
            part.normal_(generator=torch.Generator().manual_seed(3))
        cached(prompts[:, : LONGEST - 1], kv_decoder.kv_cache)
    last = prompts.gather(1, ends[:, None])[:, 0]
    written = kv_decoder.decode(last, ends, LONGEST - 1, STEPS, setting, CounterRNG(torch.arange(len(prompts))))
    assert torch.equal(written, serve(model, prompts, setting))


def test_cached_logits_equal_uncached_ones(prompts: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(V, 5).double()
    seen: list[Tensor] = []
    forced = torch.randint(4, V, (len(prompts), STEPS), generator=torch.Generator().manual_seed(0))

    def record(logits: Tensor, setting: Decoding, *uniform: Tensor, compiled: bool) -> Tensor:
        seen.append(logits)
        return forced[:, len(seen) - 1]

    monkeypatch.setattr(decoding, "choose", record)
    assert torch.equal(serve(model, prompts, Decoding(greedy=True)), forced)
    for row, prompt in enumerate(prompts):
        prompt = prompt[prompt != PAD]
        uncached = model(torch.cat([prompt, forced[row]])[None]).logits[0, len(prompt) - 1 : -1]  # [STEPS, V]
        cached = torch.stack([logits[row] for logits in seen])
        assert cached.dtype == torch.float64
        assert (cached - uncached).abs().max() < 1e-12 * uncached.abs().max()


def test_a_step_made_twice_is_a_step_made_once(model: GPT2LMHeadModel, prompts: Tensor) -> None:
    """What warms up a captured step, and records it, makes it several times."""
    cached, ends = CachedGPT2(model), lengths(prompts) - 1
    kv_cache = cached.kv_cache(len(prompts), LONGEST + STEPS)
    cached(prompts[:, :-1], kv_cache)
    last = prompts.gather(1, ends[:, None])[:, 0]
    first = cached(last, kv_cache, ends, 32)
    kept = [part.clone() for part in kv_cache]
    assert torch.equal(first, cached(last, kv_cache, ends, 32))
    assert all(torch.equal(*pair) for pair in zip(kv_cache, kept, strict=True))


@COMPACTIONS
@pytest.mark.parametrize("setting", [Decoding(greedy=True), Decoding(), Decoding(temperature=0.7, top_p=0.8)])
def test_a_row_does_not_depend_on_the_others(
    model: GPT2LMHeadModel, prompts: Tensor, setting: Decoding, compaction: CompactionPolicy
) -> None:
    seeds = torch.arange(len(prompts)) + 100
    together = serve(model, prompts, setting, compaction, seeds)
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(2))
    assert torch.equal(serve(model, prompts[order], setting, compaction, seeds[order]), together[order])
    for row in range(0, len(prompts), 15):
        prompt = prompts[row][prompts[row] != PAD][None]
        assert torch.equal(serve(model, prompt, setting, compaction, seeds[row : row + 1])[0], together[row])


def test_a_longer_limit_changes_no_token_before_it(model: GPT2LMHeadModel, prompts: Tensor) -> None:
    assert torch.equal(serve(model, prompts, Decoding(), steps=9), serve(model, prompts, Decoding())[:, :9])


@pytest.mark.parametrize(
    ("setting", "compaction"),
    [(Decoding(), AT_ONCE), (Decoding(temperature=1.5), IN_BLOCKS), (Decoding(top_p=0.9), IN_BLOCKS)],
)
def test_samples_have_the_frequencies_of_the_enumerated_language(
    setting: Decoding, compaction: CompactionPolicy
) -> None:
    size, length, count, prompt = 4, 4, 8_000, [1, SEP]
    toy = network(size, 7, positions=8, scale=0.25).double()
    texts = torch.tensor(list(itertools.product(range(size), repeat=length)))  # [256, L]
    rows = torch.cat([torch.tensor(prompt).expand(len(texts), -1), texts], 1)
    start = torch.full((len(texts),), len(prompt))
    nll, _ = target_nll(toy, rows, start, start + length)
    assert float((-nll.sum(1)).exp().sum()) == pytest.approx(1.0, abs=1e-12)

    logits = toy(rows[:, :-1]).logits[:, len(prompt) - 1 :] / setting.temperature  # [256, L, V]
    p = nucleus(logits, setting.top_p).softmax(-1).gather(-1, texts[..., None])[..., 0].prod(1)
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-12)
    expected: dict[tuple[int, ...], float] = {}
    for text, probability in zip(texts.tolist(), p.tolist(), strict=True):
        cut = text[: text.index(SEP) + 1] if SEP in text else text
        outcome = tuple(cut + [PAD] * (length - len(cut)))
        expected[outcome] = expected.get(outcome, 0.0) + count * probability

    observed = dict.fromkeys(expected, 0)
    for row in serve(toy, torch.tensor(prompt).expand(count, -1), setting, compaction, steps=length).tolist():
        observed[tuple(row)] += 1
    assert all(observed[outcome] == 0 for outcome, n in expected.items() if n == 0)
    common = [outcome for outcome, n in expected.items() if n >= 5]
    cells = [(observed[o], expected[o]) for o in common]
    rest = (count - sum(observed[o] for o in common), count - sum(expected[o] for o in common))
    cells += [rest] if rest[1] > 1 else []
    statistic = sum((o - e) ** 2 / e for o, e in cells)
    assert len(cells) > 8
    assert abs(statistic - (len(cells) - 1)) < 4 * math.sqrt(2 * (len(cells) - 1))


def test_every_token_is_one_call_and_none_follows_the_last_end(model: GPT2LMHeadModel, prompts: Tensor) -> None:
    calls: list[int] = []
    cached = CachedGPT2(model)
    kv_decoder = KVCacheDecoder("gpt2", cached, len(prompts), model.config.n_positions)
    ends = lengths(prompts) - 1
    cached.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    last = prompts.gather(1, ends[:, None])[:, 0]

    def decode(rows: Tensor, compaction: CompactionPolicy) -> Tensor:
        calls.clear()
        with torch.inference_mode():
            cached(prompts[rows, : LONGEST - 1], kv_decoder.of_rows(len(rows)))
        return kv_decoder.decode(
            last[rows], ends[rows], LONGEST - 1, STEPS, Decoding(), CounterRNG(rows), compaction=compaction
        )

    everyone = torch.arange(len(prompts))
    texts = [row.index(SEP) + 1 if SEP in row else STEPS for row in decode(everyone, AT_ONCE).tolist()]
    ended = torch.tensor([row for row in everyone.tolist() if texts[row] < 30])
    longest = max(texts[row] for row in ended)
    assert len(ended) > 8 and longest % 8
    decode(ended, AT_ONCE)
    assert len(calls) == longest + 1
    decode(ended, CompactionPolicy(8, None))
    assert len(calls) == -(-longest // 8) * 8 + 1
    decode(everyone, CompactionPolicy(8, 8))
    assert set(calls) <= {60, 32, 16, 8}
    assert len(set(calls)) > 1


@pytest.mark.parametrize(("going", "rows", "size"), [(512, 512, 512), (257, 512, 512), (256, 512, 256), (33, 512, 64),
                                                     (3, 512, 32), (400, 500, 500), (1, 20, 20)])  # fmt: skip
def test_a_batch_shrinks_to_powers_of_two(going: int, rows: int, size: int) -> None:
    assert IN_BLOCKS.shrink(going, rows) == size
    assert AT_ONCE.shrink(going, rows) == going
    assert size in IN_BLOCKS.all_sizes(rows)


def test_few_sizes_and_attended_lengths_are_captured(model: GPT2LMHeadModel) -> None:
    assert IN_BLOCKS.all_sizes(512) == [512, 256, 128, 64, 32]
    cached = CachedGPT2(model)
    for positions, attended_lengths in ((20, {32}), (128, {32, 64, 96, 128}), (576, {160, 320, 480, 640})):
        kv_decoder = KVCacheDecoder("gpt2", cached, 1, positions)
        assert {kv_decoder.attended_length(position) for position in range(positions)} == attended_lengths
        assert kv_decoder.positions == max(attended_lengths) == kv_decoder.kv_cache[0].shape[1]


def test_every_step_is_captured_before_decoding(
    model: GPT2LMHeadModel, prompts: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for a recorder, which has no device here: what decoding runs has been run before."""
    recorded: set[Any] = set()
    fresh: list[Any] = []

    def captured(owner: KVCacheDecoder, function: Any, capture: str, *constants: Any) -> Any:
        def run(*inputs: Tensor) -> Tensor:
            key = (constants, tuple((tuple(value.shape), value.dtype) for value in inputs))
            fresh.extend({key} - recorded)
            recorded.add(key)
            return function(*constants, *inputs)

        return run

    monkeypatch.setattr(decoding, "captured", captured)
    counter = CallCount()
    for setting in (Decoding(capture="graph"), Decoding(greedy=True, capture="graph")):
        cached, ends = CachedGPT2(model), lengths(prompts) - 1
        cached.register_forward_hook(counter)
        kv_decoder = KVCacheDecoder("gpt2", cached, len(prompts), model.config.n_positions)
        kv_decoder.prepare(setting, len(prompts))
        assert counter.calls == 0
        assert len(fresh) == 2 * 2  # 60 or 32 rows, 32 or 64 positions
        fresh.clear()
        with torch.inference_mode():
            cached(prompts[:, : LONGEST - 1], kv_decoder.kv_cache)
        last = prompts.gather(1, ends[:, None])[:, 0]
        streams = CounterRNG(torch.arange(len(prompts)))
        written = kv_decoder.decode(last, ends, LONGEST - 1, STEPS, setting, streams)
        assert not fresh
        assert counter.calls > 1
        counter.calls = 0
        kv_decoder.prepare(setting, len(prompts))
        assert counter.calls == 0 and not fresh
        monkeypatch.undo()
        assert torch.equal(written, serve(model, prompts, Decoding(greedy=setting.greedy)))
        monkeypatch.setattr(decoding, "captured", captured)


@pytest.fixture
def logits() -> Tensor:
    return torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()


def test_the_nucleus_keeps_the_token_that_crosses(logits: Tensor) -> None:
    """The convention of Hugging Face; the code of MDLM would drop it."""
    for top_p, kept in ((0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 4)):
        drawn = {int(choose(logits, Decoding(top_p=top_p), torch.tensor([u / 997.0]).double())) for u in range(1, 997)}
        assert drawn == set(range(kept)), top_p


def test_greedy_is_the_first_of_the_most_probable(logits: Tensor) -> None:
    assert choose(logits, Decoding(greedy=True)).tolist() == [0]
    assert choose(torch.tensor([[0.1, 0.3, 0.3]]), Decoding(greedy=True)).tolist() == [1]


def test_left_padding_keeps_tokens_in_order() -> None:
    rows = torch.tensor([[4, 1, 2, SEP, PAD, PAD], [1, 4, 4, 4, 2, SEP]])
    assert left_pad(rows).tolist() == [[PAD, PAD, 4, 1, 2, SEP], [1, 4, 4, 4, 2, SEP]]
