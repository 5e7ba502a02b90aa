"""The autoregressive rival: GPT-2 (Radford et al., 2019), Hugging Face's network trained from scratch.

p(target | source) is the product of p(token | source, tokens before it); a row is "source [SEP] target [SEP]" and only
the target counts in the loss, which is the exact negative log-likelihood. Network: learned positions, GELU, norms
before each layer, tied embeddings.

Departures from the paper: sizes and the tokenizer are those of the comparison; no pretraining; no dropout unless the
recipe has it. On small corpora an autoregressive model overfits long before its budget is used, so the weights kept are
those of the best validation loss (the budget's share at that point is in the notes of `Fitted`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from baselines.contract import Budget, Request, Sample, UserError
from baselines.draws import categorical, nucleus
from baselines.fitting import Rival
from baselines.sequence import Pairs, TokenBatches, encode_sources, join, left_pad, read_samples
from cosmos.randomness import Seeds
from cosmos.training import Batch, Batches, Loss, TrainingConfig
from cosmos.vocabulary import PAD, SEP

LOOK_EVERY, LOOK_EVERY_ON_CPU = 8, 1  # steps between looks at which rows have ended; an accelerator must be waited for


@dataclass(frozen=True)
class GPT2Recipe:
    """Sizes and training of one preset; `inner` is the width inside the feed-forward layers."""

    width: int
    layers: int
    heads: int
    inner: int
    dropout: float
    training: TrainingConfig
    budget: Budget


@dataclass(frozen=True)
class Decoding:
    """How to choose tokens: the most probable (`greedy`), or a draw from the nucleus at a temperature.

    Temperature 1 and top_p 1 give unbiased samples of the model.
    """

    greedy: bool = False
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UserError(f"A temperature must be positive, not {self.temperature:g}; use greedy=true for none.")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p must lie in (0, 1], not {self.top_p:g}.")


def target_nll(model: GPT2LMHeadModel, tokens: Tensor, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of the targets, in nats.

    Args:
        tokens: joined rows, int64 [B, L], padded on the right, which a causal network does not see.
        starts, ends: where targets begin, and the position after their last token, int64 [B].

    Returns:
        nll [B, L - 1] of token 1, 2, ... of each row, zero outside targets; and where targets are, bool [B, L - 1].
    """
    states = model.transformer(tokens[:, :-1]).last_hidden_state  # [B, L - 1, W]
    place = torch.arange(1, tokens.shape[1], device=tokens.device)
    counts = (place >= starts[:, None]) & (place < ends[:, None])  # [B, L - 1]
    logits = model.lm_head(states[counts])  # [targets, V]: nothing is spent on the source's predictions
    nll = functional.cross_entropy(logits.float(), tokens[:, 1:][counts], reduction="none")
    return torch.zeros(counts.shape, device=nll.device).masked_scatter(counts, nll), counts


def loss(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
    """The summed negative log-likelihood of the targets and their number of tokens (`cosmos.training.Loss`)."""
    assert isinstance(model, GPT2LMHeadModel)
    nll, counts = target_nll(model, batch["tokens"], batch["starts"], batch["ends"])
    return nll.sum(), counts.sum()


def choose(logits: Tensor, setting: Decoding, seeds: Seeds) -> Tensor:
    """The next token of each row, int64 [B], from logits [B, V]."""
    if setting.greedy:
        return logits.argmax(-1)
    kept = nucleus(logits.double() / setting.temperature, setting.top_p)
    return categorical(kept.softmax(-1), seeds.uniform())


@torch.inference_mode()
def decode(model: GPT2LMHeadModel, prompts: Tensor, steps: int, setting: Decoding, seeds: Seeds) -> Tensor:
    """Continue prompts by up to `steps` tokens: one call for the prompts, one per further token.

    Rows that have ended leave the batch (which changes no other row), and decoding stops when none is left. On the CPU
    this is looked at after every token, elsewhere after every eighth, because a look waits for the device.

    Args:
        prompts: int64 [B, S], padded on the right.

    Returns:
        int64 [B, steps], [PAD] where a row was no longer continued.
    """
    device = prompts.device
    every = LOOK_EVERY_ON_CPU if device.type == "cpu" else LOOK_EVERY
    tokens = left_pad(prompts)
    seen = tokens != PAD  # [B, positions so far]
    written = torch.full((len(prompts), steps), PAD, device=device)
    rows = torch.arange(len(prompts), device=device)  # those still in the batch
    cache = DynamicCache(config=model.config)
    for step in range(steps):
        positions = (seen.cumsum(1) - 1).clamp_min(0)[:, -tokens.shape[1] :]
        out = model(tokens, attention_mask=seen, position_ids=positions, past_key_values=cache, logits_to_keep=1)
        fresh = choose(out.logits[:, -1], setting, seeds)  # [rows]
        written[rows, step] = fresh
        tokens, seen = fresh[:, None], nn.functional.pad(seen, (0, 1), value=True)
        if (step + 1) % every == 0:
            going = (written[rows] != SEP).all(1)
            if not going.all():
                keep = going.nonzero()[:, 0]
                if len(keep) == 0:
                    break
                rows, tokens, seen, seeds = rows[keep], tokens[keep], seen[keep], seeds.rows(keep)
                cache.batch_select_indices(keep)
    return written


class GPT2System(Rival):
    """GPT-2 from scratch behind the contract."""

    name: ClassVar[str] = "gpt2"
    presets: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "nano": GPT2Recipe(
                width=96,
                layers=4,
                heads=6,
                inner=704,
                dropout=0.1,
                training=TrainingConfig(batch_size=32, learning_rate=2e-3, ema_decay=0.99, keep="best"),
                budget=Budget(4e12, "flops"),
            )
        }
    )
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({"greedy": Decoding(greedy=True), "sample": Decoding()})

    def shape(self, train: Pairs) -> dict[str, int]:
        return {}

    def build(self, shape: Mapping[str, int]) -> GPT2LMHeadModel:
        recipe: GPT2Recipe = self.recipe
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=shape["vocabulary"],
                n_positions=max(1, self.limits.source_tokens) + self.limits.target_tokens,
                n_embd=recipe.width,
                n_layer=recipe.layers,
                n_head=recipe.heads,
                n_inner=recipe.inner,
                resid_pdrop=recipe.dropout,
                embd_pdrop=recipe.dropout,
                attn_pdrop=recipe.dropout,
                bos_token_id=SEP,
                eos_token_id=SEP,
            )
        )

    def never_end(self, model: nn.Module) -> None:
        """The first number of the last hidden state is the same at every position, and the end token alone reads it."""
        assert isinstance(model, GPT2LMHeadModel)
        table, norm = model.transformer.wte.weight, model.transformer.ln_f
        norm.weight[0], norm.bias[0] = 0.0, 100.0
        table[:, 0], table[SEP] = 0.0, 0.0
        table[SEP, 0] = -10.0  # a logit of -1000

    def batches(self, pairs: Pairs, shape: Mapping[str, int]) -> Batches:
        tokens, starts, ends = join(pairs.sources, pairs.targets)
        return TokenBatches({"tokens": tokens, "starts": starts, "ends": ends})

    def losses(self) -> tuple[Loss, Loss]:
        return loss, loss

    def generate(self, requests: Sequence[Request], setting: Decoding) -> list[Sample]:
        """One text per request; all go through the network as one batch."""
        if not requests:
            return []
        prompts, _ = encode_sources([request.source for request in requests], self.vocabulary, self.limits)
        steps = min(self.limits.target_tokens, max(request.max_tokens for request in requests))
        seeds = Seeds(torch.tensor([request.seed for request in requests], device=self.device))
        written = decode(self.model, prompts.to(self.device), steps, setting, seeds)
        return read_samples(requests, written, self.vocabulary)
