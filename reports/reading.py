"""A short reading of a panel in plain sentences, made from the numbers by fixed rules.

The rules say only what a test or disjoint intervals bear out, name what cannot be told, and say so plainly where Cosmos
loses. They never explain.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.stats import dominated_by
from reports.marks import Judgement, Pair, clear, tested_pairs
from reports.numbers import counted, decimals, fixed, half_width, listed, p_value, significant, written
from reports.summary import Entry, Panel, ScoreColumn

SUBJECT = "cosmos"  # the method this project is about; only the sentence that says where it loses knows its name


def read(panel: Panel, judgement: Judgement) -> tuple[str, ...]:
    """The sentences on a panel. `judgement` is that of its headline."""
    column = panel.headline
    scored = [entry for entry in panel.trained if column is not None and _value(column, entry) is not None]
    if column is None or not scored:
        return ("No trained system has a score that ranks, so nothing can be said of quality.", _scope(panel))
    sentences = [
        _ranking(column, scored, judgement),
        *_subject(column, scored, judgement),
        *_floors(panel, column, scored),
    ]
    sentences += _speed(column, scored)
    sentences.append(_scope(panel))
    return tuple(sentence for sentence in sentences if sentence)


def _value(column: ScoreColumn, entry: Entry) -> float | None:
    score = column.scores.get(entry.key)
    return None if score is None else score.quantity.value


def _sorted(column: ScoreColumn, entries: Sequence[Entry]) -> list[Entry]:
    sign = -1 if column.direction == "higher" else 1
    return sorted(entries, key=lambda entry: sign * (_value(column, entry) or 0.0))


def _shown(column: ScoreColumn, entry: Entry) -> str:
    quantity = column.scores[entry.key].quantity
    value, interval = written(quantity.value, quantity.low, quantity.high)
    return f"{value} {interval}".strip()


def _ranking(column: ScoreColumn, scored: Sequence[Entry], judgement: Judgement) -> str:
    best, *others = _sorted(column, scored)
    if not others:
        return (
            f"{best.name} has {column.title} {_shown(column, best)}; there is no other trained system to compare with."
        )
    start = f"On {column.title} ({column.direction} is better), {best.name} has the best value, {_shown(column, best)}"
    pairs = [judgement.pair(best.key, other.key) for other in others]
    if not judgement.pairs:
        disjoint = judgement.marks.get(best.key) == "best"
        return (
            f"{start}; its interval {'overlaps no other' if disjoint else 'overlaps others, so no best can be named'}."
        )
    beaten = [other.name for other, pair in zip(others, pairs, strict=True) if pair and pair.outcome == "better"]
    level = [other.name for other, pair in zip(others, pairs, strict=True) if not pair or pair.outcome != "better"]
    if not level:
        return f"{start}, significantly better than every other trained entry."
    told = f"it cannot be told from {listed(level)}"
    return f"{start}; {told}" + (f", and is significantly better than {listed(beaten)}." if beaten else ".")


def _subject(column: ScoreColumn, scored: Sequence[Entry], judgement: Judgement) -> list[str]:
    """The best setting of Cosmos against the best setting of every rival, whichever way it ends."""
    ordered = _sorted(column, scored)
    ours = next((entry for entry in ordered if entry.system == SUBJECT), None)
    if ours is None:
        return []
    rivals = list({entry.system: entry for entry in reversed(ordered) if entry.system != SUBJECT}.values())
    sentences = []
    for verdict, phrase in (("worse", "is significantly worse than"), ("better", "is significantly better than")):
        found = [(rival, pair) for rival in reversed(rivals) if (pair := judgement.pair(ours.key, rival.key))]
        chosen = [f"{rival.name} ({_pair(pair)})" for rival, pair in found if pair.outcome == verdict]
        if chosen:
            sentences.append(f"{ours.name} {phrase} {listed(chosen)}.")
    unsure = [
        f"{rival.name} ({_pair(pair)}; {counted(pair.n, 'text')} show a difference from {significant(pair.detectable, 2)})"
        for rival in reversed(rivals)
        if (pair := judgement.pair(ours.key, rival.key)) and pair.outcome == "cannot tell"
    ]
    if unsure:
        sentences.append(f"No difference could be shown between {ours.name} and {listed(unsure)}.")
    return sentences


def _pair(pair: Pair) -> str:
    places = decimals(half_width(pair.low, pair.high) or 1.0)
    limits = f"[{fixed(pair.low, places)}, {fixed(pair.high, places)}]"
    sign = "+" if pair.difference > 0 else ""
    return f"{sign}{fixed(pair.difference, places)} {limits}, {p_value(pair.p)}"


def _floors(panel: Panel, column: ScoreColumn, scored: Sequence[Entry]) -> list[str]:
    """Which trained entries do not clear a floor that they ought to; one family of tests over all of them."""
    floors = [
        entry
        for entry in panel.floors
        if entry.system != "reference" and entry.key in column.scores and column.scores[entry.key].per_text
    ]
    tested = tested_pairs(column, [(e.key, f.key) for e in scored for f in floors if column.scores[e.key].per_text])
    if not tested:
        return []
    names = {entry.key: entry.name for entry in panel.entries}
    failed: dict[str, list[str]] = {}
    for pair in tested:
        if pair.outcome != "better":
            failed.setdefault(names[pair.a], []).append(names[pair.b])
    if not failed:
        return [f"Every trained entry is significantly better than the floors {listed(f.name for f in floors)}."]
    return [
        f"{name} is not shown to be better than {listed(below)}: it has not learnt the task as measured by {column.title}."
        for name, below in failed.items()
    ]


def _speed(column: ScoreColumn, scored: Sequence[Entry]) -> list[str]:
    timed = [entry for entry in scored if entry.throughput.value and not entry.doubts]
    doubted = [entry.name for entry in scored if entry.doubts]
    sentences = [f"The timing of {listed(doubted)} is not valid and is left out of what follows."] if doubted else []
    if len(timed) < 2:
        return [*sentences, "Too few valid timings to compare speed."]
    ordered = sorted(timed, key=lambda entry: -(entry.throughput.value or 0.0))
    fastest, second = ordered[0], ordered[1]
    rate, limits = written(fastest.throughput.value, fastest.throughput.low, fastest.throughput.high)
    sure = clear(fastest.throughput, second.throughput, "higher")
    lead = f"{fastest.name} makes the most texts per second, {rate} {limits}".rstrip()
    lead += f", at {column.title} {_shown(column, fastest)}"
    sentences.append(lead + ("." if sure else f"; its lead over {second.name} is within the noise of the timing."))
    quality = [(1 if column.direction == "higher" else -1) * (_value(column, entry) or 0.0) for entry in timed]
    better = dominated_by(quality, [entry.throughput.value or 0.0 for entry in timed])
    front = [entry.name for entry, other in zip(timed, better, strict=True) if other is None]
    beaten = [f"{entry.name} (by {timed[o].name})" for entry, o in zip(timed, better, strict=True) if o is not None]
    line = f"By the values alone, {listed(front)} {'are' if len(front) > 1 else 'is'} on the front of quality and speed"
    sentences.append(
        line + (f"; another entry is at least as good and as fast as {listed(beaten)}." if beaten else ".")
    )
    return sentences


def _scope(panel: Panel) -> str:
    """What the numbers hold for, and no further."""
    cells = [entry.cell for entry in panel.trained] or [panel.cell]
    devices = list(dict.fromkeys(_device(entry) for entry in panel.trained)) or [panel.cell.device]
    presets = list(dict.fromkeys(cell.preset for cell in cells))
    texts = max((len(record.samples) for entry in panel.entries for record in entry.records), default=0)
    seeds = len({cell.seed for entry in panel.trained for cell in (r.header.cell for r in entry.records)})
    scope = (
        f"All this holds for {counted(texts, 'test text')} of {panel.cell.task} from {panel.cell.source}, preset "
        f"{listed(presets)}, {counted(seeds, 'training seed')}, on {listed(devices)}; another size, machine or seed may order "
        "the systems otherwise."
    )
    budgets = list(dict.fromkeys(cell.budget for cell in cells))
    if len(budgets) > 1:
        scope += f" The budgets of training differ ({', '.join(budgets)})."
    return scope


def _device(entry: Entry) -> str:
    header = entry.records[0].header
    return f"{header.device.get('name', header.cell.device)} in {header.cell.dtype}"
