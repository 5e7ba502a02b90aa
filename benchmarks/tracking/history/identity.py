"""What a record is a measurement of: the line it belongs to, and what must be alike for two to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.planning.plan_file import leaves
from benchmarks.records.machine_class import MachineClass, machine_class
from benchmarks.records.schema import Header, Json, canonical_json
from benchmarks.records.titles import display_setting, display_system

UNKNOWN = "unknown"
_NAMES = ("task", "source", "system", "preset", "setting")  # which a line is named by
_SHOWN = 3  # parts that a sentence names
_SPLITS = {"train": "training", "validation": "validation", "test": "test", "passages": "passages"}


@dataclass(frozen=True)
class About:
    """What one record is about.

    Attributes:
        names: task, source, system, preset and setting.
        asked: dotted name of a part of the cell's identity, without the seed, or of what it was given -> what it is.
        titles: what the "system" and the "setting" are called.
    """

    names: tuple[str, str, str, str, str]
    asked: Mapping[str, str]
    seed: int
    machine: str
    device: str
    titles: Mapping[str, str] = field(default_factory=dict)


def about(header: Header) -> About:
    """The cell without its seed (and no cell holds a commit), its documents and tokenizer, and its machine."""
    cell = {name: value for name, value in header.cell.identified.items() if name not in ("seed", *_NAMES)}
    asked = dict(_parts(cell))
    for split, digest in header.documents.items():
        asked[f"{_SPLITS.get(split, split)} documents"] = str(digest.get("sha256", ""))
    asked["tokenizer's contents"] = str(header.tokenizer.get("sha256", ""))
    task, source, system, preset, setting = (str(getattr(header.cell, name)) for name in _NAMES)
    return About(
        (task, source, system, preset, setting),
        asked,
        header.cell.seed,
        str(machine_class(header)),
        _device(header),
        {"system": display_system(header), "setting": display_setting(header)},
    )


def _parts(cell: Json) -> list[tuple[str, str]]:
    return [
        (key, canonical_json(value))
        for name, part in cell.items()
        for key, value in (leaves(name, part) if isinstance(part, dict) and part else [(name, part)])
    ]


def _device(header: Header) -> str:
    name = str(header.device.get("name") or UNKNOWN)
    return name if header.cell.device.startswith("cuda") else with_cores(name, header.device.get("cores"))


def with_cores(name: str, cores: object) -> str:
    """A processor as both records and pytest-benchmark know it."""
    return f"{name}, {cores} cores" if cores else name


def micro_machine(info: Json) -> tuple[str, str]:
    """The class of the machine of micro-benchmarks, and its processor as that of records is named.

    It is a class of its own: pytest-benchmark knows the processor, the system and Python, and not how many threads
    work nor which packages. What a project adds to its `machine_info` (`pytest_benchmark_update_machine_info`) counts.
    """
    cpu = info.get("cpu") if isinstance(info.get("cpu"), dict) else {}
    assert isinstance(cpu, dict)
    name = str(cpu.get("brand_raw") or info.get("processor") or UNKNOWN)
    python = f"{info.get('python_implementation', '')} {'.'.join(str(info.get('python_version', '')).split('.')[:2])}"
    added = {key: value for key, value in info.items() if key not in _OF_PLUGIN}
    parts: dict[str, Any] = {
        "device": name, "cores": cpu.get("count"), "machine": info.get("machine"), "system": info.get("system"),
        "python": python.strip(), **{key: canonical_json(added[key]) for key in sorted(added)},
    }  # fmt: skip
    told = MachineClass(tuple((key, UNKNOWN if value is None else str(value)) for key, value in parts.items()))
    device = with_cores(name, cpu.get("count"))
    return f"{device}, {parts['python'] or 'Python'} ({told.id})", device


_OF_PLUGIN = (
    "node", "processor", "machine", "python_compiler", "python_implementation", "python_implementation_version",
    "python_version", "python_build", "release", "system", "cpu",
)  # fmt: skip


def unlike(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What differs between two things that were asked, such as "limit 20 → 200; test documents changed"."""
    said = []
    for name in sorted({*before, *after}, key=lambda name: ("documents" not in name and name != "signature", name)):
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            short = len(old) <= 24 and len(new) <= 24
            said.append(f"{name} {old} → {new}" if short else f"{name} changed")
    more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return "; ".join(said[:_SHOWN]) + more
