"""Beam search against exhaustive search, a case worked out by hand, and Hugging Face's."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from baselines.autoregressive.beam import Beam, search
from baselines.autoregressive.cached_network import CachedGPT2
from baselines.autoregressive.decoding import AT_ONCE, CompactionPolicy, KVCacheDecoder
from baselines.contract import UserError
from cosmos.text.vocabulary import PAD, SEP

V, L = 4, 4
PROMPTS = torch.tensor([[1, 2, SEP], [2, 0, 1], [0, 0, 2], [1, 1, 1], [2, 2, SEP]])


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    with torch.random.fork_rng():
        torch.manual_seed(13)
        config = GPT2Config(
            vocab_size=V, n_positions=3 + L, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3,
            bos_token_id=SEP, eos_token_id=SEP,
        )  # fmt: skip
        return GPT2LMHeadModel(config).eval().requires_grad_(False)


def find(
    model: GPT2LMHeadModel, prompts: Tensor, setting: Beam, compaction: CompactionPolicy = AT_ONCE, steps: int = L
) -> Tensor:
    network, count = CachedGPT2(model), len(prompts)
    kv_decoder = KVCacheDecoder("gpt2", network, count * setting.beams, 3 + L)
    with torch.inference_mode():
        network(prompts[:, :-1], kv_decoder.of_rows(count))
    return search(kv_decoder, prompts[:, -1], torch.full((count,), 2), 2, steps, setting, compaction)


def every_text(model: GPT2LMHeadModel, prompt: Tensor) -> dict[tuple[int, ...], float]:
    """log p of each text that ends or is L tokens long."""
    texts = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [V^L, L]
    rows = torch.cat([prompt.expand(len(texts), -1), texts], 1)
    log_p = model(rows[:, :-1]).logits[:, len(prompt) - 1 :].double().log_softmax(-1)
    each = log_p.gather(-1, texts[..., None])[..., 0]  # [V^L, L]
    found = {}
    for text, values in zip(texts.tolist(), each, strict=True):
        length = text.index(SEP) + 1 if SEP in text else L
        found[tuple(text[:length])] = float(values[:length].sum())
    assert math.fsum(math.exp(value) for value in found.values()) == pytest.approx(1.0, abs=1e-6)
    return found


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("compaction", [AT_ONCE, CompactionPolicy(8, 32)])
def test_a_beam_that_holds_every_text_finds_the_best(
    model: GPT2LMHeadModel, penalty: float, compaction: CompactionPolicy
) -> None:
    found = find(model, PROMPTS, Beam(V**L, penalty), compaction).tolist()
    for row, prompt in zip(found, PROMPTS, strict=True):
        known = every_text(model, prompt)
        best = max(known, key=lambda text: known[text] / len(text) ** penalty)
        assert row == [*best, *[PAD] * (L - len(best))]


def test_the_penalty_changes_what_is_best(model: GPT2LMHeadModel) -> None:
    short, long = (find(model, PROMPTS, Beam(V**L, penalty)) for penalty in (0.0, 2.0))
    assert not torch.equal(short, long)
    assert not torch.equal(long, find(model, PROMPTS, Beam(1, 2.0))), "greedy does not find the best"


def test_a_single_beam_is_greedy_but_for_texts_that_end(model: GPT2LMHeadModel) -> None:
    for row, prompt in zip(find(model, PROMPTS, Beam(1, 0.0)).tolist(), PROMPTS, strict=True):
        text = prompt
        for token in row:
            best = int(model(text[None]).logits[0, -1].argmax())
            assert token == best
            if token == SEP:
                break
            text = torch.cat([text, torch.tensor([token])])


@pytest.mark.parametrize("beams", [2, 3])
def test_a_text_does_not_depend_on_the_others(model: GPT2LMHeadModel, beams: int) -> None:
    together = find(model, PROMPTS, Beam(beams))
    assert torch.equal(find(model, PROMPTS.flip(0), Beam(beams)).flip(0), together)
    for row, prompt in zip(together, PROMPTS, strict=True):
        assert torch.equal(find(model, prompt[None], Beam(beams))[0], row)


@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_it_finds_what_hugging_face_finds(model: GPT2LMHeadModel, beams: int, penalty: float) -> None:
    theirs = model.generate(
        PROMPTS, attention_mask=torch.ones_like(PROMPTS), num_beams=beams, do_sample=False, max_new_tokens=L,
        length_penalty=penalty, early_stopping="never", eos_token_id=SEP, pad_token_id=PAD,
    )[:, PROMPTS.shape[1] :]  # fmt: skip
    ended = (theirs == SEP).int()
    theirs = theirs.masked_fill(ended.cumsum(1) > ended, PAD)  # it pads with the end token
    theirs = nn.functional.pad(theirs, (0, L - theirs.shape[1]), value=PAD)
    assert torch.equal(find(model, PROMPTS, Beam(beams, penalty)), theirs)


class Known(nn.Module):
    """Probabilities written down: of [SEP] at each step, of token 1 the rest."""

    def __init__(self, ends: list[float]) -> None:
        super().__init__()
        self.ends = nn.Parameter(torch.tensor(ends, dtype=torch.float64))

    def kv_cache(self, rows: int, positions: int) -> list[Tensor]:
        return [torch.zeros(rows, positions)]

    def forward(self, tokens: Tensor, kv_cache: list[Tensor], positions: Tensor, attended_length: int) -> Tensor:
        p = torch.full((len(tokens), V), 1e-30, dtype=torch.float64)
        p[:, SEP] = self.ends[positions]
        p[:, 1] = 1.0 - self.ends[positions]
        return p.log()


@pytest.mark.parametrize(
    ("penalty", "length"),
    # p = 0.5, 0.5 * 0.4 = 0.2, 0.5 * 0.6 * 0.9 = 0.27; log p = -0.693, -1.609, -1.309
    # over length: -0.693, -0.805, -0.436; over its square root: -0.693, -1.138, -0.756
    [(0.0, 1), (0.5, 1), (1.0, 3)],
)
def test_length_penalty_by_hand(penalty: float, length: int) -> None:
    kv_decoder = KVCacheDecoder("known", Known([0.5, 0.4, 0.9]), 2, 3)  # type: ignore[arg-type]
    start = torch.tensor([SEP])
    found = search(kv_decoder, start, torch.tensor([0]), 0, 3, Beam(2, penalty))[0].tolist()
    assert found == [*[1] * (length - 1), SEP, *[PAD] * (3 - length)]


def test_the_search_goes_on_only_while_it_can_matter() -> None:
    network = Known([0.999, 0.5, 0.5, 0.5, 0.5])
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    network.register_forward_hook(count)
    kv_decoder = KVCacheDecoder("known", network, 2, 5)  # type: ignore[arg-type]
    found = search(kv_decoder, torch.tensor([SEP]), torch.tensor([0]), 0, 5, Beam(2, 0.0))
    assert found[0].tolist() == [SEP, PAD, PAD, PAD, PAD]
    assert calls == 1, "no other text can reach 0.999"


@pytest.mark.parametrize("bad", [{"beams": 0}, {"length_penalty": -1.0}])
def test_settings_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Beam(**bad)  # type: ignore[arg-type]
