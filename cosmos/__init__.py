"""Cosmos: latent diffusion for text in a compressed and smooth space.

Implements "Compressed and Smooth Latent Space for Text Diffusion Modeling" (arXiv 2506.21170, NeurIPS 2025).
Public names are loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmos.config import SamplerSetting
    from cosmos.io.errors import UserError
    from cosmos.models.autoencoder import Autoencoder
    from cosmos.models.denoiser import Denoiser
    from cosmos.pipeline import Pipeline
    from cosmos.pretrained import from_pretrained, save_pretrained
    from cosmos.probes import probe
    from cosmos.recipes import RECIPES
    from cosmos.release import convert
    from cosmos.text.encoder import TextEncoder
    from cosmos.text.vocabulary import Vocabulary
    from cosmos.train import train_autoencoder, train_diffusion
    from cosmos.training.budget import Budget

__version__ = "0.1.0"

_PLACES = {
    "Autoencoder": "autoencoder",
    "Budget": "budget",
    "Denoiser": "denoiser",
    "Pipeline": "pipeline",
    "RECIPES": "recipes",
    "SamplerSetting": "config",
    "TextEncoder": "text_encoder",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "convert": "release",
    "from_pretrained": "pretrained",
    "probe": "probes",
    "save_pretrained": "pretrained",
    "train_autoencoder": "train",
    "train_diffusion": "train",
}

__all__ = [
    "RECIPES",
    "Autoencoder",
    "Budget",
    "Denoiser",
    "Pipeline",
    "SamplerSetting",
    "TextEncoder",
    "UserError",
    "Vocabulary",
    "convert",
    "from_pretrained",
    "probe",
    "save_pretrained",
    "train_autoencoder",
    "train_diffusion",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'cosmos' has no attribute '{name}'")
    return getattr(importlib.import_module(f"cosmos.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
