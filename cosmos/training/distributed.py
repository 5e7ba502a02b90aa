"""The processes that train together, and this one's device: `accelerate`, as the training loop uses it.

They share each batch, one of them writes, and all wait for what it has written; so the folder of a training is one that
every machine sees. What they tell each other beside gradients goes over gloo from host to host, where it may be waited
for as long as it takes, and no GPU is waited for.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from cosmos.io.errors import UserError
from cosmos.training.batches import Batch
from cosmos.training.config import Precision

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")
ASKED = "ACCELERATE_USE_FSDP"  # as `accelerate launch --use_fsdp` says it, which `cosmos.training.sharding` does
LONGEST_WAIT = timedelta(hours=12)  # of all for what one does; who has ended is noticed at once, whatever this is


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

    def part(self, rows: int, rank: int | None = None) -> slice:
        """Which rows of so many are this process's, or another's: parts differ by one row at most."""
        place = self.rank if rank is None else rank
        return slice(rows * place // self.count, rows * (place + 1) // self.count)

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes, in each of them."""
        return values if self.count == 1 else self.accelerator.reduce(values, "sum")

    def agreed(self, value: float) -> float:
        """The first process's value, in each of them; no device is waited for."""
        return self.told(value)

    def told(self, value: T) -> T:
        """Whatever the first process has, in each of them."""
        if self.count == 1:
            return value
        held = [value]
        torch.distributed.broadcast_object_list(held, src=0, group=_hosts(), device=torch.device("cpu"))
        return held[0]

    def gathered(self, value: T) -> list[T]:
        """What every process has, by rank, in the first; nothing in the others."""
        if self.count == 1:
            return [value]
        held: list[Any] | None = [None] * self.count if self.rank == 0 else None
        torch.distributed.gather_object(value, held, dst=0, group=_hosts())
        return held or []

    def wait(self) -> None:
        """Until all have come so far."""
        if self.count > 1:
            torch.distributed.barrier(group=_hosts())

    def once(self, action: Callable[[], None]) -> None:
        """Have the first process do something, while the others wait until it is done."""
        if self.rank == 0:
            action()
        self.wait()

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


def launched_here() -> int:
    """How many processes a launcher has started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def find_processes(device: str) -> Processes:
    """The processes of this run, this one on `device` where it is alone.

    Raises:
        UserError: the device is not there, or there are fewer GPUs than processes.
    """
    # Imported here, because it takes a second and much is imported where nothing is trained.
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    asked = torch.device(device)
    if asked.type == "cuda" and (asked.index or 0) >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        if launched_here() > 1 and there:
            raise UserError(
                f"{launched_here()} processes were launched where there are {there} GPUs; launch one for each GPU, or "
                "name --device cpu."
            )
        raise UserError(f"The device '{device}' is not there; use cpu.")
    if sys.platform == "linux" and 1 < launched_here() == int(os.environ.get("WORLD_SIZE", "1")):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a machine without a network may not know its own name
    with _without(ASKED):  # or accelerate would make parts of its own of what has to stay whole
        accelerator = Accelerator(
            # Only where processes must be told to meet over gloo: accelerate allows one choice in a process's life.
            cpu=asked.type == "cpu" and int(os.environ.get("WORLD_SIZE", "1")) > 1,
            mixed_precision="no",  # one choice as well, while stages may differ: the loop uses torch.autocast
            device_placement=False,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    return Processes(accelerator, accelerator.device if accelerator.num_processes > 1 else asked)


@contextmanager
def _without(variable: str) -> Iterator[None]:
    """A block that does not see a variable of the environment."""
    value = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[variable] = value


@contextmanager
def first_process_first(device: str) -> Iterator[None]:
    """A block that the first process runs before the others, which then find the files it has made."""
    processes = find_processes(device)
    if processes.rank > 0:
        processes.wait()
    yield
    if processes.rank == 0:
        processes.wait()


@functools.cache
def _hosts() -> Any:
    """The processes as they meet from host to host."""
    return torch.distributed.new_group(backend="gloo", timeout=LONGEST_WAIT)
