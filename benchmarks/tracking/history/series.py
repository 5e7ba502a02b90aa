"""From the tables of a tree to series of points that may be compared, and the breaks between them."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.records import validity
from benchmarks.records.schema import Direction
from benchmarks.tracking.history import tables
from benchmarks.tracking.history.commits import Code, impossible_times, known_commits, ordered, seconds_of
from benchmarks.tracking.history.identity import About, micro_machine, unlike
from benchmarks.tracking.history.schema import LATENCY, THROUGHPUT, Break, HistoryLine, HistoryPoint, Kind, Series

if TYPE_CHECKING:
    import duckdb

_SPEEDS: dict[str, tuple[Direction, str]] = {THROUGHPUT: ("higher", "texts/s"), LATENCY: ("lower", "s")}
MICRO = "seconds"


class MeasuredNumber(NamedTuple):
    """One number of one record, or of one micro-benchmark. Equal lines are one object.

    Attributes:
        asked: number of what must be alike, in the list beside, and the signature, "" where there is none.
        made, begun: when its record was begun, as that says, and in seconds since 1970.
    """

    line: HistoryLine
    asked: tuple[int, str]
    code: Code
    made: str
    begun: float
    seed: int
    value: float
    doubtful: bool
    run: str


@dataclass(frozen=True)
class Numbers:
    """All numbers of a tree.

    Attributes:
        asked: what must be alike, by the number that `MeasuredNumber` has.
        times: of each record its commit, when it was begun, and when it was finished.
    """

    rows: list[MeasuredNumber] = field(default_factory=list)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    times: list[tuple[str | None, str, str | None]] = field(default_factory=list)


def numbers(
    base: duckdb.DuckDBPyConnection,
    abouts: Mapping[int, About],
    metrics: Collection[str] = (),
    named: Callable[[str], str] = str,
) -> Numbers:
    """Every number in the tables `score_lines`, `timing_lines` and `micro_rows`.

    Args:
        metrics: those that are wanted; all if none.
        named: makes of a path on disk the one that readers know.
    """
    headers = base.execute(
        "select number, folder, j.commit, j.dirty, coalesce(j.created, ''), j.finished, j.verdict.valid, "
        f"j.verdict.quantities::varchar, {tables.SIZE} from headers h where j.status = 'done'"
    ).fetchall()
    found = Numbers(times=[(commit, created, finished) for _, _, commit, _, created, finished, *_ in headers])
    kinds: dict[int, int] = {}  # what one object says is said of many records, and by several objects alike
    known: dict[tuple[tuple[str, str], ...], int] = {}
    for about in abouts.values():
        if id(about) not in kinds:
            kinds[id(about)] = known.setdefault(tuple(sorted(about.asked.items())), len(found.asked))
            if kinds[id(about)] == len(found.asked):
                found.asked.append(about.asked)
    origins = {}
    for number, folder, commit, dirty, created, _, *verdict in headers:
        code = Code(commit, bool(dirty), number if dirty or commit is None else None)
        about = abouts[number]
        run = named(folder.rpartition("/cells/")[0])
        origins[number] = (about, kinds[id(about)], code, created, seconds_of(created), doubtful(*verdict), run)
    scores = _scores(base)
    entries = {about.names: about.titles for about, _, _, _, _, _, _ in sorted(origins.values(), key=lambda o: o[4])}
    by_age = sorted(scores, key=lambda score: origins[score[0]][4])
    called = {metric: title for _, metric, _, _, _, title in by_age if title}
    lines: dict[tuple[int, str, str], HistoryLine] = {}
    interned: dict[HistoryLine, HistoryLine] = {}

    def add(number: int, kind: Kind, metric: str, value: float, direction: Direction, signature: str) -> None:
        about, asked, code, made, begun, doubts, run = origins[number]
        if (line := lines.get((id(about), metric, direction))) is None:
            task, source, system, preset, setting = about.names
            unit = _SPEEDS[metric][1] if kind == "speed" else ""
            machine, device = about.machine, about.device
            titles = {**entries[about.names], "metric": called.get(metric, "")}
            line = HistoryLine(
                kind, metric, task, source, preset, system, setting, machine, device, direction, unit, titles
            )
            line = lines[id(about), metric, direction] = interned.setdefault(line, line)
        doubt = metric in doubts
        found.rows.append(MeasuredNumber(line, (asked, signature), code, made, begun, about.seed, value, doubt, run))

    for number, metric, direction, signature, value, _ in scores:
        if not metrics or metric in metrics:
            add(number, "quality", metric, value, direction, signature)
    for number, *speeds in _speeds(base):
        for metric, speed in zip((THROUGHPUT, LATENCY), speeds, strict=True):
            if speed is not None and 0 < speed < math.inf and (not metrics or metric in metrics):
                add(number, "speed", metric, speed, _SPEEDS[metric][0], "")
    if not metrics or MICRO in metrics:
        micro = list(_micro(base, len(found.asked), named))
        found.asked.append({})
        found.rows.extend(micro)
        found.times.extend((each.code.commit, each.made, None) for each in micro)
    return found


def doubtful(valid: bool | None, by_quantity: str | None, size: int | None) -> frozenset[str]:
    """Which of the speeds of a cell are not valid, by its verdict (`benchmarks.records.validity`).

    Args:
        valid: of all that was timed, as before schema 6.
        by_quantity: JSON of the verdicts on each quantity, as from then on; None or null before.
        size: texts at once of the scored ones.
    """
    said = None if by_quantity is None else json.loads(by_quantity)
    if not isinstance(said, dict):
        return frozenset() if valid else frozenset(_SPEEDS)
    names = {THROUGHPUT: validity.throughput(size or 0), LATENCY: validity.LATENCY}
    told = {metric: said.get(name) for metric, name in names.items()}
    return frozenset(
        metric for metric, verdict in told.items() if not (isinstance(verdict, dict) and verdict.get("valid") is True)
    )


def _scores(base: duckdb.DuckDBPyConnection) -> list[tuple[int, str, Direction, str, float, str]]:
    return base.execute(
        "select number, j.metric, case when j.direction in ('higher', 'lower') then j.direction else 'none' end, "
        "coalesce(j.signature::varchar, ''), j.value, coalesce(j.title, '') "
        "from score_lines where j.value is not null and isfinite(j.value)"
    ).fetchall()


def _speeds(base: duckdb.DuckDBPyConnection) -> list[tuple[int, float | None, float | None]]:
    return base.execute(
        "select number, sum(len(t.j.ids)) filter (t.j.kind <> 'latency') / sum(t.j.seconds) filter (t.j.kind <> "
        "'latency'), median(t.j.seconds) filter (t.j.kind = 'latency') "
        f"from timing_lines t join headers h using (number) where {tables.COUNTS} "
        "and h.j.networks is not null and h.j.networks::varchar <> '{}' group by number"
    ).fetchall()


def _micro(base: duckdb.DuckDBPyConnection, asked: int, named: Callable[[str], str]) -> Iterator[MeasuredNumber]:
    rows = base.execute(
        "select path, machine_info, code.id, code.dirty, coalesce(made, code.time, ''), b.fullname, b.stats.median "
        "from micro_rows where b.stats.median > 0 order by path, b.fullname"
    ).fetchall()
    machines: dict[str, tuple[str, str]] = {}
    files = {path: number for number, path in enumerate(sorted({row[0] for row in rows}))}
    lines: dict[HistoryLine, HistoryLine] = {}
    for path, info, commit, dirty, made, name, median in rows:
        if info not in machines:
            machines[info] = micro_machine(json.loads(info))
        machine, device = machines[info]
        line = HistoryLine("micro", MICRO, "", "", "", name, "", machine, device, "lower", "s")
        code = Code(commit, bool(dirty), -1 - files[path] if dirty or commit is None else None)
        line = lines.setdefault(line, line)
        yield MeasuredNumber(line, (asked, ""), code, made, seconds_of(made), 0, median, False, named(path))


def series_of(found: Numbers) -> tuple[tuple[Series, ...], tuple[Break, ...], tuple[str, ...], list[str]]:
    """The series, the breaks in their lines, the codes in order, and what is to be said of clocks."""
    first_made: dict[Code, tuple[float, str]] = {}
    for row in found.rows:
        made = (row.begun, row.made)
        if row.code not in first_made or made < first_made[row.code]:
            first_made[row.code] = made
    known = known_commits({code.commit for code in first_made if code.commit})
    codes = ordered({code: begun for code, (begun, _) in first_made.items()}, known)
    places = {code: place for place, code in enumerate(codes)}
    groups: dict[tuple[int, tuple[int, str]], list[MeasuredNumber]] = defaultdict(list)
    for row in found.rows:
        groups[id(row.line), row.asked].append(row)
    series = []
    for (_, (number, signature)), group in groups.items():
        asked = {**found.asked[number], **({"signature": signature} if signature else {})}
        for points in _points(group, places):
            seeds = {"seeds": ",".join(map(str, points[0].seeds))}
            series.append(Series(group[0].line, points, asked | seeds))
    series.sort(key=lambda each: (each.line, each.points[0].place, sorted(each.asked.items())))
    names = tuple(HistoryPoint(0, code.commit, code.dirty, "", 0.0, (), 0, 0, "").code for code in codes)
    said = impossible_times(found.times, known)
    return tuple(series), tuple(_breaks(series)), names, [said] if said else []


def _points(rows: Iterable[MeasuredNumber], places: Mapping[Code, int]) -> Iterator[tuple[HistoryPoint, ...]]:
    """Points in order, in stretches that share seeds: each is the mean over the seeds that all of its stretch have."""
    by_place: dict[int, list[MeasuredNumber]] = defaultdict(list)
    for row in rows:
        by_place[places[row.code]].append(row)
    stretch: list[int] = []
    shared: frozenset[int] = frozenset()
    for place in sorted(by_place):
        seeds = frozenset([row.seed for row in by_place[place]])
        if stretch and not shared & seeds:
            yield tuple([_point(each, by_place[each], shared) for each in stretch])
            stretch = []
        shared = shared & seeds if stretch else seeds
        stretch.append(place)
    yield tuple([_point(each, by_place[each], shared) for each in stretch])


def _point(place: int, measured: Sequence[MeasuredNumber], seeds: frozenset[int]) -> HistoryPoint:
    first = measured[0]
    if len(measured) == 1:
        return HistoryPoint(
            place, first.code.commit, first.code.dirty, first.made, first.value, (first.seed,), 1, first.doubtful,
            first.run,
        )  # fmt: skip
    valid = {row.seed for row in measured if not row.doubtful}
    rows = [row for row in measured if row.seed in seeds and not (row.doubtful and row.seed in valid)]
    first = min(rows, key=lambda row: (row.begun, row.run))
    logarithms = first.line.kind != "quality"
    by_seed: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        by_seed[row.seed].append(math.log(row.value) if logarithms else row.value)
    mean = math.fsum(math.fsum(values) / len(values) for values in by_seed.values()) / len(by_seed)
    return HistoryPoint(
        place, first.code.commit, first.code.dirty, first.made, math.exp(mean) if logarithms else mean,
        tuple(sorted(by_seed)), len(rows), sum(row.doubtful for row in rows), first.run,
    )  # fmt: skip


def _breaks(series: Sequence[Series]) -> Iterator[Break]:
    """Where one series of a line ends and another begins, or where both go on beside each other."""
    for one, other in itertools.pairwise(series):
        if one.line != other.line:
            continue
        last, first = one.points[-1], other.points[0]
        differs = unlike(one.asked, other.asked)
        after = last.place < first.place
        how = "the numbers before are not compared with those after" if after else "both go on, and are not compared"
        before = last if after else one.points[0]
        yield Break(one.line, first.place, before.code, first.code, f"{differs}: {how}")
