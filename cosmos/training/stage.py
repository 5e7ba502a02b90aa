"""What is trained, and on what: a network, its loss and its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import Batch, Dataset, Rows, hashed

Loss = Callable[[nn.Module, Batch, CounterRNG], tuple[Tensor, Tensor]]
"""`loss(model, batch, seeds)` -> (summed loss, its weight), two scalars. What is minimised is sum / weight over the
whole global batch, so rows with more tokens count for more where the weight counts tokens."""

Prepare = Callable[[Batch], Batch]
"""What is made of a batch on the device, before a loss is given it."""


@dataclass(frozen=True)
class TrainingStage:
    """What is trained, and on what.

    Attributes:
        name: of the files left in the run's folder, such as "autoencoder".
        network: is trained in place.
        loss: is given the rows of one process and `CounterRNG` with one stream per row.
        validation: measured with `validation_loss` (None: with `loss`) in evaluation mode, under the averaged weights.
        prepare: what a step makes of its batch first, as part of what it costs; None: nothing.
        measure: what else is measured then, of the network as it is, for the log; named numbers.
        frozen: networks that `prepare` or the loss calls; they are compiled where the one that is trained is.
        scored: of rows on the CPU, which of the positions [B, L] the loss reads out. Then a step's batch has them as
            "positions" (`cosmos.training.buckets.positions_to_read`), and a GPU need not be asked.
        stream: of a stage that learns from another's mistakes; its order, noise and dropout are drawn from a seed of
            their own, made of the run's and of this, so that no step repeats one of that other stage.
        compiled_like: a network with the same blocks, where the one that is trained holds others of it besides: whoever
            has compiled that one has compiled this.
    """

    name: str
    network: nn.Module
    loss: Loss
    data: Dataset
    validation: Dataset | None = None
    validation_loss: Loss | None = None
    prepare: Prepare | None = None
    measure: Callable[[], Mapping[str, float]] | None = None
    scored: Callable[[Rows], Tensor] | None = None
    frozen: tuple[nn.Module, ...] = ()
    stream: str = ""
    compiled_like: nn.Module | None = None

    def seed(self, of_run: int) -> int:
        """What all draws of this stage follow from; a stage with no stream of its own has the run's seed."""
        return hashed(of_run, "stream", self.stream) if self.stream else of_run

    def preparing(self) -> TrainingStage:
        """The stage with losses that prepare the batches that they are given."""
        prepare = self.prepare
        if prepare is None:
            return self

        def around(loss: Loss) -> Loss:
            return lambda model, batch, seeds: loss(model, prepare(batch), seeds)

        held_out = None if self.validation_loss is None else around(self.validation_loss)
        return replace(self, loss=around(self.loss), validation_loss=held_out, prepare=None)
