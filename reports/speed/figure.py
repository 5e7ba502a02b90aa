"""Throughput against batch size of a measurement with random weights."""

from __future__ import annotations

from collections import Counter
from statistics import median

from baselines.titles import setting_title, system_title
from benchmarks.speed.schema import WEIGHTS, Speed, SpeedRecord
from benchmarks.stats.order_statistics import quantile
from reports.figures.axis import at_values, logarithmic
from reports.figures.lines import NamedLine, named_lines
from reports.figures.looks import LINES, looks
from reports.figures.picture import Picture
from reports.figures.sheet import Sheet
from reports.figures.sizes import PAGE, FigureSize
from reports.names import entry_name
from reports.speed.bars import per_second
from reports.templating import printable


def draw(speed: Speed, size: FigureSize = PAGE) -> Picture | None:
    """A line for each system and setting: texts per second by number of texts made at once; None where no setting was
    measured with several."""
    lines = named(speed)
    if not lines:
        return None
    sheet = Sheet(size)
    sizes = sorted({x for line in lines for x in line.x})
    reached = [end for line in lines for bar in line.bars if bar for end in bar]
    x = at_values("Texts made at once (log scale)", [(value, f"{value:g}") for value in sizes])
    named_lines(sheet, x, logarithmic("Texts per second (log scale)", reached), lines)
    said = (
        f"Texts per second by number of texts made at once, with {WEIGHTS}: no quality may be read from it. Points are "
        "medians of the repeats, bars hold 10 to 90 % of them. Of several captures the fastest is shown."
    )
    return Picture("speed", f"Throughput by batch size, {WEIGHTS}", sheet.finish(), said, size.dpi)


def named(speed: Speed) -> list[NamedLine]:
    """The lines of the figure, the fastest at their last point first."""
    best: dict[tuple[str, str], dict[int, SpeedRecord]] = {}
    for record in speed.measured:
        subject = record.subject
        if subject.kind == "generation" and record.status == "done" and record.seconds:
            at = best.setdefault((subject.system, subject.what), {})
            known = at.get(subject.batch)
            if known is None or median(record.seconds) < median(known.seconds):
                at[subject.batch] = record
    shown = {key: at for key, at in best.items() if len(at) > 1}
    methods = {record.subject.system: record.method for at in shown.values() for record in at.values() if record.method}
    found, seen, lines = looks([system for system, _ in shown], methods), Counter[str](), []
    for (system, what), at in shown.items():
        records = [at[batch] for batch in sorted(at)]
        subject = records[-1].subject
        name = entry_name(system_title(system, subject.recipe), setting_title(system, what, subject.values))
        rates = [per_second(record, record.subject.batch) for record in records]
        limits = [tuple(r.subject.batch / quantile(sorted(r.seconds), share) for share in (0.9, 0.1)) for r in records]
        lines.append(
            NamedLine(
                printable(name),
                sorted(at),
                rates,
                found[system],
                LINES[seen[system] % len(LINES)],
                [(low, high) for low, high in limits],
            )
        )
        seen[system] += 1
    return sorted(lines, key=lambda line: -line.y[-1])
