"""What systems, settings, metrics and entries are called in all that people read.

The words are those of the records; of records that are older than words, those that are made of identifiers by the same
rule (`baselines.titles`, `benchmarks.metrics.core.metric_titles`). No system's code is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from baselines.titles import setting_title, system_title
from benchmarks.metrics.core.metric_titles import metric_title
from benchmarks.records.schema import Header


def display_system(header: Header) -> str:
    """For example "Cosmos, 16 latents"."""
    return header.titles.get("system") or system_title(header.cell.system, header.cell.recipe)


def display_setting(header: Header) -> str:
    """For example "20 steps"; "" where a system has nothing to set."""
    cell = header.cell
    titles = header.titles
    return titles["setting"] if "setting" in titles else setting_title(cell.system, cell.setting, cell.setting_values)


def display_metric(name: str, title: str = "") -> str:
    """For example "J (exact)"; `title` is what a record says, if it does."""
    return metric_title(name, title)


def entry_name(system: str, *details: str) -> str:
    """One name for a sentence, in which commas must not fall apart: "Cosmos (16 latents, 20 steps)"."""
    first, *more = system.split(", ")
    said = ", ".join(part for part in (*more, *details) if part)
    return f"{first} ({said})" if said else first


def short_names(parts: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Names for figures and narrow tables, by key: what entries of one method share is left out, and nothing else.

    Args:
        parts: by key the parts of a name, the method first; texts with commas are several parts.

    Returns:
        Names that differ wherever those of the parts do.
    """
    split = {key: [word for part in every for word in part.split(", ") if word] for key, every in parts.items()}
    shared: dict[str, set[str]] = {}
    for first, *more in split.values():
        shared[first] = shared.get(first, set(more)) & set(more)
    short = {
        key: ", ".join([first, *(m for m in more if m not in shared[first])]) for key, (first, *more) in split.items()
    }
    counts = Counter(short.values())
    return {key: name if counts[name] == 1 else ", ".join(split[key]) for key, name in short.items()}
