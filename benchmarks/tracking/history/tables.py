"""The records of a tree as tables of an in-memory DuckDB, read from the files as they lie.

Each file is read as a whole and parsed line by line, so that a half-written line or a damaged file costs itself and
nothing else. (`read_json` over many files takes six times as long, and gives up on some damage. Texts are tables before
they are parsed: what is read comes a file at a time, and to parse so few rows at a time takes four times as long.)
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.contract import UserError
from benchmarks.records import seals, store
from benchmarks.records.older_cells import as_identified
from benchmarks.records.schema import SCHEMA, Header, Json, header_from_json
from benchmarks.tracking.history.identity import About, about
from benchmarks.tracking.history.tree import Files
from cosmos.io.counting import agreeing, counted

if TYPE_CHECKING:
    import duckdb

INSTALL = "pip install -c constraints.txt -e '.[track]'"

_HEADER = {
    "cell": "JSON", "status": "VARCHAR", "created": "VARCHAR", "finished": "VARCHAR", "commit": "VARCHAR",
    "dirty": "BOOLEAN", "packages": "JSON", "device": "JSON", "documents": "JSON", "tokenizer": {"sha256": "VARCHAR"},
    "training": {
        "steps": "BIGINT", "seconds": "DOUBLE", "flops": "DOUBLE", "validation_loss": "DOUBLE",
    },
    "trained_with": {"commit": "VARCHAR"}, "networks": "JSON",
    "verdict": {
        "valid": "BOOLEAN", "batch_size": "BIGINT", "quantities": "JSON",
        "stalled": [{"kind": "VARCHAR", "index": "BIGINT"}],
    }, "files": {"samples.jsonl": "VARCHAR"},
    "schema": "BIGINT",
}  # fmt: skip
_SCORE = {
    "metric": "VARCHAR", "value": "DOUBLE", "low": "DOUBLE", "high": "DOUBLE", "n": "BIGINT", "direction": "VARCHAR",
    "signature": "JSON", "reason": "VARCHAR", "title": "VARCHAR", "samples.jsonl": "VARCHAR", "seal": "VARCHAR",
}  # fmt: skip
_TIMING = {"kind": "VARCHAR", "index": "BIGINT", "ids": ["VARCHAR"], "seconds": "DOUBLE"}
_SAMPLE = {"id": "VARCHAR", "text": "VARCHAR", "tokens": "BIGINT", "finished": "BOOLEAN", "seed": "UBIGINT"}
_MICRO = {
    "machine_info": "JSON", "datetime": "VARCHAR",
    "commit_info": {"id": "VARCHAR", "dirty": "BOOLEAN", "time": "VARCHAR"},
    "benchmarks": [{
        "name": "VARCHAR", "fullname": "VARCHAR", "group": "VARCHAR",
        "stats": {
            "min": "DOUBLE", "max": "DOUBLE", "mean": "DOUBLE", "median": "DOUBLE", "stddev": "DOUBLE",
            "iqr": "DOUBLE", "rounds": "BIGINT",
        },
    }],
}  # fmt: skip
_FILES_EACH = 200  # that a thread is begun for, at least
_SEAL = 75  # characters of a line from `,"seal":"` on
# What changes from record to record on one machine.
_FLEETING = '{"clock_khz": null, "sm_clock_mhz": null, "memory_clock_mhz": null}'


def connected() -> duckdb.DuckDBPyConnection:
    """An empty database in memory that sees no variables of this program.

    Raises:
        UserError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UserError(f"The history needs the package duckdb; add it with: {INSTALL}.") from error
    return duckdb.connect(config={"python_enable_replacements": "false"})


def load_headers(base: duckdb.DuckDBPyConnection, files: Files) -> tuple[dict[int, About], list[str]]:
    """Make the table `headers`, a row for each record, and `copies`, which says of each cell's folder its record.

    Returns:
        What each record is about, by its number; and what was left out, in sentences.
    """
    _read(base, "header_texts", files.headers, lines=False)
    base.execute(f"create table parsed as select path, content, {_shaped('content', _HEADER)} as j from header_texts")
    wrong = "j.cell is null or j.status is null or j.schema is null"
    notes = _left_out(base, f"parsed where {wrong}", "path", "{} damaged and left out")
    newer = f"parsed where not ({wrong}) and j.schema > {SCHEMA}"
    notes += _left_out(base, newer, "path", "{} of a newer schema than this version reads, and left out")
    base.execute(
        "create table copies as select path[:-13] as folder, dense_rank() over (order by hash(content)) as number "
        "from parsed "
        f"where not ({wrong}) and j.schema <= {SCHEMA}"
    )
    base.execute(
        "create table headers as "
        "select number, min(folder) as folder, any_value(j) as j, any_value(content) as content "
        "from copies join parsed on parsed.path = copies.folder || '/header.json' group by number"
    )
    [[copies]] = base.execute("select count(*) from copies").fetchall()
    [[kept]] = base.execute("select count(*) from headers").fetchall()
    found, damaged = _abouts(base)
    if copies > kept:
        notes.append(f"{copies - kept} records lie in several places and are counted once.")
    notes += damaged
    [[undone]] = base.execute("select count(*) from headers where j.status <> 'done'").fetchall()
    if undone:
        are = agreeing(undone, "is", "are")
        notes.append(
            f"{counted(undone, 'cell')} {are} not done (begun, failed or refused), with numbers that are left out."
        )
    return found, notes


def _abouts(base: duckdb.DuckDBPyConnection) -> tuple[dict[int, About], list[str]]:
    """What each record is about. Of records that say the same of cell and machine one is parsed."""
    kinds = base.execute(
        "select list(number order by number), arg_min(content, number), arg_min(folder, number) from headers "
        f"group by j.cell::varchar, json_merge_patch(j.device, '{_FLEETING}')::varchar, j.packages::varchar, "
        "j.documents::varchar, j.tokenizer.sha256"
    ).fetchall()
    found: dict[int, About] = {}
    damaged: list[str] = []
    for numbers, content, folder in kinds:
        for place, number in enumerate(numbers):
            if place:  # the one before is damaged in what the others need not share
                [(content, folder)] = base.execute(
                    "select content, folder from headers where number = $1", [number]
                ).fetchall()
            try:
                said = about(_header(json.loads(content), Path(folder)))
            except UserError as error:
                damaged.append(f"Left out: {error}")
                continue
            found |= dict.fromkeys(numbers[place:], said)
            break
    rows = [(number, said.machine, said.device) for number, said in found.items()]
    _put(base, "abouts", {"number": "BIGINT", "machine": "VARCHAR", "processor": "VARCHAR"}, rows)
    base.execute("delete from headers where number not in (select number from abouts)")
    return found, damaged


def _header(stored: Json, folder: Path) -> Header:
    where = str(folder / store.HEADER)
    rest = seals.opened(stored, where, f"restore it from a copy, or delete the folder {folder}", wanted=_sealed(stored))
    header = as_identified(header_from_json(rest, where), rest)
    if header.cell.id != folder.name:
        raise UserError(f"{folder} holds the record of another cell, {header.cell.id}.")
    return header


def _sealed(stored: Json) -> bool:
    return isinstance(stored.get("schema"), int) and stored["schema"] >= seals.SINCE


def load_scores(base: duckdb.DuckDBPyConnection, files: Files) -> list[str]:
    """Make the table `score_lines`: those of records that are done, that are whole and as they were written."""
    _in_parts(
        base,
        "score_parts",
        files.scores,
        f"select t.path, h.number, {_shaped('line', _SCORE)} as j, "
        f'sha256(line[:length(line) - {_SEAL}]) as sealed, h.j.schema as schema, h.j.files."samples.jsonl" as samples '
        "from {texts} t join copies on copies.folder = t.path[:-14] join headers h using (number) "
        "where h.j.status = 'done'",
    )
    half = "score_parts where j.metric is null"
    changed = f"score_parts where j.metric is not null and not coalesce(j.seal = sealed, schema < {seals.SINCE})"
    other = 'score_parts where j.metric is not null and samples <> j."samples.jsonl"'
    # A record that lies in several places may have been scored by more metrics in one of them.
    [[copied]] = base.execute("select count(*) > count(distinct number) from copies").fetchall()
    once = "qualify row_number() over (partition by number, j.metric, j.signature::varchar order by path) = 1"
    notes = _left_out(base, half, "path", "{} half-written scores, which are left out")
    notes += _left_out(base, changed, "path", "{} scores that were changed after they were written, and are left out")
    notes += _left_out(base, other, "path", "{} scores of other samples than the cell has, and are left out")
    base.execute(
        "create table score_lines as select number, j from score_parts where j.metric is not null "
        f'and coalesce(j.seal = sealed, schema < {seals.SINCE}) and coalesce(samples = j."samples.jsonl", true) '
        + (once if copied else "")
    )
    return notes


def load_timings(base: duckdb.DuckDBPyConnection, files: Files) -> list[str]:
    """Make the table `timing_lines`, of records that are done."""
    return _load_lines(base, "timing", files.timings, "timings.jsonl", _TIMING, "kind")


SIZE = "coalesce(h.j.verdict.batch_size, (h.j.cell->>'batch_size')::bigint)"  # texts at once of the scored ones
COUNTS = (  # what of `timing_lines t` and `headers h` speeds rest on, as `benchmarks.records.validity.calls_of` has it
    f"(t.j.kind in ('batch', 'latency') or (t.j.kind = 'sweep' and len(t.j.ids) = {SIZE})) and t.j.seconds > 0 and "
    "coalesce(len(list_filter(h.j.verdict.stalled, lambda s: s.kind = t.j.kind and s.index = t.j.index)), 0) = 0"
)


def load_samples(base: duckdb.DuckDBPyConnection, files: Files) -> list[str]:
    """Make the table `sample_lines`, of records that are done."""
    return _load_lines(base, "sample", files.samples, "samples.jsonl", _SAMPLE, "id")


def _load_lines(
    base: duckdb.DuckDBPyConnection, kind: str, paths: list[str], name: str, shape: dict[str, Any], needed: str
) -> list[str]:
    _in_parts(
        base,
        f"{kind}_parts",
        paths,
        f"select t.path, h.number, {_shaped('line', shape)} as j from {{texts}} t "
        f"join headers h on h.folder = t.path[:-{len(name) + 2}] where h.j.status = 'done'",
    )
    base.execute(f"create table {kind}_lines as select number, j from {kind}_parts where j.{needed} is not null")
    half = f"{kind}_parts where j.{needed} is null"
    return _left_out(base, half, "path", f"{{}} half-written {kind}s, which are left out")


def load_micro(base: duckdb.DuckDBPyConnection, files: Files) -> None:
    """Make the table `micro_rows`: a row for each test of each file that is pytest-benchmark's."""
    _read(base, "micro_texts", files.micro, lines=False)
    base.execute(
        f"create table micro_rows as with parsed as (select path, {_shaped('content', _MICRO)} as j from micro_texts) "
        "select path, j.machine_info as machine_info, j.commit_info as code, j.datetime as made, "
        "unnest(j.benchmarks) as b from parsed where j.machine_info is not null and j.benchmarks is not null "
        "qualify row_number() over (partition by j::varchar order by path) = 1"
    )
    base.execute("delete from micro_rows where b.fullname is null or b.stats.median is null")


def _read(base: duckdb.DuckDBPyConnection, table: str, paths: list[str], *, lines: bool = True) -> None:
    """A table of paths with the lines, or the whole content, of files; what is no text is null."""
    import duckdb

    column, what = ("line", "unnest(string_split(content, chr(10)))") if lines else ("content", "content")
    if not paths:
        base.execute(f"create table {table} (path varchar, {column} varchar)")
        return
    try:
        # An unreadable file stands for one line that is no JSON, so that it is told.
        base.execute(
            f"create table {table} as with texts as (select filename as path, coalesce(try(decode(content)), '?') as "
            f"content from read_blob($1)), parts as (select path, {what} as {column} from texts) "
            f"select * from parts where {column} <> ''",
            [paths],
        )
    except duckdb.IOException as error:
        raise UserError(f"The history changed while it was read, or cannot be read ({error}); try again.") from error


def _in_parts(base: duckdb.DuckDBPyConnection, name: str, paths: list[str], query: str) -> None:
    """A view of what a query makes of the lines of files, `{texts}` in it. DuckDB works on fewer than 122,880 rows with
    one thread, so each processor gets files of its own."""
    count = max(1, min(os.cpu_count() or 1, len(paths) // _FILES_EACH))
    parts = [paths[len(paths) * place // count : len(paths) * (place + 1) // count] for place in range(count)]

    def make(place: int) -> None:
        with base.cursor() as own:
            _read(own, f"{name}_texts_{place}", parts[place])
            made = query.replace("{texts}", f"{name}_texts_{place}")
            own.execute(f"create table {name}_{place} as {made}")

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(make, range(count)))
    every = " union all ".join(f"select * from {name}_{place}" for place in range(count))
    base.execute(f"create view {name} as {every}")


def _shaped(text: str, shape: dict[str, Any]) -> str:
    """The SQL that makes JSON text a struct; null where it is no JSON object."""
    return f"case when {text}[1] = '{{' then try(json_transform({text}, '{json.dumps(shape)}')) end"


def _left_out(base: duckdb.DuckDBPyConnection, rows: str, path: str, said: str) -> list[str]:
    """A sentence on rows of a table that are left out, naming the first; none where there are none."""
    [[count, first]] = base.execute(f"select count(*), min({path}) from {rows}").fetchall()
    return [f"{first}{f' and {count - 1} more' if count > 1 else ''}: {said.format(count)}."] if count else []


def _put(base: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], rows: list[tuple[Any, ...]]) -> None:
    """A table of rows of this program."""
    import pyarrow as pa

    base.execute(f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    if rows:
        base.register("given", pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))))
        base.execute(f"insert into {table} select * from given")
        base.unregister("given")


put = _put
