"""The index of what is published: a page and a table, made of the records that lie there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.titles import system_title
from benchmarks.records.archive import FoundRun, found_runs
from benchmarks.records.dataframes import Run, read_run
from benchmarks.records.schema import Header
from benchmarks.records.titles import display_system
from benchmarks.speed.schema import FILE, WEIGHTS, read_records
from reports import provenance
from reports.html import render
from reports.markdown import escape, link
from reports.names import entry_name
from reports.numbers import counted, listed

TITLE = "Published records"
HEADS = ("Records", "What was asked", "Who was compared", "Where", "When", "How much")


@dataclass(frozen=True)
class PublishedRecords:
    """One thing that is published; paths are from the folder of the index."""

    place: str
    asked: str
    compared: tuple[str, ...]
    device: str
    made: str
    much: str
    pages: tuple[str, ...]  # reports that lie beside the records
    link: str  # the folder that the records lie in, packed or not


def published(folder: Path) -> tuple[PublishedRecords, ...]:
    """Everything below a folder, the latest last. Errors as of the records."""
    found = []
    for each in found_runs(folder):
        with each.named():
            found.append(_of_run(folder, each, read_run(each.folder)))
    found += [_of_speed(folder, path.parent) for path in sorted(folder.rglob(FILE))]
    return tuple(sorted(found, key=lambda each: (each.made, each.place)))


def described(folder: Path) -> tuple[str, ...]:
    """The READMEs that say of a folder of records what it holds; paths are from the folder of the index."""
    return tuple(_relative(folder, path) for path in sorted(folder.glob("*/README.md")))


def page(entries: Sequence[PublishedRecords], readmes: Sequence[str]) -> str:
    """The index as one page, with the READMEs of `described`."""
    return render("published.html", title=TITLE, heads=HEADS, entries=entries, readmes=readmes)


def markdown(entries: Sequence[PublishedRecords], readmes: Sequence[str]) -> str:
    """The index as Markdown, with the READMEs of `described`."""
    lines = [f"| {' | '.join(HEADS)} |", "| :-- | :-- | :-- | :-- | :-- | --: |"]
    for each in entries:
        pages = "".join(f" ([{Path(path).name}]({link(path)}))" for path in each.pages)
        texts = [escape(text) for text in (each.asked, listed(each.compared), each.device, each.made, each.much)]
        lines.append(f"| [{escape(each.place)}]({link(each.link)}){pages} | {' | '.join(texts)} |")
    return "\n".join(
        [
            f"# {TITLE}",
            "",
            "Written by `python -m reports.publishing`; [index.html](index.html) is the same as a page. What a folder "
            "holds, how it was made, what is left out and what is superseded, its README says: "
            f"{listed([f'[{escape(str(Path(path).parent))}]({link(path)})' for path in readmes])}.",
            "",
            *lines,
            "",
        ]
    )


def _of_run(folder: Path, found: FoundRun, run: Run) -> PublishedRecords:
    place = Path(found.name)
    headers = [record.header for record in run.records if record.header.status == "done"]
    trained = [header for header in headers if header.networks]
    cell = headers[0].cell
    title = str(provenance.task_of(run).get("title") or cell.task)
    presets = listed(dict.fromkeys(header.cell.preset for header in trained))
    days = sorted((header.finished or header.created)[:10] for header in headers)
    devices = dict.fromkeys(str(header.device.get("name", header.cell.device)) for header in trained or headers)
    return PublishedRecords(
        _relative(folder, place),
        f"{title}; on {_texts_of(headers)}, preset {presets or cell.preset}",
        tuple(dict.fromkeys(entry_name(display_system(header)) for header in trained)),
        listed(devices),
        days[0],
        counted(len(headers), "cell"),
        _pages(folder, place, "report/report.md", "report/report.html"),
        _relative(folder, place if found.origin is None else found.origin.archive.parent),
    )


def _texts_of(headers: Sequence[Header]) -> str:
    """The source, and which of its sets where it says so."""
    source = headers[0].cell.source
    sets = dict.fromkeys(str(name) for header in headers for name in header.content.get("sets", ()))
    return f"{listed(sets)} ({source})" if sets else source


def _of_speed(folder: Path, place: Path) -> PublishedRecords:
    measured = [record for record in read_records(place).measured if record.status == "done"]
    names = [entry_name(system_title(r.subject.system, r.subject.recipe)) for r in measured]
    return PublishedRecords(
        _relative(folder, place),
        f"Speed with {WEIGHTS}, preset {listed(dict.fromkeys(r.subject.preset for r in measured))}",
        tuple(dict.fromkeys(names)),
        listed(dict.fromkeys(str(r.made["device"]["name"]) for r in measured)),
        min(record.created[:10] for record in measured),
        counted(len(measured), "measurement"),
        _pages(folder, place, "speed.md", "speed.html"),
        _relative(folder, place),
    )


def _relative(folder: Path, place: Path) -> str:
    return Path(os.path.relpath(place, folder)).as_posix()


def _pages(folder: Path, place: Path, *names: str) -> tuple[str, ...]:
    return tuple(_relative(folder, place / name) for name in names if (place / name).exists())
