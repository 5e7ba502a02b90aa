"""Where runs lie: in a folder, in folders below it, and packed as they are published, in `records.tar.xz`.

Standard library only. An archive is unpacked into a folder that is gone when the reading is over.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from baselines.contract import UserError
from benchmarks.records.store import PLAN

RECORDS = "records.tar.xz"


@dataclass(frozen=True)
class FoundRun:
    """A run's folder, and the name by which a reader knows it: that of its place on disk, unpacked or not."""

    name: str
    folder: Path


@contextmanager
def found_runs(place: Path) -> Iterator[list[FoundRun]]:
    """The runs at a place, which is a run, an archive, or a folder with some of either anywhere below it.

    They are in the order of their names. What an archive holds is left out where it lies unpacked beside it. Links are
    not followed.

    Raises:
        UserError: there is nothing at the place, no run, or an archive that is damaged.
    """
    if not place.exists():
        raise UserError(f"There is nothing at {place}; name a run's folder, or one that holds runs.")
    folders, archives = ([], [place]) if place.is_file() else _below(place)
    with tempfile.TemporaryDirectory(prefix="cosmos-bench-") as scratch:
        found = {str(folder): folder for folder in folders}
        for number, archive in enumerate(archives):
            unpacked = Path(scratch) / str(number)
            _unpack(archive, unpacked)
            for folder in _below(unpacked)[0]:
                found.setdefault(str(archive.parent / folder.relative_to(unpacked)), folder)
        if not found:
            raise UserError(f"{place} holds no run; `python -m benchmarks run --task TASK --out {place}` makes one.")
        yield [FoundRun(name, folder) for name, folder in sorted(found.items())]


def _below(place: Path) -> tuple[list[Path], list[Path]]:
    """The folders of runs and the archives at or below a folder; nothing is looked for within a run."""

    def refuse(error: OSError) -> NoReturn:
        raise UserError(f"Cannot read {error.filename} ({error.strerror or error}).") from error

    folders, archives = [], []
    for name, below, files in os.walk(place, onerror=refuse):
        below.sort()
        if PLAN in files:
            folders.append(Path(name))
            below.clear()
        elif RECORDS in files:
            archives.append(Path(name) / RECORDS)
    return folders, archives


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")  # nothing outside the folder, no devices, no odd permissions
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise UserError(f"{archive} is no archive of records, or is damaged; restore it from a copy.") from error
