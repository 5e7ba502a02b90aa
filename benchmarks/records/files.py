"""Files of a run's folder: JSON, lines that are only appended, and a lock; and where Hugging Face keeps its own.

Nothing heavy is imported.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from baselines.contract import UserError
from benchmarks.records.schema import Json
from cosmos.io import locks
from cosmos.io.files import WriteError, saving, write_bytes
from cosmos.io.typed_json import parse

Line = TypeVar("Line")

_SYNC_SECONDS = 0.5  # what a power cut may cost; a killed process loses nothing that was written


class StoreError(WriteError):
    """A run folder that cannot be written: no cell can go on."""

    remedy = "choose another folder with --out"


def hugging_face_home() -> Path:
    """Where Hugging Face's libraries keep what they fetch, without importing one."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    # Where nobody knows the home folder ~ stays as it is, as it does for them.
    return Path(os.path.expanduser(os.environ.get("HF_HOME") or f"{caches}/huggingface"))


def write_json(path: Path, value: Json) -> None:
    """Replace a JSON file as a whole, keys in the order in which they are given."""
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode(), StoreError)


def line(row: Json) -> str:
    """One JSON line, ASCII only, so that no character of a text can break it."""
    return _encode(row) + "\n"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def write_lines(path: Path, rows: Iterable[Json]) -> None:
    """Replace a file of JSON lines as a whole."""
    write_bytes(path, "".join(line(row) for row in rows).encode(), StoreError)


def read_lines(path: Path) -> list[Json]:
    """Read JSON lines. A last line without its end was being written when its process died: it is left out.

    Raises:
        UserError: another line is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror or error}).") from error
    rows: list[Json] = []
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            row: Any = parse(text)
        except ValueError as error:
            raise UserError(
                f"{path} is damaged at line {number} ({error}); delete its folder and run again."
            ) from error
        rows.append(row)
    return rows


class Appender:
    """A file of JSON lines that only grows. Opening it cuts off a last line that a killed process left half written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with saving(path, StoreError):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            self._size = os.lseek(self._handle, 0, os.SEEK_END)
            whole = path.read_bytes().rfind(b"\n") + 1
            if whole != self._size:
                self._cut(whole)
        self._synced = time.monotonic()

    def append(self, rows: Iterable[Json]) -> None:
        """Write rows at the end, all or none of them.

        Raises:
            StoreError: the disk is full or gone; what was there before still is.
        """
        data = "".join(line(row) for row in rows).encode()
        with saving(self.path, StoreError):
            try:
                _write(self._handle, data)
            except OSError:
                self._cut(self._size)
                raise
            self._size += len(data)
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._handle)
                self._synced = time.monotonic()

    def close(self) -> None:
        """Make everything written survive a power cut."""
        with saving(self.path, StoreError):
            try:
                os.fsync(self._handle)
            finally:
                os.close(self._handle)

    def _cut(self, size: int) -> None:
        os.ftruncate(self._handle, size)
        self._size = os.lseek(self._handle, 0, os.SEEK_END)

    def __enter__(self) -> Appender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def locked(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder (`cosmos.io.locks`)."""
    return locks.locked(folder, StoreError)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def parsed_lines(path: Path, read: Callable[[Any, str], Line]) -> list[Line]:
    """Every whole line of a file, read as what it stands for.

    Raises:
        UserError: a line is damaged.
    """
    return [read(row, f"Line {number} of {path}") for number, row in enumerate(read_lines(path), start=1)]
