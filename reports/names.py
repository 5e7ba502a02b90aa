"""What systems, settings, metrics and entries are called in all that people read.

The words are those of the records; of records that are older than words, those that are made of identifiers by the same
rule (`baselines.titles`, `benchmarks.metrics.core.metric_titles`). No system's code is needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from baselines.titles import entry_name as entry_name
from baselines.titles import readable
from benchmarks.metrics.core.metric_titles import metric_title
from benchmarks.records.titles import display_setting as display_setting
from benchmarks.records.titles import display_system as display_system


def display_metric(name: str, title: str = "") -> str:
    """For example "J (exact)"; `title` is what a record says, if it does."""
    return metric_title(name, title)


def within_sentence(text: str) -> str:
    """A text that began a sentence, where it does not: without its capital, but for names in capitals (MAUVE, BLEU)."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


_SOURCES = {"world": "the built-in world", "local": "local files", "hub": "the Hugging Face Hub"}


def display_source(name: str) -> str:
    """Where documents are from, in words; a source of another package is called by its name."""
    return _SOURCES.get(name, name)


def display_network(name: str, system: str, title: str) -> str:
    """One of a system's networks: "the source encoder", or "the network of MDLM" where it has the system's name."""
    return f"the network of {title.partition(', ')[0]}" if name == system else f"the {readable(name)}"


def display_budget(budget: str) -> str:
    """A training budget of a record, such as "480 s", "3e12 FLOP" or "300,000 steps"; another text as it is."""
    found = re.fullmatch(r"([\d.]+(?:e\+?\d+)?)(seconds|flops|steps)", budget)
    if found is None:
        return budget
    amount, unit = float(found[1]), {"seconds": "s", "flops": "FLOP", "steps": "steps"}[found[2]]
    text = f"{amount:.3g}".replace("e+", "e") if unit == "FLOP" else f"{amount:,.10g}"
    return f"{text} {unit}"


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
