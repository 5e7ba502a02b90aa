"""Pack a run as the baseline that this project is gated by: records and test documents, no more.

python tests/baseline/pack.py runs/baseline
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

from benchmarks.records import store

HERE = Path(__file__).parent
KEPT = (store.HEADER, store.SAMPLES, store.TIMINGS, store.SCORES)


def pack(run: Path, archive: Path) -> None:
    """Write the records of a run's cells, with its plan and its test documents."""
    headers = store.read_headers(run)
    files = [run / store.PLAN, *sorted((run / "documents").iterdir())]
    files += [store.cell_folder(run, header.cell.id) / name for header in headers for name in KEPT]
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for path in files:
            packed.add(path, Path("baseline") / path.relative_to(run), filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what says whose file it was and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    pack(Path(sys.argv[1]), HERE / "records.tar.xz")
