"""What each side of a gate generates to be timed: code of its commit, its checkpoint, and the baseline's requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from baselines.contract import UserError
from benchmarks.records import environment, run_texts, store
from benchmarks.records.schema import Header, Json
from benchmarks.running import fitting
from benchmarks.running.seeds import request_seed
from benchmarks.tracking.gate import code_trees
from benchmarks.tracking.gate.code_trees import CodeTree
from benchmarks.tracking.gate.side_process import TimingJob
from benchmarks.tracking.pairs import EntryPair
from benchmarks.tracking.sides import StoredCell


def sizes_of(pair: EntryPair) -> tuple[int, ...]:
    """The numbers of texts at once that are timed: those of a batch, and one alone."""
    count = int(pair.a.header.documents["test"]["count"])
    return tuple(dict.fromkeys((min(count, pair.a.header.batch_size, pair.b.header.batch_size), 1)))


@contextmanager
def jobs(pair: EntryPair, sides: str = "ab") -> Iterator[list[TimingJob]]:
    """What sides generate, with the code of each laid out for as long as the block lasts.

    Trainings of equal inputs are one checkpoint, so that code alone differs: that of the baseline, or of the run where
    the baseline has lost its own.

    Args:
        sides: "a" is the baseline, "b" the run.

    Raises:
        UserError: code, checkpoint or documents of a side cannot be had.
    """
    cells = {"a": pair.a.cells[0], "b": pair.b.cells[0]}
    shared = cells["a"].header.cell.checkpoint_id == cells["b"].header.cell.checkpoint_id
    with ExitStack() as stack:
        for cell in cells.values():
            stack.enter_context(cell.found.named())
        yield [
            TimingJob(
                _tree(cells[side].header, {"a": "The baseline", "b": "The run"}[side], stack),
                cells[side].header.cell,
                checkpoint(cells[side], [cell.run for cell in cells.values()] if shared else [cells[side].run]),
                _limits(cells["a"].run),
                requests(pair),
                sizes_of(pair),
            )
            for side in sides
        ]


def _tree(header: Header, whose: str, stack: ExitStack) -> CodeTree:
    """The code that generated a cell."""
    commit, dirty = environment.commit()
    if header.commit is not None and header.commit == commit and bool(header.dirty) == bool(dirty):
        return code_trees.at_work(commit, dirty)
    if header.commit is None:
        raise UserError(f"{whose} does not say which commit made it.")
    if header.dirty:
        raise UserError(
            f"{whose} was made by commit {code_trees.short(header.commit)} with uncommitted changes, so its code "
            "cannot be had again; commit before you make a run that others are compared with."
        )
    return stack.enter_context(code_trees.checked_out(header.commit))


def checkpoint(cell: StoredCell, homes: Sequence[Path]) -> Path:
    """The folder of a cell's checkpoint, in the first of some runs that has it, whole.

    Raises:
        UserError: none has.
    """
    identity = cell.header.cell.checkpoint_id
    for home in homes:
        if store.fit_file(home, identity).exists() and store.checkpoint_folder(home, identity).is_dir():
            fitting.check_files(home, identity)
            return store.checkpoint_folder(home, identity).resolve()
    raise UserError(f"The checkpoint {identity} of {cell.header.cell.system} is not in {homes[0]}.")


def requests(pair: EntryPair) -> list[Json]:
    """All requests of the baseline, as they were asked."""
    cell, about = pair.a.cells[0], pair.a.header.documents["test"]["sha256"]
    home = next((c.run for c in (cell, pair.b.cells[0]) if run_texts.has_documents(c.run, about)), cell.run)
    limit = _limits(cell.run)["target_tokens"]
    return [
        {"id": d.id, "source": d.source, "seed": request_seed(cell.header.cell.seed, d.id), "max_tokens": limit}
        for d in run_texts.read_documents(home, about)
    ]


def _limits(run: Path) -> dict[str, int]:
    plan = store.read_plan(run)
    limits = {} if plan is None else plan["task"].get("limits", {})
    if not {"source_tokens", "target_tokens"} <= limits.keys():
        raise UserError(f"The plan of {run} does not say how long texts may be.")
    return {name: int(limits[name]) for name in ("source_tokens", "target_tokens")}
