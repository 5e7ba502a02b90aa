"""A first stage that was trained once, for many tasks: what it is, what it cost, and what it has read.

    FOLDER/artifact.json   the last to be written, sealed: kind, sizes, cost, corpora, the SHA-256 of all other files
    FOLDER/openings.bin    which texts stood in its corpora (`cosmos.io.openings`)
    FOLDER/model/          the weights, as whoever trained them reads them

Standard library only, so that a plan can look at one without a framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from cosmos.io import seals
from cosmos.io.errors import UserError
from cosmos.io.files import read_json
from cosmos.io.typed_json import AnyJson, read_as

VERSION = 2
ABOUT, OPENINGS, MODEL = "artifact.json", "openings.bin", "model"
AUTOENCODER_KIND = "cosmos"  # the method whose first stage it is
_REMEDY = "restore it from a copy"


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
    openings: str  # the SHA-256 of that file
    files: dict[str, str]  # and of every file of the model, by its path from there


def write_artifact(folder: Path, about: Mapping[str, Any]) -> None:
    """Mark a folder as whole, once its model and its openings are there; all but `version` and hashes is given."""
    hashes = {"openings": seals.read_hash(folder / OPENINGS), "files": seals.tree_hashes(folder / MODEL)}
    seals.write_sealed(folder / ABOUT, {"version": VERSION, **about, **hashes})


def read_artifact(folder: Path, kind: str) -> Artifact:
    """What a first stage is; no weight is read.

    Raises:
        UserError: there is none, one of another kind or of another version, or one that was changed.
    """
    path = folder / ABOUT
    if not path.is_file():
        raise UserError(f"{folder} holds no finished first stage; give the folder that its training has left.")
    stored = read_json(path, _REMEDY)
    if isinstance(version := stored.get("version"), int) and version > VERSION:
        raise UserError(f"{folder} was written by a newer version of this package; update it.")
    if version in range(1, VERSION):
        raise UserError(f"{folder} was written by an earlier version of this package, unsealed; train it again.")
    about = read_as(Artifact, seals.opened(stored, path, _REMEDY, wanted=True), str(path), _REMEDY)
    if about["kind"] != kind:
        raise UserError(f"{folder} holds a first stage of {about['kind']}, and {kind} needs one of its own.")
    return about


def check_files(folder: Path, about: Artifact) -> None:
    """Raise `UserError` unless every file is there and what training left."""
    hashes = {OPENINGS: about["openings"], **{f"{MODEL}/{name}": sha256 for name, sha256 in about["files"].items()}}
    for name, sha256 in hashes.items():
        if seals.file_sha256(folder / name) != sha256:
            raise seals.changed(folder / name, _REMEDY)


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
