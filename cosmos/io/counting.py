"""Counts in sentences. Standard library only."""

from __future__ import annotations


def counted(count: int, noun: str, several: str | None = None) -> str:
    """ "1 text", "2 texts", "1,000 texts"; `several` where the noun takes more than an s."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def agreeing(count: int, one: str, several: str) -> str:
    """The form of a verb that goes with so many: "is" or "are"."""
    return one if count == 1 else several
