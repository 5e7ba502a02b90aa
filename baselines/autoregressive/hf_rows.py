"""Documents as rows of a pretrained model's own tokens, and its loss on them.

A causal model reads "prompt target end" and only the target counts; a model from sequence to sequence reads the prompt
with its encoder and writes "target end". A prompt is a template around the source, begun (and, for an encoder, ended)
as the tokenizer itself begins and ends texts. Limits are counted in the model's own tokens: of the source, which loses
its tail where it is longer, and of the target with its end. The template comes on top.

Axis legend: B rows (texts), S prompt positions, L positions, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.contract import Document, Limits
from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import Batch, Rows

SOURCE = "{source}"  # what stands for the source in a template


@dataclass(frozen=True)
class Template:
    """What is written around a source; `text` has `SOURCE` in it where the task has sources."""

    text: str

    def filled(self, source: str | None) -> str:
        return self.text if source is None else self.text.replace(SOURCE, source)

    @property
    def before_target(self) -> str:
        """What parts a target from the prompt: a space, unless the template ends with one, or is empty."""
        return " " if self.text and not self.text[-1].isspace() else ""


class Prompts(NamedTuple):
    """Token ids of each prompt, and how many sources were cut."""

    ids: list[list[int]]
    cut: int


class Targets(NamedTuple):
    """Token ids of each target with its end, and how many were cut."""

    ids: list[list[int]]
    cut: int


class Tokens:
    """The tokens of one model: how its prompts and targets are spelt.

    Args:
        encodes: whether the model reads the prompt with an encoder.
    """

    def __init__(self, tokenizer: Any, template: Template, limits: Limits, encodes: bool) -> None:
        self.tokenizer, self.template, self.limits, self.encodes = tokenizer, template, limits, encodes
        self.end: int = tokenizer.eos_token_id

    @property
    def longest_target(self) -> int:
        """Tokens of a target, its end counted; the limit counts a [CLS] besides, which is not written."""
        return self.limits.target_tokens - 1

    @property
    def longest_prompt(self) -> int:
        """Tokens of a prompt, about: those of its template and of the longest source."""
        [around] = self._prompts([self.template.text.replace(SOURCE, "")])
        return len(around) + self.limits.source_tokens

    def prompts(self, sources: Sequence[str | None]) -> Prompts:
        texts, cut = [], 0
        for source in sources:
            if source is not None and self.limits.source_tokens > 0:
                shorter = self._within_limit(source)
                cut += shorter != source
                source = shorter
            texts.append(self.template.filled(source if self.limits.source_tokens > 0 else None))
        return Prompts(self._prompts(texts), cut)

    def targets(self, texts: Sequence[str]) -> Targets:
        if not texts:
            return Targets([], 0)
        if self.encodes:
            whole = self.tokenizer(list(texts))["input_ids"]
            ids = [row[:-1] if row and row[-1] == self.end else row for row in whole]
        else:
            before = self.template.before_target
            ids = self.tokenizer([before + text for text in texts], add_special_tokens=False)["input_ids"]
        most = self.longest_target - 1
        return Targets([[*row[:most], self.end] for row in ids], sum(len(row) > most for row in ids))

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.strip()

    def _within_limit(self, source: str) -> str:
        encoded = self.tokenizer(source, add_special_tokens=False, return_offsets_mapping=True)
        places = encoded["offset_mapping"]
        return (
            source if len(places) <= self.limits.source_tokens else source[: places[self.limits.source_tokens - 1][1]]
        )

    def _prompts(self, texts: Sequence[str]) -> list[list[int]]:
        rows: list[list[int]] = self.tokenizer(list(texts))["input_ids"]
        if self.encodes:
            return rows
        # A causal model goes on from here, so no end token may stand after it; and it needs something to go on from.
        begun = [row[:-1] if len(row) > 1 and row[-1] == self.end else row for row in rows]
        first = self.tokenizer.bos_token_id
        return [row or [self.end if first is None else first] for row in begun]


class RaggedRows:
    """Rows of tokens by name (`cosmos.training.loop.Dataset`), padded to the longest of a batch.

    A batch has each name's tokens, int64 [B, L], and its lengths, int64 [B], as "NAME_length"; and `numbers` as they
    are.
    """

    def __init__(self, rows: Mapping[str, Sequence[Sequence[int]]], pad: int, numbers: Mapping[str, Tensor]) -> None:
        self.rows, self.pad, self.numbers = rows, pad, numbers

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))

    def batch(self, index: Tensor) -> Rows:
        found = {name: numbers[index] for name, numbers in self.numbers.items()}
        for name, rows in self.rows.items():
            found[name], found[f"{name}_length"] = padded([rows[i] for i in index.tolist()], self.pad)
        return found


def padded(rows: Sequence[Sequence[int]], pad: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Rows as int64 [B, L], padded on the right or left to the longest, and their lengths, int64 [B]."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    tokens = torch.full((len(rows), max(1, int(lengths.max()))), pad)
    for place, row in enumerate(rows):
        where = slice(tokens.shape[1] - len(row), None) if left else slice(len(row))
        tokens[place, where] = torch.tensor(row, dtype=torch.int64)
    return tokens, lengths


def training_rows(prompts: Prompts, targets: Targets, pad: int, encodes: bool) -> RaggedRows:
    """What `target_nll` is given of documents."""
    if encodes:
        return RaggedRows({"prompt": prompts.ids, "target": targets.ids}, pad, {})
    joined = [[*prompt, *target] for prompt, target in zip(prompts.ids, targets.ids, strict=True)]
    return RaggedRows({"text": joined}, pad, {"start": torch.tensor([len(prompt) for prompt in prompts.ids])})


def pairs(documents: Sequence[Document], tokens: Tokens) -> tuple[Prompts, Targets]:
    """What documents are in a model's tokens."""
    prompts = tokens.prompts([document.source for document in documents])
    return prompts, tokens.targets([document.target for document in documents])


def before(lengths: Tensor, width: int) -> Tensor:
    """bool [B, width], True at the first `lengths` positions."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def target_nll(model: Any, rows: Mapping[str, Tensor], start: int | None) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood in nats of the targets' tokens, zero elsewhere, and where they are, both [B, L].

    Args:
        rows: a batch of `training_rows`.
        start: the token that a decoder begins with; None for a causal model.
    """
    if start is None:
        tokens, inputs = rows["text"][:, 1:], rows["text"][:, :-1]
        logits = model(input_ids=inputs, use_cache=False).logits  # padding comes last and is not seen
        counts = before(rows["text_length"] - 1, tokens.shape[1]) & ~before(rows["start"] - 1, tokens.shape[1])
    else:
        tokens = rows["target"]
        given = functional.pad(tokens[:, :-1], (1, 0), value=start)
        mask = before(rows["prompt_length"], rows["prompt"].shape[1]).long()
        logits = model(
            input_ids=rows["prompt"], attention_mask=mask, decoder_input_ids=given, use_cache=False
        ).logits  # [B, L, V]
        counts = before(rows["target_length"], tokens.shape[1])
    wide = torch.promote_types(logits.dtype, torch.float32)
    nll = functional.cross_entropy(logits[counts].to(wide), tokens[counts], reduction="none")
    return nll.new_zeros(counts.shape).masked_scatter(counts, nll), counts


def loss_of(start: int | None) -> Any:
    """The summed loss of targets and their number of tokens (`cosmos.training.loop.Loss`)."""

    def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        nll, counts = target_nll(model, batch, start)
        return nll.sum(), counts.sum()

    return loss
