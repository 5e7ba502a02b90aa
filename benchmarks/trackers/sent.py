"""What a tracker was told of a training, so that whoever takes the training up again says nothing twice.

It is kept in the run's folder as `trackers/TRACKER.ID.json`, and written before the tracker is told: a process that is
killed in between has lost a point there, and the logs still have it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.trackers.curves import CurvePoint
from cosmos.io.files import make_folder, read_json, write_json
from cosmos.io.typed_json import read_as

FOLDER = "trackers"
_REMEDY = "delete it, and the training begins a new entry of the tracker"


def state_file(run: Path, tracker: str, training: str) -> Path:
    return run / FOLDER / f"{tracker}.{training}.json"


def forget(run: Path, training: str) -> None:
    """Let a training that is made again have a new entry in every tracker."""
    for path in (run / FOLDER).glob(f"*.{training}.json"):
        path.unlink(missing_ok=True)


@dataclass
class Sent:
    """What was said.

    Attributes:
        entry: what the tracker knows the training by.
        begun: whether the tracker has an entry of it.
        offsets: stage -> steps of the stages before it, since a tracker's steps never go back.
        last: the largest of the tracker's steps.
        steps: "stage/name" -> the last step of that stage at which that number was said.
        values: what was said at the end, by name.
    """

    entry: str = field(default_factory=lambda: uuid.uuid4().hex)
    begun: bool = False
    offsets: dict[str, int] = field(default_factory=dict)
    last: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)

    def unsaid(self, point: CurvePoint) -> tuple[int, dict[str, float]]:
        """The tracker's step of a point, and those of its numbers that were not said yet; they count as said now."""
        step = self.offsets.setdefault(point.stage, self.last) + point.step
        new = {
            f"{point.stage}/{name}": value
            for name, value in point.values.items()
            if point.step > self.steps.get(f"{point.stage}/{name}", -1)
        }
        self.steps.update(dict.fromkeys(new, point.step))
        self.last = max(self.last, step)
        return step, new

    def unsaid_values(self, values: Mapping[str, float]) -> dict[str, float]:
        """Those of the last numbers that were not said yet, or are others now; they count as said now."""
        new = {name: value for name, value in values.items() if self.values.get(name) != value}
        self.values.update(new)
        return new


def read_sent(path: Path) -> Sent:
    """What was said; nothing where the file is not there.

    Raises:
        UserError: it is damaged.
    """
    return read_as(Sent, read_json(path, _REMEDY), str(path), _REMEDY) if path.exists() else Sent()


def write_sent(path: Path, sent: Sent) -> None:
    make_folder(path.parent)
    write_json(path, asdict(sent))
