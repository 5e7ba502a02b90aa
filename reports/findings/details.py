"""All that is to be said of a panel, below its answer, in plain sentences, made from the numbers by fixed rules.

The rules say only what a test or disjoint intervals bear out, name what cannot be told, and say so plainly where Cosmos
loses. They never explain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.stats import FEWEST, dominated_by, mean_interval, ratio_interval
from reports.columns import ScoreColumn
from reports.findings.scope import in_full
from reports.names import display_metric
from reports.numbers import counted, decimals, fixed, half_width, listed, p_value, percent, significant, written
from reports.panels import TRACKS, Entry, Panel
from reports.significance import ColumnMarks, Pair, clear, compare_pairs

NEARLY_ONE = 0.1  # the share of distinct texts below which an entry's texts are nearly all the same
MAY_BE = 0.05  # who is on the front in fewer draws is not named
MANY, FEW = 50, 16  # steps from which on an entry is a yardstick, and calls up to which others are held to it
SUBJECT = "cosmos"  # the method this project is about: it is compared with each rival, whichever way that ends


def summarise(panel: Panel, judgement: ColumnMarks, front: Mapping[str, float], title: str = "") -> tuple[str, ...]:
    """The sentences on a panel. `judgement` is that of its headline; `front` is by entry the share of draws in which it
    is on the front of quality and speed; `title` is the task's own."""
    column = panel.headline
    scored = [] if column is None else [entry for entry in panel.trained if said_of(column, entry) is not None]
    if column is None or not scored:
        return (*_sameness(panel), in_full(panel, title))  # that nothing ranks is said by the answer
    return (
        *_stand_in(panel, column),
        *_caution(column),
        *_rankings(panel, column, scored, judgement),
        *_sameness(panel),
        *_subject(column, scored, judgement),
        *_floors(panel, column, scored),
        *_kept(column, scored),
        *_speed(panel, column, scored, front),
        in_full(panel, title),
    )


def _stand_in(panel: Panel, column: ScoreColumn) -> list[str]:
    """Say so where the score that leads is not the one that the task means to lead."""
    if not panel.headlines or column.metric == panel.headlines[0]:
        return []
    if column.metric in panel.headlines:
        skipped = panel.headlines[: panel.headlines.index(column.metric)]
        told = listed(display_metric(name) for name in skipped)
        return [f"No trained entry has a value of {told}, so {column.title} is the headline."]
    told = listed(display_metric(name) for name in panel.headlines)
    return [
        f"No headline score of the task ({told}) has a value here; {column.title} stands in for it "
        "and does not sum up quality."
    ]


def _caution(column: ScoreColumn) -> list[str]:
    """What a headline says that misleads alone, and what must be read with it."""
    if not column.companions:
        return []
    beside = listed(display_metric(name) for name in column.companions)
    return [f"{column.title} is not to be read without {beside}. {column.summary}".strip()]


def said_of(column: ScoreColumn, entry: Entry) -> float | None:
    """The entry's value; None where it has none."""
    score = column.scores.get(entry.key)
    return None if score is None else score.quantity.value


def sorted_by(column: ScoreColumn, entries: Sequence[Entry]) -> list[Entry]:
    """The best first."""
    sign = -1 if column.direction == "higher" else 1
    return sorted(entries, key=lambda entry: sign * (said_of(column, entry) or 0.0))


def shown(column: ScoreColumn, entry: Entry) -> str:
    """Its value with its interval."""
    quantity = column.scores[entry.key].quantity
    return " ".join(part for part in written(quantity.value, quantity.low, quantity.high) if part)


def _rankings(panel: Panel, column: ScoreColumn, scored: Sequence[Entry], judgement: ColumnMarks) -> list[str]:
    """Who is best, in each track apart."""
    rankings = [_ranking(column, entries, judgement, track) for track, entries in _by_track(panel, scored).items()]
    without = [entry.name for entry in panel.trained if entry not in scored]
    if without:
        has = "has" if len(without) == 1 else "have"
        rankings.append(f"{listed(without)} {has} no {column.title}, so nothing here speaks of it.")
    return rankings


def _sameness(panel: Panel) -> list[str]:
    """Who wrote nearly the same text for every request, by the worst of its seeds."""
    sentences = []
    for entry in panel.trained:
        counts = [(len({s.text for s in r.samples}), len(r.samples)) for r in entry.records if len(r.samples) > 1]
        distinct, texts = min(counts, key=lambda count: count[0] / count[1], default=(0, 0))
        if texts and distinct <= max(1.0, NEARLY_ONE * texts):
            sentences.append(
                f"The texts of {entry.name} are nearly all the same, {counted(distinct, 'distinct text')} of {texts}: "
                "what is scored is a few texts many times."
            )
    return sentences


def _by_track(panel: Panel, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Those of the entries that may be ranked together; the track is "" where all of the panel are of one."""
    by_track: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: TRACKS.index(entry.track)):
        by_track.setdefault(entry.track if len(panel.tracks) > 1 else "", []).append(entry)
    return by_track


def _ranking(column: ScoreColumn, scored: Sequence[Entry], judgement: ColumnMarks, track: str) -> str:
    """Who is best of `scored`; `track` is what they have in common, where others have not."""
    best, *others = sorted_by(column, scored)
    kind = f"entry {track}" if track else "trained entry"
    if not others:
        value = f"{column.title} {shown(column, best)}"
        return f"{best.name} has {value}; there is no other {kind} with a score to rank it with."
    equal = [other for other in others if said_of(column, other) == said_of(column, best)]
    shared = [entry.name for entry in (best, *equal)]
    who = f"{listed(shared)} share the best value" if equal else f"{best.name} has the best value"
    among = f", among entries {track}" if track else ""
    start = f"On {column.title} ({column.direction} is better){among}, {who}, {shown(column, best)}"
    others = [other for other in others if other not in equal]
    if not judgement.pairs and column.scores[best.key].quantity.low is None:
        return f"{start}; it has no interval here, so no best can be named."
    if not judgement.pairs:
        disjoint = judgement.marks.get(best.key) == "best"
        overlaps = f"that of no other {kind}" if disjoint else "others: no best can be named"
        return f"{start}; its interval overlaps {overlaps}."
    beaten: list[str] = []
    level: list[str] = []
    for other in others:
        pair = judgement.pair(best.key, other.key)
        (beaten if pair and pair.outcome == "better" else level).append(other.name)
    if not level and not equal:
        return f"{start}, significantly better than every other {kind}."
    clauses = [
        *([f"cannot be told from {listed(level)}"] if level else []),
        *([f"is significantly better than {listed(beaten)}"] if beaten else []),
    ]
    return f"{start}; {best.name if equal else 'it'} {', and '.join(clauses)}." if clauses else f"{start}."


def _subject(column: ScoreColumn, scored: Sequence[Entry], judgement: ColumnMarks) -> list[str]:
    """The best setting of Cosmos, whatever its number of latents, against the best setting of every rival."""
    ordered = sorted_by(column, scored)
    ours = next((entry for entry in ordered if entry.method == SUBJECT), None)
    if ours is None:
        return []
    rivals: dict[tuple[str, str], Entry] = {}
    for entry in ordered:
        if entry.method != SUBJECT:
            rivals.setdefault((entry.system, entry.track), entry)
    said: dict[str, list[str]] = {"worse": [], "better": [], "cannot tell": []}
    across: dict[str, list[str]] = {}  # the other track -> who of it was compared
    for rival in rivals.values():
        pair = judgement.pair(ours.key, rival.key)
        if pair is not None:
            said[pair.outcome].append(f"{rival.name} ({_pair(pair)})")
            if rival.track != ours.track:
                across.setdefault(rival.track, []).append(rival.name)
    sentences = []
    if said["worse"]:
        sentences.append(
            f"Cosmos loses on {column.title}: {ours.name} is significantly worse than {listed(said['worse'])}."
        )
    if said["better"]:
        sentences.append(f"On {column.title}, {ours.name} is significantly better than {listed(said['better'])}.")
    if said["cannot tell"]:
        sentences.append(
            f"No difference in {column.title} could be shown between {ours.name} and {listed(said['cannot tell'])}."
        )
    sentences += [
        f"The comparison with {listed(names)} is across tracks, not a ranking: {ours.name} stands among entries "
        f"{ours.track}, not among those {track}."
        for track, names in across.items()
    ]
    return sentences


def _pair(pair: Pair) -> str:
    places = decimals(half_width(pair.low, pair.high) or 1.0)
    limits = f"[{fixed(pair.low, places)}, {fixed(pair.high, places)}]"
    sign = "+" if pair.difference > 0 else ""
    told = f"difference {sign}{fixed(pair.difference, places)} {limits}, {p_value(pair.p)}"
    if pair.outcome == "cannot tell" and math.isfinite(detectable := pair.detectable()):
        told += f"; {counted(pair.n, 'text')} can show one of about {significant(detectable, 2)}"
    return told


def _floors(panel: Panel, column: ScoreColumn, scored: Sequence[Entry]) -> list[str]:
    """Which trained entries are not shown to clear a floor, by each headline score of the task; one family of tests a
    score, over all of them."""
    others = [other for other in panel.columns if other.metric in panel.headlines and other.title != column.title]
    cleared: dict[tuple[str, ...], list[str]] = {}  # the floors that all entries clear -> by which scores
    sentences = []
    for judged in (column, *(other for other in others if other.direction != "none")):
        floors = [entry for entry in panel.floors if _per_text(judged, entry)]
        entries = scored if judged is column else panel.trained
        pairs = [(entry.key, floor.key) for entry in entries if _per_text(judged, entry) for floor in floors]
        sentences += _untested(panel, judged, entries)
        tested = compare_pairs(judged, pairs)
        below = _below(panel, tested)
        if tested and not below:
            cleared.setdefault(tuple(floor.name for floor in floors), []).append(judged.title)
        for uncleared, members in below.items():
            verb = "is" if len(members) == 1 else "are"
            learnt = f": on {judged.title} {'it has' if len(members) == 1 else 'they have'} not learnt the task"
            said = learnt if judged is column else f" on {judged.title}"
            sentences.append(f"{listed(members)} {verb} not shown to be better than {listed(uncleared)}{said}.")
    told = [
        f"Every trained entry is significantly better on {listed(titles)} than the floors {listed(names)}."
        for names, titles in cleared.items()
    ]
    return [*told, *sentences]


def _kept(column: ScoreColumn, scored: Sequence[Entry]) -> list[str]:
    """What few calls keep of the score that the same checkpoint has with its most steps, text by text."""
    if column.direction != "higher":
        return []
    checkpoints: dict[tuple[str, ...], list[Entry]] = {}
    for entry in scored:
        if entry.calls.value and _steps(entry) and _per_text(column, entry):
            trainings = tuple(record.header.cell.checkpoint_id for record in entry.records)
            checkpoints.setdefault(trainings, []).append(entry)
    sentences = []
    for entries in checkpoints.values():
        most = max(entries, key=lambda entry: (_steps(entry), -(entry.calls.value or 0.0)))
        few = sorted((e for e in entries if (e.calls.value or 0.0) <= FEW), key=lambda e: -(e.calls.value or 0.0))
        told = [said for entry in few if (said := _share_kept(column, entry, most))]
        if _steps(most) >= MANY and told:
            sentences.append(
                f"Of the {column.title} that {most.name} has with {_calls(most)} calls, the "
                f"same checkpoint keeps {listed(told)}: ratios over the same texts, intervals over their choice alone."
            )
    return sentences


def _steps(entry: Entry) -> int:
    steps = entry.cell.setting_values.get("steps")
    return steps if isinstance(steps, int) else 0


def _calls(entry: Entry) -> str:
    return f"{entry.calls.value or 0.0:.4g}"


def _share_kept(column: ScoreColumn, entry: Entry, most: Entry) -> str:
    """The ratio of two entries' scores with its interval over the choice of texts; "" where there is none.

    Of an entry that scores 0 in every text the ratio is 0, and has an upper limit alone: that of its own score, over
    the other's as it is.
    """
    ours, theirs = (column.scores[e.key].per_text for e in (entry, most))
    shared = sorted(set(ours) & set(theirs))
    above, below = [ours[text] for text in shared], [theirs[text] for text in shared]
    if len(shared) < FEWEST or min(*above, *below) < 0 or not sum(below):
        return ""
    if not sum(above):
        unit = max(1.0, *below)  # the highest score that can be told of, as for all limits of means
        none = mean_interval(above)
        assert none is not None, "scores of 0 are a share"
        low, high = 0.0, none.high * unit * len(shared) / sum(below)
    elif above == below:  # which does not show that they are equal
        [pair] = compare_pairs(column, [(entry.key, most.key)])
        low, high = (1.0 + limit * len(shared) / sum(below) for limit in (pair.low, pair.high))
    else:
        limits = ratio_interval(above, below)
        low, high = limits.low, limits.high
    calls = _calls(entry)
    share = percent(sum(above) / sum(below))
    return f"{share} [{percent(low)}, {percent(high)}] with {calls} ({entry.setting_title})"


def _untested(panel: Panel, column: ScoreColumn, entries: Sequence[Entry]) -> list[str]:
    """Of a score without a value per text: who has no more than a floor has, which is no test."""
    sign = -1 if column.direction == "lower" else 1
    floors = [(floor, value) for floor in panel.floors if (value := said_of(column, floor)) is not None]
    below: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        value = None if _per_text(column, entry) else said_of(column, entry)
        ahead = [] if value is None else [floor for floor, other in floors if sign * value <= sign * other]
        if ahead:
            below.setdefault(tuple(f"{floor.name} {shown(column, floor)}" for floor in ahead), []).append(entry.name)
    start = f"On {column.title}, of which nothing is tested,"
    return [
        f"{start} {listed(names)} {'is' if len(names) == 1 else 'are'} no better than {listed(ahead)}."
        for ahead, names in below.items()
    ]


def _per_text(column: ScoreColumn, entry: Entry) -> bool:
    return entry.key in column.scores and bool(column.scores[entry.key].per_text)


def _below(panel: Panel, tested: Sequence[Pair]) -> dict[tuple[str, ...], list[str]]:
    """Floors -> the entries that are not shown to be better than exactly these."""
    names = {entry.key: entry.name for entry in panel.entries}
    uncleared: dict[str, tuple[str, ...]] = {}
    for pair in tested:
        if pair.outcome != "better":
            uncleared[names[pair.a]] = (*uncleared.get(names[pair.a], ()), names[pair.b])
    together: dict[tuple[str, ...], list[str]] = {}
    for name, floors in uncleared.items():
        together.setdefault(floors, []).append(name)
    return together


def _speed(panel: Panel, column: ScoreColumn, scored: Sequence[Entry], shares: Mapping[str, float]) -> list[str]:
    timed = [entry for entry in scored if entry.throughput.value and not entry.throughput_doubts]
    doubted = [entry.name for entry in scored if entry.throughput_doubts]
    sentences = []
    if doubted:
        sentences.append(f"The throughput of {listed(doubted)} is not valid, so nothing is said of it.")
    if len(timed) < 2:
        return [*sentences, "Too few valid throughputs to compare speed."]
    fastest, second, *_ = sorted(timed, key=lambda entry: -(entry.throughput.value or 0.0))
    rate = " ".join(
        part for part in written(fastest.throughput.value, fastest.throughput.low, fastest.throughput.high) if part
    )
    among = "Of those whose throughput is valid, " if doubted else ""
    lead = f"{among}{fastest.name} makes the most texts per second, {rate}, at {column.title} {shown(column, fastest)}"
    sure = clear(fastest.throughput, second.throughput, "higher")
    sentences.append(lead + ("." if sure else f"; its lead over {second.name} is within the noise of the timing."))
    tracks = _by_track(panel, timed).items()
    return [*sentences, *(_front(column, entries, track, shares) for track, entries in tracks if len(entries) > 1)]


def _front(column: ScoreColumn, timed: Sequence[Entry], track: str, shares: Mapping[str, float]) -> str:
    """Who is on the front of quality and speed by the values, how surely, and who is matched in both by whom."""
    sign = 1 if column.direction == "higher" else -1
    qualities = [sign * (said_of(column, entry) or 0.0) for entry in timed]
    matched: dict[str, list[str]] = {}
    front, off = [], []
    for entry, other in zip(timed, dominated_by(qualities, [e.throughput.value or 0.0 for e in timed]), strict=True):
        if other is None:
            front.append(entry)
        else:
            matched.setdefault(timed[other].name, []).append(entry.name)
            if shares.get(entry.key, 0.0) >= MAY_BE:
                off.append(entry)
    among = f" among entries {track}" if track else ""
    sentence = f"By the values, the front of {column.title} and speed{among} is {listed(e.name for e in front)}"
    if all(entry.key in shares for entry in front):
        sentence += f", in {listed(percent(shares[entry.key]) for entry in front)} of draws"
    else:
        sentence += ", how surely is not known, as no score here has an interval"
    clauses = [f"{better} is at least as good and as fast as {listed(worse)}" for better, worse in matched.items()]
    for entry in off:
        clauses.append(f"in {percent(shares[entry.key])} of draws {entry.name} is on the front")
    return "; ".join([sentence, *clauses]) + "."
