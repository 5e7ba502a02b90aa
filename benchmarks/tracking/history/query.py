"""One's own question to a history, in SQL, and its tables as CSV or Parquet.

The views and their columns, which docs/tracking.md names too:

    scores    task, source, system, preset, setting, seed, metric, value, low, high, n, signature, commit, device,
              direction, reason, dirty, created, machine, cell, run
    timings   task, source, system, preset, setting, seed, kind, number, texts, seconds, valid, commit, device, dirty,
              created, machine, cell, run
    samples   task, source, system, preset, setting, seed, document, text, tokens, finished, commit, device, dirty,
              created, machine, cell, run
    training  task, source, system, preset, setting, seed, steps, seconds, flops, validation_loss, commit, device,
              dirty, created, machine, cell, run; `commit` is of the code that trained
    micro     name, test_group, median, mean, min, max, stddev, iqr, rounds, commit, device, dirty, created, machine,
              file
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.contract import UserError, unknown
from benchmarks.records.schema import Signature
from benchmarks.tracking.history import tables
from benchmarks.tracking.history.analysis import read
from benchmarks.tracking.history.identity import micro_machine
from benchmarks.tracking.history.schema import LATENCY, THROUGHPUT
from benchmarks.tracking.history.series import doubtful
from cosmos.io.files import make_folder, replacing

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

VIEWS = ("scores", "timings", "samples", "training", "micro")
FORMATS = (".csv", ".parquet")
_CELL = "task, source, system, preset, setting, seed"
_MADE = "commit, device, dirty, created, machine, cell, run"
_DEFINITIONS = {
    "scores": (
        f"select {_CELL}, j.metric as metric, j.value as value, j.low as low, j.high as high, j.n as n, s.said as "
        "signature, commit, device, j.direction as direction, j.reason as reason, dirty, created, machine, cell, run "
        "from score_lines join cells using (number) left join signatures s on s.json = j.signature::varchar "
        "order by created, cell, metric"
    ),
    "timings": (
        f"select {_CELL}, j.kind as kind, j.index as number, len(j.ids) as texts, j.seconds as seconds, "
        "case when j.kind = 'latency' then latency_valid "
        "when j.kind = 'batch' or j.kind = 'sweep' and len(j.ids) = size "
        f"then throughput_valid end as valid, {_MADE} "
        "from (select number as record, j from timing_lines) join cells on record = cells.number "
        "order by created, cell, kind, j.index"
    ),
    "samples": (
        f"select {_CELL}, j.id as document, j.text as text, j.tokens as tokens, j.finished as finished, {_MADE} "
        "from sample_lines join cells using (number) order by created, cell, document"
    ),
    "training": (
        f"select {_CELL}, h.j.training.steps as steps, h.j.training.seconds as seconds, h.j.training.flops as flops, "
        "h.j.training.validation_loss as validation_loss, coalesce(h.j.trained_with.commit, commit) as commit, device, "
        "dirty, created, machine, cell, run from headers h join cells using (number) "
        "where h.j.training is not null order by created, cell"
    ),
    "micro": (
        'select b.fullname as name, b."group" as test_group, b.stats.median as median, b.stats.mean as mean, '
        "b.stats.min as min, b.stats.max as max, b.stats.stddev as stddev, b.stats.iqr as iqr, b.stats.rounds as "
        "rounds, code.id as commit, machine_info->'cpu'->>'brand_raw' as device, "
        "coalesce(code.dirty, false) as dirty, made as created, "
        "m.machine as machine, place as file from micro_rows join places using (path) left join micro_machines m "
        "on m.json = machine_info::varchar "
        "order by made, name"
    ),
}


def opened(base: duckdb.DuckDBPyConnection, folder: Path, sql: str) -> list[str]:
    """Make the views of a tree that `sql` has the names of; files of the others, which may be large, are not read.

    Returns:
        What was left out, in sentences.
    """
    wanted = [name for name in VIEWS if re.search(rf"\b{name}\b", sql, re.IGNORECASE)]
    files, abouts, notes = read(base, folder, wanted)
    notes += map(files.told, tables.load_samples(base, files) if "samples" in wanted else [])
    # Readers know an archive by where it lies, not by where it lies unpacked.
    paths = base.execute("select distinct folder from headers union select distinct path from micro_rows").fetchall()
    places = [(path, files.named(path)) for (path,) in paths]
    tables.put(base, "places", {"path": "VARCHAR", "place": "VARCHAR"}, places)
    rows = [(number, *said.names, said.seed, said.machine) for number, said in abouts.items()]
    columns = {"number": "BIGINT", **dict.fromkeys(_CELL.split(", "), "VARCHAR"), "seed": "BIGINT"}
    tables.put(base, "named", {**columns, "machine": "VARCHAR"}, rows)
    told = base.execute(
        f"select number, h.j.verdict.valid, h.j.verdict.quantities::varchar, {tables.SIZE} from headers h"
    ).fetchall()
    doubts = [(number, size, doubtful(valid, said, size)) for number, valid, said, size in told]
    verdicts = [(number, size, THROUGHPUT not in doubt, LATENCY not in doubt) for number, size, doubt in doubts]
    columns = {"number": "BIGINT", "size": "BIGINT", "throughput_valid": "BOOLEAN", "latency_valid": "BOOLEAN"}
    tables.put(base, "verdicts", columns, verdicts)
    base.execute(
        "create table cells as select named.*, h.j.device->>'name' as device, h.j.commit as commit, "
        "coalesce(h.j.dirty, false) as dirty, "
        "try_cast(h.j.created as timestamptz) as created, size, throughput_valid, latency_valid, "
        "parse_filename(place) as cell, place[:-length(parse_filename(place)) - 8] as run "
        "from named join headers h using (number) join verdicts using (number) join places on places.path = h.folder"
    )
    told = base.execute(
        "select distinct j.signature::varchar from score_lines where j.signature is not null"
    ).fetchall()
    signatures = [(text, _signature(json.loads(text))) for (text,) in told]
    tables.put(base, "signatures", {"json": "VARCHAR", "said": "VARCHAR"}, signatures)
    told = base.execute("select distinct machine_info::varchar from micro_rows").fetchall()
    machines = [(text, micro_machine(json.loads(text))[0]) for (text,) in told]
    tables.put(base, "micro_machines", {"json": "VARCHAR", "machine": "VARCHAR"}, machines)
    for name in wanted:
        base.execute(f"create view {name} as {_DEFINITIONS[name]}")
    return notes


def _signature(said: Mapping[str, Any]) -> str:
    options, weights = said.get("options"), said.get("weights")
    return str(
        Signature(
            str(said.get("metric", "")), str(said.get("version", "")), str(said.get("evaluator", "")),
            options if isinstance(options, dict) else {}, str(weights) if weights else None,
        )
    )  # fmt: skip


def asked(base: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The answer to one SELECT over the views, after which nothing more can be read from or written to disk.

    Raises:
        UserError: it is no single SELECT, or DuckDB does not understand it.
    """
    import duckdb

    base.execute("set enable_external_access = false")
    base.execute("set lock_configuration = true")
    try:
        statements = base.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UserError(
                "--sql takes one SELECT, which reads and changes nothing; the views are " + ", ".join(VIEWS)
            )
        return base.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        said = " ".join(str(error).split("LINE 1:")[0].split()).rstrip(".")
        raise UserError(f"--sql cannot be answered ({said}); the views are {', '.join(VIEWS)}.") from error


def check_export(path: Path) -> None:
    """See that a name says how to write.

    Raises:
        UserError: it ends in no known way.
    """
    if path.suffix.lower() not in FORMATS:
        raise unknown("ending of --export", path.suffix or path.name, FORMATS)


def export(table: pa.Table, path: Path) -> None:
    """Write a table as CSV or Parquet, by the ending of its name.

    Raises:
        UserError: it cannot be written, or a column has no form in CSV.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    make_folder(path.parent)
    with replacing(path) as fresh:
        try:
            (csv.write_csv if path.suffix.lower() == ".csv" else parquet.write_table)(table, fresh)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            said = str(error).splitlines()[0]
            raise UserError(f"{path} cannot hold such a column ({said}); choose other columns, or .parquet.") from error
