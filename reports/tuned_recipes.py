"""Which values the tuning protocol has chosen, so that a report says so of a recipe only where it has these, whenever
it was trained. A test holds them to the published trials and to the presets (docs/tuning.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TUNED_ON = {
    "nano": "on detoxification documents that no run is scored on",
    "small": "on validation documents of ParaDetox, at a fourteenth to a fortieth of the preset's budget, of two "
    "stages the second alone",
}
"""Preset -> on what recipes of it were tried."""

_ONE_STAGE = ("training.learning_rate", "training.batch_size", "trunk.dropout")
_COSMOS = (
    "autoencoder_training.learning_rate", "autoencoder_training.batch_size", "model.autoencoder.dropout",
    "diffusion_training.learning_rate", "diffusion_training.batch_size", "model.denoiser.dropout",
)  # fmt: skip
_COSMOS_SECOND = _COSMOS[3:]
_LATENT_SECOND = ("denoiser_training.learning_rate", "denoiser_training.batch_size", "denoiser.dropout")
_LATENT = ("decoder_training.learning_rate", "decoder_training.batch_size", *_LATENT_SECOND)
_GPT2 = ("training.learning_rate", "training.batch_size", "dropout")


def _all(keys: tuple[str, ...], *values: float) -> dict[str, float]:
    return dict(zip(keys, values, strict=True))


CHOSEN: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "nano": {
        "cosmos": _all(_COSMOS, 4e-3, 16, 0.0, 4e-3, 16, 0.0),
        "gpt2": _all(_GPT2, 2e-3, 8, 0.0),
        "mdlm": _all(_ONE_STAGE, 2e-3, 8, 0.1),
        "sedd": _all(_ONE_STAGE, 2e-3, 8, 0.0),
        "duo": _all(_ONE_STAGE, 2e-3, 8, 0.0),
        "diffuseq": _all(_ONE_STAGE, 4e-3, 8, 0.0),
        "tencdm": _all(_LATENT, 4e-3, 16, 4e-3, 16, 0.0),
        "ld4lg": _all((*_LATENT, "autoencoder.dropout"), 2e-3, 8, 2e-3, 8, 0.0, 0.0),
    },
    "small": {
        "cosmos-8": _all(_COSMOS_SECOND, 1.2e-3, 256, 0.0),
        "gpt2": _all(_GPT2, 6e-4, 256, 0.1),
        "mdlm": _all(_ONE_STAGE, 6e-4, 256, 0.0),
        "sedd": _all(_ONE_STAGE, 6e-4, 256, 0.0),
        "duo": _all(_ONE_STAGE, 6e-4, 256, 0.0),
        "diffuseq": _all(_ONE_STAGE, 1.2e-3, 256, 0.0),
        "tencdm": _all(_LATENT_SECOND, 1.2e-3, 256, 0.0),
        "ld4lg": _all(_LATENT_SECOND, 1.2e-3, 256, 0.0),
    },
}
"""Preset -> system -> keys of its recipe, and what was chosen for them."""


def is_tuned(system: str, preset: str, recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe as JSON has what was chosen for that system at that preset."""
    chosen = CHOSEN.get(preset, {}).get(system)
    return chosen is not None and all(_at(recipe, key) == value for key, value in chosen.items())


def _at(recipe: Mapping[str, Any], key: str) -> Any:
    found: Any = recipe
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
