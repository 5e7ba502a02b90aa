"""A device's memory: whether it ran out, and giving back what nothing refers to any more."""

from __future__ import annotations

import gc
import sys
from typing import Any


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that an accelerator has too little memory left."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def free() -> None:
    """Give the memory of tensors that are no longer referred to back; there are none where torch was not imported."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
