"""A history as Markdown, and its sentences, which the page and the terminal have too."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.tracking.history.schema import Break, FoundChange, History, Series
from reports.markdown import escape, fenced
from reports.numbers import significant

MOST_BREAKS = 20  # that are told one by one
COLUMNS = ("Outcome", "What", "Before", "After", "Change", "p", "Between")
P_NOTE = (
    "p: the chance of so large a change in any order of the points, adjusted for the search and for all series that "
    "were looked at; of the series said to have changed, at most {} % are expected not to have. It takes the points "
    "for independent: a machine that drifts looks like code that changes. Intervals are of 95 % and do not know that "
    "the change was looked for."
)


def write(history: History) -> str:
    """What was read, what changed, where series break, and what was left out."""
    parts = ["# History", escape(sentence(history))]
    changed = history.changed
    if changed:
        parts += ["## Changes", rows(COLUMNS, [cells(series, change) for series, change in changed])]
        parts += [escape(P_NOTE.format(f"{100 * history.level:g}")), "## The commit of each change"]
        for series, change in changed:
            parts += [f"{escape(name_of(series))}: {escape(between(series, change))}", commands(change)]
    if history.breaks:
        shown = [f"- {escape(break_sentence(each))}" for each in history.breaks[:MOST_BREAKS]]
        more = len(history.breaks) - MOST_BREAKS
        parts += ["## Where series break", "\n".join(shown + ([f"- and {more} more"] if more > 0 else []))]
    if history.notes:
        parts += ["## To be known", "\n".join(f"- {escape(note)}" for note in history.notes)]
    return "\n\n".join(parts)


def sentence(history: History) -> str:
    """How much was read and what came of it."""
    counts = history.counts
    read = (
        f"{counts.runs:,} runs, {counts.cells:,} cells, {counts.scores:,} scores, {counts.timings:,} timed calls and "
        f"{counts.micro:,} micro-benchmarks below {history.folder}: {len(history.series):,} series over "
        f"{len(history.codes):,} states of the code."
    )
    changed = history.changed
    if not changed:
        return f"{read} No significant change."
    told = [
        f"{count} {outcome}"
        for outcome in ("worse", "better", "changed")
        if (count := sum(change.outcome == outcome for _, change in changed))
    ]
    return f"{read} Changes: {', '.join(told)}."


def cells(series: Series, change: FoundChange) -> list[str]:
    """One change as a row under `COLUMNS`."""
    return [
        change.outcome, name_of(series), significant(change.before), significant(change.after), size(series, change),
        f"{change.p:.2g}", between(series, change),
    ]  # fmt: skip


def name_of(series: Series) -> str:
    """A series in words: the metric of an entry, what it was asked, and the machine."""
    line = series.line
    metric = f"{line.metric_title} ({line.unit})" if line.unit else line.metric_title
    return ", ".join(part for part in (f"{metric} of {line.title}", line.asked, f"on {line.machine}") if part)


def size(series: Series, change: FoundChange) -> str:
    """How much it changed, with its interval."""
    if series.line.kind == "quality":
        return f"{change.change:+.4g} [{change.low:+.4g}, {change.high:+.4g}]"
    return f"{100 * change.change:+.1f} % [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"


def between(series: Series, change: FoundChange) -> str:
    """The commits on both sides, and those of all places that it may be at."""
    points = series.judged
    told = f"{points[change.index - 1].code} and {points[change.index].code}"
    if (change.first, change.last) != (change.index, change.index):
        told += f" (95 %: {points[change.first - 1].code} to {points[change.last].code})"
    return told


def commands(change: FoundChange) -> str:
    """What finds the commit, or why nothing does."""
    return str(fenced("\n".join(change.bisect))) if change.bisect else escape(f"No command: {change.no_bisect}.")


def break_sentence(each: Break) -> str:
    """Where a line breaks, and why."""
    line = each.line
    where = f"{line.metric_title} of {line.title}, {line.asked} on {line.machine}"
    return f"{where}, from {each.before} to {each.after}: {each.sentence}."


def rows(columns: Sequence[str], values: Sequence[Sequence[object]]) -> str:
    """A Markdown table with its columns aligned."""
    table = [[escape(name) for name in columns], *([escape(said(value)) for value in row] for row in values)]
    widths = [max(3, *(len(row[i]) for row in table)) for i in range(len(columns))]
    lines = [f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |" for row in table]
    return "\n".join([lines[0], f"| {' | '.join('-' * width for width in widths)} |", *lines[1:]])


def said(value: object) -> str:
    """A value of a table; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
