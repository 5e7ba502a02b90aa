"""What a run has already, beside what this command would make: other documents are refused, other code is said."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from baselines.contract import UserError
from benchmarks.planning.plan import PlannedCell
from benchmarks.records import run_texts, store
from benchmarks.records.files import StoreError
from benchmarks.records.schema import Header, Json
from benchmarks.trackers.sent import forget
from cosmos.io.files import saving

_SHOWN = 10  # digits of a commit


def headers_of(run: Path, cell_ids: Iterable[str] | None = None) -> list[Header]:
    """The headers of all cells of a run that were begun, also of those that this command does not plan.

    Args:
        cell_ids: of these cells alone.
    """
    plan = store.read_plan(run) if cell_ids is None else None
    ids = cell_ids or (() if plan is None else plan["cells"])
    headers = (store.read_header(store.cell_folder(run, cell_id)) for cell_id in ids)
    return [header for header in headers if header is not None]


def groups(cells: Sequence[PlannedCell]) -> Iterator[list[PlannedCell]]:
    """Cells that share a checkpoint."""
    for _, group in itertools.groupby(cells, key=lambda planned: planned.cell.checkpoint_id):
        yield list(group)


def pending(run: Path, cells: Iterable[PlannedCell]) -> list[PlannedCell]:
    """Cells whose texts are not all there."""
    return [planned for planned in cells if not store.is_generated(store.cell_folder(run, planned.cell.id))]


def check_documents(run: Path, headers: Iterable[Header], now: Mapping[str, Json]) -> None:
    """See that a run's cells were trained and asked with the documents of now.

    Args:
        now: split -> digest, of those splits that are to be compared; "test" is one.

    Raises:
        UserError: a split is another, or the file of test documents was changed; the message names it.
    """
    run_texts.has_documents(run, now["test"]["sha256"])
    for header in headers:
        for split, digest in now.items():
            before = header.documents.get(split, digest)
            if any(before[key] != digest[key] for key in ("count", "sha256")):
                raise UserError(
                    f"The {SPLITS[split]} changed since {run} was made; choose another folder with --out, or bring the "
                    "earlier ones back."
                )


def check_tokenizer(run: Path, headers: Iterable[Header], sha256: str) -> None:
    """See that the texts of a run's cells went through the tokenizer of now, by what is in it: a name says nothing.

    Raises:
        UserError: a cell has another; cells of earlier versions, which do not say which, pass.
    """
    for header in headers:
        if header.tokenizer.get("sha256", sha256) != sha256:
            raise UserError(
                f"The tokenizer '{header.tokenizer['name']}' changed since {run} was made; choose another folder with "
                "--out, or bring the earlier one back."
            )


SPLITS = {
    "train": "training documents",
    "validation": "validation documents",
    "test": "test documents",
    "passages": "passages",
}


def other_code(origin: Json, now: Json) -> str | None:
    """What to say of code or packages that are not those of now; None where they are, as far as can be known."""
    said = []
    if (origin["commit"], origin["dirty"]) != (now["commit"], now["dirty"]) or now["dirty"]:
        before, after = _commit(origin), _commit(now)
        said.append(f"by {before}, now {'these or other changes' if before == after else after}")
    old, new = origin["packages"], now["packages"]
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    said += [f"with {name} {old.get(name, 'unknown')}, now {new.get(name, 'none')}" for name in names]
    return "; ".join(said) or None


def _commit(origin: Json) -> str:
    if origin["commit"] is None:
        return "an unknown commit"
    changed = " with uncommitted changes" if origin["dirty"] else ""
    return f"commit {origin['commit'][:_SHOWN]}{changed}"


def made_with(header: Header) -> Json:
    """The code that generated a cell."""
    return {"commit": header.commit, "dirty": header.dirty, "packages": header.packages}


def check_shared(run: Path, cells: Sequence[PlannedCell], headers: Iterable[Header]) -> None:
    """See that no cell outside a command has the checkpoint of one within it, which is to be trained again.

    Raises:
        UserError: there is one; the message names its setting.
    """
    planned, checkpoints = {p.cell.id for p in cells}, {p.cell.checkpoint_id for p in cells}
    for header in headers:
        cell = header.cell
        if cell.id not in planned and cell.checkpoint_id in checkpoints:
            raise UserError(
                f"{cell.system} {cell.setting} in {run} has the checkpoint that --fresh would train again; name that "
                "setting too, or keep the checkpoint with `generate --fresh`."
            )


def remove(run: Path, cells: Iterable[PlannedCell], *, checkpoints: bool) -> None:
    """Delete what is there of cells, and of their checkpoints, so that it is made again. What says that something is
    whole goes first, so a process that is killed leaves nothing that passes for whole."""
    for planned in cells:
        files = [store.cell_folder(run, planned.cell.id) / store.HEADER]
        folders = [store.cell_folder(run, planned.cell.id)]
        if checkpoints:
            forget(run, planned.cell.checkpoint_id)
            files.append(store.fit_file(run, planned.cell.checkpoint_id))
            folders.append(store.checkpoint_folder(run, planned.cell.checkpoint_id))
        for path in files:
            with saving(path, StoreError):
                path.unlink(missing_ok=True)
        for folder in filter(Path.exists, folders):
            with saving(folder, StoreError):
                shutil.rmtree(folder)
