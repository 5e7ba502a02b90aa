"""Cosmos: latent diffusion for text in a compressed and smooth space.

Implements "Compressed and Smooth Latent Space for Text Diffusion Modeling" (arXiv 2506.21170, NeurIPS 2025).
Public names are loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

_PLACES = {
    "Autoencoder": "models.autoencoder",
    "Budget": "training.budget",
    "Denoiser": "models.denoiser",
    "Pipeline": "pipeline",
    "RECIPES": "recipes",
    "SamplerSetting": "config",
    "TextEncoder": "text.encoder",
    "UserError": "io.errors",
    "Vocabulary": "text.vocabulary",
    "convert": "release",
    "from_pretrained": "pretrained",
    "probe": "probes",
    "save_pretrained": "pretrained",
    "train_autoencoder": "train",
    "train_diffusion": "train",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'cosmos' has no attribute '{name}'")
    return getattr(importlib.import_module(f"cosmos.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
