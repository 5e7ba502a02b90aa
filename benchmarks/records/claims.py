"""Several processes in one run folder: each holds the cells it makes, and a checkpoint only while it is trained.

A command for a whole run has the folder to itself (`benchmarks.records.files.locked`); commands for single cells share
it, on one machine or on several that see the same folder. Every claim is a lock of the operating system, so it ends
with its process, however that ends.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from baselines.contract import UserError
from benchmarks.records.files import StoreError
from cosmos.io.files import make_folder, saving

FOLDER = ".locks"  # of a run's folder
PLAN, LAUNCH = "plan", "launch"
_POLL_SECONDS = 0.2
_END_SECONDS = 60.0  # in which a process whose command was killed has let go of its GPU, and ended


@contextmanager
def some_cells(run: Path, cell_ids: Iterable[str], patience: float = 0.0) -> Iterator[None]:
    """Hold some cells of a run, and keep commands for the whole run out meanwhile.

    Args:
        patience: seconds to wait for a cell that another process holds, which may be about to end.

    Raises:
        UserError: another process has the whole run, or one of these cells; the message names it where it is known.
    """
    make_folder(run / FOLDER, StoreError)
    with ExitStack() as held:
        if not held.enter_context(_lock(run / ".lock", shared=True)):
            raise UserError(
                f"{run} is being written by {_holder(run / '.lock.owner')}; wait until it ends, or choose another "
                "folder with --out."
            )
        for cell_id in sorted(cell_ids):
            if not held.enter_context(_lock(run / FOLDER / cell_id, patience=patience)):
                raise _made_by_another(run, cell_id)
        yield


@contextmanager
def share(run: Path, cell_id: str, number: int) -> Iterator[None]:
    """Hold one process's share of a cell that several make, for a command that holds the cell. A process of a command
    that was killed may be there a moment longer: it is waited for.

    Raises:
        UserError: another process holds it, and does not end; the message names that process.
    """
    path = run / FOLDER / f"{cell_id}.{number}"
    make_folder(path.parent, StoreError)
    with _lock(path, patience=_END_SECONDS) as held:
        if not held:
            raise UserError(
                f"A share of the cell {cell_id} in {run} is still being made by {_holder(path)}, whose command is gone;"
                " end that process and run again."
            )
        yield


def check_idle(run: Path, cell_ids: Iterable[str]) -> None:
    """See that nobody makes some cells now: a launch may have more of them than a process can hold files open.

    Raises:
        UserError: somebody does.
    """
    for cell_id in cell_ids:
        if (run / FOLDER / cell_id).exists():
            with _lock(run / FOLDER / cell_id) as held:
                if not held:
                    raise _made_by_another(run, cell_id)


def _made_by_another(run: Path, cell_id: str) -> UserError:
    return UserError(
        f"The cell {cell_id} in {run} is being made by {_holder(run / FOLDER / cell_id)}; wait until it ends, or "
        "choose another folder with --out."
    )


@contextmanager
def training(run: Path, checkpoint_id: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a checkpoint while it is trained. Who comes second waits, and then finds it trained."""
    path = run / FOLDER / f"checkpoint-{checkpoint_id}"
    make_folder(path.parent, StoreError)
    with ExitStack() as held:
        if not held.enter_context(_lock(path)):
            say(f"waiting for {_holder(path)}, which trains the same checkpoint")
            held.enter_context(_lock(path, patience=float("inf")))
        yield


@contextmanager
def plan_of(run: Path) -> Iterator[None]:
    """Hold the plan of a run for the moment in which cells are added to it."""
    with _lock(run / FOLDER / PLAN, patience=float("inf")):
        yield


@contextmanager
def launch(run: Path) -> Iterator[None]:
    """Be the one command that has the cells of a run made by an engine.

    Raises:
        UserError: there is another.
    """
    make_folder(run / FOLDER, StoreError)
    with some_cells(run, ()), _lock(run / FOLDER / LAUNCH) as held:
        if not held:
            raise UserError(
                f"The cells of {run} are being made by {_holder(run / FOLDER / LAUNCH)}; wait until it ends, or choose "
                "another folder with --out."
            )
        yield


@contextmanager
def _lock(path: Path, *, shared: bool = False, patience: float = 0.0) -> Iterator[bool]:
    """Hold a file's lock; gives whether it could be had. What is in the file says who holds it alone."""
    import fcntl

    with saving(path, StoreError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        kind, until = fcntl.LOCK_SH if shared else fcntl.LOCK_EX, time.monotonic() + patience
        while not (held := _try(handle, kind | fcntl.LOCK_NB, path)) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        if held and not shared:
            with saving(path, StoreError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield held
    finally:
        os.close(handle)


def _try(handle: int, how: int, path: Path) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UserError(
            f"The file system of {path.parent.parent} has no locks ({error.strerror or error}), so single cells cannot "
            "be made in it by several processes; give each a folder of its own with --out, and merge them."
        ) from error
    return True


def _holder(path: Path) -> str:
    """Who wrote into a lock that it holds it."""
    try:
        return path.read_text(errors="replace").strip()[:200] or "another process"
    except OSError:
        return "another process"
