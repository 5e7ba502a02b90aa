"""The layers that all networks share, against the formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from cosmos.models import blocks
from cosmos.models.blocks import (
    CrossAttention,
    PerceiverAttention,
    RMSNorm,
    Rotary,
    SelfAttention,
    SwiGLU,
    attend_packed,
    merge_heads,
    packed_texts,
    project,
    sinusoid,
    split_heads,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None):
    """softmax(q k^T / sqrt(D)) v, written out."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ value


def test_rms_norm_clamps_and_does_not_add():
    norm = RMSNorm(4, eps=0.5).double()
    small, large = torch.full((1, 4), 0.1).double(), torch.full((1, 4), 3.0).double()
    assert torch.allclose(norm(small), small / 0.5)  # below eps: divided by eps
    assert torch.allclose(norm(large), torch.ones(1, 4).double(), atol=1e-12)  # above: eps has no part in it


def test_rms_norm_keeps_a_narrow_dtype_and_computes_wide():
    x = torch.randn(3, 64, generator=generator()) * 100
    result = RMSNorm(64)(x.bfloat16())
    assert result.dtype == torch.bfloat16
    assert torch.allclose(result.float(), RMSNorm(64)(x.bfloat16().float()), rtol=1e-2)


def test_heads_split_and_merge():
    x = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    assert split_heads(x, 2).shape == (2, 2, 3, 4)
    assert torch.equal(split_heads(x, 2)[0, 1, 2], x[0, 2, 4:])
    assert torch.equal(merge_heads(split_heads(x, 2)), x)


def test_rotary_products_depend_on_distance_alone():
    rotary = Rotary(8, 32).double()
    query, key = (torch.randn(8, generator=generator(i)).double().expand(1, 1, 32, 8) for i in range(2))
    products = rotary(query) @ rotary(key).transpose(-1, -2)  # [1, 1, 32, 32]
    for offset in (0, 1, 5, -7):
        line = products[0, 0].diagonal(offset)
        assert torch.allclose(line, line[:1].expand_as(line), atol=1e-5)  # the table is float32
    assert not torch.allclose(products[0, 0, 0, 1], products[0, 0, 1, 0])


def test_rotary_start_is_a_slice_of_the_whole():
    rotary, x = Rotary(8, 32), torch.randn(1, 2, 10, 8, generator=generator())
    assert torch.equal(rotary(x)[:, :, 4:], rotary(x[:, :, 4:], start=4))


def test_self_attention_is_the_formula():
    layer, x = SelfAttention(8, 2), torch.randn(2, 5, 8, generator=generator())
    query, key, value = (split_heads(x @ w.T, 2) for w in layer.to_qkv.weight.chunk(3))
    mask = torch.tensor([[True, True, False, True, False]])
    expected = merge_heads(attend(query, key, value, mask)) @ layer.out.weight.T
    assert torch.allclose(layer(x, mask=mask[:, None, None]), expected, atol=1e-6)


@pytest.mark.parametrize(("texts", "length", "count"), [(6, 16, 3), (8, 5, 8), (4, 64, 2), (3, 16, 1)])
def test_packed_texts_see_themselves_alone(texts: int, length: int, count: int) -> None:
    layer, x = SelfAttention(16, 2), torch.randn(texts, length, 16, generator=generator()).double()
    parts = [split_heads(part, 2).requires_grad_() for part in layer.double().to_qkv(x).detach().chunk(3, -1)]
    expected = functional.scaled_dot_product_attention(*parts)
    found = attend_packed(*parts, count)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn(expected.shape, generator=generator(1), dtype=torch.float64)
    gradients = [torch.autograd.grad((out * weights).sum(), parts) for out in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_short_texts_fill_a_tile_of_a_gpu_as_far_as_their_number_can_be_divided() -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert packed_texts(512, 16, gpu) == 8 and packed_texts(256, 8, gpu) == 16 and packed_texts(512, 32, gpu) == 4
    assert packed_texts(12, 16, gpu) == 6 and packed_texts(7, 16, gpu) == 7 and packed_texts(11, 16, gpu) == 1
    assert packed_texts(1, 16, gpu) == packed_texts(512, 33, gpu) == packed_texts(512, 128, gpu) == 1
    assert packed_texts(512, 16, cpu) == 1


def test_self_attention_packs_and_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x, rotary = SelfAttention(16, 2), torch.randn(6, 5, 16, generator=generator()), Rotary(8, 5)
    expected, asked = layer(x, rotary), list[int]()

    def packed(texts: int, length: int, device: torch.device) -> int:
        asked.append(texts)
        return 3

    monkeypatch.setattr(blocks, "packed_texts", packed)
    assert torch.allclose(layer(x, rotary), expected, atol=1e-6) and asked == [6]
    mask = torch.ones(6, 1, 1, 5, dtype=torch.bool)
    assert torch.allclose(layer(x, rotary, mask), expected, atol=1e-6)
    assert not torch.allclose(layer(x, rotary, causal=True), expected, atol=1e-3)
    assert asked == [6], "what has a mask of its own is not packed"


def test_a_stream_that_all_texts_share_may_come_once() -> None:
    layer, memory = PerceiverAttention(8, 2), torch.randn(3, 4, 8, generator=generator())
    stream = torch.randn(1, 5, 8, generator=generator(1))
    expected = layer(stream.expand(3, -1, -1), memory)
    assert torch.allclose(layer(stream, memory), expected, atol=1e-6)


def test_causal_attention_does_not_see_the_future():
    layer, x = SelfAttention(8, 2), torch.randn(1, 5, 8, generator=generator())
    changed = torch.cat((x[:, :3], torch.randn(1, 2, 8, generator=generator(1))), 1)
    before, after = layer(x, causal=True), layer(changed, causal=True)
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert not torch.allclose(before[:, 3:], after[:, 3:], atol=1e-3)


def test_cross_attention_is_the_formula():
    layer = CrossAttention(8, 2)
    x, states = torch.randn(2, 3, 8, generator=generator()), torch.randn(2, 7, 8, generator=generator(1))
    key, value = (split_heads(states @ w.T, 2) for w in layer.to_kv.weight.chunk(2))
    expected = merge_heads(attend(split_heads(x @ layer.to_query.weight.T, 2), key, value)) @ layer.out.weight.T
    assert torch.allclose(layer(x, layer.keys_values(states)), expected, atol=1e-6)


def test_perceiver_attention_has_one_softmax_over_stream_and_memory():
    layer = PerceiverAttention(8, 2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=generator(parameter.numel()))
    stream, memory = torch.randn(2, 3, 8, generator=generator()), torch.randn(2, 5, 8, generator=generator(1))
    mask = torch.tensor([[True] * 3 + [True, False, True, True, False]]).expand(2, -1)[:, None, None]
    normal, other = layer.stream_norm(stream), layer.memory_norm(memory)
    query, key, value = (split_heads(normal @ w.T, 2) for w in layer.stream_to_qkv.weight.chunk(3))
    memory_key, memory_value = (split_heads(other @ w.T, 2) for w in layer.memory_to_kv.weight.chunk(2))
    key, value = torch.cat((key, memory_key), 2), torch.cat((value, memory_value), 2)
    expected = merge_heads(attend(layer.query_norm(query), layer.key_norm(key), value, mask)) @ layer.out.weight.T
    assert torch.allclose(layer(stream, memory, mask), expected, atol=1e-5)


def test_swiglu_is_the_formula():
    layer, x = SwiGLU(4, 6), torch.randn(2, 4, generator=generator())
    gate, up = layer.to_gate_up.weight.chunk(2)
    assert torch.allclose(layer(x), (nn.functional.silu(x @ gate.T) * (x @ up.T)) @ layer.down.weight.T, atol=1e-6)


def test_sinusoid_frequencies_fall_from_one_to_the_period():
    t = torch.tensor([0.0, 0.7])
    result = sinusoid(t, 4, max_period=10.0)
    expected = torch.tensor([1.0, 10**-0.5]) * 0.7
    assert torch.equal(result[0], torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert torch.allclose(result[1], torch.cat((expected.cos(), expected.sin())))


def test_project_is_nothing_where_widths_agree():
    assert not list(project(4, 4).parameters())
    assert project(4, 6)(torch.ones(2, 4)).shape == (2, 6)
