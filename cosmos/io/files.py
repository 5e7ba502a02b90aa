"""Files that are whole or not there, whenever a process is killed; what cannot be written is said in one sentence.

Standard library only: plans, help and reports write with it too, and load no framework.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from cosmos.io.errors import UserError
from cosmos.io.typed_json import parse

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: OSError) -> bool:
    """Whether there is no space left, on the disk or in the user's share of it."""
    return error.errno in _FULL


class WriteError(UserError):
    """Something cannot be written: no space, no permission, a file where a folder should be."""

    remedy: ClassVar[str] = "choose another folder"  # unless the disk is full

    @classmethod
    def of(cls, path: Path, error: OSError) -> Self:
        if is_full(error):
            said = f"There is no space left to write {path}; free some and run the same command again, nothing is lost."
            return cls(said)
        return cls(f"Cannot write {path} ({error.strerror or error}); {cls.remedy}.")


def expanded(path: str) -> Path:
    """A path whose first part may be ~; `UserError` where nobody knows that home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"The home folder in {path} is not known here; write the path without ~.") from error


def cache_folder() -> Path:
    """`COSMOS_CACHE`, or `cosmos-bench` in the user's folder for caches on this platform; it need not exist yet."""
    override = os.environ.get("COSMOS_CACHE")
    if override:
        return expanded(override)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local") / "cosmos-bench" / "Cache"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "cosmos-bench"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "cosmos-bench"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise UserError("This user has no home folder to keep scores in; set COSMOS_CACHE to a folder.") from error


@contextmanager
def saving(path: Path, refusal: type[WriteError] = WriteError) -> Iterator[None]:
    """Raise an operating system's refusal to write `path` as the error `refusal`, in one sentence."""
    try:
        yield
    except OSError as error:
        raise refusal.of(path, error) from error


def make_folder(path: Path, refusal: type[WriteError] = WriteError) -> None:
    with saving(path, refusal):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def replacing(path: Path, refusal: type[WriteError] = WriteError) -> Iterator[Path]:
    """Give a path to write to; what is there takes the name `path` at once when the block ends well.

    A reader, or a process that starts after a kill at any moment, sees the old file or the new one, whole. The new one
    is written in a hidden folder beside it that no other process uses, so that what a library puts beside the file it
    writes is deleted with it.

    Raises:
        WriteError: nothing could be written; the old file is as it was.
    """
    scratch = path.with_name(f".{path.name}.{os.urandom(8).hex()}.partial")
    fresh = scratch / "new"  # without the suffix by which readers know their files
    with saving(path, refusal):
        try:
            scratch.mkdir()
            fresh.touch()
            mode = fresh.stat().st_mode
            yield fresh
            fresh.chmod(mode)  # safetensors writes files that nobody else may read
            _sync(fresh)
            os.replace(fresh, path)
            _sync(path.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Delete what killed writers of `path` left beside it: only for a file that one process at a time writes."""
    for scratch in path.parent.glob(f".{path.name}.*.partial"):
        shutil.rmtree(scratch, ignore_errors=True)


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes, refusal: type[WriteError] = WriteError) -> None:
    with replacing(path, refusal) as fresh:
        fresh.write_bytes(data)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically, keys sorted, so that equal values give equal bytes."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, remedy: str = "delete it, or restore it from a copy") -> dict[str, Any]:
    """Read a JSON object, or raise `UserError` with what helps where it is missing or damaged."""
    try:
        value = parse(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror or error}); {remedy}.") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {remedy}.") from error
    return value
