"""Where the numbers come from and how to make them again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import Header, Record
from reports.frames import Run
from reports.numbers import counted
from reports.summary import Panel


@dataclass(frozen=True)
class Fact:
    """A line of the reproduction section: a name and what holds, several where cells differ."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Where the numbers of one cell are: its folder (relative to the report), and the commands that show and remake it."""

    id: str
    name: str
    seed: int
    folder: str
    show: str
    command: str


@dataclass(frozen=True)
class Missing:
    """A cell without a result."""

    id: str
    name: str
    seed: int
    status: str
    reason: str


def facts(run: Run, panels: Sequence[Panel]) -> tuple[Fact, ...]:
    """What all cells were made with. Where cells differ each value says how many it holds for."""
    headers = [record.header for record in run.records]
    made = (
        Fact("Command", _run_command(run)),
        Fact("Commit", _varying(headers, _commit)),
        Fact("Device", _varying(headers, lambda header: _flat(header.device) or header.cell.device)),
        Fact("Number type", _varying(headers, lambda header: header.cell.dtype)),
        Fact("Seeds", (", ".join(str(seed) for seed in sorted({header.cell.seed for header in headers})),)),
        Fact(
            "Data",
            _varying(headers, lambda h: f"{h.cell.source} ({_flat(h.cell.data)})" if h.cell.data else h.cell.source),
        ),
        Fact("Documents", _varying([h for h in headers if h.documents], _documents)),
        Fact("Budgets", _varying(headers, lambda header: header.cell.budget)),
        Fact("Packages", _varying([header for header in headers if header.packages], lambda h: _flat(h.packages, " "))),
        Fact("Evaluators", tuple(dict.fromkeys(str(column.signature) for panel in panels for column in panel.columns))),
    )
    return tuple(fact for fact in made if any(fact.values))


def sources(run: Run, panels: Sequence[Panel], out: Path) -> tuple[Source, ...]:
    """One line for each cell that has numbers, in the order of the tables."""
    return tuple(
        Source(
            record.header.cell.id,
            entry.name,
            record.header.cell.seed,
            Path(os.path.relpath(run.folder / "cells" / record.header.cell.id, out)).as_posix(),
            f"python -m benchmarks show {record.header.cell.id}",
            record.header.command,
        )
        for panel in panels
        for entry in (*panel.trained, *panel.floors)
        for record in entry.records
    )


def missing(records: Iterable[Record]) -> tuple[Missing, ...]:
    """The cells without a result and why."""
    return tuple(
        Missing(
            header.cell.id,
            f"{header.cell.system} ({header.cell.setting})",
            header.cell.seed,
            {"started": "unfinished"}.get(header.status, header.status),
            header.reason
            or {"started": "it was still running or was interrupted"}.get(header.status, "no reason recorded"),
        )
        for header in (record.header for record in records)
    )


def notices(run: Run) -> tuple[str, ...]:
    """Licence and harm notes of the task, where the plan or a cell's header carries them."""
    found: dict[str, None] = {}
    for name in ("licence", "harm"):
        value = run.plan.get(name)
        if isinstance(value, str) and value.strip():
            found[value.strip()] = None
    return tuple(found)


def _run_command(run: Run) -> tuple[str, ...]:
    command = run.plan.get("command")
    if isinstance(command, str) and command:
        return (command,)
    return tuple(dict.fromkeys(record.header.command for record in run.records if record.header.command))


def _commit(header: Header) -> str:
    state = {True: ", with uncommitted changes", False: "", None: ", state of the working tree unknown"}[header.dirty]
    return f"{header.commit}{state}" if header.commit else "unknown (not a git checkout)"


def _documents(header: Header) -> str:
    return "; ".join(
        f"{split}: {counted(int(about.get('count', 0)), 'text')}, sha256 {about.get('sha256', 'unknown')}"
        for split, about in header.documents.items()
    )


def _flat(values: Mapping[str, object], between: str = ": ") -> str:
    return ", ".join(f"{key}{between}{value}" for key, value in values.items())


def _varying(headers: Sequence[Header], of: Callable[[Header], str]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for header in headers:
        counts[of(header)] = counts.get(of(header), 0) + 1
    if len(counts) < 2:
        return tuple(counts)
    return tuple(f"{value} ({counted(count, 'cell')})" for value, count in counts.items())
