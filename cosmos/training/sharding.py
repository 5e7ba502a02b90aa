"""Training a network of which each process holds a part, where it does not fit one device (FSDP2, `fully_shard`).

A copy of the network is dealt out, block by block, and with it its gradients, averages and the optimiser's state, which
take four times as much as the weights. The network itself waits on the CPU, and is given weights to be judged by, or to
be kept. `accelerate launch --use_fsdp` asks for it; it is also taken where all of that would fill most of a GPU. The
wrapper of `accelerate` takes a model with its optimiser and calls nothing of it but `forward`, while a loss here calls
any method of a model, and resume points are read by any number of processes; so torch is called itself.
"""

from __future__ import annotations

import copy
import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from cosmos.io.errors import UserError
from cosmos.runtime import compilation
from cosmos.training import resume
from cosmos.training.config import TrainingConfig
from cosmos.training.distributed import ASKED, Objective, Processes
from cosmos.training.step import Groups, OptimiserStep

BYTES = 20  # of a number that is trained: itself, its gradient, two of AdamW, its average; four each
MOST = 0.6  # of a GPU's memory for these; the rest is for what a batch needs


def step_of(network: nn.Module, config: TrainingConfig, processes: Processes, seed: int) -> OptimiserStep:
    """How a network's steps are made: each process has all of it, or a part."""
    kind = ShardedStep if is_dealt_out(network, processes) else OptimiserStep
    return kind(network, config, processes, seed)


def check_turns(network: nn.Module, config: TrainingConfig, processes: Processes) -> None:
    """Raise `UserError` where processes that hold a network together would work on their rows in parts, and not all in
    as many."""
    micro, rows, count = config.micro_batch_size or config.batch_size, config.batch_size, processes.count
    unequal = math.ceil(rows // count / micro) != math.ceil(math.ceil(rows / count) / micro)
    if unequal and is_dealt_out(network, processes):
        raise UserError(
            f"{count} processes that hold a network together cannot work on {rows} rows, {micro} at a time, in "
            "equally many turns; choose another micro_batch_size."
        )


def is_dealt_out(network: nn.Module, processes: Processes) -> bool:
    """Whether each process will hold a part of a network, which may have shapes alone (the meta device)."""
    if processes.count == 1 or getattr(network, "undivided", False):
        return False
    if os.environ.get(ASKED, "").lower() == "true":
        return True
    if processes.device.type != "cuda":
        return False
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return BYTES * trained > MOST * torch.cuda.get_device_properties(processes.device).total_memory


class ShardedStep(OptimiserStep):
    """A step of which every process does its part with its part of the weights. It is not recorded."""

    is_dealt_out = True

    def __init__(self, model: nn.Module, config: TrainingConfig, processes: Processes, seed: int) -> None:
        super().__init__(model, config, processes, seed)
        self.network, self.stored = model, Groups()

    def can_record(self) -> bool:
        return False

    def restore(self, groups: Groups) -> None:
        self.stored = groups  # until there are parts

    def begin(self, loss: Callable[..., tuple[Tensor, Tensor]], step: int, running: float) -> None:
        from torch.distributed.fsdp import fully_shard

        del self.optimizer  # of the whole
        mesh = _mesh(self.device.type, self.processes.count)
        self.objective = objective = Objective(copy.deepcopy(self.network), loss)
        self.network.to("cpu")
        self.model = objective.model.train()
        for part in self.model.modules():
            if hasattr(part, "dealt_out"):
                part.dealt_out = True
        blocks = [block for block in compilation.blocks({"": self.model}) if block is not self.model]
        # The weights of a block are whole while it is called, which is too late for what is called before it.
        apart = [getattr(part, name) for part in self.model.modules() for name in getattr(part, "called_apart", ())]
        for module in (*apart, *blocks, objective):
            fully_shard(module, mesh=mesh)
        if self.compiled is not None:
            networks = {str(number): part for number, part in enumerate((self.model, *self.frozen))}
            self.compiled = compilation.compile_blocks(networks, training=True)
        self.parameters = resume.trainable(self.model)
        self.live = [_own(parameter.data) for parameter in self.parameters.values()]
        self.average = None if self.average is None else [value.clone() for value in self.live]
        self.optimizer = self.make_optimizer()
        if self.stored:
            whole = self.stored["optimizer"]
            parts = {path: _part(value, self.parameters[path.rsplit("/", 1)[0]]) for path, value in whole.items()}
            resume.restore_optimizer(self.optimizer, list(self.parameters), parts)
            if self.average is not None:
                self.average = self.parts_of(self.stored["average"])
            self.stored = Groups()
        self.steps.fill_(step)
        self.running.fill_(running)

    def state(self) -> Groups:
        flat = resume.flatten_optimizer(self.optimizer, list(self.parameters))
        weights = {**resume.weights(self.model), **self.whole_of(self.live)}
        return {
            "model": {name: value.detach().cpu() for name, value in weights.items()},
            "optimizer": {
                path: value.full_tensor().cpu() if _is_part(value) else value for path, value in flat.items()
            },
            "average": self.whole_of(self.average or []),
        }

    def whole_of(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        from torch.distributed.tensor import DTensor

        found = {}
        for (name, parameter), value in zip(self.parameters.items(), values, strict=bool(values)):
            like: Any = parameter
            of_all = DTensor.from_local(
                value, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
            )
            found[name] = of_all.full_tensor().cpu()
        return found

    def parts_of(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        return [_own(_part(values[name], parameter)).clone() for name, parameter in self.parameters.items()]

    def keep(self, values: Sequence[Tensor]) -> None:
        buffers = {name: value for name, value in resume.weights(self.model).items() if name not in self.parameters}
        resume.load_weights(self.network.to(self.device), {**buffers, **self.whole_of(values)})
        self.network.eval()

    @contextmanager
    def shown(self, values: Sequence[Tensor]) -> Iterator[None]:
        self.keep(values)
        try:
            yield
        finally:
            self.network.to("cpu")

    def norm(self) -> Tensor:
        found: Any = super().norm()
        return found.full_tensor() if _is_part(found) else found

    def gradients(self) -> list[Tensor]:
        return [_own(value.grad) for value in self.parameters.values() if value.grad is not None]

    def exchanging(self, now: bool) -> AbstractContextManager[Any]:
        self.objective.set_requires_gradient_sync(now)
        return nullcontext()


@functools.cache
def _mesh(kind: str, count: int) -> Any:
    """The processes that hold parts: one mesh for all of a process's trainings, as each makes processes meet anew."""
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(kind, (count,))


def _is_part(value: Any) -> bool:
    return hasattr(value, "full_tensor")


def _own(value: Any) -> Tensor:
    """This process's part, which shares the memory of the tensor."""
    return value.to_local() if _is_part(value) else value


def _part(value: Tensor, like: Any) -> Tensor:
    """A whole tensor dealt out as a parameter is; a scalar as it is."""
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements) if value.ndim else value
