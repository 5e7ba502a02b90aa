"""The report of a measurement of speed with random weights: its tables, and which of the project's bars are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from baselines.contract import UserError
from baselines.titles import setting_title, system_title
from benchmarks.records.schema import identity
from benchmarks.speed.schema import FILE, WEIGHTS, Ceilings, Speed, SpeedRecord, read_records
from benchmarks.stats.order_statistics import quantile
from reports.numbers import NOTHING, column_decimals, counted, fixed, listed, significant
from reports.speed.bars import bars, excess, per_second, shares
from reports.table import Bar, Column, Row, RowGroup, Table, TableCell

REMARKS = (
    f"All networks have {WEIGHTS}: no quality may be read from this table, and a system that is fast here may write "
    "worse texts.",
    "Every text is written to its full length: systems that write word by word never choose the end token. Tokens are "
    "the positions written, whatever stands in them.",
    "Times are of one machine on one occasion: only their ratios within this table mean anything.",
    "Time: median of the repeats from requests to texts, and 10 to 90 % of them; compiling and recording come before, "
    "in the column Preparation.",
    "Calls: counted, of each network: the one whose calls are the number of function evaluations, then a decoder. One "
    "call: each by itself, under the same capture, in the middle of its work. Beyond the parts: how much longer the "
    "whole takes than calls times one call, over all networks.",
    "Memory: the most that was in use meanwhile, with what was recorded before for the same system and is kept.",
    "Shares of the ceilings: operations over time over the rate of a large matrix product; bytes of weights, and of "
    "attended keys and values, over time over the rate of a large copy. Both rates were measured in this run.",
)

REPEATS = "10 to 90 % of the repeats"  # what its intervals are

GENERATION = (
    Column("Time", "ms", "lower", "one batch"),
    Column("Preparation", "s", "lower", "one batch"),
    Column("Texts", "1/s", "higher", "rate"),
    Column("Tokens", "1/s", "higher", "rate"),
    Column("Calls", "", "none", "network"),
    Column("One call", "ms", "lower", "network"),
    Column("Beyond the parts", "%", "lower", "network"),
    Column("Memory", "GB", "lower", "cost"),
    Column("Operations", "GFLOP/text", "lower", "cost"),
    Column("Matrix ceiling", "%", "higher", "share of"),
    Column("Copy ceiling", "%", "higher", "share of"),
)
TRAINING = (
    Column("Step", "ms", "lower"),
    Column("Preparation", "s", "lower"),
    Column("Texts", "1/s", "higher"),
    Column("Operations", "TFLOP/step", "none"),
    Column("Memory", "GB", "lower"),
    Column("Matrix ceiling", "%", "higher"),
)


def tables(speed: Speed) -> tuple[Table, ...]:
    """A table of generating, by batch size, and one of training steps; those that have rows."""
    tables = []
    generated = [record for record in speed.measured if record.subject.kind == "generation"]
    if generated:
        sizes = sorted({record.subject.batch for record in generated})
        blocks = _even(
            [
                RowGroup(
                    f"batch of {counted(size, 'text')}",
                    tuple(_generation(r, speed.ceilings) for r in generated if r.subject.batch == size),
                )
                for size in sizes
            ]
        )
        caption = f"Generating with {WEIGHTS}, {_conditions(generated)}"
        tables.append(Table("speed", caption, GENERATION, blocks, REMARKS, brief=REMARKS[:1], brackets=REPEATS))
    trained = [record for record in speed.measured if record.subject.kind == "training"]
    if trained:
        block = RowGroup("one optimiser step", tuple(_training(record, speed.ceilings) for record in trained))
        caption = f"Training with {WEIGHTS} and made-up texts, {_conditions(trained)}"
        tables.append(Table("speed-training", caption, TRAINING, _even([block]), brackets=REPEATS))
    return tuple(tables)


def _even(blocks: Sequence[RowGroup]) -> tuple[RowGroup, ...]:
    """The same with one number of decimals a column in each block, for times of one batch and of another are of other
    sizes; intervals and sums of several networks stay as they are."""

    def even(block: RowGroup) -> RowGroup:
        columns = []
        for cells in zip(*(row.cells for row in block.rows), strict=True):
            alone = [cell.value for cell in cells if cell.value is not None and " + " not in cell.text]
            places = column_decimals((value, None, None) for value in alone) or 0
            whole = all(value == int(value) for value in alone)  # counts, and what is none
            columns.append([cell if whole or not _single(cell) else _with(cell, places) for cell in cells])
        rows = (replace(row, cells=cells) for row, cells in zip(block.rows, zip(*columns, strict=True), strict=True))
        return replace(block, rows=tuple(rows))

    return tuple(map(even, blocks))


def _single(cell: TableCell) -> bool:
    return cell.value is not None and " + " not in cell.text


def _with(cell: TableCell, places: int) -> TableCell:
    assert cell.value is not None
    return replace(cell, text=fixed(cell.value, places))


def _conditions(records: Sequence[SpeedRecord]) -> str:
    subjects = [record.subject for record in records]
    presets, lengths, kinds = ({getattr(s, name) for s in subjects} for name in ("preset", "length", "dtype"))
    return f"preset {listed(sorted(presets))}, {listed(map(str, sorted(lengths)))} positions, {listed(sorted(kinds))}"


def _generation(record: SpeedRecord, ceilings: Ceilings | None) -> Row:
    subject = record.subject
    called = setting_title(subject.system, subject.what, subject.values)
    detail = ", ".join(part for part in (called, subject.capture if subject.capture != "off" else "") if part)
    if record.status != "done":
        return _missing(record, detail, len(GENERATION))
    beyond, share = excess(record), shares(record, ceilings)
    cells = (
        _times(record),
        _cell(sum(record.preparation)),
        _cell(per_second(record, subject.batch)),
        _cell(per_second(record, record.tokens)),
        TableCell(next(iter(record.calls.values())), " + ".join(f"{count:,}" for count in record.calls.values())),
        _parts(record),
        _cell(None if beyond is None else 100 * beyond),
        _memory(record),
        _cell(None if record.flops is None else record.flops / subject.batch / 1e9),
        _cell(None if share is None else 100 * share[0]),
        _cell(None if share is None else 100 * share[1]),
    )
    return Row(system_title(subject.system, subject.recipe), detail, "", cells)


def _training(record: SpeedRecord, ceilings: Ceilings | None) -> Row:
    subject = record.subject
    detail = f"{subject.what}, batch {subject.batch}"
    if record.status != "done":
        return _missing(record, detail, len(TRAINING))
    share = shares(record, ceilings)
    cells = (
        _times(record),
        _cell(sum(record.preparation)),
        _cell(per_second(record, subject.batch)),
        _cell(None if record.flops is None else record.flops / 1e12),
        _memory(record),
        _cell(None if share is None else 100 * share[0]),
    )
    return Row(system_title(subject.system, subject.recipe), detail, "", cells)


def _times(record: SpeedRecord) -> TableCell:
    seconds = sorted(record.seconds)
    low, middle, high = (1e3 * quantile(seconds, share) for share in (0.1, 0.5, 0.9))
    few = (f"only {counted(len(record.seconds), 'repeat')}",) if len(record.seconds) < 5 else ()
    return TableCell(middle, significant(middle), f"[{significant(low)}, {significant(high)}]", few)


def _parts(record: SpeedRecord) -> TableCell:
    """Milliseconds of one call of each network, in the order of the calls."""
    seconds_of = [record.parts.get(name) for name in record.calls]
    if all(seconds is None for seconds in seconds_of):
        return _cell(None, record.reason or "the call is handed an object that cannot be given twice")
    text = " + ".join(NOTHING if seconds is None else significant(1e3 * seconds) for seconds in seconds_of)
    return TableCell(None if seconds_of[0] is None else 1e3 * seconds_of[0], text)


def _memory(record: SpeedRecord) -> TableCell:
    return _cell(None if record.peak_bytes is None else record.peak_bytes / 1e9, "measured on a GPU alone")


def _cell(value: float | None, why: str = "") -> TableCell:
    if value is None:
        return TableCell(None, NOTHING, notes=(why,) if why else ())
    return TableCell(value, significant(value))


def _missing(record: SpeedRecord, detail: str, count: int) -> Row:
    first = TableCell(None, NOTHING, notes=(f"failed: {record.reason}",))
    return Row(
        system_title(record.subject.system, record.subject.recipe),
        detail,
        "",
        (first, *(TableCell(None, NOTHING) for _ in range(count - 1))),
    )


def facts(speed: Speed) -> tuple[str, ...]:
    """Machine, code and ceilings, in sentences."""
    sentences = []
    if (ceilings := speed.ceilings) is not None:
        device, commit = ceilings.made["device"], ceilings.made["commit"]
        memory = f", {device['memory_bytes'] / 1e9:.0f} GB" if device.get("memory_bytes") else ""
        changed = " with uncommitted changes" if ceilings.made["dirty"] else ""
        versions = ceilings.made["packages"]
        sentences += [
            f"Device: {device['name']}{memory}; commit {commit or 'unknown'}{changed}; "
            + ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers") if name in versions),
            f"Ceilings, measured: {ceilings.matrix_flops_per_second / 1e12:.3g} TFLOP/s of a {ceilings.dtype} matrix "
            f"product of size {ceilings.matrix_size:,}, {ceilings.copy_bytes_per_second / 1e12:.3g} TB/s of a copy of "
            f"{ceilings.copy_bytes / 1e9:.3g} GB, read and written",
        ]
    clocks = [c for r in speed.measured if (c := r.made["device"].get("sm_clock_mhz")) is not None]
    if clocks:
        sentences.append(f"Clock right after measurements: {min(clocks):.0f} to {max(clocks):.0f} MHz")
    return tuple(sentences)


def write(folder: Path) -> dict[str, Path]:
    """Write `speed.md`, `speed.tex` (tables to be \\input) and `speed.html` beside the records, and where settings were
    measured with several batch sizes `speed.svg` and `speed.pdf`.

    Raises:
        UserError: there are no records, one is damaged, or the folder cannot be written to.
    """
    # Here, since jinja2 takes time that `--help` need not wait for.
    from reports import html, latex, markdown
    from reports.figures.sizes import COLUMN
    from reports.speed import figure
    from reports.templating import save

    speed = _read(folder)
    every, held, told = tables(speed), bars(speed), facts(speed)
    text = [f"# Speed with {WEIGHTS}", *(f"- {markdown.escape(fact)}" for fact in told)]
    text += ["## Bars", "\n".join(f"- {markdown.escape(bar.sentence)}" for bar in held)]
    for table in every:
        text += [f"## {markdown.escape(table.caption)}", markdown.table(table)]
    picture, narrow = figure.draw(speed), figure.draw(speed, COLUMN)
    drawn = html.PageFigure.of(picture.name, picture, narrow) if picture and narrow else None
    if picture is not None:
        save(folder / "speed.svg", picture.svg)
        save(folder / "speed.pdf", picture.pdf)
        text += [
            f"## {markdown.escape(picture.title)}",
            f"![{picture.title}](speed.svg)",
            markdown.escape(picture.caption),
        ]
    return {
        "markdown": save(folder / "speed.md", "\n\n".join(text) + "\n"),
        "latex": save(folder / "speed.tex", latex.tables(every, prefix=f"speed-{identity(told)[:6]}")),
        "html": save(folder / "speed.html", html.write_speed(f"Speed with {WEIGHTS}", told, held, every, drawn)),
    }


def terminal(folder: Path) -> str:
    """The tables, by their main columns, and the bars, for a terminal."""
    speed = _read(folder)
    lines: list[str] = []
    for table in tables(speed):
        columns = [i for i, column in enumerate(table.columns) if column.title in _SHOWN]
        names = [f"{row.title}, {row.detail}" for block in table.blocks for row in block.rows]
        width = max(map(len, names))
        lines += ["", table.caption, _aligned("", [_head(table.columns[i]) for i in columns], width)]
        for block in table.blocks:
            lines.append(block.title)
            for row in block.rows:
                cells = [row.cells[i] for i in columns]
                why = next((f"  {note}" for note in row.cells[0].notes if row.cells[0].value is None), "")
                name = f"{row.title}, {row.detail}"
                lines.append(name.ljust(width) + why if why else _aligned(name, [c.text for c in cells], width))
    return "\n".join([*lines, "", REMARKS[0], REMARKS[2], "", *(bar.sentence for bar in bars(speed))])


_SHOWN = ("Time", "Step", "Texts", "Calls", "One call", "Memory", "Matrix ceiling", "Copy ceiling")


def _head(column: Column) -> str:
    return f"{column.title} {column.unit}".strip()


def _aligned(name: str, cells: Sequence[str], width: int) -> str:
    heads = [_head(column) for column in (*GENERATION, *TRAINING) if column.title in _SHOWN]
    cell_width = max(map(len, heads))
    return "  ".join([name.ljust(width), *(cell.rjust(cell_width) for cell in cells)])


def _read(folder: Path) -> Speed:
    speed = read_records(folder)
    if not speed.measured:
        raise UserError(f"{folder / FILE} holds no measurement yet; run `python -m benchmarks speed` first.")
    return speed


__all__ = ["Bar", "facts", "tables", "terminal", "write"]
