"""Which entries are one method with latents of several numbers and widths, and the table of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.records.schema import Json
from reports.numbers import NOTHING, listed, significant
from reports.panels import Entry, Panel
from reports.significance import ColumnMarks
from reports.table import Column, Row, RowGroup, Table, TableCell
from reports.tables import plain_cells, score_cells, speed_cells

NO_START = "without a linear start, for which these sizes leave no room"


@dataclass(frozen=True, order=True)
class LatentSize:
    """How many latents a text has, and how wide each is; `full`: as many as positions."""

    latents: int
    width: int
    full: bool = False

    @property
    def number(self) -> str:
        return f"full ({self.latents})" if self.full else str(self.latents)


@dataclass(frozen=True)
class Study:
    """One method at several sizes: its entries with their sizes, in the order of these."""

    method: str
    sizes: Mapping[str, LatentSize]  # by entry
    entries: tuple[Entry, ...]

    @property
    def settings(self) -> Mapping[str, tuple[Entry, ...]]:
        """The entries of each setting that several sizes have, those of most sizes first. Of one name with several
        values, such as students of two methods, its title is said, too."""
        titles: dict[str, set[str]] = {}
        for entry in self.entries:
            titles.setdefault(entry.setting, set()).add(entry.setting_title)
        by_setting: dict[str, list[Entry]] = {}
        for entry in self.entries:
            several = len(titles[entry.setting]) > 1
            name = f"{entry.setting} ({entry.setting_title})" if several else entry.setting
            by_setting.setdefault(name, []).append(entry)
        counted = sorted(by_setting.items(), key=lambda pair: -len({self.sizes[entry.key] for entry in pair[1]}))
        return {setting: tuple(entries) for setting, entries in counted}


def study_of(panel: Panel) -> Study | None:
    """What a panel says of the sizes of latents; None where no method has several."""
    sized = [(entry, size) for entry in panel.trained if (size := size_of(entry)) is not None]
    for method in dict.fromkeys(entry.method for entry, _ in sized):
        sizes = {entry.key: size for entry, size in sized if entry.method == method}
        if len(set(sizes.values())) > 1:
            entries = sorted((e for e, _ in sized if e.key in sizes), key=lambda entry: sizes[entry.key])
            return Study(method, sizes, tuple(entries))
    return None


def size_of(entry: Entry) -> LatentSize | None:
    """The size of an entry's latents, as its recipe has it; None where it has none, or no record says the length of
    what is not compressed."""
    recipe = entry.cell.recipe
    autoencoder = _part(recipe, "model", "autoencoder") or _part(recipe, "autoencoder")
    latents, width = autoencoder.get("latents"), autoencoder.get("latent_width")
    full = recipe.get("full") is True
    if full:
        latents = next(iter(_noted(entry, "length")), None)
    if not isinstance(latents, int) or not isinstance(width, int):
        return None
    return LatentSize(latents, width, full)


def table(panel: Panel, judgements: Mapping[str, ColumnMarks], suffix: str = "") -> Table | None:
    """The headline, and what it is never shown without, by number and width of latents; None without a study."""
    study = study_of(panel)
    if study is None:
        return None
    told = {entry.key: study.sizes[entry.key] for entry in study.entries}
    columns: list[Column] = []
    cells: list[Mapping[str, TableCell]] = []

    def add(column: Column, values: Mapping[str, TableCell]) -> None:
        columns.append(column)
        cells.append(values)

    sizes = (
        ("Latents", {key: (size.latents, size.number) for key, size in told.items()}),
        ("Width", {key: (size.width, str(size.width)) for key, size in told.items()}),
        ("Numbers per text", {key: _product(size) for key, size in told.items()}),
    )
    for title, pairs in sizes:
        add(Column(title, "", "none", "Size"), {key: TableCell(value, text) for key, (value, text) in pairs.items()})
    noise = {entry.key: _part(entry.cell.recipe, "model", "diffusion", "schedule") for entry in study.entries}
    if any(schedule.get("name") == "tan" for schedule in noise.values()):
        add(Column("Noise", "d of tan-d", "none", "Size"), {key: _noise(value) for key, value in noise.items()})
    headline = panel.headline
    for name in () if headline is None else (headline.metric, *headline.companions):
        for score in (column for column in panel.columns if column.metric == name):
            add(Column(score.title, "", score.direction, "Quality"), score_cells(panel, score, judgements[score.title]))
    if any(_noted(entry, "token_accuracy") for entry in study.entries):
        accuracy = Column("Tokens restored", "of validation", "none", "Quality")
        add(accuracy, {entry.key: _accuracy(entry) for entry in study.entries})
    speed = Column("Throughput", "texts/s", "higher", "Speed")
    add(speed, speed_cells(panel, speed, lambda entry: entry.throughput, lambda entry: entry.throughput_validity))
    add(*plain_cells(panel, Column("Training compute", "FLOP", "none", "Training"), lambda e: e.train_flops.value))
    add(*plain_cells(panel, Column("Training time", "s", "none", "Training"), lambda e: e.train_seconds.value))
    blocks = tuple(
        RowGroup(setting, tuple(_row(entry, cells) for entry in entries)) for setting, entries in study.settings.items()
    )
    remarks = (equal_compute(study.entries),)
    return Table(
        f"sizes{suffix}",
        f"{study.method} by number and width of latents",
        tuple(columns),
        blocks,
        remarks,
        brief=remarks,
    )


def equal_compute(entries: Sequence[Entry]) -> str:
    """What the sizes were given and what they used, so that nobody takes unequal trainings for equal."""
    budgets = list(dict.fromkeys(entry.cell.budget for entry in entries))
    spent = [entry.train_flops.value for entry in entries if entry.train_flops.value]
    if len(budgets) > 1:
        given = f"Budgets are not equal: {listed(budgets)}"
    else:
        given = f"Every size had one budget, {budgets[0]}"
    if not spent:
        return f"{given}; no record says what it used."
    apart = max(spent) / min(spent)
    used = (
        "the same number of FLOPs" if apart < 1.05 else f"up to {significant(apart, 2)} times as many FLOPs as others"
    )
    return f"{given}; of training, some used {used}." if apart >= 1.05 else f"{given}; all used {used}, within 5 %."


def _row(entry: Entry, cells: Sequence[Mapping[str, TableCell]]) -> Row:
    seeds = (f"{len(entry.records)} seeds",) if len(entry.records) > 1 else ()
    detail = ", ".join((*entry.tags, *seeds))
    return Row(entry.title, detail, entry.cell.id, tuple(column[entry.key] for column in cells), entry.short)


def _product(size: LatentSize) -> tuple[int, str]:
    return size.latents * size.width, f"{size.latents * size.width:,}"


def _noise(schedule: Json) -> TableCell:
    d = schedule.get("d")
    return TableCell(d, f"{d:g}") if schedule.get("name") == "tan" and d is not None else TableCell(None, NOTHING)


def _accuracy(entry: Entry) -> TableCell:
    shares = _noted(entry, "token_accuracy")
    if not shares:
        return TableCell(None, NOTHING, notes=("not run: no record says how many tokens come back",))
    mean = statistics.fmean(shares)
    notes = () if any(_noted(entry, "start_linear")) or not _noted(entry, "start_linear") else (NO_START,)
    asked = entry.cell.recipe.get("start_linear") is True
    return TableCell(mean, f"{mean:.3f}", notes=notes if asked else ())


def _noted(entry: Entry, key: str) -> list[int | float]:
    """What the trainings of an entry, which differ by seed, noted under a key; numbers alone."""
    trainings = (record.header.training for record in entry.records)
    values = (training.notes.get(key) for training in trainings if training is not None)
    return [value for value in values if isinstance(value, int | float)]


def _part(tree: Json, *path: str) -> Json:
    """The object at a path of nested ones, empty where there is none."""
    for key in path:
        found = tree.get(key)
        tree = found if isinstance(found, dict) else {}
    return tree
