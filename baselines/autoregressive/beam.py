"""Beam search on a preallocated cache: of the ended texts met, the one with the best log p / length^penalty.

A text is extended by its `beams` best continuations without an end token at each step; a continuation that ends counts
when it is among the `beams` best of all. Lengths are in tokens, the end token included, and a text that the limit cuts
counts as one of that length. The search goes on until no unended text can overtake the best ended one (Hugging Face's
early_stopping="never"), so stopping changes no result, and every text is searched by itself whatever stands beside it.

Axis legend: B texts, K beams, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.autoregressive.decoding import CompactionPolicy, KVCacheDecoder, compaction_policy
from baselines.contract import UserError
from cosmos.io.errors import check_range
from cosmos.text.vocabulary import PAD, SEP


@dataclass(frozen=True)
class Beam:
    """How wide to search, and the power of the length that log p is divided by (0: the most probable text)."""

    beams: int = 4
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.beams < 1:
            raise UserError(f"A beam search needs at least one beam, not {self.beams}.")
        check_range("beams", self.beams, 1, 1000)
        if self.length_penalty < 0:
            raise UserError(f"length_penalty must not be negative, not {self.length_penalty:g}.")

    @property
    def one_text(self) -> bool:
        return True


@torch.inference_mode()
def search(
    kv_decoder: KVCacheDecoder,
    tokens: Tensor,
    positions: Tensor,
    furthest: int,
    steps: int,
    setting: Beam,
    compaction: CompactionPolicy | None = None,
    vocabulary_size: int | None = None,
) -> Tensor:
    """Continue texts by up to `steps` tokens; arguments and result as of `KVCacheDecoder.decode`.

    One network call a step, of B * K rows, for which the decoder must have a cache.
    """
    count, beams, device = len(tokens), setting.beams, tokens.device
    compaction = compaction or compaction_policy(device)
    kv_cache = kv_decoder.of_rows(count * beams)
    for part in kv_cache:
        part.copy_(part[:count].repeat_interleave(beams, 0))
    tokens, positions = tokens.repeat_interleave(beams), positions.repeat_interleave(beams)  # [B * K]
    first = beams * torch.arange(count, device=device)[:, None]  # [B, 1], the row of a text's first beam
    among = torch.arange(2 * beams, device=device) < beams  # [2K]
    scores = torch.full((count, beams), -torch.inf, dtype=torch.float64, device=device)  # of unended texts
    scores[:, 0] = 0.0
    texts = torch.full((count, beams, steps), PAD, device=device)
    best, winners = torch.full_like(scores[:, 0], -torch.inf), texts[:, 0].clone()  # of ended texts
    for step in range(steps):
        logits = kv_decoder.network(tokens, kv_cache, positions, kv_decoder.attended_length(furthest + step))
        log_p = logits[:, :vocabulary_size].double().log_softmax(-1)
        total = scores[..., None] + log_p.view(count, beams, -1)  # [B, K, V]
        vocabulary = total.shape[-1]
        top, index = total.flatten(1).topk(2 * beams)  # [B, 2K]: at most K of them end
        origin, token = index // vocabulary, index % vocabulary
        longer = texts.gather(1, origin[..., None].expand(-1, -1, steps))  # [B, 2K, steps]
        longer[:, :, step] = token
        ended = token == SEP
        rated = torch.where(ended & among, top / (step + 1) ** setting.length_penalty, -torch.inf)
        score, which = rated.max(1)
        better = score > best
        best = torch.where(better, score, best)
        winners = torch.where(better[:, None], longer[torch.arange(count, device=device), which], winners)
        going = ended.int().argsort(dim=1, stable=True)[:, :beams]  # [B, K], the best that have not ended
        scores, texts = top.gather(1, going), longer.gather(1, going[..., None].expand(-1, -1, steps))
        rows = (first + origin.gather(1, going)).flatten()
        tokens, positions = token.gather(1, going).flatten(), positions + 1
        for part in kv_cache:
            part.copy_(part[rows])
        # An unended text can at best end at the limit with no further loss.
        if (step + 1) % compaction.every == 0 and bool((scores[:, 0] / steps**setting.length_penalty <= best).all()):
            break
    cut = scores[:, :1] / steps**setting.length_penalty > best[:, None]
    return torch.where(cut, texts[:, 0], winners)
