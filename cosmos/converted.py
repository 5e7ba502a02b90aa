"""What the authors' checkpoints become: the folder of a `cosmos.pipeline.Pipeline`, written stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cosmos.config import AutoencoderConfig, DenoiserConfig, DiffusionConfig, ScheduleConfig
from cosmos.io import safetensors
from cosmos.io.errors import UserError
from cosmos.io.files import make_folder
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser
from cosmos.models.standardiser import Standardiser
from cosmos.pipeline import STANDARDISER, VOCABULARY, read_about, write_about
from cosmos.pretrained import CONFIG, read_config, save_pretrained
from cosmos.text.encoder import fingerprint_of
from cosmos.text.tokenizer import find_encoder, load_tokenizer
from cosmos.text.vocabulary import Vocabulary

AUTOENCODER, DENOISER = "autoencoder", "denoiser"
_REMEDY = "convert the first stage again"


class FirstStage(NamedTuple):
    """An autoencoder whose token head is in the order of its vocabulary, and how texts come to it."""

    model: Autoencoder
    vocabulary: Vocabulary
    standardiser: Standardiser


def whole_vocabulary(text_encoder: str | None) -> Vocabulary:
    """Every token of an encoder's tokenizer: the special ones first, the others by the tokenizer's numbers."""
    size = load_tokenizer(find_encoder(text_encoder)).get_vocab_size()
    return Vocabulary.of_numbers(range(size), text_encoder)


def check_stages(folder: Path, first: AutoencoderConfig | None, second: DenoiserConfig | None) -> None:
    """Raise `UserError` unless two stages have latents of one number and width; None: the one in the folder, if any."""
    if first is None and (folder / AUTOENCODER / CONFIG).exists():
        stored = read_config(folder / AUTOENCODER)[1]
        first = stored if isinstance(stored, AutoencoderConfig) else None
    if second is None and (folder / DENOISER / CONFIG).exists():
        other = read_config(folder / DENOISER)[1]
        second = other if isinstance(other, DenoiserConfig) else None
    if first is None or second is None:
        return
    latents = (first.latents, first.latent_width), (second.latents, second.latent_width)
    if latents[0] != latents[1]:
        sizes = [f"{count} latents of {width}" for count, width in latents]
        raise UserError(
            f"The autoencoder has {sizes[0]} and the denoiser {sizes[1]}; convert two that belong together."
        )


def save_first_stage(folder: Path, stage: FirstStage) -> None:
    make_folder(folder)
    stage.vocabulary.save(folder / VOCABULARY)
    safetensors.save(folder / STANDARDISER, stage.standardiser.state_dict())
    save_pretrained(stage.model, folder / AUTOENCODER)


def save_second_stage(folder: Path, denoiser: Denoiser, d: float) -> None:
    save_pretrained(denoiser, folder / DENOISER, {"schedule": {"name": "tan", "d": d}})


def describe(folder: Path, text_encoder: str | None) -> None:
    """Write the pipeline's description, if its first stage is there.

    Args:
        text_encoder: folder of the encoder of a first stage that was just written; None where it was there before.
    """
    if not (folder / AUTOENCODER / CONFIG).exists():
        return
    place: str | None
    fingerprint: str | None
    layers = None
    if text_encoder is None:
        known = read_about(folder, _REMEDY)
        place, fingerprint = known["text_encoder"], known["fingerprint"]
        layers = known["encoder_layers"]
    else:
        place, fingerprint = str(Path(text_encoder).absolute()), fingerprint_of(text_encoder)
    write_about(folder, place, fingerprint, _diffusion(folder), encoder_layers=layers)


def _diffusion(folder: Path) -> DiffusionConfig | None:
    """The authors' objective: one coin a batch for an earlier estimate, and no source is ever withheld."""
    if not (folder / DENOISER / CONFIG).exists():
        return None
    schedule = read_config(folder / DENOISER)[2]["schedule"]
    return DiffusionConfig(
        ScheduleConfig(schedule["name"], schedule["d"]), self_conditioning="batch", source_dropout=0.0
    )
