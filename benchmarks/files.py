"""Files that survive a kill: whole-or-nothing JSON, append-only lines, and a lock; and where Hugging Face keeps its
own. Standard library only."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from baselines.contract import UserError
from benchmarks.records import Json

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SYNC_SECONDS = 0.5  # what a power cut may cost; a killed process loses nothing that was written


class StoreError(UserError):
    """A run folder that cannot be written: no cell can go on."""


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Say an operating system's refusal to write `path` in one sentence.

    Raises:
        StoreError: full, not writable, or a file where a folder should be.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(
                f"There is no space left to write {path}; free some and run the same command again, nothing is lost."
            ) from error
        reason = error.strerror or str(error)
        raise StoreError(f"Cannot write {path} ({reason}); choose another folder with --out.") from error


def hugging_face_home() -> Path:
    """Where Hugging Face's libraries keep what they fetch, without importing one."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{caches}/huggingface").expanduser()


def make_folder(path: Path) -> None:
    """Make a folder and its parents."""
    with saving(path):
        path.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file as a whole: readers, and processes after a kill, see the old text or the new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """The same of bytes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with saving(path):
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                _write(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_json(path: Path, value: Json) -> None:
    """Replace a JSON file as a whole."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str = "delete its folder and run again") -> Json:
    """Read a JSON object.

    Args:
        remedy: what helps where the file is damaged.

    Raises:
        UserError: the file is not there or is no JSON object.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror or error}).") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {remedy}.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (not a JSON object); {remedy}.")
    return value


def line(row: Json) -> str:
    """One JSON line, ASCII only, so that no character of a text can break it."""
    return _encode(row) + "\n"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def write_lines(path: Path, rows: Iterable[Json]) -> None:
    """Replace a file of JSON lines as a whole."""
    write_text(path, "".join(line(row) for row in rows))


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
            row: Any = json.loads(text)
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
        with saving(path):
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
        with saving(self.path):
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
        with saving(self.path):
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: one process writes into a run at a time. It ends with the process, however that ends.

    Raises:
        UserError: another process holds it; the message names that process.
    """
    import fcntl

    path = folder / ".lock"
    with saving(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            raise UserError(
                f"{folder} is being written by {holder}; wait until it ends, or choose another folder with --out."
            ) from error
        with saving(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
