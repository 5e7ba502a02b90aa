"""Which machines are alike: speeds are compared only where everything is that decides how fast the same code runs.

Standard library only. A machine class says the device, its type of numbers, how many threads work, its power limit,
and the versions of the packages that do the work; it says nothing of our own code, which is what is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.records.schema import Header, identity

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "numpy")
"""Packages whose versions change how long generating takes."""

UNKNOWN = "unknown"


@dataclass(frozen=True)
class MachineClass:
    """Everything that must be the same where two speeds are compared; `parts` are names with what each is, in order."""

    parts: tuple[tuple[str, str], ...]

    @cached_property
    def id(self) -> str:
        """The first eight digits of the hash of all parts: equal for alike machines only."""
        return identity([list(part) for part in self.parts])[:8]

    @property
    def known(self) -> bool:
        """Whether the record says which device it was."""
        return dict(self.parts)["device"] != UNKNOWN

    def __str__(self) -> str:
        parts = dict(self.parts)
        return f"{parts['device']}, {parts['dtype']}, torch {parts['torch']} ({self.id})"


def machine_class(header: Header) -> MachineClass:
    """The class of the machine that a cell was generated on, as far as its header says."""
    device, kind = header.device, header.cell.device.partition(":")[0]
    # A GPU's host feeds it, but its cores are not what computes; a CPU is known by how many of its threads work.
    of_kind = ("cuda", "driver", "power_limit_watts") if kind == "cuda" else ("cores", "threads", "cpu_capability")
    python = str(device.get("python") or UNKNOWN)
    parts = {
        "device": device.get("name"),
        "kind": kind,
        "dtype": header.cell.dtype,
        **{name: device.get(name) for name in of_kind},
        "python": ".".join(python.split(".")[:2]),
        **{name: header.packages.get(name) for name in PACKAGES},
        **({"devices": len(header.cell.devices)} if header.cell.devices else {}),
    }
    return MachineClass(tuple((name, UNKNOWN if value is None else str(value)) for name, value in parts.items()))


def unlike(classes: Sequence[MachineClass]) -> str | None:
    """What keeps speeds from being compared, such as "threads “1” against “2”"; None where nothing does.

    Machines that do not say which device they are, are like no other.
    """
    if not all(each.known for each in classes):
        return "the device is not known"
    told = [dict(each.parts) for each in classes]
    names = dict.fromkeys(name for parts in told for name in parts)
    parts = [
        f"{name} " + " against ".join(f"“{value}”" for value in values)
        for name in names
        if len(values := list(dict.fromkeys(parts.get(name, UNKNOWN) for parts in told))) > 1
    ]
    return "; ".join(parts) or None
