"""The processes that train together, and this one's device: `accelerate`, as the training loop uses it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cosmos.io.errors import UserError
from cosmos.training.batches import Batch
from cosmos.training.config import Precision

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Processes:
    """Who else trains, and where this process does."""

    accelerator: Accelerator
    device: torch.device

    @property
    def count(self) -> int:
        return self.accelerator.num_processes

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes, in each of them."""
        return values if self.count == 1 else self.accelerator.reduce(values, "sum")

    def agreed(self, value: float) -> float:
        """The first process's value, in each of them."""
        if self.count == 1:
            return value
        return float(self.total(torch.tensor(0.0 if self.rank else value, dtype=torch.float64, device=self.device)))

    def precision(self, asked: Precision) -> Precision:
        """What "auto" means here: bfloat16 on a GPU that has it; float32 on a CPU, where few have it in hardware."""
        if asked != "auto":
            return asked
        return "bfloat16" if self.device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


class Objective(nn.Module):
    """Model and loss as one module, so that a loss may call any method of the model and gradients still synchronise.

    Rows come as a plain dict, with what else a batch has beside it: on GPUs, processes that share a batch rebuild every
    dict that they are given, and what it has besides its items would be lost.
    """

    def __init__(self, model: nn.Module, loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(
        self, rows: dict[str, Tensor], static_shapes: bool, progress: Tensor | None, seeds: Any
    ) -> tuple[Tensor, Tensor]:
        """Summed loss and its weight, float32 both."""
        total, weight = self.loss(self.model, Batch(rows, static_shapes, progress), seeds)
        return total.float(), weight.detach().float()


def find_processes(device: str) -> Processes:
    """The processes of this run, this one on `device` where it is alone.

    Raises:
        UserError: the device is not there.
    """
    # Imported here, because it takes a second and much is imported where nothing is trained.
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    asked = torch.device(device)
    if asked.type == "cuda" and (asked.index or 0) >= torch.cuda.device_count():
        raise UserError(f"The device '{device}' is not there; use cpu.")
    accelerator = Accelerator(
        # Only where processes must be told to meet over gloo: accelerate allows one choice in a process's life.
        cpu=asked.type == "cpu" and int(os.environ.get("WORLD_SIZE", "1")) > 1,
        mixed_precision="no",  # one choice as well, while stages may differ: the loop uses torch.autocast
        device_placement=False,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    return Processes(accelerator, accelerator.device if accelerator.num_processes > 1 else asked)
