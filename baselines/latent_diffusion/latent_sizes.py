"""Numbers and widths of latents that cannot be: more than a task has positions, or others than a name says."""

from __future__ import annotations

import re

from baselines.contract import Limits, UserError
from cosmos.config import AutoencoderConfig

NAME = re.compile(r"cosmos-(?:(\d+)|full)(?:x(\d+))?")


def check_latents(name: str, latents: int, limits: Limits) -> None:
    """Raise `UserError` where there are more latents than a text of the task has positions."""
    if latents > limits.target_tokens:
        raise UserError(
            f"{latents} latents of '{name}' are more than the {limits.target_tokens} positions of a text; ask for at "
            "most as many, or for cosmos-full, which has one for each."
        )


def check_name(name: str, sizes: AutoencoderConfig) -> None:
    """Raise `UserError` where a contestant whose name says its latents has others."""
    said = NAME.fullmatch(name)
    pairs = zip(("latents", "latent_width"), said.groups() if said else (), strict=False)
    for key, number in pairs:
        if number is not None and int(number) != getattr(sizes, key):
            raise UserError(
                f"The name of '{name}' says {key} {number}, and its recipe {getattr(sizes, key)}; name the contestant "
                "after what it has (cosmos-N or cosmos-NxW), or change that of 'cosmos'."
            )
