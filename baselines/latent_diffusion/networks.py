"""The networks of a system of latent diffusion, and what came of training them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from baselines.contract import TrainingResult
from baselines.latent_diffusion.time_grids import ChosenGrids
from cosmos.models.denoiser import Denoiser
from cosmos.models.standardiser import Standardiser
from cosmos.training.budget import Cost


@dataclass(frozen=True)
class TrainedStages:
    """What came of the stages.

    Attributes:
        trained: what each cost and reached, by its name, in their order.
        prepared: what they paid for besides.
        validation_loss: of the denoiser.
        adapted: the decoder that generation calls, where it is another than the first stage's.
        grids: times for few calls. students: their weights, by their names.
    """

    trained: Mapping[str, TrainingResult]
    prepared: Cost
    validation_loss: float | None
    adapted: nn.Module | None = None
    grids: ChosenGrids | None = None
    students: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


class LatentNetworks(nn.Module):
    """All that a checkpoint holds; `decoder` is what the first stage trains, of a type that the system knows."""

    def __init__(self, text_width: int, decoder: nn.Module, denoiser: Denoiser) -> None:
        super().__init__()
        self.standardiser = Standardiser(text_width)
        self.decoder, self.denoiser = decoder, denoiser
