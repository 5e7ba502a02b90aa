"""What a comparison says in sentences: the two sides, what came out, and what is not compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity, ComparedSide, RunComparison
from reports.numbers import counted, decimals, fixed, half_width, listed, p_value, significant, written

_SHOWN = 8  # digits of a commit that are shown
_NAMED = 12  # quantities that a sentence names
_MOST_PLACES = 9


def facts(comparison: RunComparison) -> tuple[str, ...]:
    """Who is compared with whom, and in what all entries differ."""
    lines = [
        "What is said is of B, against A: differences are B minus A, ratios B over A.",
        f"A: {_side(comparison.a)}",
        f"B: {_side(comparison.b)}",
    ]
    shared = common(entry.differs for entry in comparison.entries)
    if shared:
        lines.append(f"All entries differ in {'; '.join(shared)}.")
    return (*lines, *comparison.notes)


def findings(comparison: RunComparison) -> tuple[str, ...]:
    """What is worse, what is better, and how much cannot be told."""
    rows = [(entry, row) for entry in comparison.entries for row in entry.quantities]
    lines = []
    for outcome in ("worse", "better"):
        those = [(entry, row) for entry, row in rows if row.outcome == outcome]
        if those:
            named = "; ".join(f"{entry.shown} {row.shown} {change_of(row)}" for entry, row in those[:_NAMED])
            more = f"; and {len(those) - _NAMED} more" if len(those) > _NAMED else ""
            lines.append(f"B is {outcome} in {len(those)} of {len(rows)}: {named}{more}.")
    moved = [(entry, row) for entry, row in rows if row.moved and row.outcome == "cannot tell"]
    if moved:
        named = "; ".join(f"{entry.shown} {row.shown} {change_of(row)}" for entry, row in moved[:_NAMED])
        lines.append(f"Moved, where neither direction is good in itself: {named}.")
    unsure = sum(row.outcome == "cannot tell" and not row.moved for _, row in rows)
    if unsure:
        lines.append(
            f"Cannot tell: {unsure} of {len(rows)}. That is not “equal”: a change below the smallest detectable one is "
            "missed more often than one time in five."
        )
    return tuple(lines)


def reading(comparison: RunComparison) -> tuple[str, ...]:
    """How to read the tables."""
    return (
        comparison.correction,
        "Intervals are at the level that the correction leaves to each, p-values are corrected likewise; an outcome "
        "takes p ≤ 0.05 and an interval that leaves out no change.",
        "Scores per text: paired by document, sign flips, paired bootstrap and its closed form. Corpus scores: both "
        "sides' documents resampled together, with the metric's own seeds. Speeds: ratios over what is named beside "
        "them; valid timings of one machine class alone.",
        "Detectable: the smallest true change that so many texts or timings show four times in five.",
    )


def remarks(entries: Sequence[ComparedEntry]) -> tuple[str, ...]:
    """What is to be said of the entries of one table, each sentence once, with whom it is about."""
    shared = common(entry.differs for entry in entries)
    told: dict[str, list[str]] = {}
    for entry in entries:
        own = [part for part in entry.differs if part not in shared]
        lines = [f"Differs in {'; '.join(own)}."] if own else []
        lines += [f"Not compared, {reason}." for reason in entry.refused]
        for line in (*lines, *entry.notes):
            told.setdefault(line, []).append(entry.shown)
    return tuple(
        line if len(names) == len(entries) else f"{listed(dict.fromkeys(names))}: {line}"
        for line, names in told.items()
    )


def change_of(row: ComparedQuantity) -> str:
    """A change with its interval and p-value, in brackets."""
    text, interval = change(row)
    return f"{text} ({', '.join(part for part in (interval, p_value(row.p) if row.p is not None else '') if part)})"


def change(row: ComparedQuantity) -> tuple[str, str]:
    """A change and its interval as text: a difference with its sign, a ratio behind a times sign."""
    text, interval = written(row.change, row.low, row.high, _places(row))
    if row.change is None:
        return text, interval
    if row.scale == "ratio":
        return f"×{text}", interval
    return (f"+{text}" if row.change > 0 else text), interval


def _places(row: ComparedQuantity) -> int | None:
    """As many decimals as the interval supports; more where a limit would be rounded to no change and is not that."""
    width = half_width(row.low, row.high)
    if width is None or row.low is None or row.high is None:
        return None
    places, null = decimals(width), 1.0 if row.scale == "ratio" else 0.0
    while row.moved and places < _MOST_PLACES and round(row.low, places) <= null <= round(row.high, places):
        places += 1
    return places


def value(row: ComparedQuantity, number: float | None) -> str:
    """The value of one side, with as many digits as the change supports."""
    if number is None:
        return written(None, None, None)[0]
    places = _places(row)
    return significant(number) if row.scale == "ratio" or places is None else fixed(number, places)


def outcome(row: ComparedQuantity) -> str:
    """What B is; of what has no good direction, where it went."""
    if row.outcome == "cannot tell" and row.moved:
        return {"up": "rose", "down": "fell"}[row.moved]
    return row.outcome


def detectable(row: ComparedQuantity) -> str:
    """The smallest detectable change; of a ratio in percent."""
    if row.detectable is None:
        return written(None, None, None)[0]
    return f"{significant(100 * (row.detectable - 1), 2)} %" if row.scale == "ratio" else significant(row.detectable, 2)


def _side(side: ComparedSide) -> str:
    commits = listed(commit[:_SHOWN] for commit in side.commits)
    changed = " with uncommitted changes" if side.dirty else ""
    folders = "" if (side.text,) == side.folders else f" ({listed(side.folders)})"
    return (
        f"{side.text}{folders}: {counted(side.cells, 'cell')}, commit {commits}{changed}, on {listed(side.machines)}."
    )


def common(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Those that are in every one, in the order of the first."""
    every = list(parts)
    return tuple(part for part in every[0] if all(part in other for other in every)) if every else ()
