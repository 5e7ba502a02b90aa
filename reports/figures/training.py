"""The validation loss of each training against the seconds it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.records.schema import Training
from reports.figures.axis import linear
from reports.figures.lines import NamedLine, draw, named_lines
from reports.figures.looks import LINES
from reports.figures.picture import Picture
from reports.figures.quality import looks_of, sentences
from reports.figures.sheet import Sheet
from reports.figures.sizes import FigureSize
from reports.panels import Panel
from reports.templating import printable

LOSSES = ("validation_losses", "history")  # as records call them; the second is that of older ones


@dataclass(frozen=True)
class StageLosses:
    """What was measured while one stage of a training ran.

    Attributes:
        stage: its name, "" where a training has one.
        seconds: from the beginning of the training, all its processes together.
    """

    stage: str
    seconds: tuple[float, ...]
    losses: tuple[float, ...]


def losses(titles: Sequence[str], panels: Sequence[Panel], size: FigureSize) -> Picture | None:
    """A set of axes for each objective, with a line for each training; None where no training has a loss."""
    drawn = [(title, panel, found) for title, panel in zip(titles, panels, strict=True) if (found := objectives(panel))]
    if not drawn:
        return None
    sheet = Sheet(size)
    across = 1 if size.name == "column" else 2
    for title, _, found in drawn:
        x = linear(
            "Seconds of training", [0.0, *(v for lines in found.values() for line in lines for v in line.x)], 0.02
        )
        places = sheet.columns(across)
        for number, (name, lines) in enumerate(found.items()):
            y = linear("" if number % across else "Validation loss", [v for line in lines for v in line.y])
            frame = named_lines(
                sheet, x, y, lines, place=places[number % across], beside=number % across > 0, height=40 * size.height
            )
            for line in lines:
                least = min(range(len(line.y)), key=lambda place: line.y[place])
                draw(frame, NamedLine("", [line.x[least]], [line.y[least]], line.look))
            frame.title(name if len(panels) == 1 else f"{name} ({title})")
    said = [
        "Validation loss against the seconds of a training, all its stages after one another and all its processes "
        "together. Losses of different objectives are in different units and are never compared; a mark is the lowest.",
        "Within a stage, steps are taken to be equally long, for records note the step of a loss and not its time.",
    ]
    return Picture("training", "Loss against training time", sheet.finish(), sentences(said), size.dpi)


def objectives(panel: Panel) -> dict[str, list[NamedLine]]:
    """By objective, the method with its stage: a line for each training, whose label is empty where it is the only
    one."""
    looks = looks_of(panel)
    by_training = {
        record.header.cell.checkpoint_id: (entry, record) for entry in panel.trained for record in entry.records
    }
    found: dict[str, list[tuple[str, str, StageLosses]]] = {}
    for entry, record in by_training.values():
        if record.header.training is None:
            continue
        for part in stages(record.header.training):
            method = entry.title.partition(", ")[0]
            name = f"{method}, {part.stage}" if part.stage else method
            seed = f"seed {record.header.cell.seed}" if len(entry.records) > 1 else ""
            label = ", ".join(told for told in (entry.title, *entry.tags, seed) if told)
            found.setdefault(printable(name), []).append((entry.system, printable(label), part))
    return {
        name: [
            NamedLine(
                label if len(parts) > 1 else "", part.seconds, part.losses, looks[system],
                LINES[number % len(LINES)], marked=False,
            )
            for number, (system, label, part) in enumerate(parts)
        ]
        for name, parts in found.items()
    }  # fmt: skip


def stages(training: Training) -> list[StageLosses]:
    """The stages of a training whose losses its record has, in order."""
    notes = training.notes
    top = {"steps": training.steps, "seconds": training.seconds, "notes": notes}
    processes = notes.get("processes")
    return list(_stages("", top, 0.0, processes if isinstance(processes, int) else 1))


def _stages(name: str, told: Mapping[str, Any], begun: float, processes: int) -> Iterator[StageLosses]:
    notes = told.get("notes", told)
    own = next((notes[key] for key in LOSSES if isinstance(notes.get(key), list)), None)
    lead = _seconds(notes.get("encoding_seconds"))
    preparation = notes.get("preparation")
    if isinstance(preparation, Mapping):
        lead += _seconds(preparation.get("seconds"))
    steps, seconds = told.get("steps") or 0, _seconds(told.get("seconds"))
    if own and steps:
        a_step = max(0.0, seconds - lead) / steps
        places = [processes * (begun + lead + step * a_step) for step, _ in own]
        yield StageLosses(name, tuple(places), tuple(float(loss) for _, loss in own))
        return
    begun += lead
    for stage, part in notes.items():
        if isinstance(part, Mapping) and "steps" in part and "seconds" in part:
            yield from _stages(stage, part, begun, processes)
            begun += _seconds(part["seconds"])


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
