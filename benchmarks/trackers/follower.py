"""The process that tells a tracker, apart from the one that trains: that one only writes its logs, as always.

It takes JSON lines from stdin and answers each with one on stdout: `follow` a training's logs until the next line
comes, `rest`, and `tell` the last numbers of a training. When stdin ends, as it does when the other process is killed,
it says what is left to say, and ends.

    python -m benchmarks.trackers.follower TRACKER RUN
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from baselines.contract import UserError
from benchmarks.trackers.curves import LogReader
from benchmarks.trackers.names import PROJECT
from benchmarks.trackers.sent import FOLDER, read_sent, state_file, write_sent
from cosmos.io.terminal import answer

LOOK_SECONDS = 1.0  # between looks at the logs
LOCK_SECONDS = 60.0  # how long another follower of the same run, whose command was killed, may take to end


class TrackedTraining:
    """One training and its entry in the tracker, which is opened when there is something to say."""

    def __init__(self, tracker: str, run: Path, about: Mapping[str, Any]) -> None:
        self.path = state_file(run, tracker, about["id"])
        self.sent = read_sent(self.path)
        self.logs = LogReader(Path(about["folder"]))
        self.about, self.name, self.run = about, tracker, run
        self.opened: Any = None

    @property
    def tracker(self) -> Any:
        """The tracker with the entry of this training, a new one the first time."""
        if self.opened is None:
            sent = self.sent
            entry = sent.entry if sent.begun or self.name != "mlflow" else None  # mlflow makes its own
            self.opened = _open(self.name, self.run, f"{self.about['name']} {sent.entry[:6]}", entry)
            if not sent.begun:
                sent.begun = True
                if entry is None:
                    sent.entry = self.opened.tracker.info.run_id
                write_sent(self.path, sent)
                self.opened.store_init_configuration(self.about["config"])
        return self.opened

    def look(self) -> None:
        """Say what the logs have got since the last look."""
        points = [(step, values) for step, values in map(self.sent.unsaid, self.logs.new()) if values]
        if points:
            tracker = self.tracker
            write_sent(self.path, self.sent)
            for step, values in points:
                tracker.log(values, step=step)

    def tell(self, values: Mapping[str, float]) -> None:
        """Say numbers that belong to the end of the training, after what the logs have."""
        self.look()
        new = self.sent.unsaid_values(values)
        if new:
            tracker = self.tracker
            write_sent(self.path, self.sent)
            tracker.log(new, step=self.sent.last)

    def close(self) -> None:
        self.look()
        if self.opened is not None:
            self.opened.finish()


def _open(tracker: str, run: Path, name: str, entry: str | None) -> Any:
    """An entry of accelerate's tracker: a new one, or the one that is there."""
    from accelerate import PartialState, tracking

    PartialState(cpu=True)  # accelerate's trackers ask it for the process they are in
    if tracker == "tensorboard":
        opened = tracking.TensorBoardTracker(name, logging_dir=run / FOLDER / tracker)
    elif tracker == "trackio":
        opened = tracking.TrackioTracker(
            PROJECT, name=name, resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False
        )
    elif tracker == "mlflow":
        opened = tracking.MLflowTracker(PROJECT, run_id=entry, run_name=name)
    else:
        opened = tracking.WandBTracker(PROJECT, id=entry, name=name, resume="allow")
    opened.start()
    return opened


def serve(tracker: str, run: Path) -> int:
    """Do what the lines of stdin say until it ends."""
    from filelock import FileLock, Timeout

    if hasattr(os, "nice"):
        os.nice(10)  # what trains goes first
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # trackers print how they are going; what goes wrong comes on stderr
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    lock = FileLock(run / FOLDER / f"{tracker}.lock", timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"Another process tells {tracker} of {run}; wait until it ends.") from error
    with lock:
        return _served(tracker, run, lines, answers)


def _served(tracker: str, run: Path, lines: queue.SimpleQueue[str], answers: TextIO) -> int:
    training: TrackedTraining | None = None
    while True:
        try:
            line = lines.get(timeout=None if training is None else LOOK_SECONDS)
        except queue.Empty:
            assert training is not None
            training.look()
            continue
        if training is not None:
            training.close()
            training = None
        if not line:
            return 0
        order = json.loads(line)
        if order["do"] == "follow":
            training = TrackedTraining(tracker, run, order["training"])
            _ = training.tracker  # before the training begins: packages take seconds to import
        elif order["do"] == "tell":
            told = TrackedTraining(tracker, run, order["training"])
            told.tell(order["values"])
            told.close()
        print(json.dumps({"done": order["do"]}), file=answers, flush=True)


def _read_lines(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


if __name__ == "__main__":
    sys.exit(answer(lambda: serve(sys.argv[1], Path(sys.argv[2]))))
