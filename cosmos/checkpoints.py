"""Weights on disk: safetensors only, written atomically, checked from the header before any weight is read.

The header check is standard library only, so that a plan can be refused without loading a framework.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
_LARGEST_HEADER = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True)
class Header:
    """What a safetensors file says of itself: name -> shape, name -> dtype code, and its text metadata."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read and verify the header; no weight is read.

    Raises:
        UserError: no such file, not safetensors, or truncated.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 2 <= length <= min(_LARGEST_HEADER, size) else b""
    except OSError as error:
        raise UserError(f"Cannot read the weights {path}: {error.strerror or error}.") from error
    wrong = UserError(f"{path} is not a safetensors file, or it is damaged; train or convert it again.")
    try:
        entries = json.loads(text)
        metadata = entries.pop("__metadata__", {})
        shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
        dtypes = {name: str(entry["dtype"]) for name, entry in entries.items()}
        spans = sorted((*entry["data_offsets"], name) for name, entry in entries.items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise wrong from error
    end = 0
    for first, last, name in spans:
        if dtypes[name] not in _SIZES or first != end or last - first != math.prod(shapes[name]) * _SIZES[dtypes[name]]:
            raise wrong
        end = last
    if size != 8 + length + end:
        raise UserError(f"{path} is truncated ({size} bytes of {8 + length + end}); copy, train or convert it again.")
    return Header(shapes, dtypes, metadata)


def check(path: Path, expected: Mapping[str, tuple[int, ...]]) -> Header:
    """Verify that the file holds exactly the expected names and shapes.

    Raises:
        UserError: as `read_header`, or another model's weights.
    """
    header = read_header(path)
    missing, extra = expected.keys() - header.shapes.keys(), header.shapes.keys() - expected.keys()
    wrong = [name for name in expected.keys() & header.shapes.keys() if tuple(expected[name]) != header.shapes[name]]
    for names, what in ((missing, "lacks"), (extra, "has an unexpected"), (wrong, "has another shape for")):
        if names:
            first = sorted(names)[0]
            raise UserError(
                f"{path} belongs to another configuration: it {what} '{first}'"
                f"{f' and {len(names) - 1} more' if len(names) > 1 else ''}; use the configuration it was trained with."
            )
    return header


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors so that the file is either whole or not there, even if the machine stops.

    Raises:
        UserError: nothing could be written.
    """
    from cosmos.files import make_folder, write_tensors

    make_folder(path.parent)
    write_tensors(path, tensors, dict(metadata or {}))


def load(path: Path, expected: Mapping[str, tuple[int, ...]] | None = None, device: str = "cpu") -> dict[str, Tensor]:
    """Read tensors after the header has been checked (against `expected` names and shapes, where given).

    Raises:
        UserError: as `check`.
    """
    if expected is None:
        read_header(path)
    else:
        check(path, expected)
    from safetensors.torch import load_file

    return load_file(path, device=device)
