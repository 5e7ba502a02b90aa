"""Where runs lie: in a folder, in folders below it, and packed as they are published, in `records.tar.xz`.

Standard library only. What an archive holds is kept unpacked in the user's cache, under the archive's hash. Whoever
reads there reads within `named`, so that errors name the archive, which is what the user gave.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from baselines.contract import UserError
from benchmarks.records import seals
from benchmarks.records.files import StoreError
from benchmarks.records.store import PLAN
from cosmos.io.files import cache_folder, make_folder

RECORDS = "records.tar.xz"
_REMEDY = re.compile(r"; [^;]*\b(?:again|delete|restore)\b[^;]*\.$")  # what cannot be done within an archive


@dataclass(frozen=True)
class Unpacked:
    """An archive, and the folder in the cache that holds what was in it."""

    archive: Path
    folder: Path

    def named(self, text: str) -> str:
        """A sentence with the archive's name in place of the folder's, and with what is to be done to an archive."""
        if str(self.folder) not in text:
            return text
        said = text.replace(str(self.folder), str(self.archive))
        return _REMEDY.sub(f"; restore {self.archive} from a copy.", said)


@dataclass(frozen=True)
class FoundRun:
    """A run's folder, and the name by which a reader knows it: that of its place on disk, unpacked or not.

    Attributes:
        origin: what it was unpacked from; None where it lies in a folder.
    """

    name: str
    folder: Path
    origin: Unpacked | None = None

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors within it name the archive, not where it lies unpacked."""
        try:
            yield
        except UserError as error:
            if self.origin is None:
                raise
            raise UserError(self.origin.named(str(error))) from error


def found_runs(place: Path) -> list[FoundRun]:
    """The runs at a place, which is a run, an archive, or a folder with some of either anywhere below it; or what would
    be such a folder if the archive above it were unpacked where it lies.

    They are in the order of their names. What an archive holds is left out where it lies unpacked beside it. Links are
    not followed.

    Raises:
        UserError: there is nothing at the place, no run, or an archive that is damaged.
    """
    folders, archives = ([], [place]) if place.is_file() else _below(place) if place.exists() else ([], [])
    found = {str(folder): FoundRun(str(folder), folder) for folder in folders}
    for archive in archives:
        found = {**_packed(archive), **found}
    if not found and (above := _above(place)) is not None:
        found = {name: run for name, run in _packed(above).items() if Path(name).is_relative_to(place)}
    if not found and not place.exists():
        raise UserError(f"There is nothing at {place}; name a run's folder, or one that holds runs.")
    if not found:
        raise UserError(f"{place} holds no run; `python -m benchmarks run --task TASK --out {place}` makes one.")
    return [run for _, run in sorted(found.items())]


def found_run(place: Path) -> FoundRun:
    """The one run at a place; where there is none, a run of this folder, for whoever reads it to say what is not there.

    Raises:
        UserError: an archive is damaged, or the place is no run and holds several.
    """
    if (place / PLAN).exists() or not (place.is_file() or (place / RECORDS).is_file() or _above(place)):
        return FoundRun(str(place), place)
    runs = found_runs(place)
    if len(runs) > 1:
        raise UserError(f"{place} holds several runs; name one of {', '.join(run.name for run in runs)}.")
    return runs[0]


def _packed(archive: Path) -> dict[str, FoundRun]:
    """The runs in an archive, by their names."""
    inside = unpacked(archive)
    named = {str(archive.parent / folder.relative_to(inside)): folder for folder in _below(inside)[0]}
    return {name: FoundRun(name, folder, Unpacked(archive, inside)) for name, folder in named.items()}


def _above(place: Path) -> Path | None:
    """The nearest archive in the folders above a place."""
    return next((folder / RECORDS for folder in place.parents if (folder / RECORDS).is_file()), None)


def unpacked(archive: Path) -> Path:
    """The folder with what an archive holds.

    Raises:
        UserError: it cannot be read, is no archive, is damaged, or would write outside of its folder.
    """
    refused = f"{archive} is no archive of records, or is damaged; restore it from a copy."
    try:
        home = cache_folder() / "records" / str(seals.file_sha256(archive))[:16]
    except OSError as error:
        raise UserError(refused) from error
    if home.is_dir():
        return home
    partial = home.with_name(f"{home.name}.{os.getpid()}")
    make_folder(partial, StoreError)
    try:
        with tarfile.open(archive) as packed:
            _extract(packed, partial)
        partial.rename(home)
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if home.is_dir():  # another process was faster
            return home
        raise UserError(refused) from error
    return home


def _extract(packed: tarfile.TarFile, folder: Path) -> None:
    """Write nothing outside the folder, no devices, no odd permissions.

    The first releases of Python 3.11 have no filters: there, whatever is neither a file nor a folder is refused.
    """
    if hasattr(tarfile, "data_filter"):
        packed.extractall(folder, filter="data")
        return
    for member in packed.getmembers():
        inside = (folder / member.name).resolve().is_relative_to(folder.resolve())
        if not inside or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name} is not a file or folder of the archive's own")
    packed.extractall(folder)


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
