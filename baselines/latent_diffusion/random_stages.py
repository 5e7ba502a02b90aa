"""The stages of Cosmos on random rows, to time steps (`baselines.contract.SupportsRandomTraining`)."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.random_rows import lengths_of, tokens_of
from baselines.latent_diffusion.networks import LatentNetworks
from cosmos.config import Preset
from cosmos.data.datasets import LatentDataset
from cosmos.data.state_cache import CachedStates
from cosmos.models.standardiser import Standardiser
from cosmos.stages import AUTOENCODER, LatentCorpus, autoencoder_objective, diffusion_stage, of_tokens
from cosmos.text.vocabulary import CLS
from cosmos.training.batches import Rows
from cosmos.training.budget import Cost
from cosmos.training.loop import TrainingStage

MOST_NUMBERS = 1 << 28  # of the latents that are made up


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


def random_autoencoder_stage(networks: LatentNetworks, model: Preset, rows: int, device: str) -> TrainingStage:
    """The first stage; `model` says how texts are corrupted."""
    sizes = networks.decoder.config
    data = RandomTexts(rows, sizes.max_tokens, sizes.text_width, sizes.vocabulary)
    loss = autoencoder_objective(Standardiser(sizes.text_width).to(device), model.corruption)
    return TrainingStage(AUTOENCODER, networks.decoder, loss, data, scored=of_tokens)


def random_diffusion_stage(networks: LatentNetworks, model: Preset, rows: int, device: str) -> TrainingStage:
    """The second stage, without sources."""
    sizes = networks.denoiser.config
    count = max(1, min(rows, MOST_NUMBERS // (sizes.latents * sizes.latent_width)))
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(count, sizes.latents, sizes.latent_width, generator=generator)
    corpus = LatentCorpus(LatentDataset(latents, None), None, Cost(), latents)
    standardiser = Standardiser(networks.decoder.config.text_width).to(device)
    return diffusion_stage(networks.denoiser, standardiser, corpus, model.diffusion)
