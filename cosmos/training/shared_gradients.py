"""Gradients of processes that share a batch, where steps are recorded as CUDA graphs.

`DistributedDataParallel` looks for parameters without a gradient on the host in every step, which no recording can
hold. So each process records how it makes the gradients of its rows, and how it moves the weights; between the two,
nothing but one sum over processes is launched, of a buffer in which all gradients lie end to end.

Axis legend: P numbers in all gradients.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cosmos.training.distributed import Processes


class SharedGradients:
    """The buffer, and the parameters' gradients as views of it.

    Attributes:
        sums: sum and weight of the loss [2], which lie in the buffer too.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], processes: Processes) -> None:
        """Take over the gradients that a first pass has left. A parameter that has none in any process gets none."""
        have = [name for name, parameter in parameters.items() if parameter.grad is not None]
        every = processes.told([set(names) for names in processes.gathered(have)])
        used = set[str]().union(*every)
        mine = {name: parameter for name, parameter in parameters.items() if name in used}
        self.processes, self.parameters = processes, mine
        self.unused = [parameter for name, parameter in parameters.items() if name not in used]
        length = sum(parameter.numel() for parameter in mine.values())
        self.buffer = torch.zeros(length + 2, device=processes.device)  # [P + 2]
        self.sums = self.buffer[length:]
        start = 0
        for parameter in mine.values():
            view = self.buffer[start : start + parameter.numel()].view_as(parameter)
            if parameter.grad is not None:
                view.copy_(parameter.grad)
            parameter.grad = view
            start += parameter.numel()

    @property
    def gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.parameters.values() if parameter.grad is not None]

    def exchange(self) -> None:
        """Sum over processes; does not wait for the device."""
        assert all(parameter.grad is None for parameter in self.unused), "all shapes of batch reach the same parameters"
        torch.distributed.all_reduce(self.buffer)
