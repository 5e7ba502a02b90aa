"""Which files under a folder are records: those of runs, of published runs, and pytest-benchmark's JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from baselines.contract import UserError
from benchmarks.records import store
from benchmarks.records.archive import RECORDS, Unpacked, unpacked

MICRO_FOLDER = ".benchmarks"  # where pytest-benchmark keeps what `--benchmark-autosave` and `--benchmark-save` write
_HIDDEN = "."


@dataclass
class Files:
    """Paths by what they hold. Those of cells begin with the folder of the run.

    Attributes:
        micro: JSON files that may be pytest-benchmark's; what is in them says.
        links: how many symbolic links were not followed.
        places: folder of what was unpacked from an archive -> where the archive lies.
    """

    runs: int = 0
    headers: list[str] = field(default_factory=list)
    scores: list[str] = field(default_factory=list)
    timings: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    micro: list[str] = field(default_factory=list)
    links: int = 0
    places: dict[str, str] = field(default_factory=dict)

    def named(self, text: str) -> str:
        """The path of a run, as if archives were unpacked where they lie."""
        for unpacked_at, place in self.places.items():
            text = text.replace(unpacked_at, place)
        return text

    def told(self, sentence: str) -> str:
        """A sentence on what is wrong in a file, with the archive in place of where it lies unpacked."""
        for unpacked_at, place in self.places.items():
            sentence = Unpacked(Path(place) / RECORDS, Path(unpacked_at)).named(sentence)
        return sentence


def files_under(folder: Path) -> Files:
    """All files of records under a folder, in the order of their names.

    Raises:
        UserError: there is no such folder, it cannot be read, or it holds no record of any kind.
    """
    if not folder.exists():
        raise UserError(f"{folder} is not there; name a folder with runs below it.")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder with runs below it.")
    found = Files()
    pending = [str(folder)]
    while pending:
        here = pending.pop()
        entries = _entries(here)
        names = {entry.name for entry in entries}
        if store.PLAN in names:
            found.runs += 1
            _add_cells(here, found)
            continue
        for entry in entries:
            if entry.is_symlink():
                found.links += 1
            elif entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(_HIDDEN) or entry.name == MICRO_FOLDER:
                    pending.append(entry.path)
            elif entry.name == RECORDS:
                home = str(unpacked(Path(entry.path)))
                found.places[home] = here
                pending.append(home)
            elif entry.name.endswith(".json"):
                found.micro.append(entry.path)
    if not found.headers and not found.micro:
        raise UserError(f"{folder} holds no run yet; make one with `python -m benchmarks run --task TASK`.")
    return found


def _add_cells(run: str, found: Files) -> None:
    kinds = {
        store.HEADER: found.headers, store.SCORES: found.scores, store.TIMINGS: found.timings,
        store.SAMPLES: found.samples,
    }  # fmt: skip
    cells = os.path.join(run, "cells")
    for cell in _entries(cells) if os.path.isdir(cells) else ():
        if cell.is_symlink():
            found.links += 1
        elif store.ID.fullmatch(cell.name) and cell.is_dir(follow_symlinks=False):
            for entry in _entries(cell.path):
                if entry.name in kinds and entry.is_file(follow_symlinks=False):
                    kinds[entry.name].append(entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(_readable(entries), key=lambda entry: entry.name)
    except FileNotFoundError:  # deleted meanwhile
        return []
    except OSError as error:
        raise UserError(f"Cannot read the folder {folder} ({error.strerror or error}).") from error


def _readable(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """Names that are no text in UTF-8 are not ours."""
    for entry in entries:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            continue
        yield entry
