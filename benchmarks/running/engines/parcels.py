"""Parts of a run's folder on their way between machines that share none."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from baselines.contract import UserError
from benchmarks.planning.plan import PlannedCell
from benchmarks.records import store
from benchmarks.records.files import StoreError
from benchmarks.running.runner import VOID, Stage
from cosmos.io.files import make_folder, saving, write_bytes

LOGS = "logs"  # of a run's folder: a file for each cell
_TEXTS = ("documents", "learnt", "tokenizers")


def packed(run: Path, names: Iterable[str]) -> bytes:
    """Files and folders of a run's folder, as far as they are there; in one order, without owners and times."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in _files(run, names):
            about = tarfile.TarInfo(str(path.relative_to(run)))
            about.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(about, content)
    return stream.getvalue()


def unpack(parcel: bytes, run: Path, cell_ids: Iterable[str] = ()) -> None:
    """Put what was packed into a run's folder, each file at once; what says that something is whole comes last.

    Args:
        cell_ids: cells that come back from who made more of them: what is void when a cell is made again (why it
            failed, its scores) and did not come with the rest of it is removed.

    Raises:
        UserError: a name leads out of the folder; or the disk is full.
    """
    with tarfile.open(fileobj=io.BytesIO(parcel)) as archive:
        members = archive.getmembers()
        came = {Path(member.name) for member in members}
        for cell_id in cell_ids:
            folder = store.cell_folder(Path(), cell_id)
            if any(folder in path.parents for path in came):
                _remove(run / folder / name for name in VOID if folder / name not in came)
        for member in sorted(members, key=lambda member: _says_whole(Path(member.name))):
            content = archive.extractfile(member)
            parts = Path(member.name).parts
            if content is None or not parts or ".." in parts or Path(member.name).is_absolute():
                raise UserError(f"What a worker sent holds {member.name!r}, which is no file of a run.")
            make_folder((run / member.name).parent, StoreError)
            write_bytes(run / member.name, content.read(), StoreError)


def names_for(stage: Stage, cells: Iterable[PlannedCell]) -> list[str]:
    """What a stage needs of a run's folder, and what it leaves there."""
    known = list(cells)
    names = [store.PLAN, *(f"cells/{planned.cell.id}" for planned in known)]
    names += [f"{LOGS}/{planned.cell.id}.log" for planned in known]
    if stage != "score":
        checkpoint = known[0].cell.checkpoint_id
        names += [f"checkpoints/{checkpoint}", f"checkpoints/{checkpoint}.json"]
    return [*names, *_TEXTS]


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with saving(path, StoreError):
            path.unlink(missing_ok=True)


def _files(run: Path, names: Iterable[str]) -> Iterator[Path]:
    with saving(run, StoreError):
        for name in names:
            path = run / name
            found = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (
                each for each in found if each.is_file() and not each.is_symlink() and ".partial" not in str(each)
            )


def _says_whole(path: Path) -> bool:
    """Whether a file says of others that they are whole: a cell's header, and what stands beside a checkpoint."""
    return path.name == store.HEADER or (path.parts[0] == "checkpoints" and len(path.parts) == 2)
