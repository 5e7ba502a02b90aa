"""A first stage that was trained once, elsewhere: its folder, what it is, and whether it fits a recipe and its encoder.

Its vocabulary and, but where its decoder reads any number of positions, its longest text are those of whatever begins
from it, and its training is in no budget here: entries that use it are of the track "on weights learnt elsewhere", and
reports tell what it cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from baselines.common import checkpoint
from baselines.common.checkpoint import TRAINING
from baselines.contract import Budget, Progress, TrainingResult, UserError, silent
from cosmos.config import MINILM
from cosmos.data.streaming import leave_artifact, stream
from cosmos.io import artifact, safetensors, seals
from cosmos.io.files import expanded, make_folder
from cosmos.io.openings import met
from cosmos.models.standardiser import Standardiser
from cosmos.stages import measured
from cosmos.text.corpora import CorpusFile, check_corpora, read_rows
from cosmos.text.encoder import TextEncoder, fingerprint_of, layers_read
from cosmos.train import encoder_name
from cosmos.training import resume
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import train

Sizes = Mapping[str, tuple[Any, str]]
"""Name of a size -> what a recipe has, and the key of the recipe that says so."""
AUTOENCODER_SIZES = ("latents", "latent_width", "width", "layers", "heads", "feed_forward")


def named(folder: str | None) -> tuple[str, ...]:
    """The folder as one of `System.external_weights`, if there is one."""
    return () if folder is None else (folder,)


@dataclass(frozen=True)
class SharedDecoder:
    """What a first stage's folder says of it."""

    folder: Path
    about: artifact.Artifact

    @property
    def max_tokens(self) -> int:
        """The longest text, specials included."""
        return int(self.about["sizes"]["max_tokens"])

    @property
    def notes(self) -> Mapping[str, Any]:
        """What records tell of it."""
        told = ("preset", "seed", "spent", "corpora", "reached")
        return {"name": self.folder.absolute().name, **{name: self.about[name] for name in told}}

    @property
    def openings(self) -> Path:
        return self.folder / artifact.OPENINGS


def open_shared(
    folder: str,
    kind: str,
    encoder: str | None,
    layers: tuple[int | None, str],
    sizes_at: Callable[[int], Sizes],
    recipe_prefix: str,
) -> SharedDecoder:
    """A first stage that fits; no weight is read.

    Args:
        kind: the method whose first stage it must be.
        encoder: the text encoder of the recipe, as `find_encoder` takes it.
        layers: how many of its layers the recipe reads, and the key that says so.
        sizes_at: what sizes it must have, where it has so many positions.
        recipe_prefix: of these keys, such as "cosmos.recipe.".

    Raises:
        UserError: it is missing, of another method, for another text encoder or other layers of it, or of other sizes.
    """
    path = expanded(folder)
    about = artifact.read_artifact(path, kind)
    if about["text_encoder"] != fingerprint_of(encoder, layers[0]):
        key = f"{recipe_prefix}{layers[1]}"
        if (read := layers_read(encoder, about["text_encoder"])) is not None:
            raise UserError(f"{path} was trained with {key}={read}; say --set {key}={read}, or train another.")
        raise UserError(
            f"{path} was trained on another text encoder than the recipe's; name that one, or train another."
        )
    sizes = sizes_at(int(about["sizes"]["max_tokens"]))
    asked = {name: value for name, (value, _) in sizes.items()}
    keys = {name: f"{recipe_prefix}{key}" for name, (_, key) in sizes.items()}
    artifact.check_sizes(path, about, asked, keys)
    return SharedDecoder(path, about)


def encoder_of(recipe: Any, device: str) -> TextEncoder:
    """The frozen text encoder of a recipe of latent diffusion."""
    return TextEncoder(encoder_name(recipe.text_encoder, MINILM), device, layers=recipe.encoder_layers)


def first_networks(model: Any) -> nn.ModuleDict:
    """What the first stage of `baselines.latent_diffusion.system.LatentNetworks` is, as its file of weights has it."""
    return nn.ModuleDict({"standardiser": model.standardiser, "decoder": model.decoder})


class BeginsElsewhere:
    """What a `LatentDiffusionSystem` has to do with first stages from elsewhere."""

    def decoder_sizes(self, positions: int) -> Sizes:
        """What must be the same in a first stage from elsewhere, of so many positions."""
        raise NotImplementedError

    def shared(self: Any) -> SharedDecoder:
        """The first stage that the recipe names; see `open_shared`."""
        recipe = self.latent_recipe()
        assert recipe.decoder is not None
        kind, encoder = getattr(self, "method", self.name), encoder_name(recipe.text_encoder, MINILM)
        layers = recipe.encoder_layers, "model.encoder_layers" if hasattr(self.recipe, "model") else "encoder_layers"
        return open_shared(recipe.decoder, kind, encoder, layers, self.decoder_sizes, f"{self.name}.recipe.")

    def shared_positions(self, shared: SharedDecoder, longest: int) -> int:
        """Positions of a target where the first stage comes from elsewhere and the longest target has so many."""
        return shared.max_tokens

    def load_decoder(self, shared: SharedDecoder, model: Any) -> None:
        """Put a first stage from elsewhere into fresh networks."""
        weights = safetensors.load(shared.folder / artifact.MODEL / checkpoint.WEIGHTS)
        resume.load_weights(first_networks(model), weights)

    def texts_read(self: Any, texts: Sequence[str]) -> tuple[int, int] | None:
        return None if self.latent_recipe().decoder is None else met(self.shared().openings, texts)

    def train_decoder(
        self,
        corpora: Sequence[str],
        validation: str | None,
        budget: Budget | None,
        out: Path,
        *,
        preset: str,
        seed: int,
        device: str,
        progress: Progress = silent,
    ) -> TrainingResult:
        run = TrainingRun(out / TRAINING, seed, device, progress)
        files = [CorpusFile.parse(text) for text in corpora]
        check_corpora(files)
        held_out = []
        if validation is not None:
            check_corpora([CorpusFile(Path(validation))])
            held_out = list(read_rows(Path(validation)))
        return train_decoder(self, files, held_out, budget, out, preset, run)


def train_decoder(
    system: Any,
    corpora: Sequence[CorpusFile],
    validation: Sequence[str],
    budget: Budget | None,
    out: Path,
    preset: str,
    run: TrainingRun,
) -> TrainingResult:
    """Train the first stage of a `LatentDiffusionSystem` on corpora of any size and leave it for many tasks: see the
    contract's `TrainsSharedDecoder`. It sees no sources."""
    recipe = system.latent_recipe()
    encoder = encoder_of(recipe, run.device)
    positions = system.limits.target_tokens
    if not 2 < positions <= encoder.positions:
        raise UserError(f"The longest text must have between 3 and {encoder.positions} tokens, not {positions}.")
    budget = budget or recipe.budget.part(recipe.decoder_share)
    streamed = stream(corpora, validation, encoder, positions, budget, run, measured)
    data = streamed.corpus
    texts = [data.train.key, None if data.validation is None else data.validation.key]
    run = replace(run, made_of=seals.seal_of([system.configured, encoder.fingerprint, *texts]))
    shape = {"vocabulary": streamed.vocabulary.padded_size, "length": positions, "text_width": encoder.width}
    model = system.fresh(shape, run.seed)
    model.standardiser = Standardiser.of(data.sample.states.statistics())
    model.to(find_processes(run.device).device)
    cost = Cost.total([data.cost, measured(lambda: system.start(model, data, encoder, run.seed), run)])
    left = budget.after(cost, "Encoding the texts")
    trained = train(system.first_stage(model, data), recipe.decoder_training, left, run)
    whole = replace(trained, seconds=trained.seconds + cost.seconds, flops=trained.flops + cost.flops)

    def leave() -> None:
        folder = out / artifact.MODEL
        make_folder(folder)
        streamed.vocabulary.save(folder / checkpoint.VOCABULARY)
        safetensors.save(folder / checkpoint.WEIGHTS, resume.weights(first_networks(model)))
        sizes = {name: value for name, (value, _) in system.decoder_sizes(positions).items()} | {
            "max_tokens": positions
        }
        made_by = {"kind": system.name, "preset": preset, "seed": run.seed}
        batch_size = recipe.decoder_training.batch_size
        leave_artifact(out, made_by, encoder, sizes, whole, batch_size, streamed, run.device)

    find_processes(run.device).once(leave)
    return whole
