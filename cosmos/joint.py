"""Compressor, denoiser and decompressor trained together, in one stage, on frozen states (LDLM, 2605.07933).

    states -> compressor -> latents -> + noise -> decompressor -> states' -> | -> token head -> tokens
                               |                                          stop
                               +-> x gamma -> + noise at t -> denoiser -> latents'

Three losses are summed. The squared error of decoded states teaches compressor and decompressor; unlike a cross-entropy
it does not push texts apart. The cross-entropy of tokens stops at the decoded states and so teaches the token head
alone. The denoiser's squared error teaches the denoiser, and the compressor times gamma, which rises from 0 to 1 while
the budget is used. What the decompressor reads is noised, so that a sampler's errors do no harm and no information
hides in small differences. Times are drawn so that the expected loss grows evenly, and latents are held to deviation 1
by running statistics (`cosmos.diffusion.timestep_sampling`, `cosmos.models.running_statistics`). Each part has a
switch: `cosmos.joint_recipes.JointConfig`.

Networks are those of two-stage Cosmos, and the token head is its linear map, so that a comparison is one of training
alone; the paper has three transformer layers there. Its numbers are known at second hand only. States and latents are
not corrupted: noise on the decompressor's input is in the place of that. Frozen states are stored before training, or
computed in the loop, as the two stages' are.

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from cosmos.config import DiffusionConfig
from cosmos.data.encoding import EncodedCorpus, EncodedTexts
from cosmos.diffusion.objective import estimated, noised_example, squared_error
from cosmos.diffusion.timestep_sampling import AdaptiveTimes
from cosmos.joint_recipes import JointConfig
from cosmos.models.autoencoder import Autoencoder, summed_squares
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.running_statistics import Moments, moments, standardise_running, update_running
from cosmos.models.standardiser import Standardiser
from cosmos.models.token_head import choose, summed_nll, take
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG
from cosmos.stages import first_texts, of_tokens, source_of
from cosmos.training.batches import Batch, Rows
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingResult, TrainingRun
from cosmos.training.loop import TrainingStage, train

JOINT = "joint"  # the stage's name
WARMUP_SLOPE, WARMUP_CENTRE = 10.0, 0.8  # of the sigmoid gamma, where the warm-up is 1 long


class Seen(NamedTuple):
    """What a batch says of the latents and of the losses at their times; all sums, which add up over processes."""

    latents: Moments
    losses: Tensor  # [K], by bin
    counts: Tensor  # [K]


class JointModel(nn.Module):
    """The networks that are trained together, and what is remembered of training besides weights.

    Running statistics are those of the denoiser's normaliser, so a trained model needs none of this class. All memory
    is in buffers and so in resume points, but for the share of the budget, which the loop says anew.
    """

    share: Tensor
    undivided = True  # every process has all of it, as what it remembers is of the whole (`cosmos.training.sharding`)

    def __init__(self, autoencoder: Autoencoder, denoiser: Denoiser, config: JointConfig) -> None:
        super().__init__()
        self.autoencoder, self.denoiser, self.config = autoencoder, denoiser, config
        times = AdaptiveTimes(config.time_bins, config.loss_decay, config.refresh_steps, config.uniform_share)
        self.times = times if config.adaptive_times else None
        self.register_buffer("share", torch.zeros(()), persistent=False)  # of the budget that is used
        self.seen: Seen | None = None  # by the last pass in training

    def standardised(self, raw: Tensor) -> Tensor:
        """Raw latents [B, N, C], in float32, as they are diffused."""
        normaliser = self.denoiser.normaliser
        if self.training and self.config.running_statistics:
            return standardise_running(normaliser, raw.float())
        return normaliser.standardise(raw.float())

    def towards_denoiser(self, latents: Tensor) -> Tensor:
        """Latents as they are, whose gradient is multiplied by gamma(share), a sigmoid over the warm-up."""
        if self.config.gradient_warmup == 0:
            return latents
        gamma = torch.sigmoid(WARMUP_SLOPE * (self.share / self.config.gradient_warmup - WARMUP_CENTRE))
        return torch.lerp(latents.detach(), latents, gamma)

    @torch.no_grad()
    def learn_statistics(self) -> None:
        """Take the last batch into the running statistics and the memory of losses. Its sums are those of all
        processes."""
        assert self.seen is not None, "a step of the optimiser follows a pass"
        sums = [*self.seen.latents, self.seen.losses, self.seen.counts]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for value in sums:
                torch.distributed.all_reduce(value)
        if self.config.running_statistics:
            update_running(self.denoiser.normaliser, Moments(*sums[:3]))
        if self.times is not None:
            self.times.update(*sums[3:])


def joint_loss(
    model: JointModel, standardiser: Standardiser, batch: Batch, diffusion: DiffusionConfig, seeds: CounterRNG
) -> tuple[Tensor, Tensor]:
    """Sum over texts of the three losses of each, and the number of texts.

    The decompressor's are means over a text's tokens, specials included, the denoiser's over its latents. In evaluation
    mode nothing is noised for the decompressor and times are drawn as `DiffusionConfig` says, so that two values of a
    validation can be compared.

    Args:
        batch: raw states [B, L, T], mask bool [B, L] and tokens int64 [B, L] of targets, and of sources, if any, raw
            states and mask.
        seeds: one stream per text.
    """
    config, mask = model.config, batch["mask"]
    states = standardiser(batch["states"], mask)
    raw = model.autoencoder.compress(states, mask)
    latents = model.standardised(raw)  # [B, N, C]
    clean = model.towards_denoiser(latents) if model.training else latents
    times = model.times if model.training else None
    source, streams = source_of(standardiser, batch), seeds
    if (draws := config.noise_draws) > 1:
        clean, source, streams = drawn_again(clean, draws), sources_again(source, draws), streams_again(seeds, draws)
    example = noised_example(model.denoiser, clean, diffusion, streams, source, times)
    errors = squared_error(estimated(model.denoiser, example), clean)  # [B * draws]
    if model.training:
        nothing = errors.new_zeros(1)
        losses = (nothing, nothing) if times is None else times.summed(example.t, errors.detach())
        model.seen = Seen(moments(raw), *losses)
    # Last, so that whether it draws noise changes none of the denoiser's.
    decoded = decoder_losses(model, latents, states, batch, seeds)
    return decoded.sum() + errors.sum() / draws, errors.new_full((), len(latents))


def drawn_again(values: Tensor, draws: int) -> Tensor:
    """[B, ...] -> [B * draws, ...]: all rows, then all rows again, so that every second one is not always the same."""
    return values.repeat(draws, *(1 for _ in values.shape[1:]))


def sources_again(source: SourceStates | None, draws: int) -> SourceStates | None:
    """The sources of `drawn_again`."""
    return None if source is None else SourceStates(*(drawn_again(part, draws) for part in source[:2]))


def streams_again(seeds: CounterRNG, draws: int) -> CounterRNG:
    """Streams for `drawn_again`, one for each row and draw, which follow from the row's own."""
    whole = None
    if seeds.whole is not None:  # asked first, at the draw at which its parts are
        whole = seeds.whole.rows(slice(None))
        whole.draws = seeds.draws
        whole = streams_again(whole, draws)
    numbers = (seeds.uniform(draws) * 2.0**53).long()  # [B, draws]
    again = seeds.again(numbers.T.flatten())
    again.whole = whole
    return again


def decoder_losses(model: JointModel, latents: Tensor, states: Tensor, batch: Batch, seeds: CounterRNG) -> Tensor:
    """Cross-entropy of tokens and squared error of standardised states [B, L, T] that are decoded from standardised
    latents [B, N, C]: the mean over the tokens of each text, summed over texts. Where shapes are fixed, the positions
    of the batch alone are decoded."""
    config, decompressor, length = model.config, model.autoencoder.decompressor, states.shape[1]
    tokens, mask = batch["tokens"], batch["mask"]
    if model.training and config.decoder_noise > 0:
        latents = latents + config.decoder_noise * seeds.normal(*latents.shape[1:], dtype=latents.dtype)
    raw = model.denoiser.normaliser.restore(latents)
    hidden = decompressor.hidden(raw, length if batch.static_shapes else None)[:, :length]  # [B, L, T]
    index, counts = choose(mask, batch.get("positions"))
    read = take(hidden.flatten(0, 1), index, counts)  # [M, T]
    weights = (mask / mask.sum(1, keepdim=True)).flatten()[index] * counts  # [M]
    told = read.detach() if config.stop_tokens else read
    loss = summed_nll(told, decompressor.head.weight, tokens.flatten()[index], weights, compiled=seeds.fused)
    if config.mse_weight:
        squares = compiled_if(seeds.fused, summed_squares, static=True)
        loss = loss + config.mse_weight * squares(read, states.flatten(0, 1)[index], weights)
    return loss


class JointDataset:
    """Targets, and the raw states and mask of their sources, if any: all that joint training reads of a text."""

    def __init__(self, texts: EncodedTexts) -> None:
        self.targets, self.sources = texts.targets, texts.sources

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each target, int64 [number of texts]."""
        return self.targets.lengths

    @property
    def longest(self) -> int:
        return self.targets.longest

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        """The rows at `index`, with targets padded to `length` tokens, or to the longest of them; where a length is
        given, sources are padded as far as any needs."""
        rows = self.targets.batch(index, length)
        if self.sources is not None:
            wanted = int(self.sources.lengths.max()) if length else self.sources.longest_of(index)
            rows |= self.sources.batch(index, wanted, "source", "source_mask")
        return rows


def joint_stage(
    model: JointModel, standardiser: Standardiser, corpus: EncodedCorpus, diffusion: DiffusionConfig
) -> TrainingStage:
    """The one stage, on targets with their sources. Passages have no sources and are not learnt from."""

    def loss(network: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        assert isinstance(network, JointModel)
        return joint_loss(network, standardiser, batch, diffusion, seeds)

    held_out = None if corpus.validation is None else JointDataset(corpus.validation)
    learnt = JointDataset(corpus.train)
    return TrainingStage(
        JOINT, model, loss, learnt, held_out, prepare=corpus.prepare, scored=of_tokens, frozen=corpus.frozen
    )


@torch.no_grad()
def fit_statistics(model: JointModel, standardiser: Standardiser, corpus: EncodedCorpus) -> None:
    """Standardise by the statistics of the first training texts under the present weights, of clean latents: before
    training, as running ones begin somewhere, and after it, as the weights that are kept are no step's own."""
    if not model.config.running_statistics:
        return
    states, mask, _ = first_texts(corpus.sample, standardiser)
    parts = zip(states.split(256), mask.split(256), strict=True)
    training = model.training
    model.eval()
    model.denoiser.normaliser.fit([model.autoencoder.compress(*part).float() for part in parts])
    model.train(training)


def train_jointly(stage: TrainingStage, config: TrainingConfig, budget: Budget, run: TrainingRun) -> TrainingResult:
    """`cosmos.training.loop.train` of a stage whose network is a `JointModel`, which is told how much of the budget is
    used, and remembers what a step has seen once the optimiser has made it: passes that only count what a step costs
    leave no trace."""
    model = stage.network
    assert isinstance(model, JointModel)

    def progress(name: str, share: float, loss: float | None) -> None:
        model.share.fill_(share)
        run.progress(name, share, loss)

    with _after_each_step(model), _as_it_is(model):
        return train(stage, config, budget, replace(run, progress=progress))


@contextmanager
def _after_each_step(model: JointModel) -> Iterator[None]:
    mine = next(model.parameters())

    def stepped(optimiser: torch.optim.Optimizer, *_: object) -> None:
        if any(parameter is mine for parameter in optimiser.param_groups[0]["params"]):
            model.learn_statistics()

    handle = register_optimizer_step_post_hook(stepped)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _as_it_is(model: JointModel) -> Iterator[None]:
    """Let training leave the compressor's last gain alone where latents are standardised by running statistics.

    A scale of a latent number makes no difference to them, so the gain's gradient is nothing but rounding. AdamW makes
    steps of full size of it, in any direction, which the statistics follow with delay, and the losses with them. Decay
    of weights still draws it towards zero, the same in all processes.
    """
    if not model.config.running_statistics:
        yield
        return
    handle = model.autoencoder.compressor.output_norm.gain.register_hook(torch.zeros_like)
    try:
        yield
    finally:
        handle.remove()
