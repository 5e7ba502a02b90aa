"""Autoregressive decoding as it is served: keys and values in a preallocated cache, steps of fixed shapes, rare looks.

The cache is allocated once and written in place, so the step (network, temperature, nucleus, draw) can be captured
(`cosmos.runtime.capture`). Nothing waits for the device but a look, every few tokens, at which rows have ended; those
then leave the batch. Prompts are read beforehand, apart from the steps.

Rows are padded on the right and every row has a position of its own, so prompts may be ragged: a row writes over its
padding as it goes on, and never sees beyond its position. A step attends to the first `attended_length` positions of
the cache, one of a few lengths, since reading all of it at every step would cost most of the time of a large batch.

Axis legend: B rows (texts), P positions of the cache, H heads, D head size, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.common.sampling import categorical, check_top_p, nucleus
from baselines.contract import UserError
from cosmos.runtime.call_count import uncounted
from cosmos.runtime.capture import Capturable, Capture, CapturedCalls, captured
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import PAD, SEP

ATTENDED_LENGTHS = 4  # lengths of the cache that steps attend to
ATTENDED_UNIT = 32  # positions that they are multiples of; masks of such lengths suit the attention kernels


@dataclass(frozen=True)
class Choice:
    """How to choose tokens: the most probable (`greedy`), or a draw from the nucleus at a temperature.

    Temperature 1 and top_p 1 give unbiased samples of the model.
    """

    greedy: bool = False
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UserError(f"A temperature must be positive, not {self.temperature:g}; use greedy=true for none.")
        check_top_p(self.top_p)

    def ignored_keys(self) -> dict[str, str]:
        why = "the most probable token is taken; set {}greedy=false"
        return {"temperature": why, "top_p": why} if self.greedy else {}

    @property
    def one_text(self) -> bool:
        return self.greedy


@dataclass(frozen=True)
class Decoding(Choice, Capturable):
    """Token after token, as served here."""


def choose(logits: Tensor, setting: Choice, uniform: Tensor | None = None, compiled: bool = False) -> Tensor:
    """The next token of each row, int64 [B], from logits [B, V] and, unless greedy, `uniform` float64 in (0, 1), [B].

    Logits are taken in float32 at least, and masses are summed in float64. `compiled`: whether the draw runs compiled.
    """
    if setting.greedy:
        return logits.argmax(-1)
    wide = torch.promote_types(logits.dtype, torch.float32)
    nucleus_logits = nucleus(logits.to(wide) / setting.temperature, setting.top_p)
    return compiled_if(compiled, categorical)(nucleus_logits.double().softmax(-1), uniform)


class DecodingPositions(NamedTuple):
    """Where each row of a step is."""

    rows: Tensor  # 0 ... B - 1
    positions: Tensor  # int64 [B]
    mask: Tensor  # added to the scores of the attended positions: 0 up to the row's own, -inf beyond; [B, 1, 1, P]


def locate(positions: Tensor, attended_length: int, dtype: torch.dtype) -> DecodingPositions:
    """The positions int64 [B] with the mask that belongs to them; every row sees at least one position."""
    seen = torch.arange(attended_length, device=positions.device) <= positions[:, None]  # [B, P]
    mask = torch.zeros(seen.shape, dtype=dtype, device=positions.device).masked_fill(~seen, -torch.inf)
    return DecodingPositions(torch.arange(len(positions), device=positions.device), positions, mask[:, None, None])


def attend(query: Tensor, fresh: Tensor, cache: Tensor, at: DecodingPositions) -> Tensor:
    """Attention of one position per row to itself and those before it: query [B, H, D] -> [B, H * D].

    Its key and value, `fresh` [B, 2, H, D], are first written to the cache [B, P, 2, H, D].
    """
    cache[at.rows, at.positions] = fresh
    keys, values = cache[:, : at.mask.shape[-1]].permute(2, 0, 3, 1, 4)  # each [B, H, P, D], no copy
    attended = functional.scaled_dot_product_attention(query[:, :, None], keys, values, at.mask)  # [B, H, 1, D]
    return attended[:, :, 0].flatten(1)


class CachedNetwork(Protocol):
    """A `torch.nn.Module` that writes token after token."""

    def kv_cache(self, rows: int, positions: int) -> list[Tensor]:
        """Zeros to keep what later steps need of earlier ones; the first axis of each tensor is rows."""

    def __call__(self, tokens: Tensor, kv_cache: list[Tensor], positions: Tensor, attended_length: int) -> Tensor:
        """Tokens int64 [B] at `positions` int64 [B], all below `attended_length` -> logits of what follows them [B, V].

        Fills the cache at `positions` and changes nothing else, so a repeated call does what one call does.
        """


@dataclass(frozen=True)
class CompactionPolicy:
    """How often ended rows are looked for, and to which sizes a batch may shrink."""

    every: int  # steps between looks, each of which waits for the device
    sizes: int | None  # to powers of two from this on, as every size is captured by itself; None: to any

    def shrink(self, going: int, rows: int) -> int:
        """The rows to keep of `rows` when `going` have not ended."""
        return going if self.sizes is None else min(rows, max(self.sizes, 1 << (going - 1).bit_length()))

    def all_sizes(self, rows: int) -> list[int]:
        """Every size a batch of `rows` may have in time."""
        return sorted({self.shrink(going, rows) for going in range(1, rows + 1)}, reverse=True)


AT_ONCE, IN_BLOCKS = CompactionPolicy(1, None), CompactionPolicy(8, 32)


def compaction_policy(device: torch.device, capture: Capture = "off") -> CompactionPolicy:
    """On the CPU a look costs nothing, and any size will do where nothing is captured."""
    return AT_ONCE if device.type == "cpu" and capture == "off" else IN_BLOCKS


class KVCacheDecoder:
    """A network, of a name as in `System.networks`, with a cache for up to `rows` texts of `positions` tokens."""

    def __init__(self, name: str, network: CachedNetwork, rows: int, positions: int) -> None:
        assert isinstance(network, nn.Module)
        self.name, self.network, self.rows = name, network, rows
        self.captured_calls = CapturedCalls()
        self.device = next(network.parameters()).device
        self.unit = -(-positions // (ATTENDED_LENGTHS * ATTENDED_UNIT)) * ATTENDED_UNIT
        self.positions = -(-positions // self.unit) * self.unit
        with torch.inference_mode():
            self.kv_cache = network.kv_cache(rows, self.positions)
        self._prepared: set[Any] = set()

    @classmethod
    def of(
        cls, existing: KVCacheDecoder | None, name: str, network: CachedNetwork, rows: int, positions: int
    ) -> KVCacheDecoder:
        """The decoder there is, if it is this network's and large enough, or another."""
        if existing and existing.network is network and existing.rows >= rows and existing.positions >= positions:
            return existing
        return cls(name, network, max(rows, existing.rows if existing else 0), positions)

    def networks(self) -> dict[str, Any]:
        return {self.name: self.network}

    def of_rows(self, rows: int) -> list[Tensor]:
        return [part[:rows] for part in self.kv_cache]

    def step(
        self,
        setting: Decoding,
        vocabulary_size: int | None,
        attended_length: int,
        tokens: Tensor,
        positions: Tensor,
        *uniform: Tensor,
    ) -> Tensor:
        """One token further, below `vocabulary_size`: int64 [B] at `positions` -> [B]; `uniform` [B] unless greedy."""
        logits = self.network(tokens, self.of_rows(len(tokens)), positions, attended_length)
        return choose(logits[:, :vocabulary_size], setting, *uniform, compiled=setting.compiled)

    def attended_length(self, position: int) -> int:
        """Positions that a step attends to when the furthest row is at `position`."""
        return (position // self.unit + 1) * self.unit

    @torch.inference_mode()
    def prepare(self, setting: Decoding, rows: int, vocabulary_size: int | None = None) -> None:
        """Capture every step that so many rows may need, uncounted, before anything is timed; writes to the cache."""
        key = (setting, vocabulary_size, rows)
        if setting.capture == "off" or key in self._prepared:
            return
        with uncounted(self.networks().values()):
            for size in compaction_policy(self.device, setting.capture).all_sizes(rows):
                tokens = torch.full((size,), PAD, device=self.device)
                uniform = () if setting.greedy else (torch.full((size,), 0.5, device=self.device, dtype=torch.float64),)
                for attended_length in range(self.unit, self.positions + 1, self.unit):
                    run = captured(self, self.step, setting.capture, setting, vocabulary_size, attended_length)
                    run(tokens, torch.zeros_like(tokens), *uniform)
        self._prepared.add(key)

    @torch.inference_mode()
    def decode(
        self,
        tokens: Tensor,
        positions: Tensor,
        furthest: int,
        steps: int,
        setting: Decoding,
        seeds: CounterRNG | None,
        *,
        vocabulary_size: int | None = None,
        compaction: CompactionPolicy | None = None,
    ) -> Tensor:
        """Continue texts by up to `steps` tokens, one network call each, until all have ended.

        The cache holds what is before `tokens`; with capture on, call `prepare` before that is filled.

        Args:
            tokens, positions: the last token of each text so far and its position, int64 [B].
            furthest: the largest position, known without asking the device.
            seeds: may be None for greedy.

        Returns:
            int64 [B, steps], [PAD] after the end token of each row.
        """
        assert len(tokens) <= self.rows and furthest + steps <= self.positions
        compaction = compaction or compaction_policy(self.device, setting.capture)
        uniform = () if setting.greedy else (seeds.uniform(steps),)  # [B, steps]
        written = torch.full((len(tokens), steps), PAD, device=self.device)
        rows = torch.arange(len(tokens), device=self.device)  # those still in the batch
        for step in range(steps):
            attended_length = self.attended_length(furthest + step)
            run = captured(self, self.step, setting.capture, setting, vocabulary_size, attended_length)
            tokens = run(tokens, positions, *(noise[:, step] for noise in uniform))
            written[rows, step] = tokens
            positions = positions + 1
            if (step + 1) % compaction.every == 0 and step + 1 < steps:
                going = (written[rows] != SEP).all(1)
                count = int(going.sum())  # waits for the device
                if count == 0:
                    break
                size = compaction.shrink(count, len(rows))
                if size < len(rows):  # those going on first, then as many ended ones as make up the size
                    keep = going.int().argsort(descending=True, stable=True)[:size]
                    rows, tokens, positions = rows[keep], tokens[keep], positions[keep]
                    uniform = tuple(noise[keep] for noise in uniform)
                    for part in self.kv_cache:
                        part[:size] = part[keep]
        ended = written == SEP
        return written.masked_fill(ended.cumsum(1) > ended.int(), PAD)
