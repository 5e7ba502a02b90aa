"""Training logs, read while they are written: the lines that have come since the last look.

A log is a file `STAGE.jsonl` of JSON lines with a "step", a "share" of the budget and any numbers, as
`cosmos.training.loop` leaves them below a checkpoint's folder. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NOT_CURVES = ("step", "share")


@dataclass(frozen=True)
class CurvePoint:
    """What one line of a log says: numbers by their names, at a step of a stage."""

    stage: str
    step: int
    values: Mapping[str, float]


@dataclass
class LogReader:
    """The logs below a folder, each read on from where the last look ended."""

    folder: Path
    _read: dict[Path, int] = field(default_factory=dict)  # bytes of whole lines

    def new(self) -> Iterator[CurvePoint]:
        """The points that have come since, stage by stage, that which was written to last at the end."""
        logs = [path for path in sorted(self.folder.rglob("*.jsonl")) if path.is_file()]
        for path in sorted(logs, key=lambda path: path.stat().st_mtime):
            for line in self._lines(path):
                point = _point(path.stem, line)
                if point is not None:
                    yield point

    def _lines(self, path: Path) -> list[bytes]:
        """The whole lines that have come; all of them again where the log was cut, as when training goes on."""
        begun = self._read.get(path, 0)
        with path.open("rb") as file:
            if file.seek(0, 2) < begun:
                begun = 0
            file.seek(begun)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read[path] = begun + len(whole)
        return whole.splitlines()


def _point(stage: str, line: bytes) -> CurvePoint | None:
    """What a line says; None where it is no line of such a log, or has no number."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int) or "share" not in row:
        return None
    values = {
        name: float(value)
        for name, value in row.items()
        if name not in _NOT_CURVES and isinstance(value, int | float) and math.isfinite(value)
    }
    return CurvePoint(stage, row["step"], values) if values else None
