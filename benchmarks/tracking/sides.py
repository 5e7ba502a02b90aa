"""One side of a comparison: from the words of a user to the records they mean.

A side is a run's folder, a folder with runs somewhere below it, published records (`records.tar.xz`, or a folder that
holds some), a git commit whose runs lie below a folder, or any of these with `:SYSTEM` or `:SYSTEM/SETTING` behind it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baselines.contract import UserError, unknown
from benchmarks.records import store
from benchmarks.records.archive import FoundRun, found_runs
from benchmarks.records.machine_class import machine_class
from benchmarks.records.schema import Header, Record
from benchmarks.tracking.schema import ComparedSide
from cosmos.io.counting import agreeing, counted

BELOW = "runs"  # where the runs of a commit are looked for
_HASH = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class StoredCell:
    """A cell that is done, and the run that holds it."""

    found: FoundRun
    record: Record

    @property
    def run(self) -> Path:
        """Where the files of the run are: of one in an archive, where it lies unpacked, which no reader need know."""
        return self.found.folder

    @property
    def header(self) -> Header:
        return self.record.header


@dataclass(frozen=True)
class Side:
    """What is compared: the user's words for it, its cells, and what is to be said of it.

    Attributes:
        systems: those that the user named; none if all are meant.
        notes: what was left out, a sentence each.
        undone: the headers of cells that were begun and are not done.
    """

    text: str
    cells: tuple[StoredCell, ...]
    systems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    undone: tuple[Header, ...] = ()

    @property
    def about(self) -> ComparedSide:
        """The side as a comparison says it."""
        headers = [cell.header for cell in self.cells]
        return ComparedSide(
            text=self.text,
            folders=tuple(dict.fromkeys(cell.found.name for cell in self.cells)),
            commits=tuple(dict.fromkeys(header.commit or "unknown" for header in headers)),
            dirty=any(bool(header.dirty) for header in headers),
            machines=tuple(dict.fromkeys(str(machine_class(header)) for header in headers)),
            cells=len(self.cells),
        )


def read_side(text: str, below: Path = Path(BELOW), *, none_done: bool = False) -> Side:
    """The side that a user's words mean.

    Args:
        below: where the runs of a commit are looked for, at any depth.
        none_done: whether runs of which no cell is done are a side too, one without cells.

    Raises:
        UserError: nothing is there, it is damaged, no cell of it is done, or the words mean nothing.
    """
    if not text.strip() or "\0" in text:
        raise UserError("A side of a comparison is empty; name a run's folder, a git commit, or RUN:SYSTEM.")
    if not Path(text).exists() and ":" in text:
        base, _, narrow = text.rpartition(":")
        return _some(_narrowed(read_side(base, below, none_done=none_done), text, narrow), none_done)
    path = Path(text)
    if path.exists():
        cells, undone, notes = _done(found_runs(path), text)
    else:
        cells, undone, notes = _of_commit(text, below)
    kept = _latest(cells)
    older = len(cells) - len(kept)
    records, are = counted(older, "older record"), agreeing(older, "is", "are")
    said = (f"{records} of the same cells {are} left out.",) if older else ()
    return _some(Side(text, kept, notes=(*notes, *said), undone=undone), none_done)


def _some(side: Side, none_done: bool) -> Side:
    """A side that has cells, unless none is wanted."""
    if not side.cells and not none_done:
        raise UserError(f"No cell of {side.text} is done; finish the run first.")
    return side


_Read = tuple[list[StoredCell], tuple[Header, ...], tuple[str, ...]]


def _done(runs: Iterable[FoundRun], text: str) -> _Read:
    """The cells of runs that are done, the headers of those that are not, and a note on these."""
    cells = []
    for run in runs:
        with run.named():
            cells += [StoredCell(run, record) for record in store.read_run(run.folder)]
    done = [cell for cell in cells if cell.header.status == "done"]
    undone = tuple(cell.header for cell in cells if cell.header.status != "done")
    notes = (_left_out(len(undone), text),) if undone else ()
    return done, undone, notes


def _left_out(undone: int, text: str) -> str:
    are = agreeing(undone, "is", "are")
    return f"{counted(undone, 'cell')} of {text} {are} not done, and {are} left out."


def _of_commit(text: str, below: Path) -> _Read:
    """The cells that were made by the code of a commit, from all runs below a folder."""
    commit = _resolved(text)
    if commit is None:
        raise UserError(f"{text} is neither a folder nor a git commit; name a run's folder, a commit, or RUN:SYSTEM.")
    if not below.is_dir():
        raise UserError(f"{below} is no folder, and the runs of the commit {text} are looked for below it.")
    headers = []
    for run in found_runs(below):
        with run.named():
            headers += [(run, header) for header in store.read_headers(run.folder)]
    ours = [(run, header) for run, header in headers if (header.commit or "").startswith(commit)]
    if not ours:
        known = sorted({header.commit[:10] for _, header in headers if header.commit})
        said = f"; there are runs of {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}" if known else ""
        raise UserError(f"No run below {below} was made by the commit {text}{said}.")
    if len({header.commit for _, header in ours}) > 1:
        raise UserError(f"Several commits of runs below {below} begin with {text}; give more of it.")
    done = [(run, header) for run, header in ours if header.status == "done"]
    clean = [(run, header) for run, header in done if not header.dirty]
    read = []
    for run, each in clean or done:
        with run.named():
            read.append(StoredCell(run, store.read_cell(store.cell_folder(run.folder, each.cell.id))))
    notes = []
    undone = tuple(header for _, header in ours if header.status != "done")
    if undone:
        notes.append(_left_out(len(undone), text))
    if clean and len(clean) < len(done):
        dirty = len(done) - len(clean)
        are = agreeing(dirty, "is", "are")
        notes.append(f"{counted(dirty, 'cell')} of {text} with uncommitted changes {are} left out.")
    elif done and not clean:
        notes.append(f"All cells of {text} were made with uncommitted changes, which its hash does not tell of.")
    return read, undone, tuple(notes)


def _resolved(text: str) -> str | None:
    """A commit's hash, whole where git knows it; None where the words are no commit."""
    if text.startswith("-"):
        return None
    command = ["git", "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done is not None and done.returncode == 0:
        return done.stdout.strip()
    return text if _HASH.fullmatch(text) else None


def _latest(cells: Sequence[StoredCell]) -> tuple[StoredCell, ...]:
    """Of several records of one cell the one that was made last."""
    kept: dict[tuple[str, str], StoredCell] = {}
    for cell in cells:
        key = (cell.header.cell.id, cell.header.entry_id)
        if key not in kept or (cell.header.finished or "") > (kept[key].header.finished or ""):
            kept[key] = cell
    return tuple(kept.values())


def _narrowed(side: Side, text: str, narrow: str) -> Side:
    """One system of a side, or one setting of it."""
    system, slash, setting = narrow.partition("/")
    begun = [*(cell.header for cell in side.cells), *side.undone]
    systems = {header.cell.system for header in begun}
    if system not in systems:
        raise unknown(f"system of {side.text}", system, systems)
    settings = {header.cell.setting for header in begun if header.cell.system == system}
    if slash and setting not in settings:
        raise unknown(f"setting of {system} in {side.text}", setting, settings)

    def meant(header: Header) -> bool:
        return header.cell.system == system and (not slash or header.cell.setting == setting)

    cells = tuple(cell for cell in side.cells if meant(cell.header))
    undone = tuple(header for header in side.undone if meant(header))
    return replace(side, text=text, cells=cells, systems=(system,), undone=undone)
