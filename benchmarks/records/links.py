"""A run's files are its own: none is read or written through a symbolic link. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from baselines.contract import UserError


def refuse_links(run: Path) -> None:
    """See that nothing in a run's folder is a symbolic link; the folder itself may be one.

    Raises:
        UserError: something is, or a folder cannot be read; the message names it.
    """
    pending = [str(run)] if run.exists() else []
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        raise UserError(
                            f"{entry.path} is a link to somewhere else, and the files of a run are its own; "
                            "put what it names in its place, or delete it."
                        )
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except FileNotFoundError:  # as when a file is replaced meanwhile
            continue
        except OSError as error:
            raise UserError(f"Cannot read the folder {folder} ({error.strerror or error}).") from error
