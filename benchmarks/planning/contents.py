"""What is in the files, folders and cached models that a run names: cells are known by that, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data.source import ReadsNamedFiles, Source
from benchmarks.evaluators.cache_paths import hub_folder
from benchmarks.records import seals
from benchmarks.records.schema import identity


def of_recipe(recipe: Mapping[str, Any], external_weights: Sequence[str]) -> dict[str, str]:
    """Dotted key -> hash of the content, for what in a recipe, as JSON, names a file, a folder, or a model of the local
    Hugging Face cache, if it is there. A cached model is known by its newest snapshot, as a copy of that folder is.

    Looked at are the names of weights that the system declares, and whatever is written as a path.
    """
    found = {}
    for key, name in _texts("recipe", recipe):
        place = _place(name) if name in external_weights or "/" in name else None
        if place is not None:
            found[key] = seals.content_of(place)
    return found


def of_source(source: Source, task: str) -> dict[str, str]:
    """The same for what the options of a source name: by the content of the files that are read for a task."""
    if not isinstance(source, ReadsNamedFiles):
        return {}
    return {f"data.{option}": _content(paths) for option, paths in source.named_files(task).items()}


def _content(paths: Sequence[Path]) -> str:
    return identity([[path.name, seals.file_sha256(path)] for path in paths])


def _place(name: str) -> Path | None:
    """Where what is named lies, if it is there; a folder comes before a cached model, as where models are loaded."""
    path = Path(name).expanduser()
    try:
        return path if path.exists() else hub_folder(name)
    except OSError:  # as where the name is too long
        return None


def _texts(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts in nested JSON objects, with dotted keys."""
    for key, part in value.items():
        if isinstance(part, Mapping):
            yield from _texts(f"{prefix}.{key}", part)
        elif isinstance(part, str) and part:
            yield f"{prefix}.{key}", part
