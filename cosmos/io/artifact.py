"""A first stage that was trained once, for many tasks: what it is, what it cost, and what it has read.

    FOLDER/artifact.json   the last to be written: kind, sizes, cost, corpora, the SHA-256 of every file of the model
    FOLDER/openings.bin    which texts stood in its corpora (`cosmos.io.openings`)
    FOLDER/model/          the weights, as whoever trained them reads them

Standard library only, so that a plan can look at one without a framework.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from cosmos.io.errors import UserError
from cosmos.io.files import read_json, write_json
from cosmos.io.typed_json import AnyJson, read_as

VERSION = 1
ABOUT, OPENINGS, MODEL = "artifact.json", "openings.bin", "model"
AUTOENCODER_KIND = "cosmos"  # the method whose first stage it is


class CorpusRead(TypedDict):
    """A corpus that was learnt from."""

    name: str
    sha256: str
    weight: float
    texts: int


class Spent(TypedDict):
    """What training cost, once."""

    steps: int
    seconds: float
    flops: float
    device: str
    texts_seen: int


class Artifact(TypedDict):
    """What `artifact.json` says; `sizes` are those of the networks that were trained, by the names of their config."""

    version: int
    kind: str
    preset: str
    seed: int
    text_encoder: str  # its fingerprint
    sizes: AnyJson
    spent: Spent
    corpora: list[CorpusRead]
    reached: AnyJson
    files: dict[str, str]


def write_artifact(folder: Path, about: Mapping[str, Any]) -> None:
    """Mark a folder as whole, once its model and its openings are there; all but `version` and `files` is given."""
    files = {name: _sha256(folder / MODEL / name) for name in _files(folder)}
    write_json(folder / ABOUT, {"version": VERSION, **about, "files": files})


def read_artifact(folder: Path, kind: str) -> Artifact:
    """What a first stage is; no weight is read.

    Raises:
        UserError: there is none, or one of another kind or of a newer version.
    """
    if not (folder / ABOUT).is_file():
        raise UserError(f"{folder} holds no finished first stage; give the folder that its training has left.")
    stored = read_json(folder / ABOUT)
    if isinstance(version := stored.get("version"), int) and version > VERSION:
        raise UserError(f"{folder} was written by a newer version of this package; update it.")
    about = read_as(Artifact, stored, str(folder / ABOUT), "restore it from a copy")
    if about["kind"] != kind:
        raise UserError(f"{folder} holds a first stage of {about['kind']}, and {kind} needs one of its own.")
    return about


def check_files(folder: Path, about: Artifact) -> None:
    """Raise `UserError` unless every file of the model is what training left."""
    for name, sha256 in about["files"].items():
        if not (folder / MODEL / name).is_file() or _sha256(folder / MODEL / name) != sha256:
            raise UserError(f"{folder / MODEL / name} was changed after it was written; restore it from a copy.")


def check_sizes(folder: Path, about: Artifact, asked: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """Raise `UserError` unless the artifact's networks have the sizes asked for.

    Args:
        keys: name of a size -> the key of `--set` that asks for it, for the error.
    """
    sizes: Mapping[str, Any] = about["sizes"]
    differing: Sequence[str] = [name for name in keys if sizes.get(name) != asked[name]]
    if differing:
        said = " ".join(f"--set {keys[name]}={sizes.get(name)}" for name in differing)
        raise UserError(f"{folder} is of other sizes than the recipe; say {said}, or train another.")


def _files(folder: Path) -> list[str]:
    model = folder / MODEL
    return sorted(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
