"""What the writers share: templates that escape everything by default, and how a file is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cosmos.io.files import make_folder, write_bytes
from cosmos.io.terminal import printable as printable


class Raw(str):
    """Text already in the language of the template: not escaped again."""

    __slots__ = ()


def environment(language: str, escape: Callable[[str], str], **filters: Callable[..., Any]) -> Environment:
    """A template environment in which every expression is escaped unless it is `Raw`.

    LaTeX templates use <% %> and << >>, since braces and percent signs are its own.
    """
    marks = (
        {
            "block_start_string": "<%",
            "block_end_string": "%>",
            "variable_start_string": "<<",
            "variable_end_string": ">>",
            "comment_start_string": "<#",
            "comment_end_string": "#>",
        }
        if language == "latex"
        else {}
    )
    templates = Environment(
        loader=PackageLoader("reports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value if isinstance(value, Raw) else escape(str(value)),
        **marks,  # type: ignore[arg-type]
    )
    templates.filters.update(filters)
    return templates


def save(path: Path, data: str | bytes) -> Path:
    """Write a file of a report as a whole; returns its path.

    Raises:
        UserError: the file cannot be written.
    """
    make_folder(path.parent)
    write_bytes(path, data.encode("utf-8", "replace") if isinstance(data, str) else data)
    return path
