"""Looking at what tensors do in every thread that is begun meanwhile: a dispatch mode alone sees its own thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def in_all_threads(mode: TorchDispatchMode) -> Iterator[None]:
    """Have a mode look at this thread, and at each thread of Python that is begun before the block ends.

    A thread calls its profile function before it does anything else, whoever wrote its `run`; there the mode is
    entered. A thread that was there before is not seen; one that outlives the block keeps the mode.
    """
    before = threading.getprofile()

    def begin(frame: Any, event: str, arg: Any) -> None:
        sys.setprofile(before)  # once is enough
        mode.__enter__()

    threading.setprofile(begin)
    try:
        with mode:
            yield
    finally:
        threading.setprofile(before)  # type: ignore[arg-type]  # None where there was none, which it takes
