"""Keys of latent-diffusion recipes that have no effect, since the encoder, the task or the autoencoder decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from baselines.contract import Budget, Limits
from cosmos.config import AutoencoderConfig
from cosmos.models.linear_init import tokens_per_latent


def ignored_keys(
    budget: Budget,
    limits: Limits,
    sizes: AutoencoderConfig | None = None,
    *,
    start_linear: bool = False,
    full: bool = False,
    part: str = "",
    shared: str | None = None,
    adapting: Sequence[str] = (),
) -> dict[str, str]:
    """See `baselines.contract.DeclaresIgnoredKeys`; `full` is a latent for every position.

    Args:
        sizes: of the autoencoder whose latents are diffused, which may leave no room for a linear start; None: there is
            none, and an encoder's states are.
        part: the part of a recipe that holds the networks' sizes, with its dot: empty, or "model.".
        shared: the key that names a first stage trained elsewhere, where there is one.
        adapting: keys of the first stage's training that have an effect even then, as its decoder is adapted by them.
    """
    encoder, every = f"set {{}}{part}text_encoder", "there is a latent for every position"
    reasons = {
        "denoiser.source_width": f"it is the encoder's; {encoder}",
        "denoiser.max_source_tokens": "sources are as long as the task allows",
    }
    alone = {}  # keys of the recipe itself
    if limits.source_tokens == 0:
        conditional = ("denoiser.source_layers", "denoiser.release_condition", "diffusion.source_dropout")
        reasons |= dict.fromkeys(conditional, "the task has no source")
        alone["distillation.guidance"] = "the task has no source"
    if sizes is None:
        reasons |= {"denoiser.latents": every, "denoiser.latent_width": f"it is the encoder's width; {encoder}"}
    else:
        reasons |= {
            "autoencoder.text_width": f"it is the encoder's; {encoder}",
            "autoencoder.vocabulary": "it is that of the training texts",
            "autoencoder.max_tokens": "texts are as long as the longest training target, within the task's limit",
        }
        for key in ("latents", "latent_width"):
            reasons[f"denoiser.{key}"] = f"it is the autoencoder's; set {{}}{part}autoencoder.{key}"
    if full:
        reasons |= dict.fromkeys(("autoencoder.latents", "denoiser.latents"), every + "; set {}full=false")
    reasons = alone | {part + key: why for key, why in reasons.items()}
    if budget.unit == "steps":
        reasons["encoding_share"] = "a budget in steps pays for no encoding; give one in seconds or FLOPs"
    if shared is not None:
        elsewhere = f"the first stage was trained elsewhere; leave out {{}}{shared}"
        trains = ("autoencoder_training", "autoencoder_share", "decoder_training", "decoder_share", "start_linear")
        keys = (*trains, f"{part}corruption", f"{part}autoencoder.dropout")
        reasons |= dict.fromkeys((key for key in keys if key not in adapting), elsewhere)
    elif sizes is not None and start_linear:
        lengths = {max(sizes.latents, length) for length in (*range(4, limits.target_tokens, 4), limits.target_tokens)}
        possible = (replace(sizes, text_width=0, max_tokens=n, latents=n if full else sizes.latents) for n in lengths)
        if not any(map(tokens_per_latent, possible)):
            why = "these sizes leave no room for a linear start; see cosmos.models.linear_init.tokens_per_latent"
            reasons["start_linear"] = why
    return reasons
