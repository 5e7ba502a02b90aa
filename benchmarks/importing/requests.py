"""What is asked of whoever makes texts elsewhere, as a file for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.planning.run_config import Choices, choose


def write_requests(
    task: str,
    requests: str | os.PathLike[str],
    *,
    preset: str = "nano",
    source: str | None = None,
    limit: int | None = None,
    out: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write what is asked of whoever makes texts elsewhere: JSON lines of `id` and, where there is one, `source`.

    Args:
        requests: the file, which is not there yet. All else as in `import_texts`.

    Returns:
        The file.

    Raises:
        UserError: the run asks something else, the source cannot be read, or the file is there or not to be written.
    """
    choices = choose(options=options, task=task, preset=preset, source=source, limit=limit, out=out)
    return ask(choices, Path(requests))


def ask(choices: Choices, path: Path) -> Path:
    """`write_requests`, for choices that were made."""
    from benchmarks.importing import bringing, texts_file

    if path.exists():
        raise UserError(f"{path} is there already; choose another file for the requests.")
    texts_file.write_requests(path, bringing.documents_asked(choices))
    return path
