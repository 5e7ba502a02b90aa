"""Cells of records that are older than some field of a cell: no identity of theirs holds it. Standard library only."""

from __future__ import annotations

import dataclasses
from functools import cached_property

from benchmarks.records.schema import Cell, Header, Json


class UnsweptCell(Cell):
    """A cell of a record that is older than sweeps."""

    @cached_property
    def identified(self) -> Json:
        return {name: value for name, value in super().identified.items() if name != "sweep"}


def as_identified(header: Header, stored: Json) -> Header:
    """A header whose cell has the identity that it had when the record, of which `stored` is the header, was made."""
    if "sweep" in stored["cell"]:
        return header
    fields = {field.name: getattr(header.cell, field.name) for field in dataclasses.fields(Cell)}
    return dataclasses.replace(header, cell=UnsweptCell(**fields))
