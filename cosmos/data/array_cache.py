"""Arrays on disk with some rows for each text, computed a group of texts at a time, in any order.

NAME.npy             complete as soon as it has this name; read through a memory map
NAME.json            key (a hash of all that the rows depend on), what they cost, and what else is noted
NAME.npy.partial     work begun
NAME.partial.json    how much of it is done
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, read_json, saving, write_json
from cosmos.io.typed_json import read_as
from cosmos.runtime.flops import measure_flops

_SAVE_SECONDS = 10.0  # longest work that a kill can lose
Cached = TypeVar("Cached")


@dataclass(frozen=True)
class ArrayLayout:
    """What lies in the file: `lengths` rows for each text, each of a shape, as numbers of a numpy dtype."""

    lengths: Sequence[int]
    row: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class _Done:
    """How much has been computed, and what it cost over all attempts."""

    key: str
    groups: int = 0
    seconds: float = 0.0
    flops: float = 0.0


def open_array(folder: Path, name: str, build: Callable[[Tensor, dict[str, Any]], Cached]) -> Cached:
    """`build(array, what is noted of it)`.

    Raises:
        UserError: it is missing or damaged, or `build` does not find what it needs.
    """
    about = read_json(folder / f"{name}.json")
    try:
        values = np.load(folder / f"{name}.npy", mmap_mode="c")  # copy on write: torch wants memory it could write to
        return build(torch.from_numpy(values), about)
    except (OSError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise UserError(f"The cached {name} in {folder} are damaged; delete that folder and run again.") from error


def has_array(folder: Path, name: str, key: str) -> bool:
    about = folder / f"{name}.json"
    return about.exists() and (folder / f"{name}.npy").exists() and read_json(about).get("key") == key


def compute_array(
    folder: Path,
    name: str,
    key: str,
    layout: ArrayLayout,
    groups: Sequence[Sequence[int]],
    compute: Callable[[Sequence[int]], Sequence[Tensor]],
    progress: Callable[[float], None],
    notes: Mapping[str, Any],
) -> None:
    """Compute an array in place of what is there. Killed and called again, it goes on with the groups that are missing.

    Args:
        compute: the rows of each text of a group.

    Raises:
        UserError: the folder cannot be written.
    """
    path, partial = folder / f"{name}.npy", folder / f"{name}.npy.partial"
    about, begun = folder / f"{name}.json", folder / f"{name}.partial.json"
    make_folder(folder)
    done = _Done(key)
    if begun.exists() and partial.exists() and (stored := read_json(begun)).get("key") == key:
        done = read_as(_Done, stored, str(begun), "delete that folder and run again")
    with saving(path):
        about.unlink(missing_ok=True)  # it would speak of rows that are about to be replaced
        with partial.open("r+b" if done.groups else "w+b") as file:
            shape = (sum(layout.lengths), *layout.row)
            np.lib.format.write_array_header_2_0(file, {"descr": layout.dtype, "fortran_order": False, "shape": shape})
            size = math.prod(layout.row) * np.dtype(layout.dtype).itemsize
            places = [file.tell() + size * start for start in accumulate(layout.lengths, initial=0)]
            earlier, flops = done.seconds, done.flops
            started = saved = time.perf_counter()
            for number, group in enumerate(groups[done.groups :], done.groups + 1):
                computed: list[Tensor] = []
                flops += measure_flops(lambda group=group, computed=computed: computed.extend(compute(group)))
                for text, rows in zip(group, computed, strict=True):
                    # Written, not mapped: a full disk is then an error and not a signal that ends the process.
                    file.seek(places[text])
                    file.write(rows.cpu().numpy().tobytes())
                progress(number / len(groups))
                now = time.perf_counter()
                if number == len(groups) or now - saved > _SAVE_SECONDS:
                    file.flush()
                    os.fsync(file.fileno())
                    saved, done = now, _Done(key, number, earlier + now - started, flops)
                    write_json(begun, asdict(done))
        partial.replace(path)
        write_json(about, {**asdict(done), **notes})
        begun.unlink(missing_ok=True)
