"""Diffusion on a frozen encoder's token states: TEncDM (Shabalin et al., 2024, arXiv:2402.19097).

What Cosmos is to be compared with for its claim that compression costs nothing: same frozen encoder, same denoiser, but
one latent per token. The forward process x_t = alpha x_0 + sigma eps has sigma/alpha = d tan(pi t/2) with d = 9, larger
than for compressed latents; the network predicts x_0 under a plain mean squared error, with self-conditioning, and
attends to the source's frozen states. A light decoder reads all positions at once and attends to the source too; it is
trained on states noised by the forward process, t ~ U[0, 0.15], since what a sampler leaves is never quite clean. One
that was trained once, for many tasks (`decoder`), has seen no sources and attends to none.

Sampling: the paper's Euler-Maruyama on the reverse SDE in 50 equal steps of t, from 1 to 0.01, of which the last mean
is decoded; and DPM-Solver++(2M) in 20 steps, as Cosmos has it, which is better and faster at nano and so comes first.
Guidance (the paper's 0.5, which is 1.5 where 1 is none) is another setting.

Departures, and why: blocks are those of Cosmos (RMSNorm, rotary positions, SwiGLU) and not BERT's, so that kernels and
parameters are equal where speed is compared; t is stratified over the batch, and every second text of a batch is self-
conditioned, which lowers the loss's variance; positions after the end are zero, the mean of all states, and are part of
what is predicted, for they say where a text ends; the decoder's loss leaves out padding, of which nothing is read,
where the authors' counts it; encoder and sizes are those of the comparison, and so is the training but at base, which
has the authors'. At nano the denoiser's loss has besides 4 times the cross-entropy of the trained decoder on its
estimate (an anchor as that of Difformer, arXiv:2212.09412): a minute of squared error alone teaches a network of that
width the mean of the states and no text. And no source is withheld there, as in Cosmos, so there is nothing to guide
by; and states are those of the encoder's first layer, as Cosmos reads them there, where the authors' are of the last.
An `adaptation_share`, 0 unless it is set, adds a stage that the authors do not have (`cosmos.adaptation`).

Axis legend in `cosmos.models.blocks`; here N = L, the sequence, and C = T.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.contract import Budget, UserError
from baselines.latent_diffusion.ignored_keys import ignored_keys
from baselines.latent_diffusion.networks import LatentNetworks
from baselines.latent_diffusion.recipe import FIRST_STAGE_KEYS, LatentRecipe
from baselines.latent_diffusion.settings import LatentSamplingSetting, few_calls
from baselines.latent_diffusion.shared_decoder import SharedDecoder
from baselines.latent_diffusion.system import LatentDiffusionSystem
from cosmos.adaptation import Read, adaptation_stage
from cosmos.config import PRESETS, DenoiserConfig, SolverName
from cosmos.data.encoding import EncodedCorpus, EncodedTexts
from cosmos.data.loop_states import LoopStates
from cosmos.diffusion.objective import diffuse, estimated, noised_example, squared_error
from cosmos.diffusion.schedule import Schedule, make_schedule
from cosmos.models.blocks import RMSNorm, Rotary, Summands, added_up, begun, project
from cosmos.models.denoiser import Denoiser, DenoiserBlock, SourceStates
from cosmos.models.fused_reading import read_tokens
from cosmos.models.token_head import choose, summed_nll, take
from cosmos.models.token_reading import most_probable
from cosmos.recipes import NANO
from cosmos.runtime.rng import CounterRNG
from cosmos.stages import of_tokens, source_of
from cosmos.training.batches import Batch, BringsOrder, Rows
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.loop import Loss, TrainingConfig, TrainingStage

TUNED = replace(NANO, learning_rate=4e-3)
DECODER_TIMES = 0.15  # the decoder is trained on states noised up to this t
END_TIME = 0.01  # where the authors' sampling stops; Cosmos's stops at 0.05, with less noise for its smaller d


@dataclass(frozen=True, kw_only=True)
class TEncDMRecipe(LatentRecipe):
    """The denoiser's width and heads are the decoder's too."""

    decoder_weight: float = 0.0  # of the decoder's cross-entropy on the denoiser's estimate, beside the squared error

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.decoder_weight >= 0:
            raise UserError(f"The weight of the decoder's cross-entropy must not be negative: {self.decoder_weight:g}.")


class StateDecoder(nn.Module):
    """States of all positions [B, L, T], clean or somewhat noisy -> tokens."""

    compiles: ClassVar[tuple[str, ...]] = ("end", "best")  # besides blocks; see `cosmos.runtime.compilation`

    def __init__(self, config: DenoiserConfig, layers: int, vocabulary: int) -> None:
        super().__init__()
        self.from_text = project(config.latent_width, config.width)
        self.rotary = Rotary(config.width // config.heads, config.latents)
        self.blocks = nn.ModuleList(DenoiserBlock(config, config.source_width is not None) for _ in range(layers))
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, vocabulary, bias=False)
        self.from_source = None
        if config.source_width is not None:
            self.from_source = nn.Sequential(project(config.source_width, config.width), RMSNorm(config.width))

    def forward(
        self, states: Tensor, source: SourceStates | None = None, stop: int | None = None, vocabulary: int | None = None
    ) -> Tensor:
        """The most probable tokens after the first, int64 [B, stop - 1], as `cosmos.models.autoencoder.Decompressor`
        gives them; `source` is needed where the config has a source width, and not looked at where it has none."""
        hidden, size = self.hidden(states, source)[:, 1:stop], vocabulary or self.head.out_features
        return read_tokens(lambda chunk: self.best(chunk, size), hidden, self.head.weight, size)

    def best(self, states: Tensor, vocabulary: int) -> Tensor:
        return most_probable(states, self.head.weight, vocabulary)

    def hidden(self, states: Tensor, source: SourceStates | None) -> Tensor:
        """What enters the token head, [B, L, W]."""
        stream = begun(self.from_text(states))
        seen = None if source is None or self.from_source is None else self.from_source(source.states)  # [B, S, W]
        for block in self.blocks:
            told = (
                ()
                if source is None or seen is None
                else (None, block.cross_attention.keys_values(seen), source.mask[:, None, None])
            )
            stream = block(stream, self.rotary, *told)
        return self.end(stream)

    def end(self, stream: Summands) -> Tensor:
        states: Tensor = self.norm(added_up(stream))
        return states


def noise_for_decoder(states: Tensor, schedule: Schedule, seeds: CounterRNG) -> Tensor:
    """States [B, L, T] under the forward process at a time of each text's own, t ~ U[0, DECODER_TIMES]."""
    t = DECODER_TIMES * seeds.uniform()
    return diffuse(states, t, seeds.normal(*states.shape[1:], dtype=states.dtype), schedule)


def read_states(
    decoder: StateDecoder, states: Tensor, source: SourceStates | None, batch: Batch, compiled: bool
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the tokens up to the end that a decoder reads out of states [B, L, T], summed, in nats, and
    their number."""
    hidden = decoder.hidden(states, source).flatten(0, 1)
    index, counts = choose(batch["mask"], batch.get("positions"))
    read, tokens = take(hidden, index, counts), batch["tokens"].flatten()[index]
    nll = summed_nll(read, decoder.head.weight, tokens, counts.to(torch.float32), compiled=compiled)
    return nll, batch["mask"].sum()


class _HiddenStates(nn.Module):
    """A decoder up to its token head."""

    def __init__(self, decoder: StateDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, states: Tensor, source: SourceStates | None) -> Tensor:
        return self.decoder.hidden(states, source)


def decoder_cross_entropy(
    decoder: StateDecoder, states: Tensor, source: SourceStates | None, batch: Batch, compiled: bool = False
) -> Tensor:
    """Mean cross-entropy per token, up to the end, of what a decoder makes of states [B, L, T], in nats, summed over
    texts. The decoder is not trained by it."""
    part = _HiddenStates(decoder)
    frozen = {name: value.detach() for name, value in part.named_parameters()}
    hidden = torch.func.functional_call(part, frozen, (states, source)).flatten(0, 1)
    mask = batch["mask"]
    index, counts = choose(mask, batch.get("positions"))
    share = (mask / mask.sum(1, keepdim=True)).flatten()[index] * counts
    read, tokens = take(hidden, index, counts), batch["tokens"].flatten()[index]
    return summed_nll(read, decoder.head.weight.detach(), tokens, share.to(torch.float32), compiled=compiled)


def on_canvas(states: Tensor, mask: Tensor) -> Tensor:
    """States [B, l, T] with zeros, as they are after the end, up to the width of their mask [B, L]."""
    return functional.pad(states, (0, 0, 0, mask.shape[1] - states.shape[1]))


class StateDataset:
    """Targets: mask and tokens on the whole sequence, raw states up to the longest of the batch, as no more need be
    read or encoded (`on_canvas` widens them); and the raw states of sources.

    A length that is asked for is that of sources and of what is encoded in the loop: of all that costs more where it is
    longer. Stored states are then read on the whole sequence, whatever it is.
    """

    def __init__(self, texts: EncodedTexts, length: int) -> None:
        self.targets, self.sources, self.length = texts.targets, texts.sources, length
        self.in_loop = isinstance(texts.targets.states, LoopStates)
        if isinstance(texts.targets, BringsOrder):
            self.order = texts.targets.order  # so that this is one of those that bring it, too

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> Tensor:
        """Of sources, and of targets that are encoded in the loop; where there is neither, all rows are alike."""
        parts = [] if self.sources is None else [self.sources.lengths]
        parts += [self.targets.lengths] if self.in_loop else []
        return torch.stack(parts).amax(0) if parts else torch.ones(len(self), dtype=torch.int64)

    @property
    def longest(self) -> int:
        return int(self.lengths.max())

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        asked = length if length is None or self.in_loop else self.length
        own = min(self.length, asked or self.targets.states.longest_of(index))
        rows = self.targets.batch(index, own)
        rows |= {name: functional.pad(rows[name], (0, self.length - own)) for name in ("mask", "tokens")}
        if self.sources is not None:
            rows |= self.sources.batch(index, length or self.sources.longest_of(index), "source", "source_mask")
        return rows


def _euler(solver: SolverName = "release", **changes: Any) -> LatentSamplingSetting:
    """Fifty equal steps of t from 1 to END_TIME of the tan-9 schedule."""
    return LatentSamplingSetting(solver, steps=50, end_noise=9.0 * math.tan(math.pi * END_TIME / 2), **changes)


class TEncDMSystem(LatentDiffusionSystem):
    """TEncDM behind the contract."""

    name: ClassVar[str] = "tencdm"
    presets: ClassVar[Mapping[str, Any]] = {
        "nano": TEncDMRecipe.like_cosmos(
            "nano", 9.0, decoder_layers=1, decoder_share=0.12, encoding_share=0.25, decoder_weight=4.0,
            denoiser=replace(PRESETS["nano"].denoiser, feed_forward=7 / 3),  # states need larger maps than latents do
            decoder_training=TUNED, denoiser_training=TUNED,
        ),
        "small": TEncDMRecipe.like_cosmos("small", 9.0, decoder_layers=3, decoder_share=0.1),
        # The paper's training (cosmos.md 7.1): the decoder for one epoch, the denoiser for 200,000 steps.
        "base": TEncDMRecipe.like_cosmos(
            "base", 9.0, decoder_layers=3, decoder_share=0.05, budget=Budget(210_000, "steps"),
            decoder_training=TrainingConfig(
                compile=True, batch_size=64, learning_rate=1e-4, final_learning_rate=1e-4, warmup_steps=0,
                weight_decay=0.001, ema_decay=None,
            ),
            denoiser_training=TrainingConfig(
                compile=True, batch_size=512, learning_rate=2e-4, final_learning_rate=2e-4, warmup_steps=5000,
                weight_decay=0.01, ema_decay=0.9999,
            ),
        ),
    }  # fmt: skip
    settings: ClassVar[Mapping[str, Any]] = {
        "dpmpp_2m-20": LatentSamplingSetting("dpmpp_2m", steps=20, grid="log_snr", final_x0=True),
        "euler-50": _euler(),
    }
    other_settings: ClassVar[Mapping[str, Any]] = {
        "euler-guided-50": _euler(guidance=1.5),
        "euler-ode-50": _euler("euler_ode"),
        **few_calls(),
    }

    def ignored_keys(self) -> dict[str, str]:
        shared = None if self.recipe.decoder is None else "decoder"
        adapting = ("decoder_training",) if self.recipe.adaptation_share > 0 else ()
        return ignored_keys(self.recipe.budget, self.limits, shared=shared, adapting=adapting)

    def decoder_sizes(self, positions: int) -> Mapping[str, tuple[Any, str]]:
        recipe: TEncDMRecipe = self.recipe
        sizes = {name: (getattr(recipe.denoiser, name), f"denoiser.{name}") for name in ("width", "heads", "inner")}
        sizes["inner"] = (recipe.denoiser.inner, "denoiser.feed_forward")
        return {**sizes, "layers": (recipe.decoder_layers, "decoder_layers")}

    def decoder_keys(self) -> Collection[str]:
        sizes = (f"denoiser.{name}" for name in ("width", "heads", "feed_forward", "dropout"))
        return (*FIRST_STAGE_KEYS, *sizes, "diffusion.schedule")

    def shared_positions(self, shared: SharedDecoder, longest: int) -> int:
        """The decoder has no table of positions: it reads as many as there are."""
        return super().positions(longest)

    def build(self, shape: Mapping[str, int]) -> LatentNetworks:
        recipe: TEncDMRecipe = self.recipe
        config = self.denoiser_sizes(shape["length"], shape["text_width"], shape)
        # One that was trained elsewhere has seen no sources.
        read = config if recipe.decoder is None else replace(config, source_width=None)
        decoder = StateDecoder(read, recipe.decoder_layers, shape["vocabulary"])
        return LatentNetworks(shape["text_width"], decoder, Denoiser(config))

    def first_stage(self, model: LatentNetworks, data: EncodedCorpus) -> TrainingStage:
        schedule = make_schedule(self.recipe.diffusion.schedule)

        def loss(decoder: StateDecoder, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
            states, source = self.clean(model, batch)
            return read_states(decoder, noise_for_decoder(states, schedule, seeds), source, batch, seeds.fused)

        return replace(self._stage("decoder", model, loss, data), scored=of_tokens)

    def second_stage(self, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> tuple[TrainingStage, Cost]:
        weight = self.recipe.decoder_weight

        def loss(denoiser: Denoiser, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
            states, source = self.clean(model, batch)
            estimate = estimated(denoiser, noised_example(denoiser, states, self.recipe.diffusion, seeds, source))
            errors = squared_error(estimate, states).sum()
            if weight > 0:
                errors = errors + weight * decoder_cross_entropy(model.decoder, estimate, source, batch, seeds.fused)
            return errors, errors.new_full((), len(states))

        stage = self._stage("denoiser", model, loss, data)
        return (replace(stage, scored=of_tokens) if weight > 0 else stage), Cost()

    def reads(self, model: LatentNetworks) -> Read:
        def read(
            decoder: nn.Module, states: Tensor, source: SourceStates | None, batch: Batch, compiled: bool
        ) -> tuple[Tensor, Tensor]:
            assert isinstance(decoder, StateDecoder)
            return read_states(decoder, states, source, batch, compiled)

        return read

    def third_stage(self, model: LatentNetworks, data: EncodedCorpus, second: TrainingStage) -> TrainingStage:
        recipe: TEncDMRecipe = self.recipe
        config, diffusion = recipe.adaptation, recipe.diffusion
        of = (model.decoder, self.reads(model), lambda batch: self.clean(model, batch), model.denoiser)
        rows, held_rows = second.data, second.validation
        stage = adaptation_stage(*of, diffusion, config, rows, held_rows, second.prepare, second.frozen)
        return replace(stage, scored=of_tokens)

    def decode(self, latents: Tensor, source: SourceStates | None, vocabulary: int) -> Tensor:
        decoder: StateDecoder = self.model.decoder
        states = latents.to(decoder.head.weight.dtype)
        tokens: Tensor = decoder(states, source, self.limits.target_tokens, vocabulary)
        return tokens

    @staticmethod
    def _stage(name: str, model: LatentNetworks, loss: Loss, data: EncodedCorpus) -> TrainingStage:
        length, held_out = model.denoiser.config.latents, data.validation
        validation = None if held_out is None else StateDataset(held_out, length)
        learnt = StateDataset(data.train, length)
        return TrainingStage(
            name, getattr(model, name), loss, learnt, validation, prepare=data.prepare, frozen=data.frozen
        )

    def clean(self, model: LatentNetworks, batch: Batch) -> tuple[Tensor, SourceStates | None]:
        """Standardised states [B, L, T] of targets, and the source."""
        states = on_canvas(batch["states"], batch["mask"])
        return model.standardiser(states, batch["mask"]), source_of(model.standardiser, batch)
