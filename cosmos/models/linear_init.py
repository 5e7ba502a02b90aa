"""A start for the autoencoder: weights with which it already is a linear autoencoder of its training data.

From random weights a Perceiver spends hundreds of steps on finding out that latent n should look at tokens near place
n, and the decompressor the same, before either learns any word; short trainings end there. Nothing in the architecture
is changed here. The first layer's attention is set to route by position (latent n reads r tokens, a slot each; token p
reads its slot of latent p // r), the linear maps to carry those directions of the encoder states that tell tokens apart
best (linear discriminant analysis), the other sub-layers to add nothing yet, and the two last maps to least-squares
fits on what the network then gives. Training does the rest under the same losses and corruptions.

Axis legend in `cosmos.models.blocks`; r tokens per latent, K directions per token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cosmos.config import AutoencoderConfig
from cosmos.models.autoencoder import Autoencoder, Compressor, Decompressor
from cosmos.models.blocks import PerceiverAttention

TEXTS = 1000  # of the training data, for the statistics
GAIN = 2.0  # of what attention writes, against the stream it is added to
LOGIT_SCALE = 8.0  # from least-squares scores between 0 and 1 to logits
SHRINK = 0.05  # added to the variance of standardised states
RIDGE = 0.01  # relative, in both least-squares fits


def tokens_per_latent(config: AutoencoderConfig) -> int | None:
    """r, or None where there is no room: half of the width is for content and half for positions, and every slot needs
    heads of its own."""
    r = -(-config.max_tokens // config.latents)
    content, places = config.width // 2, config.width - config.width // 2
    fits = (
        config.heads % r == 0
        and config.latent_width % r == 0
        and config.latent_width <= content
        and config.max_tokens <= places
        and config.latent_width != config.width != config.text_width
        and config.latent_width // r <= config.width // r
    )
    return r if fits else None


@torch.no_grad()
def linear_start(autoencoder: Autoencoder, states: Tensor, mask: Tensor, tokens: Tensor, seed: int) -> None:
    """Overwrite the weights of a fresh autoencoder, and leave it in evaluation mode.

    Args:
        autoencoder: one for which `tokens_per_latent` is not None.
        states: standardised states of some training texts [B, L, T]. mask: bool [B, L]. tokens: int64 [B, L].
        seed: of the codes by which attention finds positions.
    """
    config, decompressor = autoencoder.eval().config, autoencoder.decompressor
    codes = torch.Generator().manual_seed(seed)
    _start_compressor(autoencoder.compressor, config, states[mask], tokens[mask], codes)
    _quiet(decompressor, decompressor.embedding_feed_forward[-1])
    _start_decompressor(decompressor, config, codes)
    _fit_read_out(autoencoder, states, mask, tokens[mask])


@torch.no_grad()
def linear_start_compressor(
    compressor: Compressor, config: AutoencoderConfig, states: Tensor, mask: Tensor, tokens: Tensor, seed: int
) -> None:
    """The compressor's half of `linear_start`, for latents that something else decodes; arguments as there."""
    _start_compressor(compressor, config, states[mask], tokens[mask], torch.Generator().manual_seed(seed))


def _directions(h: Tensor, t: Tensor, count: int) -> Tensor:
    """The directions that separate tokens best, each scaled so that states have deviation 1 along it: [K, T]."""
    size = torch.bincount(t).to(h.dtype)
    means = torch.zeros(len(size), h.shape[1], dtype=h.dtype, device=h.device).index_add_(0, t, h)
    means /= size.clamp_min(1)[:, None]
    between = (means * size[:, None]).T @ means / len(h)
    total = h.T @ h / len(h) + SHRINK * torch.eye(h.shape[1], dtype=h.dtype, device=h.device)
    values, vectors = torch.linalg.eigh(total)
    whiten = vectors * values.rsqrt() @ vectors.T
    best = torch.linalg.eigh(whiten @ between @ whiten).eigenvectors[:, -count:].flip(1)
    directions = (whiten @ best).T
    return directions / (h @ directions.T).std(0)[:, None]


def _quiet(half: Compressor | Decompressor, *more: nn.Linear) -> None:
    """Let every sub-layer of a half but its first attention, and what `more` ends, add nothing."""
    for linear in [*(layer.feed_forward[-1] for layer in half.layers), *more]:
        linear.weight.zero_()
        linear.bias.zero_()
    for layer in half.layers:
        layer.attention.out.weight.zero_()
    # Content lives in the first half of the width, positions in the second.
    table, width = half.positions.weight, half.positions.weight.shape[1]
    table[:, : width // 2] = 0.0
    table[:, width // 2 :] *= width**0.5


def _start_compressor(
    compressor: Compressor, config: AutoencoderConfig, h: Tensor, t: Tensor, codes: torch.Generator
) -> None:
    """h [tokens, T] and t [tokens] are all the texts' states and tokens."""
    r = tokens_per_latent(config)
    assert r is not None, "sizes without room for a linear start"
    K, size = min(config.latent_width // r, config.text_width), config.width // config.heads
    _quiet(compressor)
    compressor.from_text.weight.zero_()
    compressor.from_text.weight[:K] = _directions(h, t, K)
    compressor.to_latent.weight.copy_(torch.eye(config.latent_width, config.width))
    attention = compressor.layers[0].attention
    query, _, key, value = _maps(attention)
    queries = compressor.queries / compressor.queries.square().mean(-1, keepdim=True).sqrt()
    places = compressor.positions(config.max_tokens)
    latent = torch.arange(config.latents)
    for head in range(config.heads):
        slot, part = head % r, head // r
        code = _codes(config.max_tokens, size, codes, queries)
        rows = slice(head * size, (head + 1) * size)
        key[rows] = _map(places, code)
        query[rows] = _map(queries, code[(latent * r + slot).clamp_max(config.max_tokens - 1)])
        done = part * size
        _carry(value, attention.out.weight, head * size, done, slot * K + done, min(size, K - done))


def _start_decompressor(decompressor: Decompressor, config: AutoencoderConfig, codes: torch.Generator) -> None:
    r = tokens_per_latent(config)
    K, size = min(config.latent_width // r, config.text_width), config.width // config.heads
    decompressor.from_latent.weight.copy_(torch.eye(config.width, config.latent_width))
    attention = decompressor.layers[0].attention
    query, own_key, key, value = _maps(attention)
    places = decompressor.positions(config.max_tokens)
    place = torch.arange(config.max_tokens)
    for head in range(config.heads):
        slot, part = head % r, head // r
        latent = _codes(config.latents, size, codes, places)
        own = _codes(config.max_tokens, size, codes, places)
        rows = slice(head * size, (head + 1) * size)
        key[rows] = _map(places[: config.latents], latent)
        own_key[rows] = _map(places, own)
        # A token reads its own slot; the heads of other slots look at the token itself, whose value is zero.
        mine = (place % r == slot)[:, None].to(latent.device)
        query[rows] = _map(places, torch.where(mine, latent[(place // r).clamp_max(config.latents - 1)], own))
        done = part * size
        _carry(value, attention.out.weight, head * size, slot * K + done, done, min(size, K - done))


def _fit_read_out(autoencoder: Autoencoder, states: Tensor, mask: Tensor, t: Tensor) -> None:
    """The map to the text width fits the states, the head the tokens t [tokens], each on what comes before it."""
    decompressor, h = autoencoder.decompressor, states[mask]
    streams: list[Tensor] = []
    hook = decompressor.to_text.register_forward_pre_hook(lambda module, inputs: streams.append(inputs[0]))
    decompressor.hidden(autoencoder.compress(states, mask))
    hook.remove()
    stream = streams[0][:, : states.shape[1]][mask]  # [tokens, W]
    decompressor.to_text.weight.copy_(_solve(stream, stream.T @ h))
    hidden = decompressor.to_text(stream)
    # One 1 per token, less its mean over tokens; its products are sums by token, so it is never made: V is large.
    by_token = torch.zeros(autoencoder.config.vocabulary, hidden.shape[1], dtype=h.dtype, device=h.device)
    by_token.index_add_(0, t, hidden)
    share = torch.bincount(t, minlength=len(by_token)).to(h.dtype) / len(t)
    by_token -= share[:, None] * hidden.sum(0)
    decompressor.head.weight.copy_(LOGIT_SCALE * _solve(hidden, by_token.T))


def _maps(attention: PerceiverAttention) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Views of the maps to the stream's queries and keys and to the memory's keys and values; all values zero."""
    query, own_key, own_value = attention.stream_to_qkv.weight.chunk(3)
    key, value = attention.memory_to_kv.weight.chunk(2)
    own_value.zero_()
    value.zero_()
    return query, own_key, key, value


def _codes(count: int, size: int, generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(count, size, generator=generator).to(like)


def _map(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The least matrix [D, W] that sends each of the inputs [n, W], n <= W, to its output [n, D]."""
    return (torch.linalg.pinv(inputs) @ outputs).T


def _carry(value: Tensor, out: Tensor, head: int, source: int, target: int, count: int) -> None:
    """Let a head whose rows begin at `head` carry `count` numbers of its memory from `source` to `target`."""
    along = torch.arange(max(0, count))
    value[head + along, source + along] = 1.0
    out[target + along, head + along] = GAIN


def _solve(inputs: Tensor, products: Tensor) -> Tensor:
    """The ridge regression [b, a] on inputs [n, a], given their products with the outputs [a, b]."""
    gram = inputs.T @ inputs
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.solve(gram, products).T
