"""Show a cell: its configuration, scores, timing, and first samples with their sources and references.

Names a cell by the beginning of its id or by its system; without one, lists the cells of the run. --out may name
published records too: an archive, the folder with it, or the folder that a run of several in it would have.

examples:
  python -m benchmarks show --task detox
  python -m benchmarks show cosmos --task detox --limit 10
  python -m benchmarks show 3fa9c1 --out runs/quick
  python -m benchmarks show gpt2 --out reports/published/2026-11-28-h200/detox-480s
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.contract import UserError, unknown
from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of
from cosmos.io.counting import counted
from cosmos.io.terminal import say

if TYPE_CHECKING:
    from benchmarks.records.schema import Record, Score

_SAMPLES = 5


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("cell", metavar="CELL", nargs="?", help="the beginning of a cell's id, or a system")
    add_flags(parser, "task", "source", "preset", "out", "limit")
    parser.set_help("task", "of the run, which finds its folder where --out does not say it")
    parser.set_help("source", "of the run, likewise (default: the task's first)")
    parser.set_help("preset", "of the run, likewise (default: nano)")
    parser.set_help("limit", f"show N samples of each cell (default: {_SAMPLES})")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.planning.plan import default_folder
    from benchmarks.records import store
    from benchmarks.records.archive import found_run

    choices = choices_of(arguments)
    run = found_run(default_folder(choices))
    with run.named():
        records = store.read_run(run.folder)
        if arguments.cell is None:
            for record in records:
                say(_line(record))
            return 0
        for record in _find(records, arguments.cell, run.name):
            _show(record, run.folder, choices.limit or _SAMPLES)
    return 0


def _find(records: Sequence[Record], asked: str, run: str) -> list[Record]:
    by_system = [record for record in records if record.header.cell.system == asked]
    by_id = [record for record in records if record.header.cell.id.startswith(asked)]
    if not by_system and len(by_id) > 1:
        raise UserError(f"{len(by_id)} cells begin with '{asked}'; give more of the id.")
    if not by_system and not by_id:
        names = [name for record in records for name in (record.header.cell.system, record.header.cell.id)]
        raise unknown(f"cell of {run}", asked, set(names))
    return by_system or by_id


def _line(record: Record) -> str:
    cell, header = record.header.cell, record.header
    return (
        f"{cell.id}  {cell.system:12}{cell.preset:8}{cell.setting:18}seed {cell.seed:<4}{header.status:9}"
        f"{counted(len(record.samples), 'text')}" + (f"  {header.reason}" if header.reason else "")
    )


def _show(record: Record, folder: Path, count: int) -> None:
    from benchmarks.planning.plan_file import leaves
    from benchmarks.records import run_texts
    from benchmarks.records.validity import not_known, not_valid, validity

    header = record.header
    cell = header.cell
    say(_line(record))
    say(f"\nmake again: {header.command}")
    changed = {True: ", with uncommitted changes", False: "", None: ""}[header.dirty]
    say(f"commit: {header.commit or 'unknown'}{changed}; device: {header.device.get('name')}; dtype {cell.dtype}")
    fitting = "" if header.batch_size == cell.batch_size else f" asked for, {header.batch_size} made at once"
    say(f"budget: {cell.budget}; batch size {cell.batch_size}{fitting}; made {header.created} to {header.finished}")
    for title, values in (("data", cell.data), ("recipe", cell.recipe), ("setting", cell.setting_values)):
        say(f"\n{title}")
        for key, value in leaves(title, values):
            say(f"  {key} = {value}")
    if header.training is not None:
        training = header.training
        loss = "" if training.validation_loss is None else f", validation loss {training.validation_loss:.4f}"
        steps = counted(training.steps, "step")
        say(f"\ntraining: {steps}, {training.seconds:.1f} s, {training.flops:.3g} FLOPs{loss}")
    for name, network in header.networks.items():
        say(f"network {name}: {network.parameters:,} parameters, {network.trainable:,} trained")
    for quantity in header.verdict.get("quantities", ()):
        found = validity(header, quantity)
        beside = f"; {not_known(found.unknown)}" if found.unknown else ""
        say(f"{quantity}: {'valid' if found.valid else not_valid(found.reasons)}{beside}")
    for call in header.verdict.get("stalled", ()):
        say(f"{call['kind']} {call['index']} stood still and does not count: {call['reason']}")
    if header.verdict and "quantities" not in header.verdict:
        reasons = header.verdict.get("reasons", ())
        say(f"timing: {'valid' if header.verdict.get('valid') else not_valid(reasons)}")
    say("\nscores")
    width = max((len(score.metric) + 2 for score in record.scores), default=0)
    for score in record.scores:
        say(f"  {score.metric:{width}}{_value(score)}")
    if "test" not in header.documents:
        return
    sha256, samples, documents = header.documents["test"]["sha256"], record.samples[:count], {}
    if run_texts.has_documents(folder, sha256):
        answered = run_texts.documents_of(folder, header, samples)
        documents = {sample.id: document for sample, document in zip(samples, answered, strict=True)}
    else:
        say("\nthe test documents are not in this run, so texts are shown without sources and references")
    for sample in samples:
        document = documents.get(sample.id)
        tokens = counted(sample.tokens, "token")
        say(f"\n{sample.id}  {tokens}{'' if sample.finished else ', cut'}, calls {dict(sample.calls)}")
        for kind, text in (
            ("source", document.source if document else None),
            ("text", sample.text),
            *(("ref", r) for r in (document.references if document else ())),
        ):
            if text is not None:
                say(f"  {kind:8}" + text.replace("\n", "\n          "))  # so that no text looks like another line


def _value(score: Score) -> str:
    if score.value is None:
        return f"none, {score.reason}  n={score.n}/{score.total}"
    interval = "" if score.low is None or score.high is None else f" [{score.low:.4f}, {score.high:.4f}] over texts"
    return f"{score.value:.4f}{interval}  n={score.n}/{score.total}  {score.signature}"
