"""Seals: hashes that tell what was changed after it was written. Standard library only.

A JSON object is sealed by the SHA-256 of all else in it, under the key `seal`; a file by its SHA-256 in an object that
is sealed itself. They guard against accidents, not against whoever computes them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cosmos.io.errors import UserError
from cosmos.io.files import read_json, write_json

KEY = "seal"


def changed(where: Path | str, remedy: str) -> UserError:
    """The error for what is not what was sealed."""
    return UserError(f"{where} was changed after it was written; {remedy}.")


def seal_of(value: Any) -> str:
    """The SHA-256 of what JSON makes of a value, however it is spelt."""
    return _seal_of_read(json.loads(json.dumps(value)))


def _seal_of_read(value: Any) -> str:
    """The same of a value that was read from JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its seal, which comes last; one that it had is made anew."""
    rest = {key: part for key, part in value.items() if key != KEY}
    return {**rest, KEY: seal_of(rest)}


def opened(value: Mapping[str, Any], where: Path | str, remedy: str, *, wanted: bool) -> dict[str, Any]:
    """A JSON object without its seal.

    Args:
        where: what errors call it.
        wanted: whether it must have one.

    Raises:
        UserError: it was changed since it was sealed, or has no seal and must have one.
    """
    rest = {key: part for key, part in value.items() if key != KEY}
    if KEY not in value and not wanted:
        return rest
    if KEY not in value:
        raise UserError(f"{where} has lost its seal, so it may have been changed; {remedy}.")
    if value[KEY] != _seal_of_read(rest):
        raise changed(where, remedy)
    return rest


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its seal, atomically."""
    write_json(path, sealed(value))


def read_sealed(path: Path, remedy: str, *, wanted: bool = True) -> dict[str, Any]:
    """The JSON object of a file without its seal; `UserError` as `read_json` and `opened`."""
    return opened(read_json(path, remedy), path, remedy, wanted=wanted)


def read_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, read now, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str | None:
    """`read_hash` of what may be missing: then it is None.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_hash(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror or error}).") from error


def file_hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of those of the named files that are there."""
    hashes = {name: file_sha256(folder / name) for name in names}
    return {name: sha256 for name, sha256 in hashes.items() if sha256 is not None}


def tree_hashes(folder: Path, without: str | None = None) -> dict[str, str]:
    """The SHA-256 of every file in a folder and the folders in it but one, by its path from there."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return file_hashes(folder, (path.as_posix() for path in paths if path.parts[0] != without))


def check_files(folder: Path, hashes: Mapping[str, str], remedy: str) -> None:
    """See that files, as far as they are there, are those that were sealed.

    Raises:
        UserError: one is another; the message names it.
    """
    for name, sha256 in hashes.items():
        if file_sha256(folder / name) not in (None, sha256):
            raise changed(folder / name, remedy)
