"""Keys of latent-diffusion recipes that have no effect, since the encoder, the task or the autoencoder decides; see
`baselines.contract.DeclaresIgnoredKeys`.

`part` is the part of a recipe that holds the networks' sizes, with its dot: empty, or "model.".
"""

from __future__ import annotations

from dataclasses import replace

from baselines.contract import Budget, Limits
from cosmos.config import AutoencoderConfig
from cosmos.models.linear_init import tokens_per_latent


def shared_keys(part: str, budget: Budget, limits: Limits) -> dict[str, str]:
    """Of every system that diffuses what it makes of a frozen encoder's states."""
    reasons = {
        f"{part}denoiser.source_width": f"it is the encoder's; set {{}}{part}text_encoder",
        f"{part}denoiser.max_source_tokens": "sources are as long as the task allows",
    }
    if limits.source_tokens == 0:
        for key in ("denoiser.source_layers", "denoiser.release_condition", "diffusion.source_dropout"):
            reasons[part + key] = "the task has no source"
    if budget.unit == "steps":
        reasons["encoding_share"] = "a budget in steps pays for no encoding; give one in seconds or FLOPs"
    return reasons


def autoencoder_keys(part: str, *, full: bool = False) -> dict[str, str]:
    """Of those whose denoiser works on an autoencoder's latents; `full`: with a latent for every position."""
    why = "it is the autoencoder's; set {}" + part + "autoencoder."
    reasons = {
        f"{part}autoencoder.text_width": f"it is the encoder's; set {{}}{part}text_encoder",
        f"{part}autoencoder.vocabulary": "it is that of the training texts",
        f"{part}autoencoder.max_tokens": "texts are as long as the longest training target, within the task's limit",
        f"{part}denoiser.latents": f"{why}latents",
        f"{part}denoiser.latent_width": f"{why}latent_width",
    }
    if full:
        every = "there is a latent for every position; set {}full=false"
        reasons |= {f"{part}autoencoder.latents": every, f"{part}denoiser.latents": every}
    return reasons


def linear_start_keys(
    start_linear: bool, sizes: AutoencoderConfig, limits: Limits, *, full: bool = False
) -> dict[str, str]:
    """A linear start that is wanted where the sizes leave no room for one, however long the texts are."""
    lengths = {max(sizes.latents, length) for length in (*range(4, limits.target_tokens, 4), limits.target_tokens)}
    fitting = (
        tokens_per_latent(replace(sizes, text_width=0, max_tokens=n, latents=n if full else sizes.latents))
        for n in lengths
    )
    if not start_linear or any(room is not None for room in fitting):
        return {}
    return {
        "start_linear": "these sizes leave no room for a linear start; see cosmos.models.linear_init.tokens_per_latent"
    }
