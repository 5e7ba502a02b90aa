"""Frozen configurations and presets. Standard library only, so that a command line can read them without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from cosmos.io.errors import UserError, check_range, unknown
from cosmos.io.later_fields import later

RELEASE_END_NOISE = 5 * math.tan(math.pi * 0.05 / 2)
"""sigma/alpha at which the authors stop: t = 0.05 of the tan-5 schedule, about 0.39. Held fixed when d changes."""


MOST_STEPS = 100_000  # of a sampler: more than a hundred times the most that anybody has published
MOST_WIDE, MOST_LAYERS = 65_536, 1_000  # of a network
MOST_PIECES = 10_000_000  # of a vocabulary

Place = Literal["stored", "loop"]
"""Where states of the frozen encoder, or latents, come from in training: computed before it and kept on disk, or
computed in the training loop, again for every batch."""
StatePlace = Literal["auto", "stored", "loop"]
"""What a recipe says of states; auto: in a benchmark's training stored where they fit (`cosmos.stages.MOST_STORED`) and
the budget's share for encoding pays for all texts, else in the loop, as always in Cosmos's own commands."""
LatentPlace = Literal["auto", "stored", "loop"]
"""The same for latents; auto: stored where they fit (`cosmos.stages.MOST_STORED`) and that leaves
half of the second stage's budget at least, judged by a sample."""


def check_places(states: str, latents: str = "auto") -> None:
    """Raise `UserError` for a place that there is not."""
    for kind, name, options in (("place of states", states, StatePlace), ("place of latents", latents, LatentPlace)):
        if name not in get_args(options):
            raise unknown(kind, name, get_args(options))


def check_layers(**layers: int) -> None:
    """Raise `UserError` unless networks of so many layers can be built."""
    for name, count in layers.items():
        check_range(name, count, 0, MOST_LAYERS)


def check_heads(width: int, heads: int) -> None:
    """Raise `UserError` unless so many heads split the width into equal parts, whose halves rotary positions turn."""
    check_range("A width", width, 1, MOST_WIDE)
    if heads < 1 or width % heads or (width // heads) % 2:
        raise UserError(f"{heads} heads do not split a width of {width} into heads of even size.")


def check_steps(steps: int) -> None:
    """Raise `UserError` unless a sampler can take so many steps."""
    if steps < 1:
        raise UserError(f"A sampler needs at least one step, not {steps}.")
    check_range("The steps of a sampler", steps, 1, MOST_STEPS)


def check_temperature(temperature: float) -> None:
    """Raise `UserError` unless noise can be drawn at a temperature."""
    if not 0 < temperature < math.inf:
        raise UserError(f"A temperature must be positive and finite, not {temperature:g}.")


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of the compressor and the decompressor. Text width, latent width, width and latents are independent.

    A linear map stands only where two widths differ. The authors have none, and other streams in its place:
    `ReleaseAutoencoderConfig`.
    """

    text_width: int  # of the frozen text encoder's states
    latent_width: int
    width: int
    latents: int
    layers: int  # of the compressor, and as many of the decompressor
    heads: int
    max_tokens: int  # rows of the position tables; the decompressor always emits this many positions
    vocabulary: int
    feed_forward: int = 4  # inner width of the feed-forward, in widths
    dropout: float = 0.1  # in the feed-forward

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)
        check_layers(layers=self.layers)
        check_range("text_width", self.text_width, 0, MOST_WIDE)
        for name in ("latent_width", "latents", "max_tokens", "feed_forward"):
            check_range(name, getattr(self, name), 1, MOST_WIDE)
        check_range("vocabulary", self.vocabulary, 0, MOST_PIECES)

    @property
    def latent_stream(self) -> int:
        """Width of what becomes the latents in the compressor, and of the memory that the decompressor attends to."""
        return self.width

    @property
    def text_stream(self) -> int:
        """Width of the memory that the compressor attends to, and of what becomes the text in the decompressor."""
        return self.width


@dataclass(frozen=True)
class ReleaseAutoencoderConfig(AutoencoderConfig):
    """The authors' way with unequal widths: latents and text keep their own everywhere, and `width` is that of
    attention alone. Where all widths agree, it is no other model."""

    @property
    def latent_stream(self) -> int:
        return self.latent_width

    @property
    def text_stream(self) -> int:
        return self.text_width


@dataclass(frozen=True)
class CorruptionConfig:
    """What makes the latent space smooth while the autoencoder trains (cosmos.md 1.5).

    Every text is given token dropping (with chance `drop_share`), noise (`noise_share`) or neither; the two exclude
    each other. Latent zeroing comes on top. The weight of the mean squared error is here because it is one rung of the
    ladder. With `full_from` above 0 it is a curriculum: clean at first, as the release's recipe from there on.
    """

    mse_weight: float = 1.0
    drop_share: float = 0.0  # share of texts whose tokens are dropped
    drop_rate: float = 0.3  # chance of each token of such a text to be hidden from the compressor
    noise_share: float = 0.0  # share of texts whose states are noised
    noise_keep: float = 0.7  # delta: h <- delta h + sqrt(1 - delta^2) eps
    latent_share: float = 0.0  # share of texts whose latents are zeroed in part
    latent_rate: float = 0.4  # chance of each number of such latents to become zero, without rescaling
    full_from: float = 0.0  # share of the budget from which on it has its full strength, growing evenly from none

    def __post_init__(self) -> None:
        if not 0 <= self.full_from <= 1:
            raise UserError(f"full_from must lie between 0 and 1, not at {self.full_from:g}.")
        if self.drop_share + self.noise_share > 1:
            raise UserError("drop_share and noise_share exclude each other, so their sum must not exceed 1.")

    def ignored_keys(self) -> dict[str, str]:
        """Keys that have no effect beside the others, and why; `{}` stands for what comes before a key."""
        shares = {"drop_rate": "drop_share", "noise_keep": "noise_share", "latent_rate": "latent_share"}
        unused = {key: share for key, share in shares.items() if getattr(self, share) == 0}
        reasons = {key: f"no text is corrupted so; set {{}}{share} above 0" for key, share in unused.items()}
        if len(unused) == len(shares):
            reasons["full_from"] = "no text is corrupted; set {}latent_share above 0"
        return reasons


LADDER: Mapping[str, CorruptionConfig] = {
    "ce": CorruptionConfig(mse_weight=0.0),
    "mse": CorruptionConfig(),
    "activation": CorruptionConfig(drop_share=0.5, noise_share=0.5),
    "latent": CorruptionConfig(drop_share=0.5, noise_share=0.5, latent_share=1.0),
}
"""The ablation ladder of the paper: cross-entropy; + MSE; + activation corruption; + latent zeroing (the recipe)."""


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the denoiser; `source_width` None makes it unconditional. Long skips pair the layers."""

    latents: int
    latent_width: int
    width: int
    layers: int
    heads: int
    feed_forward: float = 4  # inner width of the feed-forward, in widths
    output_norm: bool = True  # end with an RMSNorm as the release does; else RMSNorm and a linear map
    source_width: int | None = None  # text width of the source's frozen states
    source_layers: int = 0  # blocks of the source encoder
    max_source_tokens: int = 512
    release_condition: bool = False  # the authors' way with the condition; see `cosmos.models.denoiser`
    positions: bool = False  # learned absolute positions on latents and sources, which the release lacks
    dropout: float = 0.0  # of what attention and feed-forward add; the release has none

    def __post_init__(self) -> None:
        check_heads(self.attention_width, self.heads)
        check_layers(layers=self.layers, source_layers=self.source_layers)
        for name in ("latents", "latent_width", "inner"):
            check_range(name, getattr(self, name), 1, MOST_WIDE * 16)
        check_range("max_source_tokens", self.max_source_tokens, 0, MOST_WIDE)
        if self.source_width is not None:
            check_range("source_width", self.source_width, 0, MOST_WIDE)
        if not 0 <= self.dropout < 1:
            raise UserError(f"The dropout of the denoiser must lie in [0, 1), not at {self.dropout:g}.")
        if self.layers % 2 or self.layers == 0:
            raise UserError(f"The denoiser needs an even number of layers, not {self.layers}.")

    @property
    def inner(self) -> int:
        check_range("feed_forward", self.feed_forward, 0, MOST_WIDE)
        return round(self.feed_forward * self.width)

    @property
    def attention_width(self) -> int:
        """Of all heads together."""
        return self.width


@dataclass(frozen=True)
class ReleaseDenoiserConfig(DenoiserConfig):
    """The authors' way with heads that do not add up to the width."""

    head_size: int = 64

    @property
    def attention_width(self) -> int:
        return self.heads * self.head_size


@dataclass(frozen=True)
class ScheduleConfig:
    """A noise schedule by name (`tan`, `cosine`, `linear`); `d` belongs to `tan` alone."""

    name: Literal["tan", "cosine", "linear"] = "tan"
    d: float = 5.0

    def ignored_keys(self) -> dict[str, str]:
        return {} if self.name == "tan" else {"d": f"the {self.name} schedule has none; set {{}}name=tan"}


@dataclass(frozen=True)
class DiffusionConfig:
    """The training objective of the denoiser."""

    schedule: ScheduleConfig = ScheduleConfig()
    times: Literal["uniform", "stratified"] = "uniform"
    self_conditioning: Literal["sample", "batch", "off"] = "sample"  # a share of each batch; one coin per batch
    self_condition_share: float = 0.5  # of the texts (sample), or the chance of the coin (batch)
    source_dropout: float = 0.1  # chance that a text's source is hidden, which guidance needs

    def __post_init__(self) -> None:
        if not 0 <= self.self_condition_share <= 1:
            raise UserError(f"self_condition_share must lie in [0, 1], not at {self.self_condition_share:g}.")

    @property
    def self_conditioned(self) -> bool:
        """Whether the denoiser is trained on earlier estimates, and so may be given one."""
        return self.self_conditioning != "off"

    def ignored_keys(self) -> dict[str, str]:
        reason = "there is no self-conditioning; set {}self_conditioning=sample"
        return {} if self.self_conditioned else {"self_condition_share": reason}


@dataclass(frozen=True)
class AdaptationConfig:
    """What a decoder is adapted to (`cosmos.adaptation`), and how fast."""

    noise: float = 5.0  # the most noise that a latent is brought back from, as sigma/alpha
    calls: int = 2  # of the denoiser on its way back
    rate: float = 0.3  # of the first stage's learning rate

    def __post_init__(self) -> None:
        if not 0 < self.noise < math.inf:
            raise UserError(f"The noise of an adaptation must be positive and finite, not {self.noise:g}.")
        check_range("The calls of an adaptation", self.calls, 1, MOST_STEPS)
        if not 0 < self.rate < math.inf:
            raise UserError(f"The rate of an adaptation must be positive and finite, not {self.rate:g}.")


ADAPTATION = AdaptationConfig()  # of recipes that say no other


SolverName = Literal["release", "euler_ode", "heun", "ddim", "ddpm", "dpmpp_2m", "dpmpp_2m_sde"]
GridName = Literal["time", "log_snr"]


@dataclass(frozen=True)
class SamplerSetting:
    """How latents are drawn. The defaults are the release's sampler.

    `end_noise` and `guidance_window` are in sigma/alpha, so they mean the same under any schedule. Guidance outside of
    its window costs no call.
    """

    solver: SolverName = "release"
    steps: int = 200
    grid: GridName = "time"
    end_noise: float = RELEASE_END_NOISE
    final_x0: bool = False  # one more call at the end noise, whose prediction is returned
    guidance: float = 1.0  # 1 is the conditional model
    guidance_window: tuple[float, float] = (0.0, math.inf)
    self_guidance: float = 1.0  # by the estimate handed on; 1 is the plain model, and costs no call
    temperature: float = later(1.0)  # of all noise drawn, in the start and in steps: its deviation; 1 is the model's

    def __post_init__(self) -> None:
        for kind, name, options in (("solver", self.solver, SolverName), ("grid", self.grid, GridName)):
            if name not in get_args(options):
                raise unknown(kind, name, get_args(options))
        check_steps(self.steps)
        if not self.end_noise > 0:
            raise UserError(f"The end noise must be positive, not {self.end_noise:g}.")
        check_temperature(self.temperature)

    def ignored_keys(self) -> dict[str, str]:
        reasons = {}
        if self.guidance == 1.0:
            reasons["guidance_window"] = "there is no guidance; set {}guidance to another number than 1"
        if self.steps == 1 and not self.final_x0:
            reasons["self_guidance"] = "one call of the network has no earlier estimate; set {}steps above 1"
        return reasons


@dataclass(frozen=True)
class Preset:
    """Sizes and objective of a whole model. Vocabulary, lengths and source are replaced to suit the task."""

    text_encoder: str
    autoencoder: AutoencoderConfig
    corruption: CorruptionConfig
    denoiser: DenoiserConfig
    diffusion: DiffusionConfig
    encoder_layers: int | None = later()  # of the frozen text encoder, the first ones, whose states are read; None: all


MINILM = "sentence-transformers/all-MiniLM-L6-v2"

PRESETS: Mapping[str, Preset] = {
    "nano": Preset(
        text_encoder=MINILM,
        autoencoder=AutoencoderConfig(
            text_width=384, latent_width=64, width=128, latents=12, layers=2, heads=4, max_tokens=24, vocabulary=30522,
            dropout=0.0,
        ),
        # All of the recipe, more gently: a short training cannot learn its way around the full strengths.
        corruption=replace(LADDER["latent"], drop_rate=0.1, noise_keep=0.9, latent_rate=0.2),
        denoiser=DenoiserConfig(
            latents=12, latent_width=64, width=96, layers=4, heads=6, output_norm=False, max_source_tokens=64,
            positions=True,
        ),
        diffusion=DiffusionConfig(source_dropout=0.0),
        encoder_layers=1,  # so that the budget pays for all training texts and leaves four fifths for the networks
    ),
    "small": Preset(
        text_encoder=MINILM,
        autoencoder=AutoencoderConfig(
            text_width=384, latent_width=384, width=384, latents=16, layers=6, heads=6, max_tokens=128,
            vocabulary=30522,
        ),
        corruption=LADDER["latent"],
        denoiser=DenoiserConfig(
            latents=16, latent_width=384, width=384, layers=12, heads=6, source_layers=6, positions=True
        ),
        diffusion=DiffusionConfig(),
    ),
    "base": Preset(
        text_encoder="bert-base-cased",
        autoencoder=AutoencoderConfig(
            text_width=768, latent_width=768, width=768, latents=16, layers=12, heads=12, max_tokens=128,
            vocabulary=28996,
        ),
        corruption=LADDER["latent"],
        denoiser=DenoiserConfig(latents=16, latent_width=768, width=768, layers=12, heads=12, source_layers=12),
        diffusion=DiffusionConfig(self_conditioning="batch"),
    ),
}  # fmt: skip
