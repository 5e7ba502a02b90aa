"""Telling a tracker, as seen by the process that trains: it starts another one that follows the logs, and waits for it
only between trainings. So no byte of a training, and nothing that is timed, depends on a tracker.

What goes wrong with a tracker ends no run: that is said in one sentence, and everything is in the records all the same.
Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks.planning.plan_file import leaves
from benchmarks.records import store
from benchmarks.records.files import StoreError
from benchmarks.records.schema import Cell
from benchmarks.trackers.sent import FOLDER
from cosmos.io.files import make_folder, saving

ANSWER_SECONDS = 120.0  # how long a tracker may take to begin, or to end, an entry
_ROOT = Path(benchmarks.__file__).parents[1]


@dataclass(frozen=True)
class Trackable:
    """A training that a tracker is told of: its id, what it is called, where its logs are, and what was asked."""

    id: str
    name: str
    folder: str
    config: Mapping[str, str | int | float]

    @classmethod
    def of(cls, run: Path, cell: Cell) -> Trackable:
        """The training that a cell needs."""
        told = {name: value for name, value in cell.training_inputs.items() if name not in ("data", "recipe")}
        told |= dict(leaves("data", cell.data)) | dict(leaves("recipe", cell.recipe))
        config = {key: value if isinstance(value, str | int | float) else str(value) for key, value in told.items()}
        name = f"{cell.task} {cell.system} {cell.preset} seed {cell.seed}"
        folder = store.checkpoint_folder(run, cell.checkpoint_id)
        return cls(cell.checkpoint_id, name, str(folder.absolute()), config)


def followed(tracking: Tracking | None, run: Path, cell: Cell) -> AbstractContextManager[None]:
    """While a cell's system trains: its logs are followed, where there is somebody who does."""
    return nullcontext() if tracking is None else tracking.following(Trackable.of(run, cell))


class Tracking:
    """A tracker of a run; the process that tells it starts when there is something to say."""

    def __init__(self, tracker: str, run: Path, say: Callable[[str], None], *, offline: bool) -> None:
        self.tracker, self.run, self.say, self.offline = tracker, run, say, offline
        self.log = run / FOLDER / f"{tracker}.log"
        self._process: subprocess.Popen[str] | None = None
        self._broken = False

    @contextmanager
    def following(self, training: Trackable) -> Iterator[None]:
        """Follow a training's logs; when this is left, all is said, and the other process only waits."""
        self._order({"do": "follow", "training": asdict(training)})
        try:
            yield
        finally:
            self._order({"do": "rest"})

    def tell(self, training: Trackable, values: Mapping[str, float]) -> None:
        """Say what is known at the end of a training, and of its curves what was not said yet."""
        self._order({"do": "tell", "training": asdict(training), "values": dict(values)})

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._end(self._process)

    def _order(self, order: Mapping[str, Any]) -> None:
        """Have something done, and wait until it is; nothing once the tracker has failed."""
        if self._broken:
            return
        process = self._process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        said, answers = process.stdout, list[str]()
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        except OSError:  # it has ended
            return self._fail(process)
        waiting = threading.Thread(target=lambda: answers.append(said.readline()), daemon=True)
        waiting.start()
        waiting.join(ANSWER_SECONDS)
        if not any(answers):
            self._fail(process)

    def _start(self) -> subprocess.Popen[str]:
        make_folder(self.log.parent, StoreError)
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
        if self.offline:
            own |= {"WANDB_MODE": "offline"}
        with saving(self.log, StoreError), self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "benchmarks.trackers.follower", self.tracker, str(self.run.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **own},
                encoding="utf-8",
                start_new_session=True,  # an interrupt is for the run; what is left to say is said when its pipe ends
            )

    def _fail(self, process: subprocess.Popen[str]) -> None:
        self._broken = True
        self._end(process)
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = lines[-1] if lines else "it did not answer"
        self.say(f"{self.tracker} is told nothing more ({why}); the run goes on, and its records have everything.")

    def _end(self, process: subprocess.Popen[str]) -> None:
        """Let the other process say what is left, and end it where it does not end by itself."""
        self._process = None
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # it may have ended, with something unread
            process.stdin.close()
        try:
            process.wait(ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
