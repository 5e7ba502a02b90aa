"""Weights on disk: safetensors only, written atomically, checked from the header before any weight is read.

The check loads no framework, so that a plan can be refused without one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from cosmos.io import seals
from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, replacing

if TYPE_CHECKING:
    from torch import Tensor

_OURS = "cosmos"  # the one metadata key: with several, safetensors writes them in no fixed order


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a safetensors file says of itself: name -> shape, name -> dtype code, and what `save` was told to note."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    notes: Mapping[str, Any]


def read_header(path: Path) -> SafetensorsHeader:
    """Read and verify the header, and no weight; `UserError` where there is no whole file of safetensors."""
    try:
        with path.open("rb"), safe_open(str(path), framework="np") as file:  # a file's own error says more than theirs
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            dtypes = {name: str(part.get_dtype()) for name, part in slices.items()}
            notes = json.loads((file.metadata() or {}).get(_OURS, "{}"))
    except OSError as error:
        raise UserError(f"Cannot read the weights {path} ({error.strerror or error}).") from error
    except (SafetensorError, ValueError) as error:
        raise UserError(
            f"{path} is not a safetensors file, or it is truncated or damaged ({error}); restore it from a copy, or "
            "train or convert it again."
        ) from error
    return SafetensorsHeader(shapes, dtypes, notes)


def check(path: Path, expected: Mapping[str, tuple[int, ...]]) -> SafetensorsHeader:
    """The header, where the file holds exactly the expected names and shapes; else `UserError`."""
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


def save(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any] | None = None) -> None:
    """Write tensors, which may lie on any device, and JSON of what is to be noted as one file, atomically."""
    from safetensors.torch import save_file

    owned = _on_cpu(tensors)
    make_folder(path.parent)
    with replacing(path) as fresh:
        try:
            save_file(owned, fresh, metadata={_OURS: json.dumps(notes or {}, sort_keys=True)})
        except SafetensorError as error:
            code = re.search(r"os error (\d+)", str(error))  # as when the disk is full
            raise OSError(int(code[1]) if code else 0, os.strerror(int(code[1])) if code else str(error)) from error


def save_sealed(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> str:
    """`save` with a seal of tensors and notes among the notes; returns the seal."""
    owned = _on_cpu(tensors)
    seal = _seal(owned, notes)
    save(path, owned, {**notes, seals.KEY: seal})
    return seal


def load_sealed(path: Path, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_sealed` wrote, on the CPU: tensors and notes.

    Raises:
        UserError: it is not there, damaged, or was changed since; `remedy` ends the sentence.
    """
    tensors, notes = load(path), read_header(path).notes
    rest = {key: value for key, value in notes.items() if key != seals.KEY} if isinstance(notes, Mapping) else {}
    if not rest or notes.get(seals.KEY) != _seal(tensors, rest):
        raise seals.changed(path, remedy)
    return tensors, rest


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}


def _seal(tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> str:
    """The SHA-256 of names, types, shapes and bytes of tensors on the CPU, and of notes."""
    import torch

    hashed = hashlib.sha256(seals.seal_of(notes).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return hashed.hexdigest()


def load(path: Path, expected: Mapping[str, tuple[int, ...]] | None = None, device: str = "cpu") -> dict[str, Tensor]:
    """Read tensors after the header has been checked (against `expected` names and shapes, where given).

    They are copies, because tensors that lie in the file's mapping are aligned by chance, and sums may round by
    alignment.
    """
    if expected is None:
        read_header(path)
    else:
        check(path, expected)
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name).to(device, copy=True) for name in file.keys()}  # noqa: SIM118
