"""The embedding-space rival: DiffuSeq (Gong et al., 2022, arXiv:2210.08933), with the losses of Diffusion-LM.

Words are learned vectors. Source and target are one sequence under full self-attention; noise is put on the target
alone and the clean source is there at every step. The network predicts x_0 = Emb(w) + sigma_0 eps of the target from
x_t; a rounding head tied to the embeddings reads words off it. The loss, at every target position, is

    mean (x_0 - f(x_t, t))^2  -  log p(w | x_0)  -  log p(w | f(x_t, t)),

of which the last two stop the embeddings from collapsing to a point that would be easy to predict. The third term of
the papers, the mean of q(x_T), is zero here, as the process ends in pure noise. Settings: DPM-Solver++(2M) as in the
authors' script, ancestral and DDIM steps with each estimate rounded to the nearest words, as theirs, and minimum Bayes
risk over ten texts (`baselines.common.mbr`), whose candidates are made one after the other so that every network call
of theirs is counted.

Departures, and why: the rounding loss at the network's own estimate is the anchor of Difformer (Gao et al., 2022,
arXiv:2212.09412), without which training of this length learns hardly any words; t is continuous (the papers: 2000
steps), stratified over the batch and drawn mostly late, where most of the loss is, in place of loss-aware sampling,
whose memory of past losses would have to survive a kill; source and target each count positions from 0, and a learned
vector tells which is which; the target is filled with end tokens, not with padding; the source carries no sigma_0 noise
and is not rounded; the trunk is the one rivals share; at base the rate falls to zero by half a cosine, as that of all
systems does, and not along a line (the mean is the same).

Axis legend: B rows (texts), S source positions, L sequence positions, P = L + S, E embedding width, W width, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.common import mbr
from baselines.common.transformer import Trunk, TrunkConfig
from baselines.contract import Budget, Request, Sample, UserError
from baselines.embedding_diffusion.objective import Sqrt, Terms, partially_noised, rounding_nll
from baselines.token_diffusion.system import TokenDiffusionSystem, presets_of
from cosmos.config import MOST_WIDE, SamplerSetting
from cosmos.diffusion.objective import sample_times
from cosmos.diffusion.samplers import call_times, inputs_of_times, make_grid, sample
from cosmos.io.errors import check_range
from cosmos.models.blocks import Rotary, TimeInputs
from cosmos.models.fused_reading import read_tokens
from cosmos.models.token_reading import chunk_by_chunk, most_probable
from cosmos.recipes import NANO, SMALL
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import PAD
from cosmos.training.loop import Batch, Loss, TrainingConfig

SCHEDULE = Sqrt()
WORD_NOISE = float(SCHEDULE.sigma(torch.zeros((), dtype=torch.float64)))  # sigma_0
END_NOISE = WORD_NOISE / math.sqrt(1.0 - WORD_NOISE**2)  # sigma/alpha at t = 0, where sampling stops
PAPER_TRAINING = TrainingConfig(  # that of the papers, up to 140,000 steps; a norm so large is none
    compile=True, batch_size=2048, learning_rate=1e-4, warmup_steps=0, betas=(0.9, 0.999), clip_norm=1e9,
    ema_decay=0.9999,
)  # fmt: skip


@dataclass(frozen=True)
class DiffuSeqRecipe:
    """Sizes and training of one preset; `embedding` is the width of what is diffused."""

    embedding: int
    trunk: TrunkConfig
    training: TrainingConfig
    budget: Budget

    def __post_init__(self) -> None:
        if self.embedding < 1:
            raise UserError(f"Embeddings need at least one number, not {self.embedding}.")
        check_range("embedding", self.embedding, 1, MOST_WIDE)


@dataclass(frozen=True)
class EmbeddingSampling(SamplerSetting, Capturable):
    candidates: int = 1  # texts of which the one most like the others is kept

    def __post_init__(self) -> None:
        super().__post_init__()
        mbr.check_candidates(self.candidates)

    def ignored_keys(self) -> dict[str, str]:
        return dict.fromkeys(("guidance", "guidance_window", "self_guidance"), "'diffuseq' has no guidance")


@dataclass(frozen=True)
class RoundedSampling(EmbeddingSampling):
    """Every estimate of x_0 is moved to the nearest words before it is used, the authors' way of ancestral steps."""

    rounded: bool = True


DPM_SOLVER = EmbeddingSampling("dpmpp_2m", steps=20, grid="log_snr", end_noise=END_NOISE, final_x0=True)


class EmbeddingDenoiser(nn.Module):
    """x_t of the target and the clean source -> the estimate of x_0 of the target.

    Sequence and source each count positions from 0, and a learned vector tells which of the two a vector stands in.
    """

    compiles: ClassVar[tuple[str, ...]] = (
        "begin",
        "end",
        "best",
    )  # besides the trunk's; see `cosmos.runtime.compilation`

    def __init__(self, trunk: TrunkConfig, embedding: int, vocabulary: int, length: int, source: int) -> None:
        super().__init__()
        width = trunk.width
        self.length = length
        self.tokens = nn.Embedding(vocabulary, embedding)  # N(0, 1)
        self.bias = nn.Parameter(torch.zeros(vocabulary))  # of the rounding head
        self.from_embedding = nn.Sequential(nn.Linear(embedding, width), nn.Tanh(), nn.Linear(width, width))
        self.side = nn.Parameter(torch.zeros(2, width))  # of the sequence, of the source
        positions = torch.cat([torch.arange(length), torch.arange(source)])  # [L + S]
        self.rotary = Rotary(width // trunk.heads, max(length, source))
        self.rotary.cos, self.rotary.sin = self.rotary.cos[positions], self.rotary.sin[positions]
        self.trunk = Trunk(trunk)
        self.to_embedding = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, embedding))

    def forward(self, x: Tensor, t: Tensor | TimeInputs, seen: Tensor) -> Tensor:
        """x [B, P, E], t [B] in [0, 1] (or its `time_inputs`), seen bool [B, P] False on padding -> [B, L, E]."""
        return self.end(self.trunk(self.begin(x), self.rotary, seen, t))

    def time_inputs(self, t: Tensor) -> TimeInputs:
        """What the trunk makes of times [S] in [0, 1], to call with rows of it."""
        return self.trunk.time_inputs(t, self.tokens.weight.dtype)

    def begin(self, x: Tensor) -> Tensor:
        """What enters the trunk, [B, P, W]."""
        h = self.from_embedding(x)
        return torch.cat([h[:, : self.length] + self.side[0], h[:, self.length :] + self.side[1]], 1)

    def end(self, states: Tensor) -> Tensor:
        """States [B, P, W] -> the estimate [B, L, E]."""
        estimate: Tensor = self.to_embedding(states[:, : self.length])
        return estimate

    def seen(self, source: Tensor) -> Tensor:
        """The whole sequence and the source [B, S] without its padding: bool [B, P]."""
        return torch.cat([source.new_ones(len(source), self.length, dtype=torch.bool), source != PAD], 1)

    def nearest(self, vectors: Tensor, words: int) -> Tensor:
        """The embedding, among the first `words`, that is nearest to each of the vectors [..., E], of their shape."""
        places = chunk_by_chunk(lambda part: self.nearest_word(part, words), vectors, self.tokens.num_embeddings)
        return self.tokens.weight[places]

    def nearest_word(self, vectors: Tensor, words: int) -> Tensor:
        """Whose embedding that is, of vectors [R, E]: int64 [R]."""
        table = self.tokens.weight[:words].float()
        near = vectors.float() @ table.T - table.square().sum(-1) / 2.0  # [R, V], greatest where the distance is least
        return near.argmax(-1)

    def best(self, vectors: Tensor, words: int) -> Tensor:
        """The rounding head: vectors [R, E] -> the most probable of the first `words`, int64 [R]."""
        return most_probable(vectors, self.tokens.weight, words, self.bias)


def terms(model: EmbeddingDenoiser, batch: Batch, t: Tensor, seeds: CounterRNG) -> Terms:
    """The loss at times t [B] float64, summed over the positions of the sequence."""
    sequence, source = batch["sequence"], batch["source"]
    embedded = model.tokens(torch.cat([sequence, source], 1))  # [B, P, E]
    clean = embedded[:, : model.length]
    clean = clean + WORD_NOISE * seeds.normal(*clean.shape[1:], dtype=clean.dtype)
    joined = torch.cat([clean, embedded[:, model.length :]], 1)
    is_target = torch.arange(joined.shape[1], device=t.device) < model.length  # [P]
    noise = seeds.normal(*joined.shape[1:], dtype=joined.dtype)
    noisy = partially_noised(joined, is_target, t, noise, SCHEDULE)
    estimate = model(noisy, t.to(noisy.dtype), model.seen(source))
    head = model.tokens.weight, model.bias, sequence, seeds.fused
    return Terms(
        error=(estimate.float() - clean.float()).square().mean(-1).sum(),
        rounding=rounding_nll(clean, *head),
        anchor=rounding_nll(estimate, *head),
    )


def hard_times(uniform: Tensor) -> Tensor:
    """Times from uniform numbers, both in [0, 1]: half of them lie above 7/8, where most of the loss is."""
    return 1.0 - (1.0 - uniform) ** 3


def training_loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """The whole loss, summed over the positions of the sequence, and their number (`cosmos.training.loop.Loss`)."""
    assert isinstance(model, EmbeddingDenoiser)
    total = terms(model, batch, hard_times(sample_times(seeds, stratified=True)), seeds).total()
    return total, total.new_full((), batch["sequence"].numel())


class DiffuSeqSystem(TokenDiffusionSystem):
    """DiffuSeq behind the contract."""

    name = "diffuseq"
    no_likelihood = "embedding diffusion has no likelihood of a text that could be computed"
    presets = presets_of(
        DiffuSeqRecipe, (448, 1792, 3584), 140_000, PAPER_TRAINING, embedding=(64, 128, 128),
        nano_training=replace(NANO, learning_rate=4e-3, batch_size=8),
        small_training=replace(SMALL, learning_rate=1.2e-3),
    )  # fmt: skip
    settings = MappingProxyType({"dpmpp_2m-20": DPM_SOLVER})
    other_settings = MappingProxyType(
        {
            "ancestral-200": RoundedSampling("ddpm", steps=200, end_noise=END_NOISE, final_x0=True),
            "ddim-50": RoundedSampling("ddim", steps=50, end_noise=END_NOISE, final_x0=True),
            "mbr10-dpmpp_2m-20": replace(DPM_SOLVER, candidates=10),
        }
    )

    def build(self, shape: Mapping[str, int]) -> nn.Module:
        sizes = shape["vocabulary"], shape["length"], max(1, self.limits.source_tokens)
        return EmbeddingDenoiser(self.recipe.trunk, self.recipe.embedding, *sizes)

    def check_setting(self, setting: EmbeddingSampling) -> None:
        """Refuse what the schedule has no finite log-SNR for: no noise at all, and the pure noise that t = 1 is."""
        if setting.end_noise < END_NOISE:
            raise UserError(f"The schedule's least noise is {END_NOISE:.3g}; set end_noise to that or more.")
        if setting.grid == "time" and setting.solver.startswith("dpmpp"):
            raise UserError("A grid in time begins at pure noise, where this solver is not defined; set grid=log_snr.")

    def ignored_keys(self) -> dict[str, str]:
        return {"trunk.cross_attention": "source and target are one sequence, all of which every position sees"}

    def losses(self) -> tuple[Loss, Loss]:
        """Both are the whole loss; no likelihood bound is computed."""
        return training_loss, training_loss

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], setting: EmbeddingSampling) -> list[Sample]:
        """All go through the network as one batch, candidates one batch after the other."""
        if not requests:
            return []
        _, source = self.inputs(requests, setting.capture)

        def draw(seeds: Tensor) -> Tensor:
            return self.tokens(setting, seeds.to(source.device), source)

        return mbr.generate(requests, draw, self.candidates(setting), self.vocabulary, whole=True)

    def candidates(self, setting: EmbeddingSampling) -> int:
        return setting.candidates

    def sample(self, setting: EmbeddingSampling, seeds: Tensor, source: Tensor) -> Tensor:
        model, streams = self.model, CounterRNG(seeds, setting.compiled)
        assert isinstance(model, EmbeddingDenoiser)
        rounded = isinstance(setting, RoundedSampling) and setting.rounded
        source_embeddings, seen = model.tokens(source), model.seen(source)  # [B, S, E], [B, P]
        grid = make_grid(SCHEDULE, setting)
        known = inputs_of_times(model, call_times(grid, setting), seeds.device)

        def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
            predicted: Tensor = model(torch.cat([x.to(source_embeddings.dtype), source_embeddings], 1), known[t], seen)
            return (model.nearest(predicted, len(self.vocabulary)) if rounded else predicted).to(x.dtype)

        start = streams.normal(model.length, source_embeddings.shape[-1])
        vectors = sample(denoise, start, setting, SCHEDULE, streams, grid)
        states, words = vectors.to(source_embeddings.dtype), len(self.vocabulary)
        return read_tokens(lambda part: model.best(part, words), states, model.tokens.weight, words, model.bias)
