"""What is in the files and folders that a run names: cells are known by that, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data.source import ReadsNamedFiles, Source
from benchmarks.records import seals
from benchmarks.records.schema import identity


def of_recipe(recipe: Mapping[str, Any], external_weights: Sequence[str]) -> dict[str, str]:
    """Dotted key -> hash of the content, for what in a recipe, as JSON, names a file or folder that is there.

    Looked at are the names of weights that the system declares, and whatever is written as a path.
    """
    found = {}
    for key, name in _texts("recipe", recipe):
        path = Path(name).expanduser()
        if (name in external_weights or "/" in name) and _is_there(path):
            found[key] = seals.content_of(path)
    return found


def of_source(source: Source, task: str) -> dict[str, str]:
    """The same for what the options of a source name: by the content of the files that are read for a task."""
    if not isinstance(source, ReadsNamedFiles):
        return {}
    return {f"data.{option}": _content(paths) for option, paths in source.named_files(task).items()}


def _content(paths: Sequence[Path]) -> str:
    return identity([[path.name, seals.file_sha256(path)] for path in paths])


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # as where the name is too long
        return False


def _texts(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The texts in nested JSON objects, with dotted keys."""
    for key, part in value.items():
        if isinstance(part, Mapping):
            yield from _texts(f"{prefix}.{key}", part)
        elif isinstance(part, str) and part:
            yield f"{prefix}.{key}", part
