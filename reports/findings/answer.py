"""The first screen in words, at most five sentences: the question, the answer with its size, what it holds for.

The best entry of Cosmos is held to the best of any rival; where there is no Cosmos, the best entry to that of the next
system. What is said is what a test or disjoint intervals bear out; `reports.findings.details` says the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports.columns import ScoreColumn
from reports.findings.details import SUBJECT, said_of, shown, sorted_by
from reports.findings.scope import scope
from reports.names import display_metric, entry_name, within_sentence
from reports.numbers import decimals, fixed, half_width, listed, p_value, significant, written
from reports.panels import Entry, Panel
from reports.significance import ColumnMarks, clear

MOST = 5  # sentences


def answer(panel: Panel, judgement: ColumnMarks, title: str = "") -> tuple[str, ...]:
    """The sentences of a panel; `judgement` is that of its headline, `title` the task's own."""
    column = panel.headline
    scored = [] if column is None else [entry for entry in panel.trained if said_of(column, entry) is not None]
    if column is None or not scored:
        nothing = "No trained system has a score that ranks, so nothing can be said of quality."
        return (_question(panel, title), nothing, scope(panel, "This", title))
    first, rival = _contestants(sorted_by(column, scored))
    said = (
        _question(panel, title),
        _quality(column, first, rival, judgement),
        _meaning(panel, column),
        *_speed(first, rival),
        scope(panel, "This", title, _across(first, rival)),
    )
    assert len(said) <= MOST, "the first screen holds five sentences"
    return said


def _contestants(ordered: Sequence[Entry]) -> tuple[Entry, Entry | None]:
    """Who is held to whom, from entries in the order of their scores."""
    first = next((entry for entry in ordered if entry.method == SUBJECT), ordered[0])
    return first, next((entry for entry in ordered if entry.method != first.method), None)


def _question(panel: Panel, title: str) -> str:
    methods = {entry.method: entry_name(entry.title.split(", ")[0]) for entry in reversed(panel.trained)}
    ours = methods.pop(SUBJECT, None)
    rivals = listed(reversed(methods.values()))
    what, _, how = (title or panel.cell.task).partition(": ")
    what = within_sentence(what) + (f" ({how})" if how else "")
    if ours is None or not rivals:
        return f"How good and how fast {'are' if len(methods) > 1 else 'is'} {rivals or ours or 'this'} at {what}?"
    return f"Is {ours} better or faster than {rivals} at {what}?"


def _quality(column: ScoreColumn, first: Entry, rival: Entry | None, judgement: ColumnMarks) -> str:
    has = f"{first.name} has {column.title} {shown(column, first)}"
    if rival is None:
        return f"{has}, and there is no rival with a score to hold it to."
    value, other = said_of(column, first), said_of(column, rival)
    assert value is not None and other is not None
    against = f"the best rival, {rival.name}, with {shown(column, rival)}"
    pair = judgement.pair(first.key, rival.key)
    if pair is None:
        ours, theirs = column.scores[first.key].quantity, column.scores[rival.key].quantity
        better, worse = clear(ours, theirs, column.direction), clear(theirs, ours, column.direction)
        verdict = "better than" if better else "worse than" if worse else "not to be told from"
        why = "" if better or worse else ", as their intervals meet"
        return f"{has}, {verdict} {against}{why}; {significant(abs(value - other))} lies between them, untested."
    places = decimals(half_width(pair.low, pair.high) or 1.0)
    sign = "+" if pair.difference > 0 else ""
    size = f"{sign}{fixed(pair.difference, places)} [{fixed(pair.low, places)}, {fixed(pair.high, places)}]"
    verdict = {
        "better": "significantly better than",
        "worse": "significantly worse than",
        "cannot tell": "not told apart from",
    }[pair.outcome]
    return f"{has}, {verdict} {against}: the difference is {size}, {p_value(pair.p)}."


def _meaning(panel: Panel, column: ScoreColumn) -> str:
    """What the score is, which way is better, and what it is not to be read without."""
    summary = column.summary.partition(". ")[0].rstrip(".")  # what else there is to it stands under the first table
    parts = [within_sentence(summary)] if summary else []
    parts.append(f"{column.direction} is better")
    if panel.headlines and column.metric != panel.headlines[0]:
        place = panel.headlines.index(column.metric) if column.metric in panel.headlines else None
        parts.append(f"it stands in for {listed(map(display_metric, panel.headlines[:place]))}, which nobody has here")
    if column.companions:
        parts.append(f"it is not to be read without {listed(map(display_metric, column.companions))}")
    return f"{column.title}: {'; '.join(parts)}."


def _speed(first: Entry, rival: Entry | None) -> tuple[str, ...]:
    """How many times as fast it is as the rival that its quality is held to, where both speeds are valid."""
    entries = [first] if rival is None else [first, rival]
    doubted = [entry.name for entry in entries if entry.throughput_doubts or not entry.throughput.value]
    if doubted:
        return (f"Of speed nothing is said here, for there is no valid one of {listed(doubted)}.",)
    ours, rate = first.throughput, _rate(first)
    if rival is None:
        return (f"It writes {rate}.",)
    theirs = rival.throughput
    assert ours.value and theirs.value
    ratio = ours.value / theirs.value
    if not clear(ours, theirs, "higher") and not clear(theirs, ours, "higher"):
        return (f"It writes {rate}, {rival.name} {_rate(rival)}: no difference in speed is shown.",)
    if ratio > 1:
        return (f"It writes {rate}, {significant(ratio, 2)} times as many as {rival.name} with {_rate(rival)}.",)
    return (f"It writes {rate}, and {rival.name} with {_rate(rival)} is {significant(1 / ratio, 2)} times as fast.",)


def _rate(entry: Entry) -> str:
    speed = entry.throughput
    return f"{' '.join(part for part in written(speed.value, speed.low, speed.high) if part)} texts/s"


def _across(first: Entry, rival: Entry | None) -> str:
    """What is to be said where those that are held to each other are of two tracks."""
    if rival is None or first.track == rival.track:
        return ""
    return f"; one is {first.track} and the other {rival.track}, so this is no ranking"
