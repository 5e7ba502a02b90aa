"""One process at a time writes into a folder. It imports nothing heavy."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos.io.errors import UserError
from cosmos.io.files import WriteError, saving, write_bytes


@contextmanager
def locked(folder: Path, refusal: type[WriteError] = WriteError) -> Iterator[None]:
    """Hold the folder's lock: one process writes into it at a time. It ends with the process, however that ends.

    Raises:
        UserError: another process holds it; the message names that process.
    """
    from filelock import FileLock, Timeout  # a tenth of a second that `--help` need not wait for

    lock, owner = FileLock(folder / ".lock", blocking=False), folder / ".lock.owner"
    with saving(folder / ".lock", refusal):
        try:
            lock.acquire()
        except Timeout as error:
            holder = owner.read_text(errors="replace").strip()[:200] if owner.exists() else "another process"
            raise UserError(
                f"{folder} is being written by {holder}; wait until it ends, or choose another folder with --out."
            ) from error
    try:
        write_bytes(owner, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), refusal)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
