"""What a user did wrong, in one sentence.

A `UserError` is shown on stderr without a traceback and ends a command with exit code 2. Anything else that is raised
is a fault of ours. Standard library only: command lines import this before anything heavy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 200  # characters of a name that is looked for among others


class UserError(ValueError):
    """A mistake the user can mend; the message is one sentence that says how."""


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Raise `UserError` unless a number lies between two, so that no work is begun that could never end."""
    if not least <= value <= most:
        raise UserError(f"{name} must lie between {least} and {most}, not at {value}.")


def unknown(kind: str, name: str, options: Iterable[str]) -> UserError:
    """The error for a name that is not among `options`, with the nearest names first."""
    names = sorted(options)
    # A comparison takes the product of the lengths, and nobody mistypes a name into one that is much longer.
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) if len(name) <= _LONGEST else []
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}."
    shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."
    return UserError(f"Unknown {kind} '{shown}'; {hint}")
