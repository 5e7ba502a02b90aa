"""Latents of training texts, computed once: the autoencoder is frozen while the denoiser trains, so they never change.

    latents.npy     float32 [n, N, C], complete as soon as it has this name; memory-mapped
    latents.json    key (hash of the autoencoder's weights and of the states), what it cost

Axis legend in `cosmos.models.blocks`; n is the number of texts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cosmos.config import AutoencoderConfig
from cosmos.data.state_cache import CachedStates
from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, read_json, remove_leftovers, replacing, saving, write_json
from cosmos.models.autoencoder import Compressor
from cosmos.models.standardiser import Standardiser
from cosmos.runtime.flops import measure_flops

_TEXTS_PER_BATCH = 512


@dataclass(frozen=True)
class CachedLatents:
    """Raw latents on disk, and what computing them cost."""

    latents: Tensor  # float32 [n, N, C], memory-mapped
    seconds: float
    flops: float

    def __len__(self) -> int:
        return len(self.latents)

    def chunks(self) -> Iterator[Tensor]:
        """All latents in order, [<= chunk, N, C]."""
        yield from self.latents.split(_TEXTS_PER_BATCH)


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


def cache_latents(
    autoencoder: Compresses,
    standardiser: Standardiser,
    states: CachedStates,
    states_key: str,
    folder: Path,
    progress: Callable[[float], None] = lambda share: None,
) -> CachedLatents:
    """Clean latents of the texts whose states are given, from `folder` if they are there already.

    Texts keep their order and are compressed in batches of fixed size, so that the bytes do not depend on a kill.

    Args:
        states_key: what the states are of, a hash.

    Raises:
        UserError: the folder cannot be written, or what is there is damaged.
    """
    key = _key(autoencoder, standardiser, states_key)
    about, path = folder / "latents.json", folder / "latents.npy"
    if not (about.exists() and path.exists() and read_json(about).get("key") == key):
        _compute(autoencoder, standardiser, states, folder, key, progress)
    costs = read_json(about)
    try:
        latents = torch.from_numpy(np.load(path, mmap_mode="c"))  # copy on write: torch wants memory it could write to
        assert len(latents) == len(states)
        return CachedLatents(latents, costs["seconds"], costs["flops"])
    except (OSError, ValueError, KeyError, AssertionError) as error:
        raise UserError(f"The cached latents in {folder} are damaged; delete that folder and run again.") from error


def _compute(
    autoencoder: Compresses,
    standardiser: Standardiser,
    states: CachedStates,
    folder: Path,
    key: str,
    progress: Callable[[float], None],
) -> None:
    started, flops = time.perf_counter(), 0.0
    device = next(autoencoder.compressor.parameters()).device
    make_folder(folder)
    path = folder / "latents.npy"
    remove_leftovers(path)
    shape = (len(states), autoencoder.config.latents, autoencoder.config.latent_width)
    with saving(path):
        (folder / "latents.json").unlink(missing_ok=True)  # it would speak of latents that are about to be replaced
        with replacing(path) as fresh, fresh.open("wb") as file:
            np.lib.format.write_array_header_2_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for index in torch.arange(len(states)).split(_TEXTS_PER_BATCH):
                rows, mask = states.rows(index, int(states.lengths[index].max()))
                latents, cost = _computed(autoencoder, standardiser, rows.to(device), mask.to(device))
                flops += cost
                file.write(latents.float().cpu().contiguous().numpy().tobytes())
                progress(int(index[-1] + 1) / len(states))
    write_json(folder / "latents.json", {"key": key, "seconds": time.perf_counter() - started, "flops": flops})


@torch.no_grad()
def _computed(autoencoder: Compresses, standardiser: Standardiser, rows: Tensor, mask: Tensor) -> tuple[Tensor, float]:
    """Raw latents of some texts, and the FLOPs they took."""
    latents: list[Tensor] = []
    flops = measure_flops(lambda: latents.append(autoencoder.compress(standardiser(rows, mask), mask)))
    return latents[0], flops
