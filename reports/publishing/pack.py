"""A run's records as one small archive, without what is heavy or can be made again; the same bytes for the same run."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from baselines.contract import UserError
from benchmarks.records.archive import RECORDS
from benchmarks.records.dataframes import read_run
from cosmos.io.files import make_folder, write_bytes

LEFT_OUT = ("checkpoints", "report", "learnt", "compiled")
"""Folders of a run that are not published: weights, what reports are made of again, texts learnt from."""


def pack(run: Path, folder: Path) -> Path:
    """Write the archive of a run into a folder and return its path.

    Raises:
        UserError: there is no run, it is damaged, or has a cell that is not done, or the folder cannot be written to.
    """
    unfinished = [r.header.cell.system for r in read_run(run).records if r.header.status != "done"]
    if unfinished:
        raise UserError(f"{run} has cells without a result ({', '.join(unfinished)}); run its command again first.")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz", preset=9) as packed:
        for path in sorted(path for path in run.rglob("*") if path.is_file()):
            place = path.relative_to(run)
            hidden = any(part.startswith(".") or part.endswith(".txt") for part in place.parts)
            fits = place.parts[0] not in LEFT_OUT or (place.parts[0] == "checkpoints" and len(place.parts) == 2)
            if fits and not hidden:
                data = path.read_bytes()
                member = tarfile.TarInfo(place.as_posix())
                member.size = len(data)
                packed.addfile(member, io.BytesIO(data))
    make_folder(folder)
    write_bytes(folder / RECORDS, out.getvalue())
    return folder / RECORDS
