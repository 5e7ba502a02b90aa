"""The rows of a table that come first in the order of a hash of their ids, and no more than those.

Only ids are looked at in every row. Whatever else a row has is made a value of Python where the row is wanted, so that
what a thousand rows cost depends little on how many the file has.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Key = tuple[bytes, bytes]
"""Where a row stands in the order: the beginning of the hash of its id, and the id, in UTF-8."""

_BATCH = 1 << 16  # rows decoded at once
_HASHED = 6  # bytes of a hash that make the order, as in `rows.share_of`


def key_of(value: object) -> Key:
    """The place of an id in the order of `rows.in_order`. What cannot be an id comes first, so that it is refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return (hashlib.sha256(value).digest()[:_HASHED], value) if isinstance(value, bytes) else (b"", b"")


def from_parquet(file: Any, names: Sequence[str], count: int | None) -> Any:
    """Some columns of an open `pyarrow.parquet.ParquetFile`, as a `pyarrow.Table`.

    Args:
        names: of the columns, "id" among them.
        count: how many rows, the first in the order of a hash of their ids; all of them if None, in the file's order.
    """
    if count is None or count >= file.metadata.num_rows:
        return file.read(list(names))
    numbered = ((key_of(value), place) for place, value in enumerate(_ids(file)))
    return _taken(file, names, sorted(place for _, place in heapq.nsmallest(count, numbered)))


def _ids(file: Any) -> Iterator[object]:
    """The ids of all rows, as bytes where they are texts."""
    import pyarrow as pa

    texts = (pa.string(), pa.large_string())
    for batch in file.iter_batches(_BATCH, columns=["id"]):
        column = batch.column(0)
        yield from (column.cast(pa.large_binary()) if column.type in texts else column).to_pylist()


def _taken(file: Any, names: Sequence[str], places: Sequence[int]) -> Any:
    """The rows at some places, in ascending order; row groups without any are not read."""
    import numpy as np
    import pyarrow as pa

    wanted, start, parts = np.asarray(places, dtype=np.int64), 0, []
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if np.any((wanted >= start) & (wanted < start + size)):
            at = start
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=list(names)):
                inside = wanted[(wanted >= at) & (wanted < at + batch.num_rows)] - at
                parts.append(batch.take(pa.array(inside)))
                at += batch.num_rows
        start += size
    if parts:
        return pa.Table.from_batches(parts)
    return pa.schema([file.schema_arrow.field(name) for name in names]).empty_table()


def from_records(records: Iterable[dict[str, Any]], count: int | None) -> tuple[list[dict[str, Any]], int]:
    """The records wanted, in their own order, and how many there were.

    Args:
        count: how many, the first in the order of a hash of their ids; all of them if None.
    """
    if count is None:
        every = list(records)
        return every, len(every)
    seen = 0

    def numbered() -> Iterator[tuple[Key, int, dict[str, Any]]]:
        nonlocal seen
        for record in records:
            yield key_of(record.get("id")), seen, record
            seen += 1

    kept = heapq.nsmallest(count, numbered(), key=lambda row: row[:2])
    return [record for _, _, record in sorted(kept, key=lambda row: row[1])], seen
