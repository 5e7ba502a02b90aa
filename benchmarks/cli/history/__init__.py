"""Tell how speed and quality went over all runs below a folder, and where they changed.

Every record below FOLDER is read as it lies, whichever run, commit or machine it is of, and pytest-benchmark's JSON
beside them. Each metric of each entry on each class of machines is a series of points, one for each commit; where a
series changed significantly, the commits on both sides are named with the `git bisect` lines that find the one. A page
of all, a figure for each metric and the same as Markdown are written; folders of several machines may be copied
together, and unlike machines are never compared.

--sql asks one's own question instead: one SELECT over the views scores, timings, samples, training and micro, whose
columns docs/tracking.md names. Nothing can be changed by it, and no other file be read.

examples:
  python -m benchmarks history
  python -m benchmarks history runs --system cosmos --metric exact_j,texts_per_second
  python -m benchmarks history runs --sql "SELECT commit, avg(value) FROM scores GROUP BY commit"
  python -m benchmarks history runs --export history.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.flags import BenchmarksParser, add_flags
from cosmos.io.counting import counted
from cosmos.io.terminal import say, tell


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default="runs", help="with runs below (default: runs)")
    add_flags(parser, "system", "metric", "out")
    parser.set_help("system", "only these systems, or micro-benchmarks; may be repeated (default: all)")
    parser.set_help("metric", "only these metrics; may be repeated (default: all)")
    parser.set_help("out", "where the page and the figures go (default: FOLDER/history)")
    parser.add_argument("--sql", metavar="SELECT", help="answer this instead")
    parser.add_argument(
        "--export",
        metavar="FILE",
        help="write all scores, or the answer to --sql, as .csv or .parquet; no page is made",
    )


def main(arguments: argparse.Namespace) -> int:
    from baselines.contract import UserError
    from benchmarks.tracking.history import query, tables
    from cosmos.io.files import expanded

    folder = expanded(arguments.folder)
    if "\0" in arguments.folder:
        raise UserError("The name of a folder has no null characters; name a folder with runs below it.")
    export = None if arguments.export is None else expanded(arguments.export)
    if export is not None:
        query.check_export(export)
    asks = arguments.sql is not None or export is not None
    idle = [name for name in ("system", "metric", "out") if asks and getattr(arguments, name)]
    if idle:
        raise UserError(f"--{idle[0]} has no effect on --sql and --export; leave it out, and say it in SQL.")
    base = tables.connected()
    if not asks:
        return _page(base, folder, arguments)
    sql = "SELECT * FROM scores" if arguments.sql is None else arguments.sql
    for note in query.opened(base, folder, sql):
        tell(note)
    answer = query.asked(base, sql)
    if export is not None:
        query.export(answer, export)
        say(f"{counted(answer.num_rows, 'row')}: {export}")
        return 0

    from reports.history import terminal

    say(terminal.rows(answer.column_names, [list(row.values()) for row in answer.to_pylist()]))
    return 0


def _page(base: object, folder: Path, arguments: argparse.Namespace) -> int:
    from benchmarks.tracking.history import analysis

    systems, metrics = (
        tuple(part.strip() for word in getattr(arguments, name) or () for part in word.split(",") if part.strip())
        for name in ("system", "metric")
    )
    found = analysis.history(base, folder, systems=systems, metrics=metrics)  # type: ignore[arg-type]

    from reports.history import page, terminal

    written = page.write(found, Path(arguments.out) if arguments.out else folder / "history")
    say(terminal.write(found))
    for kind, path in written.items():
        say(f"{kind}: {path}")
    return 0
