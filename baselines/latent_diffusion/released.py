"""Cosmos with weights that were trained elsewhere and are used as they are: a folder of `cosmos.pipeline.Pipeline`, as
`python -m cosmos convert` makes one of the authors' checkpoints and `train-diffusion` leaves one.

Nothing is trained, so no budget is used; sizes, objective, vocabulary and text encoder are the folder's. All systems of
the run then share that encoder's tokenizer. A checkpoint is a copy of the folder.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Any

from baselines.contract import Limits, TrainingResult, UserError
from cosmos.config import MINILM, AutoencoderConfig, DenoiserConfig
from cosmos.io import safetensors
from cosmos.io.files import expanded, make_folder
from cosmos.pipeline import ABOUT, StoredPipeline, check
from cosmos.pretrained import WEIGHTS, read_config
from cosmos.recipes import NO_DISTILLATION, Recipe


@dataclasses.dataclass(frozen=True)
class Released:
    """A folder that can be used; no weight is read."""

    folder: Path
    about: StoredPipeline
    autoencoder: AutoencoderConfig
    denoiser: DenoiserConfig

    @property
    def shape(self) -> dict[str, int]:
        sizes = self.autoencoder
        return {"vocabulary": sizes.vocabulary, "length": sizes.max_tokens, "text_width": sizes.text_width}


def released_of(recipe: Any) -> str | None:
    """The folder that a recipe names; that of `cosmos-joint` has no such field."""
    named: str | None = getattr(recipe, "released", None)
    return named


def described(name: str) -> StoredPipeline:
    """What a folder says of its model, after a look at every file's header.

    Raises:
        UserError: it is missing, damaged, or of the first stage alone.
    """
    folder = expanded(name)
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder} with a model; give one that python -m cosmos convert has written."
        )
    if not (folder / ABOUT).is_file():
        raise UserError(
            f"{folder} has no {ABOUT}, so it is no folder of a released model; python -m cosmos convert writes one."
        )
    about = check(folder)
    if about["diffusion"] is None:
        raise UserError(f"{folder} has no denoiser; convert the second stage into it too.")
    return about


def as_released(recipe: Recipe, about: StoredPipeline) -> Recipe:
    """A recipe with what generation asks of one, as a model's description has it."""
    assert about["diffusion"] is not None
    encoder = about["text_encoder"] or MINILM
    read = {"text_encoder": encoder, "encoder_layers": about["encoder_layers"], "diffusion": about["diffusion"]}
    model = dataclasses.replace(recipe.model, **read)
    off = {"adaptation_share": 0.0, "grid_share": 0.0, "distillation": NO_DISTILLATION, "autoencoder": None}
    return dataclasses.replace(recipe, model=model, **off)


def open_released(name: str, limits: Limits) -> Released:
    """What a folder holds, checked from headers.

    Raises:
        UserError: it is missing, damaged, of the first stage alone, or for another kind of task.
    """
    folder, about = expanded(name), described(name)
    first, second = (read_config(folder / part)[1] for part in ("autoencoder", "denoiser"))
    assert isinstance(first, AutoencoderConfig) and isinstance(second, DenoiserConfig)
    conditional = second.source_width is not None
    if conditional != (limits.source_tokens > 0):
        what = ("was trained with sources", "has none") if conditional else ("was trained without", "has sources")
        raise UserError(f"The model in {folder} {what[0]} and the task {what[1]}; name another model or task.")
    if conditional and second.max_source_tokens < limits.source_tokens:
        most = f"at most {second.max_source_tokens} tokens, and those of the task may have {limits.source_tokens}"
        raise UserError(f"The model in {folder} takes sources of {most}; name another model or task.")
    if conditional and about["fingerprint"] is None:
        raise UserError(f"{folder} does not say which text encoder its sources need; convert its first stage again.")
    return Released(folder, about, first, second)


def copy(released: Released, out: Path) -> TrainingResult:
    """Put a copy of the folder at `out`, which appears whole or not at all, and say what it is."""
    began, partial = time.perf_counter(), out.with_name(f"{out.name}.partial")
    make_folder(out.parent)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(released.folder, partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    weights = [safetensors.read_header(out / part / WEIGHTS).shapes for part in ("autoencoder", "denoiser")]
    notes: dict[str, Any] = {
        "parameters": sum(math.prod(shape) for shapes in weights for shape in shapes.values()),
        "released": released.folder.absolute().name,
        "latents": released.autoencoder.latents,
        "text_encoder": released.about["fingerprint"],
        **released.shape,
    }
    return TrainingResult(0, time.perf_counter() - began, 0.0, None, notes)
