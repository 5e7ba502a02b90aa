"""What stands behind the numbers of an entry: its samples, configuration, evaluators and commands, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.records.schema import SampleRecord
from benchmarks.records.validity import Validity, not_known, not_valid
from reports.columns import ScoreColumn
from reports.numbers import counted, significant, written
from reports.panels import Entry, Panel
from reports.provenance import CellOrigin, Fact, leaves
from reports.quantities import Quantity

EXTREMES = 2  # texts shown at each end


@dataclass(frozen=True)
class Judged:
    """One number of an entry: its value, over how many texts, who judged, and whether texts can be sorted by it."""

    title: str
    text: str
    interval: str
    over: str
    evaluator: str
    sortable: bool = False


@dataclass(frozen=True)
class Extreme:
    """A text at one end of a score: of the headline, where that is one of single texts."""

    kind: str  # "best" or "worst"
    id: str
    score: str
    text: str


@dataclass(frozen=True)
class Origin:
    """All that a number of one entry leads to.

    Attributes:
        id: of its first cell, which rows of tables name.
        key: of the entry, by which the samples know it.
        cells: one for each seed.
        extremes: texts of the first seed, best first.
    """

    id: str
    key: str
    name: str
    cells: tuple[CellOrigin, ...]
    commands: tuple[str, ...]
    configuration: tuple[Fact, ...]
    recipe: tuple[tuple[str, str], ...]
    judged: tuple[Judged, ...]
    extremes: tuple[Extreme, ...]


def origins(panel: Panel, sources: Sequence[CellOrigin]) -> tuple[Origin, ...]:
    """One for each entry of a panel, in the order of the tables. `sources` are those of the whole report."""
    by_id = {source.id: source for source in sources}
    return tuple(_origin(panel, entry, by_id) for entry in (*panel.trained, *panel.for_scale))


def _origin(panel: Panel, entry: Entry, sources: Mapping[str, CellOrigin]) -> Origin:
    cells = tuple(sources[record.header.cell.id] for record in entry.records)
    return Origin(
        id=entry.cell.id,
        key=entry.key,
        name=entry.name,
        cells=cells,
        commands=tuple(dict.fromkeys(cell.command for cell in cells if cell.command)),
        configuration=_configuration(entry),
        recipe=tuple((name, str(value)) for name, value in leaves("", entry.cell.recipe)),
        judged=(*_scores(panel, entry), *_speeds(entry)),
        extremes=_extremes(entry, next(iter(sorting_columns(panel)), None)),
    )


def _configuration(entry: Entry) -> tuple[Fact, ...]:
    cell = entry.cell
    values = ", ".join(f"{name} {value}" for name, value in leaves("", cell.setting_values))
    trainings = [r.header.training for r in entry.records if r.header.training is not None and r.header.training.steps]
    trained = tuple(
        f"{counted(training.steps, 'step')} in {significant(training.seconds)} s, "
        f"{significant(training.flops / 1e12)} TFLOP"
        + ("" if training.validation_loss is None else f", validation loss {significant(training.validation_loss)}")
        for training in trainings
    )
    facts = (
        Fact("System", (f"{cell.system}, preset {cell.preset}",)),
        Fact("Setting", (cell.setting + (f": {values}" if values else ""),)),
        Fact("Budget", (cell.budget,) if entry.trained else ()),
        Fact("Trained", trained),
        Fact("Weights from elsewhere", entry.weights),
        Fact("Made with", (f"{cell.device}, {cell.dtype}, {counted(entry.batch_size, 'text')} at once",)),
        Fact("Seeds", (", ".join(str(record.header.cell.seed) for record in entry.records),)),
    )
    return tuple(fact for fact in facts if fact.values)


def _scores(panel: Panel, entry: Entry) -> tuple[Judged, ...]:
    told = []
    for column in panel.columns:
        score = column.scores.get(entry.key)
        if score is None:
            continue
        quantity = score.quantity
        text, interval = written(quantity.value, quantity.low, quantity.high)
        over = quantity.reason or "" if quantity.value is None else f"{quantity.n:,} of {counted(score.total, 'text')}"
        told.append(Judged(column.title, text, interval, over, str(column.signature), bool(score.per_text)))
    return tuple(told)


def _speeds(entry: Entry) -> tuple[Judged, ...]:
    if not entry.trained:
        return ()
    speeds: tuple[tuple[str, str, Quantity, str, Validity], ...] = (
        ("Latency of one text", "ms", entry.latency, "timed alone, the median", entry.latency_validity),
        ("Throughput", "texts/s", entry.throughput, f"batches of {entry.batch_size} timed", entry.throughput_validity),
    )
    told = []
    for title, unit, quantity, how, judged in speeds:
        text, interval = written(quantity.value, quantity.low, quantity.high)
        said = not_valid(judged.reasons) if judged.reasons else "the harness's clock"
        said += f"; {not_known(judged.unknown)}" if judged.unknown else ""
        over = quantity.reason or "" if quantity.value is None else how
        told.append(Judged(title, text if quantity.value is None else f"{text} {unit}", interval, over, said))
    return tuple(told)


def _extremes(entry: Entry, column: ScoreColumn | None) -> tuple[Extreme, ...]:
    """The best and the worst texts of the first seed, by a score."""
    samples: Mapping[str, SampleRecord] = {sample.id: sample for sample in entry.records[0].samples}
    scores = first_seed(entry, column)
    if column is None or not samples or not scores:
        return ()
    sign = 1 if column.direction == "lower" else -1
    ordered = sorted((sign * value, key) for key, value in scores.items() if key in samples)
    best, worst = ordered[:EXTREMES], ordered[EXTREMES:][-EXTREMES:]
    return tuple(
        Extreme(kind, key, f"{column.title} {significant(sign * value, 2)}", samples[key].text)
        for kind, those in (("best", best), ("worst", worst))
        for value, key in those
    )


def sorting_columns(panel: Panel) -> list[ScoreColumn]:
    """The columns by which texts can be sorted, the headline first if it is one, and those that rank before others."""
    headline = panel.headline
    columns = [column for column in panel.columns if any(first_seed(entry, column) for entry in panel.entries)]
    return sorted(columns, key=lambda c: (headline is None or c.title != headline.title, c.direction == "none"))


def first_seed(entry: Entry, column: ScoreColumn | None) -> Mapping[str, float]:
    """The scores of the texts of an entry's first seed by document; empty where the metric scores no single texts."""
    score = column.scores.get(entry.key) if column else None
    if score is None or len(score.by_seed) != len(entry.records):
        return {}
    return score.by_seed[0]
