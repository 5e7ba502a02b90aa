"""Whole models to and from a folder: `config.json` (what, and its configuration) and `model.safetensors`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import torch

from cosmos.config import AutoencoderConfig, DenoiserConfig, ReleaseAutoencoderConfig, ReleaseDenoiserConfig
from cosmos.io import safetensors
from cosmos.io.errors import UserError, unknown
from cosmos.io.files import read_json, write_json
from cosmos.io.typed_json import AnyJson, read_as
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser

Model = TypeVar("Model", Autoencoder, Denoiser)
WEIGHTS, CONFIG = "model.safetensors", "config.json"
_MODELS: Mapping[str, tuple[type[Any], type[Any]]] = {
    "autoencoder": (Autoencoder, AutoencoderConfig),
    "denoiser": (Denoiser, DenoiserConfig),
    "release_autoencoder": (Autoencoder, ReleaseAutoencoderConfig),
    "release_denoiser": (Denoiser, ReleaseDenoiserConfig),
}


class StoredModel(TypedDict):
    """What config.json says."""

    kind: str
    config: AnyJson
    extra: AnyJson


def save_pretrained(model: Autoencoder | Denoiser, folder: Path, extra: Mapping[str, Any] | None = None) -> None:
    """Write a model and its configuration; `extra` is kept beside it in `config.json` (schedule, text encoder, ...)."""
    kind = next(name for name, (_, config) in _MODELS.items() if type(model.config) is config)
    safetensors.save(folder / WEIGHTS, model.state_dict(), {"kind": kind})
    content = {"kind": kind, "config": dataclasses.asdict(model.config), "extra": dict(extra or {})}
    write_json(folder / CONFIG, content)


def read_config(folder: Path) -> tuple[str, AutoencoderConfig | DenoiserConfig, dict[str, Any]]:
    """Kind, configuration and extras of a folder; `UserError` where they are missing, unreadable or unknown."""
    path = folder / CONFIG
    remedy = "convert or train again"
    content = read_as(StoredModel, {"extra": {}, **read_json(path)}, str(path), remedy)
    kind = content["kind"]
    if kind not in _MODELS:
        raise unknown("kind of model", kind, _MODELS)
    return kind, read_as(_MODELS[kind][1], content["config"], str(path), remedy), dict(content["extra"])


def check_pretrained(folder: Path) -> None:
    """Raise `UserError` unless weights and configuration of a folder fit; reads no weight."""
    kind, config, _ = read_config(folder)
    safetensors.check(folder / WEIGHTS, _shapes(kind, config))


def from_pretrained(cls: type[Model], folder: Path, device: str = "cpu") -> Model:
    """The `Autoencoder` or `Denoiser` of a folder, in evaluation mode; `UserError` where it is another kind of model,
    or does not fit its weights."""
    kind, config, _ = read_config(folder)
    if _MODELS[kind][0] is not cls:
        raise UserError(
            f"{folder} holds the {_MODELS[kind][0].__name__.lower()}, where the {cls.__name__.lower()} is wanted; "
            "give the other folder."
        )
    model = cls(config).to(device)
    model.load_state_dict(safetensors.load(folder / WEIGHTS, _shapes(kind, config), device))
    return model.eval()


def _shapes(kind: str, config: AutoencoderConfig | DenoiserConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = _MODELS[kind][0](config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
