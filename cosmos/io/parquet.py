"""Columns of Parquet tables as Python values; what a table may hold and no reader can use is one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cosmos.io.errors import UserError


def check_names(names: Iterable[str], path: Path) -> None:
    """Raise `UserError` where a table has two columns of one name, of which nobody can say which is meant."""
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UserError(f"{path} has more than one column {' and '.join(doubled)}; keep one of each.")


def values_of(column: Any, name: str, path: Path) -> list[Any]:
    """The values of a column (`pyarrow.ChunkedArray`).

    Raises:
        UserError: one of them is text that is not UTF-8, which Parquet does not notice.
    """
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError as error:
        row = _first_unreadable(column)
        raise UserError(
            f"Row {row} of {path} (counted from 0) has text in column {name} that is not UTF-8; write the file anew."
        ) from error
    return values


def _first_unreadable(column: Any) -> int:
    for row, value in enumerate(column):
        try:
            value.as_py()
        except UnicodeDecodeError:
            return row
    raise AssertionError("every value alone can be read")
