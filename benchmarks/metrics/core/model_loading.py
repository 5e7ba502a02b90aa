"""What the networks that judge have in common: loading without a word, batches of like length."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.evaluators.suppress_output import quiet

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array


@functools.lru_cache(maxsize=2)
def load(folder: Path, kind: str, device: str) -> tuple[Any, Any]:
    """Tokenizer and network of a folder in float32, loaded once per process and device, without a word.

    Args:
        kind: the class of `transformers` that loads it, such as "AutoModelForCausalLM".
    """
    import torch
    import transformers

    with quiet():
        tokenizer = load_tokenizer(folder)
        network = getattr(transformers, kind).from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return tokenizer, network.eval().to(device)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder."""
    import transformers

    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of texts in batches of like length, at most `budget` tokens each with padding, one text at least."""
    places: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if places and (len(places) + 1) * lengths[index] > budget:
            yield places
            places = []
        places.append(index)
    if places:
        yield places


def padded(ids: Sequence[Sequence[int]], fill: int, device: str) -> tuple[Any, Any]:
    """Token ids of unlike lengths as one tensor, int64 (texts, longest), and 1 where there is a token."""
    import torch

    longest = max(len(those) for those in ids)
    tokens = torch.full((len(ids), longest), fill, dtype=torch.int64)
    mask = torch.zeros((len(ids), longest), dtype=torch.int64)
    for row, those in enumerate(ids):
        tokens[row, : len(those)] = torch.tensor(those, dtype=torch.int64)
        mask[row, : len(those)] = 1
    return tokens.to(device), mask.to(device)


def in_batches(
    texts: Sequence[str], ids: Sequence[Sequence[int]], budget: int, run: Any
) -> Iterable[tuple[list[str], Array]]:
    """Give texts to a network in batches of like length: `run(places)` gives their vectors, shape (batch, k)."""
    for places in batches([len(those) for those in ids], budget):
        yield [texts[index] for index in places], run(places)
