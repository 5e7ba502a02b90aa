"""Cosmos with any number of latents of any width, by name: `cosmos-12`, `cosmos-16x64`, `cosmos-fullx128`.

The name is all there is to say, so no contestant needs a line in the catalogue: the recipe of each preset follows from
it, and a cell's identity from that recipe, as for every other system.
"""

from __future__ import annotations

from functools import cache

from baselines.latent_diffusion.cosmos import CosmosSystem
from cosmos.recipes import with_latents


@cache
def sized(name: str) -> type[CosmosSystem]:
    """The contestant of a name, the same class each time.

    Raises:
        UserError: a size that no network has.
    """
    latents, _, width = name.removeprefix("cosmos-").partition("x")
    presets = with_latents("full" if latents == "full" else int(latents), int(width) if width else None)
    return type(f"CosmosSystem{latents}x{width}", (CosmosSystem,), {"name": name, "presets": presets})
