"""A trained rival on disk: config.json, vocabulary.json, weights.safetensors, and fit.json last.

Every file is replaced atomically, so where fit.json is, the checkpoint is whole. It is sealed, and holds the SHA-256 of
all else, which is verified where a training is taken up again; those of earlier versions do without.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import nn

from baselines.contract import Budget, Corpus, Limits, TrainingResult, UserError
from cosmos.io import safetensors, seals
from cosmos.io.files import make_folder, read_json, write_json
from cosmos.io.later_fields import identified
from cosmos.io.typed_json import AnyJson, read_as
from cosmos.text.vocabulary import Vocabulary
from cosmos.training import resume

CONFIG, VOCABULARY, WEIGHTS, FIT = "config.json", "vocabulary.json", "weights.safetensors", "fit.json"
TRAINING = "training"  # the folder of resume points, caches and logs within a checkpoint's


_AGAIN = "delete its folder and fit it again"


class StoredConfiguration(TypedDict):
    """As much of config.json as is read by name."""

    shape: dict[str, int]


class _Fitted(TypedDict):
    """What every fit.json says."""

    inputs: dict[str, Any]
    fitted: TrainingResult


class StoredTraining(_Fitted, total=False):
    """What fit.json says."""

    files: dict[str, str]


class StoredTokens(TypedDict, total=False):
    """What vocabulary.json says, of whatever kind it is."""

    pieces: list[str]
    tokenizer: AnyJson
    byte_pairs: AnyJson


def _fit(folder: Path) -> StoredTraining:
    path = folder / FIT
    return read_as(StoredTraining, seals.read_sealed(path, _AGAIN, wanted=False), str(path), _AGAIN)


def configuration(system: str, recipe: Any, limits: Limits) -> dict[str, Any]:
    """What decides the shape and training of a system, as JSON holds it; the budget is not part of it."""
    values = {key: value for key, value in identified(recipe).items() if key != "budget"}
    return json.loads(json.dumps({"system": system, "recipe": values, "limits": asdict(limits)}))


def inputs(corpus: Corpus, budget: Budget, seed: int) -> dict[str, Any]:
    """The arguments of `fit` that decide its result, with a hash in place of the documents."""
    digest = hashlib.blake2b(digest_size=16)
    for documents in (corpus.train, corpus.validation):
        for document in documents:
            digest.update(json.dumps([document.source, document.target]).encode())
        digest.update(b"\n")
    for passage in corpus.passages:
        digest.update(json.dumps(passage).encode())
    tokenizer = {} if corpus.tokenizer is None else {"tokenizer": corpus.tokenizer}
    return {"documents": digest.hexdigest(), "budget": str(budget), "seed": seed, **tokenizer}


def finished(folder: Path, configured: Mapping[str, Any], arguments: Mapping[str, Any]) -> TrainingResult | None:
    """What training cost, where `folder` holds a finished checkpoint; None where it does not.

    Raises:
        UserError: the checkpoint is of another configuration, came of other arguments, or was changed.
    """
    if not (folder / FIT).exists():
        return None
    _same_configuration(folder, configured)
    stored = _fit(folder)
    if changed := [key for key in arguments if stored["inputs"].get(key) != arguments[key]]:
        raise UserError(f"{folder} holds a checkpoint of other {' and '.join(changed)}; choose another folder.")
    seals.check_files(folder, stored.get("files", {}), _AGAIN)
    return stored["fitted"]


def save_configuration(folder: Path, configured: Mapping[str, Any], shape: Mapping[str, int]) -> None:
    """Write what a checkpoint is of; `shape` holds the sizes that came from the data, which building networks needs."""
    make_folder(folder)
    write_json(folder / CONFIG, {**configured, "shape": dict(shape)})


def save_networks(folder: Path, system: str, vocabulary: Vocabulary, model: nn.Module) -> None:
    vocabulary.save(folder / VOCABULARY)
    safetensors.save(folder / WEIGHTS, resume.weights(model), {"system": system})


def finish(folder: Path, arguments: Mapping[str, Any], fitted: TrainingResult) -> None:
    """Mark a checkpoint as whole, once all else is there."""
    files = seals.tree_hashes(folder, without=TRAINING)
    seals.write_sealed(folder / FIT, {"inputs": dict(arguments), "fitted": asdict(fitted), "files": files})


def keep_logs(folder: Path) -> None:
    """Delete what training has left in a folder but its logs, as far as it can be deleted."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".jsonl":
            path.unlink(missing_ok=True)


def notes(folder: Path) -> Mapping[str, Any]:
    """What training has noted of a finished checkpoint."""
    return _fit(folder)["fitted"].notes


def check(
    folder: Path, configured: Mapping[str, Any], build: Callable[[Mapping[str, int]], nn.Module]
) -> dict[str, int]:
    """Verify a checkpoint from its headers; returns its `shape`. `build` makes the network of one, on the meta device.

    Raises:
        UserError: missing, truncated, not safetensors, or of another configuration.
    """
    shape = check_finished(folder, configured)["shape"]
    read_as(StoredTokens, read_json(folder / VOCABULARY), str(folder / VOCABULARY), _AGAIN)
    with torch.device("meta"):
        expected = resume.weights(build(shape))
    safetensors.check(folder / WEIGHTS, {name: tuple(value.shape) for name, value in expected.items()})
    return shape


def check_finished(folder: Path, configured: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint is of, as `save_configuration` wrote it.

    Raises:
        UserError: it is not finished, or of another configuration.
    """
    if not (folder / FIT).exists():
        raise UserError(f"{folder} holds no finished checkpoint of '{configured['system']}'; fit it first.")
    stored = _same_configuration(folder, configured)
    _fit(folder)
    return stored


def load_weights(folder: Path, model: nn.Module) -> None:
    resume.load_weights(model, safetensors.load(folder / WEIGHTS))


def _same_configuration(folder: Path, configured: Mapping[str, Any]) -> dict[str, Any]:
    stored = read_as(StoredConfiguration, read_json(folder / CONFIG), str(folder / CONFIG), _AGAIN)
    if changed := [key for key in configured if stored.get(key) != configured[key]]:
        raise UserError(
            f"The checkpoint in {folder} has another {' and '.join(changed)} than asked for; fit it elsewhere."
        )
    return stored
