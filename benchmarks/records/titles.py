"""What the system and the setting of a record are called: as it says, or by the same rule where it is older."""

from __future__ import annotations

from baselines.titles import setting_title, system_title
from benchmarks.records.schema import Header


def display_system(header: Header) -> str:
    """For example "Cosmos, 16 latents"."""
    return header.titles.get("system") or system_title(header.cell.system, header.cell.recipe)


def display_setting(header: Header) -> str:
    """For example "20 steps"; "" where a system has nothing to set."""
    cell, titles = header.cell, header.titles
    return titles["setting"] if "setting" in titles else setting_title(cell.system, cell.setting, cell.setting_values)
