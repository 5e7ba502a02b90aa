"""The autoregressive decoder on latents: probabilities sum to one, kept keys change nothing, greedy is greedy."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor

from baselines.autoregressive.beam import Beam
from baselines.autoregressive.decoding import KVCacheDecoder
from baselines.latent_diffusion.ld4lg_decoder import LatentDecoder, beam_search, greedy
from cosmos.config import AutoencoderConfig
from cosmos.runtime import compilation
from cosmos.text.vocabulary import CLS, PAD, SEP

V, L = 6, 3
CONFIG = AutoencoderConfig(
    text_width=8, latent_width=4, width=16, latents=3, layers=1, heads=2, max_tokens=9, vocabulary=V, dropout=0.0
)


@pytest.fixture(scope="module")
def decoder() -> LatentDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = LatentDecoder(CONFIG, 2).double().eval()
        for value in made.parameters():
            value.data += 0.3 * torch.randn_like(value)
        return made.requires_grad_(False)


@pytest.fixture(scope="module")
def latents() -> Tensor:
    return torch.randn(4, 3, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def serve(decoder: LatentDecoder) -> KVCacheDecoder:
    return KVCacheDecoder("decoder", decoder, 4, 9)


def test_the_probabilities_of_all_texts_sum_to_one(decoder: LatentDecoder, latents: Tensor) -> None:
    texts = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [V^L, L]
    given = torch.cat([torch.full((len(texts), 1), CLS), texts[:, :-1]], 1)
    for row in latents:
        logits = decoder.teach(given, row.expand(len(texts), -1, -1))
        log_p = logits.log_softmax(-1).gather(-1, texts[..., None])[..., 0].sum(1)
        assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-10)
        assert log_p.exp().max() < 0.99


def test_a_step_is_compiled_in_pieces_that_blocks_share(
    decoder: LatentDecoder, latents: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before the attention to earlier tokens, what stands after it, and the logits."""
    from torch._dynamo.utils import counters

    monkeypatch.setattr(
        compilation, "BACKEND", "eager"
    )  # traces pieces whole, which must not break, and makes no kernels
    plain = greedy(serve(decoder), latents, 8, V)
    counters.clear()
    assert torch.equal(greedy(serve(decoder), latents, 8, V, "compile"), plain)
    assert counters["stats"]["unique_graphs"] == 3
    assert not counters["graph_break"]


def test_word_by_word_is_all_at_once(decoder: LatentDecoder, latents: Tensor) -> None:
    tokens = torch.randint(V, (4, 8), generator=torch.Generator().manual_seed(7))
    at_once = decoder.teach(tokens, latents)
    kv_cache = decoder.kv_cache(4, 8)
    decoder.remember(latents, kv_cache)
    for position in range(8):
        step = decoder(tokens[:, position], kv_cache, torch.full((4,), position), 8)
        assert (step - at_once[:, position]).abs().max() < 1e-12
    other = decoder.teach(tokens.flip(0), latents)
    assert (other - at_once).abs().max() > 1e-3


def test_the_decoder_looks_at_every_latent(decoder: LatentDecoder, latents: Tensor) -> None:
    tokens = torch.tensor([[CLS, 5, 4]]).expand(4, -1)
    for position in range(3):
        moved = latents.clone()
        moved[:, position] += 1.0
        assert (decoder.teach(tokens, moved) - decoder.teach(tokens, latents)).abs().amax((1, 2)).min() > 1e-4
    swapped = decoder.teach(tokens, latents.flip(1))
    assert (swapped - decoder.teach(tokens, latents)).abs().max() > 1e-4, "latents have places"


def test_greedy_writes_what_teaching_calls_most_probable(decoder: LatentDecoder, latents: Tensor) -> None:
    written = greedy(serve(decoder), latents, 8, V)
    for row, latent in zip(written, latents, strict=True):
        for position in range(8):
            given = torch.cat([torch.tensor([CLS]), row[:position]])[None]
            assert row[position] == decoder.teach(given, latent[None])[0, -1].argmax()
            if row[position] == SEP or (row[position:] == PAD).all():
                break
        alone = greedy(serve(decoder), latent[None], 8, V)[0]
        end = row.tolist().index(SEP) + 1 if SEP in row.tolist() else 8
        assert torch.equal(alone[:end], row[:end])
    assert (greedy(serve(decoder), latents, 8, 3) < 3).all()


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_that_holds_every_text_finds_the_most_probable(
    decoder: LatentDecoder, latents: Tensor, penalty: float
) -> None:
    """Of all texts of up to three of five tokens, by teaching; the sixth only fills the table."""
    size = V - 1
    texts = torch.tensor(list(itertools.product(range(size), repeat=L)))  # [size^L, L]
    given = torch.cat([torch.full((len(texts), 1), CLS), texts[:, :-1]], 1)
    beams = size**L
    serving = KVCacheDecoder("decoder", decoder, len(latents) * beams, 9)
    found = beam_search(serving, latents, L, size, Beam(beams, penalty))
    for written, row in zip(found.tolist(), latents, strict=True):
        logits = decoder.teach(given, row.expand(len(texts), -1, -1))[..., :size]
        each = logits.log_softmax(-1).gather(-1, texts[..., None])[..., 0]  # [size^L, L]
        rated = {}
        for text, values in zip(texts.tolist(), each, strict=True):
            length = text.index(SEP) + 1 if SEP in text else L
            rated[(*text[:length], *[PAD] * (L - length))] = float(values[:length].sum()) / length**penalty
        assert tuple(written) == max(rated, key=lambda text: rated[text])
    assert torch.equal(beam_search(serving, latents[1:2], L, size, Beam(beams, penalty)), found[1:2]), "each by itself"


def test_a_beam_of_one_is_greedy_and_a_wider_one_no_less_probable(decoder: LatentDecoder, latents: Tensor) -> None:
    serving = KVCacheDecoder("decoder", decoder, 4 * 4, 9)

    def log_p(written: Tensor) -> Tensor:
        given = torch.cat([torch.full((len(written), 1), CLS), written[:, :-1]], 1)
        each = decoder.teach(given, latents).log_softmax(-1).gather(-1, written[..., None])[..., 0]
        ended = (written == SEP).int()
        return each.masked_fill(ended.cumsum(1) > ended, 0.0).sum(1)

    plain = greedy(serving, latents, 8, V)
    assert torch.equal(beam_search(serving, latents, 8, V, Beam(1, 0.0)), plain)
    assert (log_p(beam_search(serving, latents, 8, V, Beam(4, 0.0))) >= log_p(plain) - 1e-9).all()


def test_greedy_stops_when_all_rows_have_ended(decoder: LatentDecoder, latents: Tensor) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    before = decoder.tokens.weight.clone()
    hook = decoder.register_forward_hook(count)
    decoder.tokens.weight[SEP] = 50 * decoder.norm(torch.ones(1, 16, dtype=torch.float64))[0]
    lengths = [row.index(SEP) + 1 if SEP in row else 8 for row in greedy(serve(decoder), latents, 8, V).tolist()]
    hook.remove()
    decoder.tokens.weight.copy_(before)
    assert calls == max(lengths)


def test_an_aligned_decoder_looks_at_the_latent_of_the_next_token() -> None:
    config = dataclasses.replace(CONFIG, width=64, latents=4, max_tokens=12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        plain = LatentDecoder(config, 1)
        content = torch.randn(50, 4, 4)
        tokens = torch.randint(V, (50, 12))

    def looks() -> Tensor:
        """The share of attention that each position pays to each latent, over texts and heads: [12, 4]."""
        block = plain.blocks[0]
        states = plain.latent_norm(plain.from_latent(content) + plain.latent_positions)
        keys, _ = block.cross_attention.keys_values(states)
        x = block.cross_norm(plain.tokens(tokens) + plain.positions)
        queries = block.cross_attention.to_query(x).unflatten(-1, (config.heads, -1)).transpose(1, 2)
        return (queries @ keys.mT / keys.shape[-1] ** 0.5).softmax(-1).mean((0, 1))

    own = (torch.arange(1, 13).clamp_max(11) // 3)[:, None]  # three tokens to a latent, and position p reads p + 1
    with torch.no_grad():
        before = looks().gather(1, own)
        plain.align()
        after = looks()
    assert float(before.max()) < 0.35
    assert torch.equal(after.argmax(1, keepdim=True), own)
    assert float(after.gather(1, own).min()) > 0.4
