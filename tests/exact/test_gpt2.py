"""GPT-2 against closed forms: probabilities that sum to one, cached against uncached logits, sampled frequencies."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from baselines import gpt2
from baselines.gpt2 import Decoding, choose, decode, target_nll
from baselines.sequence import join, left_pad
from cosmos.randomness import Seeds
from cosmos.vocabulary import PAD, SEP

V, L = 5, 3


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    """A tiny network whose predictions are far from flat."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = GPT2Config(vocab_size=V, n_positions=24, n_embd=16, n_layer=2, n_head=2, initializer_range=0.4)
        return GPT2LMHeadModel(config).eval().requires_grad_(False)


def ragged(*rows: list[int]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


PROMPTS = ragged([4, 1, 2, SEP], [SEP], [1, 4, 4, 4, 2, 1, SEP], [2, SEP])


def test_probabilities_of_all_texts_sum_to_one(model: GPT2LMHeadModel) -> None:
    texts = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [125, L]
    for prompt in ([SEP], [4, 2, SEP]):
        rows = torch.cat([torch.tensor(prompt).expand(len(texts), -1), texts], 1)
        start = torch.full((len(texts),), len(prompt))
        nll, counts = target_nll(model, rows, start, start + L)
        assert int(counts.sum()) == len(texts) * L
        assert float((-nll.double().sum(1)).exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_the_loss_is_that_of_each_pair_alone(model: GPT2LMHeadModel) -> None:
    targets = ragged([2, SEP], [1, 4, 2, 1, SEP], [SEP], [4, SEP])
    together, _ = target_nll(model, *join(PROMPTS, targets))
    for row, (source, target) in enumerate(zip(PROMPTS, targets, strict=True)):
        source, target = source[source != PAD], target[target != PAD]
        logits = model(torch.cat([source, target])[None]).logits[0, len(source) - 1 : -1]
        alone = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
        assert float(together[row].sum()) == pytest.approx(float(alone), abs=1e-5)


def test_cached_logits_equal_uncached_ones(model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, seen = 8, []
    forced = torch.randint(4, V, (len(PROMPTS), steps), generator=torch.Generator().manual_seed(0))

    def record(logits: Tensor, setting: Decoding, seeds: Seeds) -> Tensor:
        seen.append(logits)
        return forced[:, len(seen) - 1]

    monkeypatch.setattr(gpt2, "choose", record)
    written = decode(model, PROMPTS, steps, Decoding(), Seeds(torch.arange(len(PROMPTS))))
    assert torch.equal(written, forced)
    for row, prompt in enumerate(PROMPTS):
        prompt = prompt[prompt != PAD]
        uncached = model(torch.cat([prompt, forced[row]])[None]).logits[0, len(prompt) - 1 : -1]  # [steps, V]
        cached = torch.stack([logits[row] for logits in seen])
        assert (cached - uncached).abs().max() < 1e-4


def test_samples_have_the_models_frequencies(model: GPT2LMHeadModel) -> None:
    count, prompt = 20_000, [1, SEP]
    written = decode(model, torch.tensor(prompt).expand(count, -1), L, Decoding(), Seeds(torch.arange(count)))
    expected: dict[tuple[int, ...], float] = {}
    texts = torch.tensor(list(itertools.product(range(V), repeat=L)))
    rows = torch.cat([torch.tensor(prompt).expand(len(texts), -1), texts], 1)
    nll, _ = target_nll(model, rows, torch.full((len(texts),), 2), torch.full((len(texts),), 2 + L))
    for text, p in zip(texts.tolist(), (-nll.double().sum(1)).exp().tolist(), strict=True):
        cut = text[: text.index(SEP) + 1] if SEP in text else text
        outcome = tuple(cut + [PAD] * (L - len(cut)))
        expected[outcome] = expected.get(outcome, 0.0) + count * p
    observed = dict.fromkeys(expected, 0)
    for row in written.tolist():
        observed[tuple(row)] += 1
    common = [outcome for outcome, n in expected.items() if n >= 5]
    rest = (count - sum(observed[o] for o in common), count - sum(expected[o] for o in common))
    cells = [(observed[o], expected[o]) for o in common] + [rest]
    statistic = sum((o - e) ** 2 / e for o, e in cells)
    assert abs(statistic - (len(cells) - 1)) < 4 * math.sqrt(2 * (len(cells) - 1))


@pytest.mark.parametrize("setting", [Decoding(greedy=True), Decoding(), Decoding(temperature=0.7, top_p=0.8)])
@pytest.mark.parametrize("every", [1, 8])
def test_a_row_does_not_depend_on_the_others(
    model: GPT2LMHeadModel, setting: Decoding, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows end at different steps, so this also covers rows that leave the batch early, late, or in blocks."""
    monkeypatch.setattr(gpt2, "LOOK_EVERY_ON_CPU", every)
    prompts, seeds = PROMPTS.repeat(8, 1), torch.arange(8 * len(PROMPTS))
    together = decode(model, prompts, 16, setting, Seeds(seeds))
    for row, prompt in enumerate(prompts):
        alone = decode(model, prompt[prompt != PAD][None], 16, setting, Seeds(seeds[row : row + 1]))[0].tolist()
        mine = together[row].tolist()
        if SEP in alone:
            assert mine[: mine.index(SEP)] == alone[: alone.index(SEP)]
        else:
            assert mine == alone


def test_greedy_is_the_most_probable_token_and_repeats(model: GPT2LMHeadModel) -> None:
    first, second = (
        decode(model, PROMPTS, 10, Decoding(greedy=True), Seeds(torch.arange(4) + shift)) for shift in (0, 9)
    )
    assert torch.equal(first, second)
    logits = torch.tensor([[0.1, 0.3, 0.2]])
    assert choose(logits, Decoding(greedy=True), Seeds(torch.tensor([1]))).tolist() == [1]


def test_left_padding_keeps_tokens_in_order() -> None:
    assert left_pad(PROMPTS)[0].tolist() == [PAD, PAD, PAD, 4, 1, 2, SEP]
    assert left_pad(PROMPTS)[2].tolist() == PROMPTS[2].tolist()
