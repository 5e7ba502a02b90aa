"""Latents of training texts, computed once: the autoencoder is frozen while the denoiser trains, so they never change.
Where they would be too many to store they are computed in the loop (`cosmos.stages.corpus_latents`).

Axis legend in `cosmos.models.blocks`; n is the number of texts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from cosmos.config import AutoencoderConfig
from cosmos.data.array_cache import ArrayLayout, compute_array, found_by_first, open_array
from cosmos.data.datasets import TextStates
from cosmos.models.autoencoder import Compressor
from cosmos.models.standardiser import Standardiser
from cosmos.runtime.flops import measure_flops
from cosmos.training.budget import Cost
from cosmos.training.distributed import Processes

_TEXTS_PER_BATCH = 512
_TIMED = 64  # texts that are compressed to learn how long that takes; on a GPU, where fewer take as long, a whole batch
_TIMES = 3  # how often, besides the first time


class Compresses(Protocol):
    """An autoencoder as far as this file is concerned: whatever decodes the latents is no matter here."""

    config: AutoencoderConfig
    compressor: Compressor

    def compress(self, states: Tensor, mask: Tensor) -> Tensor: ...


def _key(autoencoder: Compresses, standardiser: Standardiser, states_key: str) -> str:
    digest = hashlib.blake2b(states_key.encode(), digest_size=16)
    for module in (autoencoder.compressor, standardiser):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def price_of_compressing(
    autoencoder: Compresses, standardiser: Standardiser, states: TextStates, processes: int = 1
) -> Cost:
    """What `cache_latents` will cost, whatever the weights are: FLOPs exactly, from a single text of each length, and
    seconds at least, by the FLOPs and as fast as a few texts are compressed here when nothing else is in the way."""
    compressor = autoencoder.compressor
    device, was_training = next(compressor.parameters()).device, compressor.training

    @torch.no_grad()
    def compute(index: Tensor, length: int) -> None:
        rows, mask = (part.to(device) for part in states.rows(index, length))
        autoencoder.compress(standardiser(rows, mask), mask).float().cpu()

    groups = torch.arange(len(states)).split(_TEXTS_PER_BATCH)
    lengths = [states.longest_of(group) for group in groups]
    compressor.eval()  # as it will be, and no dropout is drawn
    timed = groups[0] if device.type == "cuda" else groups[0][:_TIMED]
    took = []
    for _ in range(1 + _TIMES):  # the first call of a process takes longer, and may do more
        began = time.perf_counter()
        compute(timed, lengths[0])
        took.append(time.perf_counter() - began)
    first = dict(zip(lengths, groups, strict=True))
    of_one = {length: measure_flops(partial(compute, group[:1], length)) for length, group in first.items()}
    compressor.train(was_training)
    flops = [of_one[length] * len(group) for group, length in zip(groups, lengths, strict=True)]
    turns = sum(flops[::processes])  # of the first process, which has most groups
    return Cost(min(took[1:]) * turns / (of_one[lengths[0]] * len(timed)), sum(flops))


def cache_latents(
    autoencoder: Compresses,
    standardiser: Standardiser,
    states: TextStates,
    states_key: str,
    folder: Path,
    progress: Callable[[float], None] = lambda share: None,
    processes: Processes | None = None,
) -> tuple[Tensor, Cost]:
    """Clean raw latents of the texts whose states are given, float32 [n, N, C], memory-mapped from `latents.npy` in
    `folder` (`cosmos.data.array_cache`), and what computing them cost.

    Texts keep their order and are compressed in batches of fixed size, so that the bytes do not depend on a kill.

    Args:
        states_key: what the states are of, a hash.
        processes: that call this together; each compresses a part.

    Raises:
        UserError: the folder cannot be written, or what is there is damaged.
    """
    device = next(autoencoder.compressor.parameters()).device

    @torch.no_grad()
    def compute(group: Sequence[int]) -> list[Tensor]:
        index = torch.tensor(group)
        rows, mask = (part.to(device) for part in states.rows(index, states.longest_of(index)))
        return list(autoencoder.compress(standardiser(rows, mask), mask).float().cpu().split(1))

    def build(latents: Tensor, about: dict[str, Any]) -> tuple[Tensor, Cost]:
        assert len(latents) == len(states)
        return latents, Cost(about["seconds"], about["flops"])

    key = _key(autoencoder, standardiser, states_key)
    if not found_by_first(folder, "latents", key, processes):
        config = autoencoder.config
        layout = ArrayLayout([1] * len(states), (config.latents, config.latent_width), "<f4")
        groups = [group.tolist() for group in torch.arange(len(states)).split(_TEXTS_PER_BATCH)]
        compute_array(folder, "latents", key, layout, groups, compute, progress, {}, processes)
    return open_array(folder, "latents", build)
