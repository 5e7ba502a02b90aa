"""How smooth and robust a trained model is: the probes of the paper's figures (cosmos.md section 4), without a language
model to judge texts, so that they run anywhere.

    interpolation   a point between two texts' latents, noised to t, denoised once and decoded: how many of its tokens
                    are those of the nearer text, and do they change little by little on the way?
    decompressor    latents with noise added, decoded: share of tokens that stay those of the clean latents
    sampler         noise added to the state at time t of a sampling run: how far does the end move?
    re-encoding     a generated text, encoded and compressed again: how far is that from the latents it was read from?

Re-encoding masks: the compressor is given the tokens up to and with the end token and nothing after it, as in training.
What the decompressor writes after the end token was never trained and means nothing; encoding it too, with a full mask,
puts noise into every latent and overstates the distance.

Axis legend in `cosmos.models.blocks`; P pairs of texts, M mixtures.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosmos.config import SamplerSetting
from cosmos.diffusion.objective import diffuse
from cosmos.diffusion.samplers import Denoise, grid_at, make_grid, solve, with_network
from cosmos.diffusion.schedule import make_schedule
from cosmos.io.errors import UserError
from cosmos.models.denoiser import SourceStates
from cosmos.pipeline import Pipeline
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import SEP


@dataclass(frozen=True)
class ProbeConfig:
    """Where to look; defaults follow the paper's figures with fewer points."""

    mixtures: int = 21
    interpolation_times: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3)
    noises: tuple[float, ...] = tuple(i / 5 for i in range(21))  # sigma, 0 to 4
    kicks: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5)  # nu
    kick_times: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    sampler_steps: int = 100


DEFAULTS = ProbeConfig()


def probe(
    pipeline: Pipeline,
    texts: Sequence[str],
    sources: Sequence[str] | None,
    seed: int = 0,
    config: ProbeConfig = DEFAULTS,
) -> dict[str, Any]:
    """All four probes of texts that the model may write, each for its source if it is conditional, as JSON holds them.

    Raises:
        UserError: no denoiser or text encoder, fewer than two texts, sources missing or not wanted.
    """
    denoiser = pipeline.denoiser
    if denoiser is None or pipeline.encoder is None:
        raise UserError("Probing needs a denoiser and the text encoder; give the model that train-diffusion has left.")
    if len(texts) < 2:
        raise UserError("Probing needs at least two texts.")
    denoiser.check_sources(sources)
    seeds = torch.arange(len(texts), device=pipeline.device) + seed
    with torch.no_grad():
        latents = _latents(pipeline, texts)
        source = None if sources is None else pipeline.encode(sources, denoiser.config.max_source_tokens)
        return {
            "texts": len(texts),
            "interpolation": _interpolation(pipeline, latents, source, seeds, config),
            "decompressor": _decompressor(pipeline, latents, seeds, config),
            "sampler": _sampler(pipeline, source, seeds, config),
            "re_encoding": _re_encoding(pipeline, latents, source, seeds),
        }


def agreement(tokens: Tensor, others: Tensor) -> Tensor:
    """Share of positions, up to the longer text's end, where two rows of tokens [..., L] are the same: [...]."""
    length = torch.maximum(_lengths(tokens), _lengths(others))
    seen = torch.arange(tokens.shape[-1], device=tokens.device) < length[..., None]
    return ((tokens == others) & seen).sum(-1) / length.clamp_min(1)


def _latents(pipeline: Pipeline, texts: Sequence[str]) -> Tensor:
    """Standardised latents of texts [B, N, C]."""
    states = pipeline.encode(texts, pipeline.autoencoder.config.max_tokens)
    return pipeline.denoiser.normaliser.standardise(pipeline.autoencoder.compress(*states))


def _lengths(tokens: Tensor) -> Tensor:
    """Tokens up to and with the first end token [..., L] -> [...]; all of them where there is none."""
    ended = tokens == SEP
    first = ended.to(torch.int64).argmax(-1) + 1
    return torch.where(ended.any(-1), first, tokens.shape[-1])


def _interpolation(
    pipeline: Pipeline, latents: Tensor, source: list[Tensor] | None, seeds: Tensor, config: ProbeConfig
) -> dict[str, Any]:
    """Between each text and the next: agreement with the nearer end, and the largest jump between neighbours.

    The source is the nearer text's, so the middle is where it changes.
    """
    ends = (pipeline.decompress(latents), pipeline.decompress(latents.roll(-1, 0)))
    shares = torch.linspace(0, 1, config.mixtures).tolist()
    result: dict[str, Any] = {"share": shares, "agreement_with_nearer": {}, "largest_jump": {}}
    for t in config.interpolation_times:
        rows: list[Tensor] = []
        for share in shares:
            mixed = (1 - share) * latents + share * latents.roll(-1, 0)
            near = None if source is None else [part if share <= 0.5 else part.roll(-1, 0) for part in source]
            if t > 0:
                mixed = _denoised_once(pipeline, mixed, t, near, CounterRNG(seeds))
            rows.append(pipeline.decompress(mixed))
        nearer = [agreement(row, ends[share > 0.5]).mean() for row, share in zip(rows, shares, strict=True)]
        jumps = [1 - agreement(a, b) for a, b in itertools.pairwise(rows)]
        result["agreement_with_nearer"][f"{t:g}"] = torch.stack(nearer).tolist()
        result["largest_jump"][f"{t:g}"] = float(torch.stack(jumps).amax(0).mean())
    return result


def _denoise(pipeline: Pipeline, source: list[Tensor] | None) -> Denoise:
    condition = None if source is None else pipeline.denoiser.encode_condition(SourceStates(*source))
    return with_network(pipeline.denoiser, condition, self_conditioned=pipeline.diffusion.self_conditioned)


def _denoised_once(
    pipeline: Pipeline, latents: Tensor, t: float, source: list[Tensor] | None, seeds: CounterRNG
) -> Tensor:
    """Latents noised to time t and predicted, with one pass of self-conditioning where the denoiser knows it."""
    diffusion, denoise = pipeline.diffusion, _denoise(pipeline, source)
    times = torch.full((len(latents),), t, device=latents.device)
    noisy = diffuse(latents, times, seeds.normal(*latents.shape[1:]), make_schedule(diffusion.schedule))
    estimate = denoise(noisy, t, None)
    return denoise(noisy, t, estimate) if diffusion.self_conditioned else estimate


def _decompressor(pipeline: Pipeline, latents: Tensor, seeds: Tensor, config: ProbeConfig) -> dict[str, Any]:
    clean, noise = pipeline.decompress(latents), CounterRNG(seeds).normal(*latents.shape[1:])
    agreements = [agreement(pipeline.decompress(latents + sigma * noise), clean).mean() for sigma in config.noises]
    return {"sigma": list(config.noises), "agreement": torch.stack(agreements).tolist()}


def _sampler(pipeline: Pipeline, source: list[Tensor] | None, seeds: Tensor, config: ProbeConfig) -> dict[str, Any]:
    """DDIM with nu * noise added once, at the step nearest to t: mean squared shift of the last prediction.

    Self-conditioning starts afresh at that step, in the undisturbed run too.
    """
    schedule, denoise = make_schedule(pipeline.diffusion.schedule), _denoise(pipeline, source)
    grid = make_grid(schedule, SamplerSetting("ddim", config.sampler_steps))
    times = torch.tensor(grid.t, dtype=torch.float64, device="cpu")
    noise, sizes = CounterRNG(seeds), pipeline.denoiser.config
    start, kick = (noise.normal(sizes.latents, sizes.latent_width) for _ in range(2))
    shifts: dict[str, list[float]] = {f"{nu:g}": [] for nu in config.kicks}
    for kick_time in config.kick_times:
        place = min(range(1, grid.steps), key=lambda i: abs(grid.t[i] - kick_time))
        state = solve("ddim", denoise, start, grid_at(schedule, times[: place + 1])).state
        rest = grid_at(schedule, times[place:])
        undisturbed = solve("ddim", denoise, state, rest).estimate
        for nu in config.kicks:
            moved = solve("ddim", denoise, state + nu * kick, rest).estimate
            shifts[f"{nu:g}"].append(float((moved - undisturbed).square().mean()))
    return {"t": list(config.kick_times), "mean_squared_shift": shifts}


def _re_encoding(pipeline: Pipeline, latents: Tensor, source: list[Tensor] | None, seeds: Tensor) -> dict[str, Any]:
    """Mean L2 distance per latent between standardised latents, generated ones and for scale those of real texts, and
    those of the text read from them."""
    setting = SamplerSetting("dpmpp_2m", 20, "log_snr", final_x0=True)
    generated = pipeline.latents(setting, seeds, *(source or []))
    distances = {}
    for name, originals in (("generated", generated), ("real", latents)):
        written = [result.text for result in pipeline.detokenise(pipeline.decompress(originals))]
        distances[name] = float((_latents(pipeline, written) - originals).square().sum(-1).sqrt().mean())
    return {**distances, "norm_of_unit_variance": pipeline.denoiser.config.latent_width**0.5}


def figure(results: dict[str, Any], path: Path) -> None:
    """Draw what `probe` found, as PNG, PDF or SVG by the path's ending."""
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(10, 7), layout="constrained")
    (between, noise), (kicks, distances) = sheet.subplots(2, 2)
    for t, values in results["interpolation"]["agreement_with_nearer"].items():
        between.plot(results["interpolation"]["share"], values, label=f"t = {t}")
    between.set(
        title="interpolation", xlabel="share of the second text", ylabel="tokens of the nearer text", ylim=(0, 1)
    )
    between.legend()
    noise.plot(results["decompressor"]["sigma"], results["decompressor"]["agreement"])
    noise.set(title="decompressor against noise", xlabel="sigma", ylabel="tokens kept", ylim=(0, 1))
    for nu, values in results["sampler"]["mean_squared_shift"].items():
        kicks.plot(results["sampler"]["t"], values, marker="o", label=f"nu = {nu}")
    kicks.set(
        title="sampler against noise", xlabel="t of the kick", ylabel="mean squared shift of the end", yscale="log"
    )
    kicks.legend()
    names = ("real", "generated")
    distances.bar(names, [results["re_encoding"][name] for name in names])
    distances.axhline(results["re_encoding"]["norm_of_unit_variance"], linestyle="--", color="grey")
    distances.set(title="re-encoding", ylabel="L2 distance per latent (dashed: a latent's own norm)")
    sheet.savefig(path)
