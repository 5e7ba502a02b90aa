"""Files that are either whole or not there, and write errors said in one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cosmos.errors import UserError

_HEADER = "cosmos"  # the one metadata key: with several, safetensors writes them in no fixed order


def cannot_write(path: Path, error: Exception) -> UserError:
    """The error for a write that failed: disk full, no permission, a file where a folder should be."""
    reason = getattr(error, "strerror", None) or str(error)
    return UserError(f"Cannot write {path} ({reason}); make room or choose another folder, then run again.")


def make_folder(path: Path) -> None:
    """Create a folder and its parents."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the name `path` at once when the block ends well.

    A reader, or a process that starts after a kill at any moment, sees the old file or the new one, whole.

    Raises:
        UserError: nothing could be written; the old file is as it was.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors writes files that nobody else may read
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically, keys sorted, so that equal values give equal bytes."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: the file is missing, truncated or not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"Cannot read {path} ({error}); delete it, or restore it from a copy.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold a JSON object; delete it, or restore it from a copy.")
    return value


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header as one safetensors file, atomically. Tensors may lie on any device."""
    owned = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(owned, str(temporary), metadata={_HEADER: json.dumps(header, sort_keys=True)})


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, without reading its tensors.

    Raises:
        UserError: the file is missing, truncated or not one of ours.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"Cannot read {path} ({error}); delete it, or restore it from a copy.") from error
    if _HEADER not in metadata:
        raise UserError(f"{path} was not written by this project; choose another folder.")
    header: dict[str, Any] = json.loads(metadata[_HEADER])
    return header


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU, in memory of their own) and header of a file written by `write_tensors`.

    Raises:
        UserError: the file is missing, truncated or not one of ours.
    """
    header = read_header(path)
    # Clones, because tensors that lie in the file's mapping are aligned by chance, and sums may round by alignment.
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}, header  # noqa: SIM118
