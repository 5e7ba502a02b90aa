"""Latent diffusion with an autoregressive decoder: LD4LG (Lovelace et al., 2023, arXiv:2212.09462).

A Perceiver compresses a frozen encoder's states into a few latents of fixed norm; a decoder that attends to the
latents writes the text word by word (greedily here; teacher-forced in training, cross-entropy alone); a diffusion
model, given the source's frozen states, makes latents. It predicts the velocity v = alpha eps - sigma x_0 (Salimans
and Ho, 2022, arXiv:2202.00512) under a plain mean squared error on the cosine schedule alpha = cos(pi t/2), with
self-conditioning and a tenth of all sources withheld (at nano none, as Cosmos has it there).

Sampling: the paper's 250 ancestral steps, the last of which returns its prediction of x_0; and first, as for Cosmos,
DPM-Solver++(2M) in 20 steps. For tasks with a source the authors guide by 2.0 (1 is none) and keep one of 5 texts by
minimum Bayes risk (`baselines.common.mbr`), of each latent the best text of a beam of 4; settings have all three as the
authors do, and each with the faster solver.

This isolates the decoder: all else is of the size and the training of the Cosmos preset of the same name. At `nano`
the schedule's log-SNR is shifted, as the authors' code can (`scale` 0.2, so sigma/alpha = 5 tan(pi t/2), noise at which
the source and not x tells the words); the compressor and the decoder's attention begin linearly, as Cosmos's do; and
states are those of the encoder's first layer, as Cosmos reads them there, where the authors' are of the last.

Departures, and why: the paper's encoder and decoder are those of pretrained BART, which would bring other knowledge
than its rivals have; here the encoder is the one all share and the decoder learns from scratch, attends to the latents
themselves rather than through further Perceiver layers, and is greedy by default: the paper's beam of 4 is four times
the work of the part that this system is to isolate, and no other decoder of latents searches, so it is a setting of its
own (`beam4-...`), without the penalties on what is repeated, which make up for repetitions of BART's. Candidates are
compared by the BLEU that all systems' are. Guidance is on x_0, which is linear in v. Latents are standardised per
position and dimension (the paper: one scale for all). Ancestral steps have the posterior's variance, the smaller of the
two usual choices. An `adaptation_share`, 0 unless it is set, adds a stage that the authors do not have
(`cosmos.adaptation`).

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.autoregressive.beam import Beam
from baselines.autoregressive.decoding import KVCacheDecoder
from baselines.common.mbr import check_candidates
from baselines.contract import Limits
from baselines.latent_diffusion.ignored_keys import ignored_keys
from baselines.latent_diffusion.latent_sizes import check_latents
from baselines.latent_diffusion.ld4lg_decoder import LatentDecoder, beam_search, greedy
from baselines.latent_diffusion.networks import LatentNetworks
from baselines.latent_diffusion.recipe import FIRST_STAGE_KEYS, LatentRecipe
from baselines.latent_diffusion.settings import LatentSamplingSetting, Setting, few_calls
from baselines.latent_diffusion.shared_decoder import AUTOENCODER_SIZES
from baselines.latent_diffusion.system import LatentDiffusionSystem
from baselines.latent_diffusion.training import DiffusesLatents
from cosmos.adaptation import Read
from cosmos.config import PRESETS, AutoencoderConfig, DenoiserConfig, DiffusionConfig, LatentPlace, check_places
from cosmos.data.encoding import EncodedCorpus
from cosmos.diffusion.objective import noised_example
from cosmos.diffusion.schedule import Schedule, Tangent, make_schedule
from cosmos.models.autoencoder import Compressor
from cosmos.models.blocks import TimeInputs
from cosmos.models.denoiser import Condition, Denoiser, SourceStates
from cosmos.models.linear_init import linear_start_compressor, tokens_per_latent
from cosmos.models.token_head import choose, summed_nll, take
from cosmos.recipes import NANO, RECIPES
from cosmos.runtime.capture import captured
from cosmos.runtime.rng import CounterRNG
from cosmos.stages import diffusion_stage, first_texts
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import SEP
from cosmos.training.batches import Batch, Rows
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.loop import TrainingStage

COSINE = Tangent(1.0)
TUNED = replace(NANO, learning_rate=2e-3, batch_size=8)
GUIDANCE = 2.0  # the authors', for tasks with a source


@dataclass(frozen=True)
class CandidateSampling(LatentSamplingSetting):
    """As all latent sampling, with the one of several texts kept that is most like the others."""

    candidates: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_candidates(self.candidates)


@dataclass(frozen=True)
class BeamSampling(CandidateSampling):
    """As all latent sampling, and the decoder searches (`baselines.autoregressive.beam`)."""

    candidates: int = 1
    beams: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        Beam(self.beams)  # refuses what is no width


DPM_SOLVER: Mapping[str, Any] = {
    "solver": "dpmpp_2m", "steps": 20, "grid": "log_snr", "end_noise": 0.05, "final_x0": True
}  # fmt: skip
ANCESTRAL: Mapping[str, Any] = {"solver": "ddpm", "steps": 250, "end_noise": 1e-4}


@dataclass(frozen=True, kw_only=True)
class LD4LGRecipe(LatentRecipe):
    """The autoencoder's vocabulary and lengths are set to suit the task."""

    autoencoder: AutoencoderConfig  # the compressor's layers; its widths are the decoder's too
    start_linear: bool = False  # `cosmos.models.linear_init` for the compressor, and its like for the decoder
    clean_latents: LatentPlace = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_places(self.states, self.clean_latents)


class LatentAutoencoder(nn.Module):
    """Compressor and autoregressive decoder."""

    def __init__(self, config: AutoencoderConfig, decoder_layers: int) -> None:
        super().__init__()
        self.config = config
        self.compressor, self.decoder = Compressor(config), LatentDecoder(config, decoder_layers)

    def compress(self, states: Tensor, mask: Tensor) -> Tensor:
        """Standardised states [B, L, T] and bool mask [B, L] -> raw latents [B, N, C]."""
        return self.compressor(states, mask)


def velocity(clean: Tensor, noise: Tensor, t: Tensor, schedule: Schedule = COSINE) -> Tensor:
    """v = alpha eps - sigma x_0; clean and noise [B, N, C], t [B]."""
    return clean_of(noise, clean, t, schedule)


def clean_of(noisy: Tensor, velocity: Tensor, t: Tensor, schedule: Schedule = COSINE) -> Tensor:
    """x_0 = alpha x - sigma v."""
    alpha, sigma = weights_at(t, schedule, noisy.dtype)
    return alpha * noisy - sigma * velocity


def weights_at(t: Tensor, schedule: Schedule, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Alpha and sigma at times t [B], each [B, 1, 1]."""
    wide = t.double()[:, None, None]
    return schedule.alpha(wide).to(dtype), schedule.sigma(wide).to(dtype)


class VelocityDenoiser(Denoiser):
    """The denoiser of Cosmos as a predictor of v; called, it gives the estimate of x_0 that every solver wants."""

    def __init__(self, config: DenoiserConfig, schedule: Schedule = COSINE) -> None:
        super().__init__(config)
        self.schedule = schedule

    def forward(
        self, x: Tensor, t: Tensor | TimeInputs, estimate: Tensor | None = None, condition: Condition | None = None
    ) -> Tensor:
        predicted = self.predict(x, t, estimate, condition)
        if isinstance(t, Tensor):
            return clean_of(x, predicted, t, self.schedule)
        _, alpha, sigma = t.parts
        return alpha * x - sigma * predicted

    def time_inputs(self, t: Tensor) -> TimeInputs:
        """As its base class's, and what x and v count, [S, 1, 1]."""
        [shifts] = super().time_inputs(t).parts
        return TimeInputs((shifts, *weights_at(t, self.schedule, shifts.dtype)))

    def predict(
        self, x: Tensor, t: Tensor | TimeInputs, estimate: Tensor | None, condition: Condition | None
    ) -> Tensor:
        return super().forward(x, t, estimate, condition)


def velocity_loss(
    model: VelocityDenoiser, latents: Tensor, config: DiffusionConfig, seeds: CounterRNG, source: SourceStates | None
) -> tuple[Tensor, Tensor]:
    """Mean squared error of the velocity of each text, summed, and the number of texts; as
    `cosmos.diffusion.objective.diffusion_loss`."""
    example = noised_example(model, latents, config, seeds, source)
    target = velocity(latents.float(), example.noise.float(), example.t, model.schedule)
    error = (model.predict(example.noisy, example.t, example.estimate, example.condition).float() - target).square()
    return error.mean((1, 2)).sum(), error.new_full((), len(latents))


def after_first(rows: Rows) -> Tensor:
    """Tokens that one before them predicts, bool [B, L - 1] (`cosmos.training.loop.TrainingStage.scored`)."""
    return rows["mask"][:, 1:]


def taught(decoder: LatentDecoder, latents: Tensor, batch: Batch, compiled: bool) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every token after [CLS], given raw latents [B, N, C], summed, and their number."""
    scored, tokens = batch["mask"][:, 1:], batch["tokens"]
    index, counts = choose(scored, batch.get("positions"))
    states = take(decoder.hidden(tokens[:, :-1], latents).flatten(0, 1), index, counts)
    targets, weights = tokens[:, 1:].flatten()[index], counts.to(torch.float32)
    return summed_nll(states, decoder.tokens.weight, targets, weights, compiled=compiled), scored.sum()


class LD4LGSystem(DiffusesLatents, LatentDiffusionSystem):
    """LD4LG behind the contract."""

    name: ClassVar[str] = "ld4lg"
    presets: ClassVar[Mapping[str, Any]] = {
        name: LD4LGRecipe.like_cosmos(
            name, d, decoder_layers=layers, decoder_share=share, autoencoder=PRESETS[name].autoencoder,
            start_linear=RECIPES[name].start_linear, distillation=replace(RECIPES[name].distillation, end_noise=0.05),
        )
        # `d` is one over the authors' `scale` of the schedule: 1 is the cosine, more is noisier.
        for name, d, layers, share in (("nano", 5.0, 2, 0.4), ("small", 1.0, 6, 0.3), ("base", 1.0, 12, 0.3))
    }  # fmt: skip
    presets["nano"] = replace(presets["nano"], decoder_training=TUNED, denoiser_training=TUNED)
    settings: ClassVar[Mapping[str, Any]] = {
        "dpmpp_2m-20": LatentSamplingSetting(**DPM_SOLVER),
        "ddpm-250": LatentSamplingSetting(**ANCESTRAL),
    }
    other_settings: ClassVar[Mapping[str, Any]] = {
        "guided-20": LatentSamplingSetting(**DPM_SOLVER, guidance=GUIDANCE),
        "mbr5-dpmpp_2m-20": CandidateSampling(**DPM_SOLVER),
        "mbr5-ddpm-guided-250": CandidateSampling(**ANCESTRAL, guidance=GUIDANCE),
        "beam4-dpmpp_2m-20": BeamSampling(**DPM_SOLVER),
        # The authors' own, for summaries.
        "beam4-mbr5-ddpm-guided-250": BeamSampling(**ANCESTRAL, guidance=GUIDANCE, candidates=5),
        **few_calls(end_noise=0.05),
    }
    kv_decoder: KVCacheDecoder | None = None

    def __init__(self, recipe: LD4LGRecipe, limits: Limits) -> None:
        super().__init__(recipe, limits)
        check_latents(self.name, recipe.autoencoder.latents, limits)

    def ignored_keys(self) -> dict[str, str]:
        recipe: LD4LGRecipe = self.recipe
        how = {"start_linear": recipe.start_linear, "shared": None if recipe.decoder is None else "decoder"}
        adapting = ("decoder_training", "autoencoder.dropout") if recipe.adaptation_share > 0 else ()
        return ignored_keys(recipe.budget, self.limits, recipe.autoencoder, **how, adapting=adapting)

    def decoder_sizes(self, positions: int) -> Mapping[str, tuple[Any, str]]:
        recipe: LD4LGRecipe = self.recipe
        sizes = {name: (getattr(recipe.autoencoder, name), f"autoencoder.{name}") for name in AUTOENCODER_SIZES}
        return {**sizes, "decoder_layers": (recipe.decoder_layers, "decoder_layers")}

    def decoder_keys(self) -> Collection[str]:
        return (*FIRST_STAGE_KEYS, "autoencoder", "start_linear")

    def positions(self, longest: int) -> int:
        """As others', and one for each latent at least."""
        return max(self.recipe.autoencoder.latents, super().positions(longest))

    def build(self, shape: Mapping[str, int]) -> LatentNetworks:
        recipe: LD4LGRecipe = self.recipe
        of_texts = {"text_width": shape["text_width"], "vocabulary": shape["vocabulary"], "max_tokens": shape["length"]}
        sizes = replace(recipe.autoencoder, **of_texts)
        denoiser = self.denoiser_sizes(sizes.latents, sizes.latent_width, shape)
        autoencoder = LatentAutoencoder(sizes, recipe.decoder_layers)
        velocity_denoiser = VelocityDenoiser(denoiser, make_schedule(recipe.diffusion.schedule))
        return LatentNetworks(sizes.text_width, autoencoder, velocity_denoiser)

    def decoder_of(self, model: LatentNetworks) -> LatentDecoder:
        decoder: LatentDecoder = model.decoder.decoder
        return decoder

    def reads(self, model: LatentNetworks) -> Read:
        def read(
            decoder: nn.Module, latents: Tensor, source: SourceStates | None, batch: Batch, compiled: bool
        ) -> tuple[Tensor, Tensor]:
            assert isinstance(decoder, LatentDecoder)
            return taught(decoder, model.denoiser.normaliser.restore(latents), batch, compiled)

        return read

    def never_end(self, model: LatentNetworks) -> None:
        """A logit of zero is never the largest of a whole vocabulary's."""
        model.decoder.decoder.tokens.weight[SEP] = 0.0

    def start(self, model: LatentNetworks, data: EncodedCorpus, encoder: TextEncoder, seed: int) -> None:
        if self.recipe.start_linear and tokens_per_latent(model.decoder.config) is not None:
            first = first_texts(data.sample, model.standardiser)
            linear_start_compressor(model.decoder.compressor, model.decoder.config, *first, seed)
            model.decoder.decoder.align()

    def first_stage(self, model: LatentNetworks, data: EncodedCorpus) -> TrainingStage:
        def loss(autoencoder: LatentAutoencoder, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
            """Cross-entropy of every token after [CLS], and their number."""
            mask = batch["mask"]
            latents = autoencoder.compress(model.standardiser(batch["states"], mask), mask)
            return taught(autoencoder.decoder, latents, batch, seeds.fused)

        held_out = None if data.validation is None else data.validation.targets
        stage = TrainingStage("decoder", model.decoder, loss, data.train.targets, held_out, prepare=data.prepare)
        return replace(stage, scored=after_first, frozen=data.frozen)

    def second_stage(self, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> tuple[TrainingStage, Cost]:
        latents = self.corpus_latents(model, data, run)
        stage = diffusion_stage(model.denoiser, model.standardiser, latents, self.recipe.diffusion, velocity_loss)
        return replace(stage, name="denoiser"), latents.cost

    def candidates(self, setting: Setting) -> int:
        return setting.candidates if isinstance(setting, CandidateSampling) else 1

    def sample_tokens(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        latents = captured(self, self.latents, setting.capture, setting)(seeds, *source)
        decoder, length = self.decoder_of(self.model), self.loaded_shape["length"]
        raw = self.model.denoiser.normaliser.restore(latents).to(decoder.tokens.weight.dtype)
        beam = Beam(setting.beams) if isinstance(setting, BeamSampling) else None
        rows = len(raw) * (beam.beams if beam else 1)
        self.kv_decoder = KVCacheDecoder.of(self.kv_decoder, self.decoder_name, decoder, rows, length)
        most = min(length, self.limits.target_tokens) - 1
        if beam:
            return beam_search(self.kv_decoder, raw, most, len(self.vocabulary), beam)
        return greedy(self.kv_decoder, raw, most, len(self.vocabulary), setting.capture)
