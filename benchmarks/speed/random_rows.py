"""Training stages on random rows of story-like lengths: the networks, losses and batches of `fit`, and no texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from baselines import registry
from baselines.common.system import TokenSystem
from baselines.common.token_rows import TokenPairs
from baselines.contract import Limits, UserError, unknown
from baselines.latent_diffusion.cosmos import CosmosSystem
from cosmos.data.datasets import LatentDataset
from cosmos.data.state_cache import CachedStates
from cosmos.models.standardiser import Standardiser
from cosmos.stages import AUTOENCODER, CachedCorpus, autoencoder_objective, diffusion_stage, of_tokens
from cosmos.text.vocabulary import CLS, PAD, SEP
from cosmos.training.batches import Rows
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingConfig
from cosmos.training.loop import TrainingStage

FIRST_WORD = 5  # tokens before it are special
MEAN, DEVIATION = 0.72, 0.12  # of a story's length, in those of the longest
MOST_NUMBERS = 1 << 28  # of the latents that are made up


@dataclass(frozen=True)
class StepLine:
    """Whose steps are measured.

    Attributes:
        name: of the line.
        system: by name. preset: of its recipe.
        stage: "autoencoder" or "denoiser" of Cosmos; nothing for a system that is trained in one stage.
        length: positions of the longest text, with those before its first and after its last word.
    """

    name: str
    system: str
    preset: str
    stage: str
    length: int

    @property
    def ragged(self) -> bool:
        """Whether batches are padded."""
        return self.stage == "autoencoder" or self.system == "gpt2"


STORY = 92
LINES = (
    StepLine("autoencoder-16", "cosmos-16", "small", "autoencoder", STORY),
    StepLine("denoiser-16", "cosmos-16", "small", "denoiser", STORY),
    StepLine("denoiser-92", "cosmos-full", "small", "denoiser", STORY),
    StepLine("gpt2", "gpt2", "small", "", STORY),
    StepLine("mdlm", "mdlm", "small", "", STORY),
    StepLine("autoencoder-128-base", "cosmos-full", "base", "autoencoder", 128),
    StepLine("denoiser-128-base", "cosmos-full", "base", "denoiser", 128),
)
OTHERS = tuple(StepLine(name, name, "small", "", STORY) for name in ("sedd", "duo", "diffuseq"))


def lines_named(names: tuple[str, ...]) -> tuple[StepLine, ...]:
    """The lines of these names, or all that bars are about.

    Raises:
        UserError: there is no such line.
    """
    known = {line.name: line for line in (*LINES, *OTHERS)}
    for name in names:
        if name not in known:
            raise unknown("line of training steps", name, known)
    return tuple(known[name] for name in names) or LINES


def lengths_of(rows: int, longest: int) -> Tensor:
    """Story-like lengths, int64 [rows]: normal, between a tenth of the longest and the longest, which comes up."""
    drawn = torch.randn(rows, generator=torch.Generator().manual_seed(0)) * DEVIATION + MEAN
    lengths = (drawn * longest).long().clamp(max(3, longest // 10), longest)
    lengths[0] = longest
    return lengths


def tokens_of(lengths: Tensor, longest: int, vocabulary: int, first: int | None) -> Tensor:
    """Random tokens, int64 [rows, longest], that begin with `first`, end with [SEP] and are padded after it."""
    random = torch.Generator().manual_seed(1)
    tokens = torch.randint(FIRST_WORD, vocabulary, (len(lengths), longest), generator=random)
    if first is not None:
        tokens[:, 0] = first
    along = torch.arange(longest)
    return tokens.where(along < lengths[:, None] - 1, SEP).where(along < lengths[:, None], PAD)


class RandomTexts:
    """As `cosmos.data.datasets.TextDataset`: states [B, L, T], mask bool [B, L], tokens int64 [B, L]."""

    def __init__(self, rows: int, longest: int, width: int, vocabulary: int) -> None:
        self.lengths, self.longest = lengths_of(rows, longest), longest
        flat = torch.randn(int(self.lengths.sum()), width, generator=torch.Generator().manual_seed(2)).half()
        self.states = CachedStates(flat, self.lengths, 0, Cost())
        self.tokens = tokens_of(self.lengths, longest, vocabulary, CLS)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        length = length or int(self.lengths[index].max())
        states, mask = self.states.rows(index, length)
        return {"states": states, "mask": mask, "tokens": self.tokens[index, :length]}


def stage_of(
    line: StepLine, changes: Mapping[str, Any], rows: int, vocabulary: int, device: str
) -> tuple[TrainingStage, TrainingConfig]:
    """The stage, with fresh weights, and its training as the preset has it.

    Args:
        changes: fields of the recipe; of Cosmos, of the model's parts by name: {"denoiser": {"layers": 2}}.
        rows: of the data.
    """
    system: Any = registry.find(line.system)
    if line.preset not in system.presets:
        raise UserError(f"The system '{line.system}' has no preset {line.preset}.")
    recipe = system.presets[line.preset]
    limits = Limits(0, line.length)
    if issubclass(system, CosmosSystem):
        model = recipe.model
        parts = {part: replace(getattr(model, part), **values) for part, values in changes.items()}
        recipe = replace(recipe, model=replace(model, **parts))
        return _stage_of_cosmos(line, system(recipe, limits), rows, vocabulary, device)
    assert issubclass(system, TokenSystem)
    made = system(replace(recipe, **changes), limits)
    tokens = tokens_of(lengths_of(rows, line.length - 1), line.length - 1, vocabulary, None)  # these have no [CLS]
    pairs = TokenPairs(torch.full((rows, 1), SEP), tokens, 0, 0)
    shape = {"vocabulary": vocabulary, **made.shape(pairs)}
    network, (loss, _) = made.fresh(shape, 0), made.losses()
    stage = TrainingStage(line.system, network, loss, made.batches(pairs, shape), scored=made.scored)
    return stage, made.recipe.training


def _stage_of_cosmos(
    line: StepLine, system: CosmosSystem, rows: int, vocabulary: int, device: str
) -> tuple[TrainingStage, TrainingConfig]:
    recipe, width = system.recipe, system.text_width()
    networks = system.fresh({"vocabulary": vocabulary, "length": line.length, "text_width": width}, 0)
    standardiser = Standardiser(width).to(device)
    if line.stage == "autoencoder":
        data, loss = (
            RandomTexts(rows, line.length, width, vocabulary),
            autoencoder_objective(standardiser, recipe.model.corruption),
        )
        return TrainingStage(AUTOENCODER, networks.decoder, loss, data, scored=of_tokens), recipe.autoencoder_training
    denoiser = networks.denoiser
    shape = (denoiser.config.latents, denoiser.config.latent_width)
    count = max(recipe.diffusion_training.batch_size, min(rows, MOST_NUMBERS // (shape[0] * shape[1])))
    latents = torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))
    corpus = CachedCorpus(LatentDataset(latents, None), None, Cost())
    return diffusion_stage(denoiser, standardiser, corpus, recipe.model.diffusion), recipe.diffusion_training
