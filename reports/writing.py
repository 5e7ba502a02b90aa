"""What the writers share: templates that escape everything by default, and files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from baselines.contract import UserError


class Raw(str):
    """Text already in the language of the template: not escaped again."""

    __slots__ = ()


def printable(text: str) -> str:
    """Text without the control characters that no page may hold; line ends and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


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
    made = Environment(
        loader=PackageLoader("reports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value if isinstance(value, Raw) else escape(str(value)),
        **marks,  # type: ignore[arg-type]
    )
    made.filters.update(filters)
    return made


def save(path: Path, data: str | bytes) -> Path:
    """Write a file so that a reader sees the old or the new one, whole.

    Raises:
        UserError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data.encode("utf-8", "replace") if isinstance(data, str) else data)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):  # it may never have come to be
            temporary.unlink()
        raise UserError(f"The report cannot be written to {path} ({error.strerror}); choose another folder.") from error
    return path
