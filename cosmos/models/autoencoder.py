"""The autoencoder: a Perceiver compressor, its mirror image as a parallel decompressor, and the latents' normaliser.

Works on standardised states of a frozen text encoder, which is not part of it (`cosmos.text.encoder`). Facts: cosmos.md
1.2 to 1.5. Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from cosmos.config import AutoencoderConfig, CorruptionConfig
from cosmos.io.errors import UserError
from cosmos.models.blocks import GeluFeedForward, PerceiverAttention, RMSNorm, project
from cosmos.models.corruption import corrupt
from cosmos.models.fused_reading import read_tokens
from cosmos.models.token_head import choose, summed_nll, take
from cosmos.models.token_reading import most_probable
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG


class Positions(nn.Embedding):
    """Learned absolute positions 0 to length - 1, scaled by width^-0.5: [length, W]."""

    def forward(self, length: int) -> Tensor:  # type: ignore[override]
        return self.weight[:length] * self.embedding_dim**-0.5


class Gate(nn.Module):
    """Times 1 + weight m + bias with m = 1, as every position the decompressor reads is a [MASK].

    Two numbers for one, so that parameters match the release. They start at zero, a gate of one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.0 + self.weight + self.bias)


class CompressorLayer(nn.Module):
    """Joint attention and feed-forward, each residual; `stream` and `memory` are widths."""

    def __init__(self, config: AutoencoderConfig, stream: int, memory: int) -> None:
        super().__init__()
        self.attention = PerceiverAttention(config.width, config.heads, stream, memory)
        self.feed_forward = GeluFeedForward(stream, config.feed_forward * stream, config.dropout)

    def forward(self, stream: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        stream = stream + self.attention(stream, memory, mask)
        return stream + self.feed_forward(stream)


class DecompressorLayer(CompressorLayer):
    """The same with a scalar gate on each sub-layer."""

    def __init__(self, config: AutoencoderConfig, stream: int, memory: int) -> None:
        super().__init__(config, stream, memory)
        self.attention_gate, self.feed_forward_gate = Gate(), Gate()

    def forward(self, stream: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        stream = stream + self.attention_gate(self.attention(stream, memory, mask))
        return stream + self.feed_forward_gate(self.feed_forward(stream))


class Compressor(nn.Module):
    """Text encoder states [B, L, T] -> raw latents [B, N, C], each latent of fixed RMS up to the learned gain."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        stream, memory = config.latent_stream, config.text_stream
        self.from_text = project(config.text_width, memory)
        self.positions = Positions(config.max_tokens, memory)
        self.queries = nn.Parameter(torch.empty(config.latents, stream).normal_(std=0.02))
        self.query_norm = RMSNorm(stream)
        self.layers = nn.ModuleList(CompressorLayer(config, stream, memory) for _ in range(config.layers))
        self.to_latent = project(stream, config.latent_width)
        self.output_norm = RMSNorm(config.latent_width)

    def forward(self, states: Tensor, visible: Tensor) -> Tensor:
        """`visible` is bool [B, L], False on pads and dropped tokens; latents always see each other."""
        batch, length = visible.shape
        memory = self.from_text(states) + self.positions(length)  # [B, L, W], the same for every layer
        latents = self.query_norm(self.queries).to(memory.dtype).expand(batch, -1, -1)  # [B, N, W]
        own = visible.new_ones(batch, latents.shape[1])
        mask = torch.cat((own, visible), 1)[:, None, None, :]  # [B, 1, 1, N + L]
        for layer in self.layers:
            latents = layer(latents, memory, mask)
        return self.output_norm(self.to_latent(latents))


class Decompressor(nn.Module):
    """Raw latents [B, N, C] -> tokens of all max_tokens positions at once."""

    compiles: ClassVar[tuple[str, ...]] = ("start", "best")  # besides layers; see `cosmos.runtime.compilation`
    mask_embedding: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.register_buffer("mask_embedding", torch.zeros(config.text_width))  # of [MASK] in the frozen text encoder
        stream, memory, self.dropout = config.text_stream, config.latent_stream, config.dropout
        self.from_text = project(config.text_width, stream)
        self.embedding_feed_forward = GeluFeedForward(stream, config.feed_forward * stream, config.dropout)
        self.embedding_gate = Gate()
        self.positions = Positions(config.max_tokens, stream)
        # Latents share the table of the tokens where it has their width.
        self.latent_positions = None if stream == memory else Positions(config.latents, memory)
        self.from_latent = project(config.latent_width, memory)
        self.layers = nn.ModuleList(DecompressorLayer(config, stream, memory) for _ in range(config.layers))
        self.to_text = project(stream, config.text_width)
        self.head = nn.Linear(config.text_width, config.vocabulary, bias=False)

    def hidden(self, latents: Tensor, length: int | None = None) -> Tensor:
        """The states that enter the token head, [B, L, T]; there is no last norm. L is max_tokens, or `length`, which
        in training is what the batch needs."""
        memory = self.from_latent(latents)
        memory = memory + (self.latent_positions or self.positions)(memory.shape[1])
        batch, length = len(latents), length or self.positions.num_embeddings
        stream = self.start(batch, length).to(memory.dtype)  # [1 or B, L, W], of which the first layer makes B
        for layer in self.layers:
            stream = layer(stream, memory)
        return self.to_text(stream)

    def start(self, batch: int, length: int) -> Tensor:
        """What enters the layers, [1 or B, L, W]. Every position reads the same embedding, so it is mapped once; where
        there is dropout, for each with its own."""
        each = self.training and self.dropout > 0
        norm, widen, gelu, dropout, narrow = self.embedding_feed_forward
        inner = gelu(widen(norm(self.from_text(self.mask_embedding))))  # what comes before the dropout
        mapped = narrow(dropout(inner.expand(*((batch, length) if each else (1, 1)), -1)))
        return self.embedding_gate(mapped) + self.positions(length)

    def forward(self, latents: Tensor, stop: int | None = None, vocabulary: int | None = None) -> Tensor:
        """The most probable tokens at positions 1, after [CLS], to `stop` - 1 (None: the last), int64 [B, stop - 1].

        Args:
            vocabulary: tokens from this number on are never chosen; they only fill the table. None: all may be.
        """
        hidden = self.hidden(latents)[:, 1:stop]
        size = vocabulary or self.head.out_features
        return read_tokens(lambda states: self.best(states, size), hidden, self.head.weight, size)

    def best(self, states: Tensor, vocabulary: int) -> Tensor:
        return most_probable(states, self.head.weight, vocabulary)

    def logits(self, latents: Tensor) -> Tensor:
        """Of every position, [B, max_tokens, V]."""
        logits: Tensor = self.head(self.hidden(latents))
        return logits


class Reconstruction(NamedTuple):
    """What one pass of the autoencoder gives; `hidden` and `logits` have the length of the states that went in."""

    latents: Tensor  # raw and complete, [B, N, C]
    hidden: Tensor  # [B, L, T]
    logits: Tensor  # [B, L, V]


class Autoencoder(nn.Module):
    """Compressor and decompressor. `mask_embedding` [T] is the frozen text encoder's word embedding of [MASK].

    Raises:
        UserError: more latents than the position table, which they share with the tokens, has rows.
    """

    def __init__(self, config: AutoencoderConfig, mask_embedding: Tensor | None = None) -> None:
        super().__init__()
        if config.latents > config.max_tokens:
            raise UserError(
                f"{config.latents} latents do not fit the position table of {config.max_tokens} rows; "
                "ask for fewer latents or a larger max_tokens."
            )
        self.config, self.compressor, self.decompressor = config, Compressor(config), Decompressor(config)
        if mask_embedding is not None:
            self.decompressor.mask_embedding.copy_(mask_embedding)

    def compress(self, states: Tensor, mask: Tensor) -> Tensor:
        """Standardised states [B, L, T] and bool mask [B, L] -> raw latents [B, N, C]."""
        return self.compressor(states, mask)

    def decompress(self, latents: Tensor) -> Tensor:
        """Raw latents [B, N, C] -> logits [B, max_tokens, V]."""
        return self.decompressor.logits(latents)

    def hidden(
        self, states: Tensor, visible: Tensor, keep: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Through the latents and back to what enters the token head: raw latents [B, N, C] and states [B, L, T].

        `keep` bool [B, N, C] is False where a latent number is zeroed on the way; `length` as in `Decompressor.hidden`.
        """
        latents = self.compressor(states, visible)
        passed = latents if keep is None else latents * keep
        return latents, self.decompressor.hidden(passed, length)[:, : states.shape[1]]

    def forward(self, states: Tensor, visible: Tensor, keep: Tensor | None = None) -> Reconstruction:
        """Through the latents and back; arguments as in `hidden`."""
        latents, hidden = self.hidden(states, visible, keep)
        return Reconstruction(latents, hidden, self.decompressor.head(hidden))


def autoencoder_loss(
    model: Autoencoder,
    states: Tensor,
    tokens: Tensor,
    mask: Tensor,
    config: CorruptionConfig,
    seeds: CounterRNG | None,
    progress: Tensor | None = None,
    positions: Tensor | None = None,
    short_canvas: bool = False,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy + weight * MSE(hidden, clean states), summed over tokens, and the number of tokens.

    Args:
        states: clean standardised states [B, L, T], the compressor's input and the target of the MSE.
        tokens: int64 [B, L]. mask: bool [B, L], True on tokens; specials count, pads do not.
        seeds: where the corruption is drawn from; None leaves the input clean, as validation does.
        progress: share of the budget used, a scalar, for a corruption that grows with it.
        positions: of the tokens, where they are known (`cosmos.models.token_head.choose`).
        short_canvas: decompress the L positions of the batch, and not all.
    """
    shape = (model.config.latents, model.config.latent_width)
    drawn = (states, mask, None) if seeds is None else corrupt(states, mask, shape, config, seeds, progress)
    _, hidden = model.hidden(*drawn, length=states.shape[1] if short_canvas else None)
    compiled = seeds is not None and seeds.fused
    index, counts = choose(mask, positions)
    read = take(hidden.flatten(0, 1), index, counts)  # [M, T]
    head = model.decompressor.head.weight
    loss = summed_nll(read, head, tokens.flatten()[index], counts.to(torch.float32), compiled=compiled)
    if config.mse_weight:
        squares = compiled_if(compiled, summed_squares, static=True)
        loss = loss + config.mse_weight * squares(read, states.flatten(0, 1)[index], counts)
    return loss, mask.sum()


def summed_squares(hidden: Tensor, states: Tensor, counts: Tensor) -> Tensor:
    """The mean squared error of each position that counts, bool [M], summed; hidden and states [M, T]."""
    return ((hidden.float() - states.float()).square().mean(-1) * counts).sum()


def token_accuracy(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Share of tokens that argmax gets right, a scalar tensor; logits [B, L, V], tokens [B, L], mask bool [B, L]."""
    return ((logits.argmax(-1) == tokens) & mask).sum() / mask.sum()


class LatentNormaliser(nn.Module):
    """Zero mean and unit variance for every latent position and dimension (cosmos.md 1.4). Stored with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, latents: int, latent_width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latents, latent_width))
        self.register_buffer("std", torch.ones(latents, latent_width))

    @torch.no_grad()
    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Take the statistics of clean raw latents given in chunks [B, N, C]; the variance has a floor of 1e-4."""
        count, mean = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        scatter = torch.zeros_like(mean)
        for chunk in chunks:
            part = chunk.to(mean)
            shift = part.mean(0) - mean
            total = count + len(part)
            # The pairwise update of Chan, Golub and LeVeque: no large sums of squares.
            scatter += (part - part.mean(0)).square().sum(0) + shift.square() * (count * len(part) / total)
            mean += shift * (len(part) / total)
            count = total
        assert count > 0, "no latents to fit"
        self.mean.copy_(mean)
        self.std.copy_((scatter / count).clamp_min(1e-4).sqrt())

    def standardise(self, latents: Tensor) -> Tensor:
        """Raw -> standardised, [B, N, C]."""
        return (latents - self.mean) / self.std

    def restore(self, latents: Tensor) -> Tensor:
        """Standardised -> raw, [B, N, C]."""
        return latents * self.std + self.mean
