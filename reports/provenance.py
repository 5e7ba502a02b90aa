"""Where the numbers come from and how to make them again."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from benchmarks.records.dataframes import Run, documents_hash
from benchmarks.records.schema import Header, Json, Record, identity
from reports.names import display_budget, display_setting, display_system, entry_name
from reports.numbers import counted
from reports.panels import TRIVIAL, Entry, Panel


@dataclass(frozen=True)
class Fact:
    """A line of the reproduction section: a name and what holds, several where cells differ."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class PackedAt:
    """Where the records of a run lie for readers of its report, once they are published.

    Attributes:
        run: what `show --out` takes for it.
        archive: the file that holds it.
    """

    run: str
    archive: Path


@dataclass(frozen=True)
class CellOrigin:
    """Where the numbers of one cell are, and the commands to show and remake it.

    Attributes:
        place: its folder, which ends in a slash, or the archive that holds it; relative to the report.
    """

    id: str
    name: str
    seed: int
    place: str
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
    headers = [record.header for record in run.records if record.header.status == "done"]
    trained = [entry for panel in panels for entry in panel.trained]
    packages = [header for header in headers if header.packages]
    columns = [column for panel in panels for column in panel.columns]
    lines = (
        Fact("Command", _commands(run, trained)),
        Fact("Commit", _varying(headers, lambda header: _commit(header.commit, header.dirty))),
        Fact("Trained with", _varying([h for h in headers if _elsewhere(h)], lambda h: _made_with(h.trained_with))),
        Fact("Begun with", tuple(_made_with(lines) for header in headers for lines in header.earlier)),
        Fact("Made", _span(headers)),
        Fact("Device", _varying([header for header in headers if not header.imported], _machine)),
        Fact("Clock", _clocks(headers)),
        Fact("Number type", _varying([h for h in headers if not h.imported], lambda header: header.cell.dtype)),
        Fact("Seeds", (", ".join(str(seed) for seed in sorted({header.cell.seed for header in headers})),)),
        Fact("Data", _varying(headers, _data)),
        Fact("Read", _varying([header for header in headers if header.content], lambda header: _flat(header.content))),
        Fact("Documents", _varying([header for header in headers if header.documents], _documents)),
        Fact("Texts from elsewhere", tuple(f"{h.cell.system}: {_flat(h.imported)}" for h in headers if h.imported)),
        Fact("Seals", _varying(headers, _seal)),
        Fact("Not here", _left_out(run)),
        Fact("Tokenizer", _varying([header for header in headers if header.tokenizer], _tokenizer)),
        Fact("Own tokenizers", tuple(dict.fromkeys(_own_tokenizers(trained)))),
        Fact(
            "Budgets", tuple(dict.fromkeys(f"{entry.title}: {display_budget(entry.cell.budget)}" for entry in trained))
        ),
        Fact("Settings", tuple(f"{entry.name}: {_flat(entry.cell.setting_values) or 'none'}" for entry in trained)),
        Fact("Packages", _varying(packages, lambda header: _flat(header.packages))),
        Fact("Evaluators", tuple(dict.fromkeys(str(column.signature) for column in columns))),
    )
    return tuple(fact for fact in lines if any(fact.values))


def label(run: Run) -> str:
    """What labels of the tables of a run begin with: what it is of, and a hash of which records these are."""
    done = [record.header for record in run.records if record.header.status == "done"]
    asked = "-".join((done[0].cell.task, done[0].cell.source, done[0].cell.preset)).lower()
    made = identity(sorted([header.cell.id, header.created] for header in done))
    return f"{re.sub(r'[^a-z0-9]+', '-', asked).strip('-')}-{made[:6]}"


def sources(run: Run, panels: Sequence[Panel], out: Path, packed: PackedAt | None = None) -> tuple[CellOrigin, ...]:
    """One line for each cell that has numbers, in the order of the tables."""

    def place(cell_id: str) -> str:
        path = run.folder / "cells" / cell_id if packed is None else packed.archive
        return Path(os.path.relpath(path, out)).as_posix() + "/" * (packed is None)

    return tuple(
        CellOrigin(
            record.header.cell.id,
            entry.name,
            record.header.cell.seed,
            place(record.header.cell.id),
            _show(record.header, None if packed is None else packed.run),
            record.header.command,
        )
        for panel in panels
        for entry in (*panel.trained, *panel.for_scale)
        for record in entry.records
    )


def missing(records: Iterable[Record]) -> tuple[Missing, ...]:
    """The cells without a result and why."""
    return tuple(
        Missing(
            header.cell.id,
            entry_name(display_system(header), display_setting(header)),
            header.cell.seed,
            {"started": "unfinished"}.get(header.status, header.status),
            header.reason
            or {"started": "it was still running or was interrupted"}.get(header.status, "no reason recorded"),
        )
        for header in (record.header for record in records)
    )


def unbegun(run: Run) -> int:
    """How many cells of the plan were never begun."""
    return len(set(run.plan.get("cells", ())) - {record.header.cell.id for record in run.records})


def task_of(run: Run) -> Json:
    """What the plan says of its task: title, headline metrics, note; empty where it says nothing."""
    task = run.plan.get("task")
    return task if isinstance(task, dict) else {}


def floors_of(run: Run) -> tuple[str, ...]:
    """The systems that are floors: those that the plan's task adds to every run but its reference, which is none."""
    named = task_of(run).get("floors")
    return tuple(name for name in named if name != "reference") if named else TRIVIAL


def _commands(run: Run, trained: Sequence[Entry]) -> tuple[str, ...]:
    """The commands of the run where the plan has them, or else those of the trained cells (of all, if there are
    none)."""
    commands = run.plan.get("commands")
    if commands:
        return tuple(map(str, commands))
    records = [record for entry in trained for record in entry.records] or list(run.records)
    return tuple(dict.fromkeys(record.header.command for record in records if record.header.command))


def _span(headers: Sequence[Header]) -> tuple[str, ...]:
    """From when to when, to the minute."""
    stamps = sorted(stamp for header in headers for stamp in (header.created, header.finished) if stamp)
    first, last = (stamp[:16].replace("T", " ") for stamp in (stamps[0], stamps[-1])) if stamps else ("", "")
    return (f"{first} UTC" if first == last else f"{first} to {last} UTC",) if stamps else ()


def _machine(header: Header) -> str:
    """The device without what changes from moment to moment."""
    steady = {key: value for key, value in header.device.items() if value is not None and "clock" not in key}
    if isinstance(memory := steady.pop("memory_bytes", None), int):
        steady["memory"] = f"{memory / 2**30:.1f} GiB"
    name = str(steady.pop("name", header.cell.device))
    return ", ".join([name, *([_flat(steady)] if steady else [])])


def _clocks(headers: Sequence[Header]) -> tuple[str, ...]:
    """The range of each clock that the cells saw."""
    seen: dict[str, list[float]] = {}
    for header in headers:
        for key, value in header.device.items():
            if "clock" in key and isinstance(value, int | float):
                seen.setdefault(key, []).append(value)
    return tuple(f"{key} {min(values):g} to {max(values):g}" for key, values in seen.items())


def _data(header: Header) -> str:
    details = _flat(header.cell.data)
    return f"{header.cell.source} ({details})" if details else header.cell.source


def _show(header: Header, published: str | None) -> str:
    """The command that shows a cell: the run is found where it is published, or by the flags it was made with."""
    words = shlex.split(header.command)
    flags = {word: value for word, value in pairwise(words) if word in ("--task", "--source", "--preset", "--out")}
    if published or "--out" in flags:
        flags = {"--out": published or flags["--out"]}
    return shlex.join(["python", "-m", "benchmarks", "show", header.cell.id, *chain.from_iterable(flags.items())])


def _commit(commit: str | None, dirty: bool | None) -> str:
    state = {True: ", with uncommitted changes", False: "", None: ", state of the working tree unknown"}[dirty]
    return f"{commit}{state}" if commit else "unknown (not a git checkout)"


def _elsewhere(header: Header) -> bool:
    """Whether a cell was trained by other code or on another machine than it was generated with."""
    origin = header.trained_with
    return bool(origin) and (
        (origin["commit"], origin["dirty"], origin["packages"]) != (header.commit, header.dirty, header.packages)
        or origin["device"].get("name") != header.device.get("name")
    )


def _made_with(origin: Json) -> str:
    packages = _flat(origin["packages"])
    return f"commit {_commit(origin['commit'], origin['dirty'])}, {origin['device'].get('name', 'unknown')}, {packages}"


def _documents(header: Header) -> str:
    return "; ".join(
        f"{split}: {counted(int(about.get('count', 0)), 'text')}, sha256 {about.get('sha256', 'unknown')}"
        for split, about in header.documents.items()
        if about.get("count") != 0
    )


def _seal(header: Header) -> str:
    if header.files:
        return "every file read has the SHA-256 that it was written with"
    return "none: written before records were sealed, so a change since then would not be seen"


def _left_out(run: Run) -> tuple[str, ...]:
    """What of the records is not there, as where a licence keeps texts from being published."""
    done = [record for record in run.records if record.header.status == "done"]
    hashes = {documents_hash(record) for record in done}
    gaps = {
        "test documents, so no examples are shown": len(hashes - run.documents.keys()),
        "texts": sum(not record.samples for record in done),
        "timings": sum(not record.timings for record in done),
        "scores": sum(not record.scores for record in done),
    }
    return tuple(
        what if what.startswith("test") else f"{what} of {counted(count, 'cell')}"
        for what, count in gaps.items()
        if count
    )


def _tokenizer(header: Header) -> str:
    return f"{header.tokenizer['name']}, sha256 {header.tokenizer['sha256']}"


def _own_tokenizers(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if "own" in (about := entry.records[0].header.tokenizer):
            yield f"{entry.title}: {about['own']}"


def _flat(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in leaves("", values))


def leaves(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The leaves of nested mappings under dotted keys, lists as text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _varying(headers: Sequence[Header], of: Callable[[Header], str]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for header in headers:
        counts[of(header)] = counts.get(of(header), 0) + 1
    if len(counts) < 2:
        return tuple(counts)
    return tuple(f"{value} ({counted(count, 'cell')})" for value, count in counts.items())
