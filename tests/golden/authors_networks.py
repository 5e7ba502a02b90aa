"""What the authors' networks compute, as plain functions of tensors under the authors' names: with the shapes that the
recording does not have, of unequal widths. Facts: cosmos.md 1.2, 1.3, 2.3 and 2.7.

Axis legend as in `cosmos.models.blocks`; H the width of all heads together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

Tensors = Mapping[str, Tensor]
Sizes = Mapping[str, int]


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all weights, under the prefixes that the recording has."""
    text, latent, size = sizes["text_dim"], sizes["latent_dim"], sizes["head_size"]
    inner, tokens, count = sizes["heads"] * size, sizes["max_length"], sizes["num_latents"]
    found: dict[str, tuple[int, ...]] = {
        "encoder.latents": (count, latent), "encoder.latent_norm.gamma": (latent,),
        "encoder.output_norm.gamma": (latent,), "encoder.positional_emb.emb.weight": (tokens, text),
        "decoder.positional_emb.emb.weight": (tokens, text), "decoder.lm_head.weight": (sizes["vocab_size"], text),
        "decoder.embedding.weight": (sizes["vocab_size"], text),
        **_gate("decoder.scale_embedding"), **_feed_forward("decoder.embedding_ffn", text, sizes["ff_mult"]),
    }  # fmt: skip
    if text != latent:
        found["decoder.positional_latent.emb.weight"] = (count, latent)
    for i in range(sizes["autoencoder_layers"]):
        for name, stream, memory in (("encoder.latent_layers", latent, text), ("decoder.layers", text, latent)):
            attention = f"{name}.{i}.latent_attn"
            found |= {
                f"{attention}.norm_embeddings.gamma": (memory,), f"{attention}.norm_latents.gamma": (stream,),
                f"{attention}.embeddings_to_KV.weight": (2 * inner, memory),
                f"{attention}.latents_to_Q.weight": (inner, stream),
                f"{attention}.latents_to_KV.weight": (2 * inner, stream),
                f"{attention}.query_norm.gamma": (size,), f"{attention}.key_norm.gamma": (size,),
                f"{attention}.projector_latents.weight": (stream, inner),
                **_feed_forward(f"{name}.{i}.ffn_latent", stream, sizes["ff_mult"]),
            }  # fmt: skip
        found |= {**_gate(f"decoder.layers.{i}.attn_scale"), **_gate(f"decoder.layers.{i}.ffn_scale")}
    return {**found, **_denoiser(sizes, "denoiser.", False), **_denoiser(sizes, "denoiser_cond.", True)}


def _gate(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.scale_mlp.weight": (1, 1), f"{name}.scale_mlp.bias": (1,)}


def _feed_forward(name: str, width: int, times: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.ffd.0.weight": (width,), f"{name}.ffd.0.bias": (width,),
        f"{name}.ffd.1.weight": (times * width, width), f"{name}.ffd.1.bias": (times * width,),
        f"{name}.ffd.4.weight": (width, times * width), f"{name}.ffd.4.bias": (width,),
    }  # fmt: skip


def _block(name: str, width: int, inner: int, times: int, attentions: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    found = {f"{name}.norm_self_attn.gamma": (width,), f"{name}.norm_mlp.gamma": (width,)}
    for attention in attentions:
        found |= {f"{name}.{attention}.{part}.weight": (inner, width) for part in ("query", "key", "value")}
        found[f"{name}.{attention}.o_proj.weight"] = (width, inner)
    found |= {f"{name}.mlp.{part}_proj.weight": (times * width, width) for part in ("gate", "up")}
    return {**found, f"{name}.mlp.down_proj.weight": (width, times * width)}


def _denoiser(sizes: Sizes, prefix: str, conditional: bool) -> dict[str, tuple[int, ...]]:
    width, inner, layers = sizes["latent_dim"], sizes["heads"] * sizes["head_size"], sizes["denoiser_layers"]
    found: dict[str, tuple[int, ...]] = {
        "time_emb.0.weight": (2 * width, width), "time_emb.0.bias": (2 * width,),
        "time_emb.2.weight": (width, 2 * width), "time_emb.2.bias": (width,), "encoder.output_norm.gamma": (width,),
    }  # fmt: skip
    attentions = ("self_attn", "cross_attn") if conditional else ("self_attn",)
    for i in range(layers):
        block = f"encoder.input_blocks.{i}" if i < layers // 2 else f"encoder.output_blocks.{i - layers // 2}"
        found |= _block(block, width, inner, sizes["ff_mult"], attentions)
        for name in (f"encoder.time_layers.{i}.1", f"encoder.self_cond_layers.{i}"):
            found |= {f"{name}.weight": (width, width), f"{name}.bias": (width,)}
    if conditional:
        found |= {"position_embeddings.weight": (64, width), "conditional_encoder.output_norm.gamma": (width,)}
        for i in range(layers):
            found |= _block(f"conditional_encoder.blocks.{i}", width, inner, sizes["ff_mult"], ("self_attn",))
    return {prefix + name: shape for name, shape in found.items()}


def rms_norm(x: Tensor, gain: Tensor) -> Tensor:
    return x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-5) * gain


def _heads(x: Tensor, size: int) -> Tensor:
    return x.unflatten(-1, (-1, size)).transpose(1, 2)


def _linear(tensors: Tensors, name: str, x: Tensor) -> Tensor:
    return functional.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))


def _fed_forward(tensors: Tensors, name: str, x: Tensor) -> Tensor:
    normed = functional.layer_norm(x, x.shape[-1:], tensors[f"{name}.ffd.0.weight"], tensors[f"{name}.ffd.0.bias"])
    return _linear(tensors, f"{name}.ffd.4", functional.gelu(_linear(tensors, f"{name}.ffd.1", normed)))


def _latent_attention(
    tensors: Tensors, name: str, stream: Tensor, memory: Tensor, seen: Tensor, stream_first: bool, size: int
) -> Tensor:
    """`seen` is bool [B, M]; every position of the stream is seen."""
    stream, memory = (
        rms_norm(x, tensors[f"{name}.norm_{which}.gamma"]) for x, which in ((stream, "latents"), (memory, "embeddings"))
    )
    own, other = _linear(tensors, f"{name}.latents_to_KV", stream), _linear(tensors, f"{name}.embeddings_to_KV", memory)
    mask = [torch.ones(stream.shape[:2], dtype=torch.bool), seen]
    pair = [own, other]
    if not stream_first:
        mask, pair = mask[::-1], pair[::-1]
    key, value = torch.cat(pair, 1).chunk(2, -1)
    query = rms_norm(
        _heads(_linear(tensors, f"{name}.latents_to_Q", stream), size), tensors[f"{name}.query_norm.gamma"]
    )
    key = rms_norm(_heads(key, size), tensors[f"{name}.key_norm.gamma"])
    scores = (query @ key.transpose(-1, -2) / math.sqrt(size)).masked_fill(
        ~torch.cat(mask, 1)[:, None, None], -torch.inf
    )
    attended = (scores.softmax(-1) @ _heads(value, size)).transpose(1, 2).flatten(2)
    return _linear(tensors, f"{name}.projector_latents", attended)


def compress(tensors: Tensors, sizes: Sizes, states: Tensor, mask: Tensor) -> Tensor:
    """Latents [B, N, C] of standardised states [B, L, T] under a bool mask [B, L]."""
    table = tensors["encoder.positional_emb.emb.weight"][: states.shape[1]]
    memory = states + table * sizes["text_dim"] ** -0.5
    latents = rms_norm(tensors["encoder.latents"].expand(len(states), -1, -1), tensors["encoder.latent_norm.gamma"])
    for i in range(sizes["autoencoder_layers"]):
        name = f"encoder.latent_layers.{i}"
        latents = latents + _latent_attention(
            tensors, f"{name}.latent_attn", latents, memory, mask, True, sizes["head_size"]
        )
        latents = latents + _fed_forward(tensors, f"{name}.ffn_latent", latents)
    return rms_norm(latents, tensors["encoder.output_norm.gamma"])


def decompress(tensors: Tensors, sizes: Sizes, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, L, V] and the hidden states before them [B, L, T]."""

    def gate(name: str, x: Tensor) -> Tensor:
        return x * (1.0 + tensors[f"{name}.scale_mlp.weight"][0, 0] + tensors[f"{name}.scale_mlp.bias"][0])

    text, latent = sizes["text_dim"], sizes["latent_dim"]
    tokens = tensors["decoder.positional_emb.emb.weight"] * text**-0.5
    own = tokens if text == latent else tensors["decoder.positional_latent.emb.weight"] * latent**-0.5
    memory = latents + own[: latents.shape[1]]
    start = tensors["decoder.embedding.weight"][sizes["mask_token_id"]].expand(len(latents), sizes["max_length"], -1)
    hidden = gate("decoder.scale_embedding", _fed_forward(tensors, "decoder.embedding_ffn", start)) + tokens
    seen = torch.ones(memory.shape[:2], dtype=torch.bool)
    for i in range(sizes["autoencoder_layers"]):
        name = f"decoder.layers.{i}"
        attended = _latent_attention(tensors, f"{name}.latent_attn", hidden, memory, seen, False, sizes["head_size"])
        hidden = hidden + gate(f"{name}.attn_scale", attended)
        hidden = hidden + gate(f"{name}.ffn_scale", _fed_forward(tensors, f"{name}.ffn_latent", hidden))
    return _linear(tensors, "decoder.lm_head", hidden), hidden


def _rotated(x: Tensor) -> Tensor:
    """Rotary positions of queries or keys [B, heads, Q, D]."""
    size, places = x.shape[-1], torch.arange(x.shape[-2], dtype=torch.float32)
    angle = places[:, None] / 10_000.0 ** (torch.arange(0, size, 2) / size)
    angle = torch.cat((angle, angle), -1)
    first, second = x.chunk(2, -1)
    return x * angle.cos() + torch.cat((-second, first), -1) * angle.sin()


def _attention(
    tensors: Tensors, name: str, x: Tensor, other: Tensor, seen: Tensor, turn: Callable[[Tensor], Tensor], size: int
) -> Tensor:
    query, key, value = (
        _heads(_linear(tensors, f"{name}.{part}", of), size)
        for part, of in (("query", x), ("key", other), ("value", other))
    )
    scores = turn(query) @ turn(key).transpose(-1, -2) / math.sqrt(size)
    attended = scores.masked_fill(~seen[:, None, None], -torch.inf).softmax(-1) @ value
    return _linear(tensors, f"{name}.o_proj", attended.transpose(1, 2).flatten(2))


def _llama(
    tensors: Tensors, name: str, x: Tensor, seen: Tensor, size: int, source: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    normed = rms_norm(x, tensors[f"{name}.norm_self_attn.gamma"])
    x = x + _attention(tensors, f"{name}.self_attn", normed, normed, seen, _rotated, size)
    if source is not None:  # the query is not normalised, and nothing is turned
        x = x + _attention(tensors, f"{name}.cross_attn", x, source[0], source[1], lambda part: part, size)
    normed = rms_norm(x, tensors[f"{name}.norm_mlp.gamma"])
    gate, up = (_linear(tensors, f"{name}.mlp.{part}_proj", normed) for part in ("gate", "up"))
    return x + _linear(tensors, f"{name}.mlp.down_proj", functional.silu(gate) * up)


def denoise(
    tensors: Tensors, sizes: Sizes, x: Tensor, t: Tensor, estimate: Tensor, source: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """The estimate of clean latents [B, N, C]; `tensors` without prefix, `source` states [B, S, C] and mask [B, S]."""
    width, size, layers = sizes["latent_dim"], sizes["head_size"], sizes["denoiser_layers"]
    angle = t[:, None] * 10.0 ** (-torch.arange(width // 2) / (width // 2))
    waves = torch.cat((angle.cos(), angle.sin()), -1)
    time = _linear(tensors, "time_emb.2", functional.silu(_linear(tensors, "time_emb.0", waves)))
    if source is not None:
        states, mask = source
        for i in range(layers):
            states = _llama(tensors, f"conditional_encoder.blocks.{i}", states, mask, size)
        states = rms_norm(states, tensors["conditional_encoder.output_norm.gamma"])
        source = states + tensors["position_embeddings.weight"][: states.shape[1]], mask
    everything, inputs = torch.ones(x.shape[:2], dtype=torch.bool), []
    for i in range(layers):
        if i < layers // 2:
            inputs.append(x)
            name = f"encoder.input_blocks.{i}"
        else:
            x, name = x + inputs.pop(), f"encoder.output_blocks.{i - layers // 2}"
        x = x + _linear(tensors, f"encoder.time_layers.{i}.1", functional.silu(time))[:, None]
        x = x + _linear(tensors, f"encoder.self_cond_layers.{i}", estimate)
        x = _llama(tensors, name, x, everything, size, source)
    return rms_norm(x, tensors["encoder.output_norm.gamma"])
