"""Where the time of a batch goes, and which modules do the work: looked at in a pass of its own, which looking slows.

Phases are `source_encoding` (reading the sources and whatever encodes them), `calls` (of the first network, whose count
is the number of function evaluations), `decoder` (of every other network), `sampling` (between calls) and `detokenise`
(after the last). A replayed CUDA graph shows none of them, so the pass is made without capture.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

ENCODING, CALLS, DECODER, SAMPLING, DETOKENISE = "source_encoding", "calls", "decoder", "sampling", "detokenise"
PHASES = (ENCODING, CALLS, DECODER, SAMPLING, DETOKENISE)
MATRIX = 2  # axes of a weight that multiplies


@dataclass
class Phases:
    """Seconds by phase, and the classes of modules with weights that ran within no network."""

    seconds: dict[str, float] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)


def uncaptured(setting: Any) -> Any:
    """The setting as Python runs it, where hooks see every call."""
    return dataclasses.replace(setting, capture="off") if hasattr(setting, "capture") else setting


def can_look(networks: Mapping[str, Any]) -> bool:
    """Whether there are networks, all of them torch's."""
    torch: Any = sys.modules.get("torch")
    return bool(networks) and torch is not None and all(isinstance(n, torch.nn.Module) for n in networks.values())


def phase_of(networks: Mapping[str, Any], name: str) -> str:
    """The phase of a network's calls."""
    return CALLS if name == next(iter(networks)) else ENCODING if name.endswith("encoder") else DECODER


@contextmanager
def looking(networks: Mapping[str, Any], now: Callable[[], float]) -> Iterator[Phases]:
    """Look at one generation that is made in the block.

    Args:
        networks: torch modules by name; a call of one within another's counts as the outer one's.
        now: seconds, when the device has finished.
    """
    from torch.nn.modules.module import register_module_forward_pre_hook

    found, at_work = Phases(dict.fromkeys(PHASES, 0.0)), list[str]()
    known = {id(module) for network in networks.values() for module in network.modules()}
    mark = now()

    def enter(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            nonlocal mark
            if not at_work:
                moment = now()
                first = not any(found.seconds.values())
                found.seconds[ENCODING if first else SAMPLING] += moment - mark
                mark = moment
            at_work.append(name)

        return hook

    def leave(*_: object) -> None:
        nonlocal mark
        name = at_work.pop()
        if not at_work:
            moment = now()
            found.seconds[phase_of(networks, name)] += moment - mark
            mark = moment

    def see(module: Any, _: object) -> None:
        if not at_work and id(module) not in known and _has_weights(module):
            found.unnamed.add(type(module).__name__)

    with ExitStack() as hooks:
        for name, network in networks.items():
            hooks.callback(network.register_forward_pre_hook(enter(name)).remove)
            hooks.callback(network.register_forward_hook(leave, always_call=True).remove)
        hooks.callback(register_module_forward_pre_hook(see).remove)
        yield found
        found.seconds[DETOKENISE] += now() - mark


def _has_weights(module: Any) -> bool:
    """Whether it, and not only a part of it, holds a matrix that multiplies; a table that is looked up does not."""
    import torch

    own = module.parameters(recurse=False)
    return not isinstance(module, torch.nn.Embedding) and any(weight.ndim >= MATRIX for weight in own)
