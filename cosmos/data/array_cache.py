"""Arrays on disk with some rows for each text, computed a group of texts at a time, in any order.

NAME.npy             complete as soon as it has this name; read through a memory map
NAME.json            key (a hash of all that the rows depend on), what they cost, what else is noted, and the SHA-256 of
                     the array; sealed
NAME.npy.partial     work begun
NAME.partial.json    how much of it is done, and the SHA-256 of that in the order of computing; sealed

What a process finds that did not compute it is verified before it is used. Processes that train together deal out the
groups among them, and the first writes what all compute: the bytes are those of one.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from cosmos.io import seals
from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, saving
from cosmos.io.typed_json import read_as
from cosmos.runtime.flops import measure_flops
from cosmos.training.distributed import Processes

_AGAIN = "delete its folder and run again"
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
    sha256: str = ""


def open_array(folder: Path, name: str, build: Callable[[Tensor, dict[str, Any]], Cached]) -> Cached:
    """`build(array, what is noted of it)`.

    Raises:
        UserError: it is missing or damaged, or `build` does not find what it needs.
    """
    about = _about(folder, name)
    try:
        values = np.load(folder / f"{name}.npy", mmap_mode="c")  # copy on write: torch wants memory it could write to
        return build(torch.from_numpy(values), about)
    except (OSError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise UserError(f"The cached {name} in {folder} are damaged; delete that folder and run again.") from error


def has_array(folder: Path, name: str, key: str) -> bool:
    """Whether an array of that key is there, whole.

    Raises:
        UserError: it is there, and damaged or changed.
    """
    path = folder / f"{name}.npy"
    if not (folder / f"{name}.json").exists() or not path.exists():
        return False
    about = _about(folder, name)
    if about.get("key") != key:
        return False
    if "sha256" in about:  # those of earlier versions do without
        seals.check_files(folder, {path.name: about["sha256"]}, _AGAIN)
    return True


def found_by_first(folder: Path, name: str, key: str, processes: Processes | None) -> bool:
    """`has_array`, as the first of several processes finds it, which reads the whole file."""
    if processes is None or processes.count == 1:
        return has_array(folder, name, key)
    return processes.told(has_array(folder, name, key) if processes.rank == 0 else False)


def _about(folder: Path, name: str) -> dict[str, Any]:
    return seals.read_sealed(folder / f"{name}.json", _AGAIN, wanted=False)


Compute = Callable[[Sequence[int]], Sequence[Tensor]]
"""The rows of each text of a group."""


def compute_array(
    folder: Path,
    name: str,
    key: str,
    layout: ArrayLayout,
    groups: Sequence[Sequence[int]],
    compute: Compute,
    progress: Callable[[float], None],
    notes: Mapping[str, Any],
    processes: Processes | None = None,
) -> None:
    """Compute an array in place of what is there. Killed and called again, it goes on with the groups that are missing.

    Args:
        processes: that call this together, if there are several.

    Raises:
        UserError: the folder cannot be written.
    """
    if processes is not None and processes.rank > 0:
        for _ in _computed(groups[processes.told(0) :], compute, processes):
            pass
        processes.wait()
        return
    path, partial = folder / f"{name}.npy", folder / f"{name}.npy.partial"
    about, begun = folder / f"{name}.json", folder / f"{name}.partial.json"
    make_folder(folder)
    done = _Done(key)
    if begun.exists() and partial.exists() and (stored := seals.read_sealed(begun, _AGAIN)).get("key") == key:
        done = read_as(_Done, stored, str(begun), _AGAIN)
    with saving(path):
        about.unlink(missing_ok=True)  # it would speak of rows that are about to be replaced
        with partial.open("r+b" if done.groups else "w+b") as file:
            shape = (sum(layout.lengths), *layout.row)
            np.lib.format.write_array_header_2_0(file, {"descr": layout.dtype, "fortran_order": False, "shape": shape})
            size = math.prod(layout.row) * np.dtype(layout.dtype).itemsize
            places = [file.tell() + size * start for start in accumulate(layout.lengths, initial=0)]
            hashed = hashlib.sha256()
            for text in (text for group in groups[: done.groups] for text in group):
                file.seek(places[text])
                hashed.update(file.read(size * layout.lengths[text]))
            if done.groups and hashed.hexdigest() != done.sha256:
                raise seals.changed(partial, _AGAIN)
            earlier, flops = done.seconds, done.flops
            started = saved = time.perf_counter()
            left = groups[done.groups if processes is None else processes.told(done.groups) :]
            for number, (group, spent, computed) in enumerate(_computed(left, compute, processes), done.groups + 1):
                flops += spent
                for text, rows in zip(group, computed, strict=True):
                    # Written, not mapped: a full disk is then an error and not a signal that ends the process.
                    file.seek(places[text])
                    content = rows.tobytes()
                    file.write(content)
                    hashed.update(content)
                progress(number / len(groups))
                now = time.perf_counter()
                if number == len(groups) or now - saved > _SAVE_SECONDS:
                    file.flush()
                    os.fsync(file.fileno())
                    saved, done = now, _Done(key, number, earlier + now - started, flops, hashed.hexdigest())
                    seals.write_sealed(begun, asdict(done))
        sha256 = seals.file_sha256(partial)
        partial.replace(path)
        seals.write_sealed(about, {**asdict(done), **notes, "sha256": sha256})
        begun.unlink(missing_ok=True)
    if processes is not None:
        processes.wait()


def _computed(
    groups: Sequence[Sequence[int]], compute: Compute, processes: Processes | None
) -> Iterator[tuple[Sequence[int], float, list[np.ndarray]]]:
    """Each group with the FLOPs of computing it and its texts' rows, in order; of several processes, to the first."""

    def of(group: Sequence[int]) -> tuple[Sequence[int], float, list[np.ndarray]]:
        computed: list[Tensor] = []
        flops = measure_flops(lambda: computed.extend(compute(group)))
        return group, flops, [rows.cpu().numpy() for rows in computed]

    if processes is None:
        yield from map(of, groups)
        return
    for start in range(0, len(groups), processes.count):
        own = groups[start : start + processes.count][processes.rank : processes.rank + 1]
        for found in processes.gathered([of(group) for group in own]):
            yield from found
