"""Text (or nothing) in, text out: everything a trained Cosmos needs, as one object and one folder.

    folder/pipeline.json      version, text encoder and its fingerprint, the diffusion objective
    folder/vocabulary.json    compact tokens
    folder/standardiser.safetensors
    folder/autoencoder/       config.json, model.safetensors
    folder/denoiser/          the same; absent after the first stage
    folder/adapted.safetensors  the decompressor that learnt to read what the denoiser makes, where one was adapted

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from cosmos.adaptation import ADAPTED
from cosmos.config import DiffusionConfig, SamplerSetting
from cosmos.diffusion.samplers import sample_latents
from cosmos.io import safetensors
from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, read_json, write_json
from cosmos.io.typed_json import read_as
from cosmos.models.autoencoder import Autoencoder, Decompressor
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.standardiser import Standardiser
from cosmos.pretrained import WEIGHTS, check_pretrained, from_pretrained, read_config, save_pretrained
from cosmos.runtime.capture import Capturable, Capture, CapturedCalls, captured, place_of_inputs
from cosmos.text.encoder import TextEncoder
from cosmos.text.tokenizer import default_encoder
from cosmos.text.vocabulary import Vocabulary, check_vocabulary

VERSION = 3  # 3: of some of the encoder's layers; of all 2 is written with an adapted decompressor and 1 without one
ABOUT, VOCABULARY, STANDARDISER = "pipeline.json", "vocabulary.json", "standardiser.safetensors"


class Written(NamedTuple):
    """A text that was read out of latents."""

    text: str
    tokens: int  # before the end token, [CLS] not counted
    finished: bool  # False: no end token within the decompressor's positions, so the text may have been cut


class Reconstructed(NamedTuple):
    """Texts after a way through the latents."""

    written: list[Written]
    cut: int  # how many of the texts were longer than the autoencoder reads and lost their tail


@dataclass(frozen=True)
class Pipeline:
    """A trained Cosmos. Build one with `load`, or by training (`cosmos.train`).

    Attributes:
        encoder: the frozen text encoder; None where none is needed, which is sampling without a source.
        denoiser, diffusion: the second stage and its objective; None after the first.
        adapted: the decompressor that reads sampled latents, if not the autoencoder's own (`cosmos.adaptation`).
    """

    vocabulary: Vocabulary
    standardiser: Standardiser
    autoencoder: Autoencoder
    encoder: TextEncoder | None = None
    denoiser: Denoiser | None = None
    diffusion: DiffusionConfig | None = None
    adapted: Decompressor | None = None
    captured_calls: CapturedCalls = field(default_factory=CapturedCalls, init=False, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        return next(self.autoencoder.parameters()).device

    # -- generation -------------------------------------------------------------------------------------------------

    def sample(
        self, sources: Sequence[str] | None, seeds: Sequence[int], setting: SamplerSetting, capture: Capture = "off"
    ) -> list[Written]:
        """`sample_tokens`, detokenised."""
        return self.detokenise(self.sample_tokens(sources, seeds, setting, capture))

    def sample_tokens(
        self, sources: Sequence[str] | None, seeds: Sequence[int], setting: SamplerSetting, capture: Capture = "off"
    ) -> Tensor:
        """Compact tokens int64 [B, L - 1], without [CLS], of one text per seed, for as many sources where it has any.

        They are on the host where a graph is replayed.

        A text follows from its seed, its source and the setting alone, up to rounding (in float32, logits agree to 1e-5
        whatever the batch).

        Args:
            capture: replay the loop as one CUDA graph ("graph"), compile the networks ("compile"), or neither.

        Raises:
            UserError: no denoiser, sources missing or not wanted; see also `latents`.
        """
        if self.denoiser is None:
            raise UserError("This model has no denoiser yet; train the second stage with train-diffusion.")
        self.denoiser.check_sources(sources)
        inputs = [torch.tensor(seeds, dtype=torch.int64, device=place_of_inputs(capture, self.device))]
        if sources is not None:
            assert len(sources) == len(seeds), "one source per seed"
            # A recording is for one shape, so there all sources are padded to the limit.
            inputs += self.encode(sources, self.denoiser.config.max_source_tokens, static=capture != "off")
        with torch.no_grad():
            compiled = Capturable(capture=capture).compiled
            return captured(self, self._tokens, capture, setting, compiled, to_host=True)(*inputs)

    @torch.no_grad()
    def latents(self, setting: SamplerSetting, seeds: Tensor, *source: Tensor, compiled: bool = False) -> Tensor:
        """Standardised latents [B, N, C]; `source` is none, or standardised states [B, S, T] and mask bool [B, S]."""
        assert self.denoiser is not None and self.diffusion is not None
        source_states = SourceStates(*self._cast(source)) if source else None
        return sample_latents(self.denoiser, self.diffusion, setting, seeds, source_states, compiled)

    @torch.no_grad()
    def decompress(self, latents: Tensor) -> Tensor:
        """Standardised latents [B, N, C] -> tokens int64 [B, L - 1], the most probable at each position after [CLS]."""
        assert self.denoiser is not None
        return self._most_probable(self.decompressor, self.denoiser.normaliser.restore(latents))

    @property
    def decompressor(self) -> Decompressor:
        """What reads sampled latents."""
        return self.autoencoder.decompressor if self.adapted is None else self.adapted

    def _most_probable(self, decompressor: Decompressor, raw: Tensor) -> Tensor:
        # The head has a few rows past the vocabulary, for a fast width; they are never trained to win, nor let to.
        tokens: Tensor = decompressor(self._cast((raw,))[0], vocabulary=len(self.vocabulary))
        return tokens

    def _tokens(self, setting: SamplerSetting, compiled: bool, seeds: Tensor, *source: Tensor) -> Tensor:
        return self.decompress(self.latents(setting, seeds, *source, compiled=compiled))

    def _cast(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        dtype = next(self.autoencoder.parameters()).dtype
        return [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors]

    # -- text in, text out ------------------------------------------------------------------------------------------

    def encode(self, texts: Sequence[str], max_tokens: int, static: bool = False) -> list[Tensor]:
        """Standardised states [B, L, T] and mask bool [B, L]; L is that of the longest text, or `max_tokens` if static.

        Raises:
            UserError: there is no text encoder.
        """
        if self.encoder is None:
            raise UserError("This needs the text encoder; load the model with its encoder.")
        with torch.no_grad():
            return [*self.standardiser.encode(self.encoder, texts, max_tokens, static)]

    def reconstruct(self, texts: Sequence[str]) -> Reconstructed:
        """Texts compressed and decompressed again; errors as in `encode`."""
        limit = self.autoencoder.config.max_tokens
        states = self.encode(texts, limit)
        with torch.no_grad():
            raw = self.autoencoder.compress(*self._cast(states))
            tokens = self._most_probable(self.autoencoder.decompressor, raw)
        return Reconstructed(self.detokenise(tokens), self.encoder.ids(texts, limit)[1])

    def plain(self, texts: Sequence[str]) -> list[str]:
        """Texts as they would be read from their own tokens, cut to what the autoencoder reads: the best it can do."""
        tokens = self.vocabulary.encode(texts, self.autoencoder.config.max_tokens).tokens
        return [decoded.text for decoded in self.vocabulary.decode(tokens)]

    def detokenise(self, tokens: Tensor) -> list[Written]:
        """Rows of compact tokens [B, L - 1] as texts: cut at the first end token, detokenised."""
        return [Written(text, count - end, end) for text, count, end in self.vocabulary.decode(tokens)]

    # -- on disk ----------------------------------------------------------------------------------------------------

    def networks(self) -> dict[str, nn.Module]:
        """What generation calls, the denoiser first; the frozen text encoder only where a source needs it."""
        networks: dict[str, nn.Module] = {"decompressor": self.decompressor}
        if self.denoiser is not None:
            networks = {"denoiser": self.denoiser, **networks, **self.denoiser.conditioning_networks(self.encoder)}
        return networks

    def save(self, folder: Path) -> None:
        """Write the folder; `pipeline.json` comes last."""
        make_folder(folder)
        self.vocabulary.save(folder / VOCABULARY)
        safetensors.save(folder / STANDARDISER, self.standardiser.state_dict())
        save_pretrained(self.autoencoder, folder / "autoencoder")
        if self.denoiser is not None:
            save_pretrained(self.denoiser, folder / "denoiser")
        if self.adapted is not None:
            safetensors.save(folder / ADAPTED, self.adapted.state_dict())
        place = None if self.encoder is None else str(self.encoder.folder)
        fingerprint = None if self.encoder is None else self.encoder.fingerprint
        known = None if place is None or place == default_encoder() else place
        layers = None if self.encoder is None else self.encoder.layers
        write_about(folder, known, fingerprint, self.diffusion, self.adapted is not None, layers)

    @classmethod
    @torch.random.fork_rng(devices=[])  # networks are built with random weights before theirs are read
    def load(
        cls,
        folder: Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        encoder: TextEncoder | str | None = None,
        with_encoder: bool = True,
    ) -> Pipeline:
        """Read what `save` wrote.

        Args:
            encoder: another place of the same text encoder; None: the one the folder names.
            with_encoder: False leaves the text encoder out, which sampling without a source does not need.

        Raises:
            UserError: anything missing, truncated, not safetensors or of another configuration, found out before any
                weight is read; or a text encoder that is not the one the model was trained with.
        """
        about = check(folder)
        autoencoder = from_pretrained(Autoencoder, folder / "autoencoder", device)
        standardiser = Standardiser(autoencoder.config.text_width)
        standardiser.load_state_dict(safetensors.load(folder / STANDARDISER))
        denoiser = None
        if about["diffusion"] is not None:
            denoiser = from_pretrained(Denoiser, folder / "denoiser", device).to(dtype)
            denoiser.normaliser.float()  # latents stay float32 between the networks
        adapted = None
        if about["adapted"]:
            adapted = copy.deepcopy(autoencoder.decompressor)
            adapted.load_state_dict(safetensors.load(folder / ADAPTED, device=device))
            adapted.to(dtype)
        if not with_encoder or about["fingerprint"] is None:
            encoder = None
        else:
            if not isinstance(encoder, TextEncoder):
                encoder = TextEncoder(encoder or about["text_encoder"], device, layers=about["encoder_layers"])
            if encoder.fingerprint != about["fingerprint"]:
                if encoder.layers != (layers := about["encoder_layers"]):
                    what = f"with layers={layers} of its text encoder, and the one given has layers={encoder.layers}"
                    raise UserError(f"{folder} was trained {what}; give one with as many.")
                raise UserError(f"{folder} was trained with another text encoder than {encoder.folder}; give that one.")
        return cls(
            vocabulary=Vocabulary.load(folder / VOCABULARY),
            standardiser=standardiser.to(device),
            autoencoder=autoencoder.to(dtype),
            encoder=encoder,
            denoiser=denoiser,
            diffusion=about["diffusion"],
            adapted=adapted,
        )


def write_about(
    folder: Path,
    text_encoder: str | None,
    fingerprint: str | None,
    diffusion: DiffusionConfig | None,
    adapted: bool = False,
    encoder_layers: int | None = None,
) -> None:
    """Write `pipeline.json`, once all else is there; fields as in `StoredPipeline`, the last two only where layers of
    the encoder are left out, so that earlier versions read what they can."""
    described = None if diffusion is None else asdict(diffusion)
    about = {"text_encoder": text_encoder, "fingerprint": fingerprint, "diffusion": described}
    if encoder_layers is not None:
        about |= {"adapted": adapted, "encoder_layers": encoder_layers}
    version = VERSION if encoder_layers is not None else 2 if adapted else 1
    write_json(folder / ABOUT, {"version": version, **about})


class StoredPipeline(TypedDict):
    """What `pipeline.json` says."""

    version: int
    text_encoder: str | None
    fingerprint: str | None
    diffusion: DiffusionConfig | None
    adapted: bool  # whether there is a decompressor for sampled latents
    encoder_layers: int | None  # of the text encoder, the first ones; None: all


def read_about(folder: Path, remedy: str = "give a folder that training has left") -> StoredPipeline:
    """What `pipeline.json` says, of any version so far.

    Raises:
        UserError: it is missing, damaged or of a newer version.
    """
    about = read_json(folder / ABOUT)
    if isinstance(version := about.get("version"), int) and version > VERSION:
        raise UserError(f"{folder} was written by a newer version of this package; update it.")
    if version != VERSION:
        about = {**about, "adapted": version == 2, "encoder_layers": None}
    return read_as(StoredPipeline, about, str(folder / ABOUT), remedy)


def check(folder: Path) -> StoredPipeline:
    """What `pipeline.json` says, after a look at every file's header; no weight is read.

    Raises:
        UserError: anything missing, truncated, not safetensors, of another configuration or a newer version.
    """
    about = read_about(folder)
    check_vocabulary(folder / VOCABULARY)
    check_pretrained(folder / "autoencoder")
    width = read_config(folder / "autoencoder")[1].text_width
    safetensors.check(folder / STANDARDISER, {"mean": (width,), "std": (width,)})
    if about["diffusion"] is not None:
        check_pretrained(folder / "denoiser")
    if about["adapted"]:
        head = "decompressor."
        whole = safetensors.read_header(folder / "autoencoder" / WEIGHTS).shapes
        shapes = {name.removeprefix(head): shape for name, shape in whole.items() if name.startswith(head)}
        safetensors.check(folder / ADAPTED, shapes)
    return about
