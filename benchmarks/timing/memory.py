"""Memory: whether a device ran out, giving back what nothing refers to any more, and the most that was in use."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROCESS = Path("/proc/self")  # Linux's
_RESET_PEAK = "5"  # written to `clear_refs` it lets the peak of the resident memory begin again (proc(5))


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


def forget_peak(device: str) -> None:
    """Give back what nobody uses, and let `gpu_peak_bytes` begin again."""
    free()
    if device.startswith("cuda"):
        sys.modules["torch"].cuda.reset_peak_memory_stats(device)


def gpu_peak_bytes(device: str) -> int | None:
    """The most GPU memory that torch had in use since `forget_peak`, weights included; None on a CPU."""
    return int(sys.modules["torch"].cuda.max_memory_allocated(device)) if device.startswith("cuda") else None


def growth_bytes(run: Callable[[], object], device: str, process: Path = _PROCESS) -> int | None:
    """By how much memory grew at most while `run()` worked: on a GPU what torch had in use, whoever else's lies there;
    on a CPU what was resident of this process. What was freed before is given back first, so that it is not taken up
    unseen. None where the system does not tell (Linux does)."""
    if device.startswith("cuda"):
        forget_peak(device)
        before = int(sys.modules["torch"].cuda.memory_allocated(device))
        run()
        return max(0, (gpu_peak_bytes(device) or 0) - before)
    gc.collect()
    _trim()
    try:
        (process / "clear_refs").write_text(_RESET_PEAK)
    except OSError:
        run()
        return None
    resident = _resident(process, "VmRSS")
    run()
    peak = _resident(process, "VmHWM")
    return None if resident is None or peak is None else max(0, peak - resident)


def _resident(process: Path, name: str) -> int | None:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])


def _trim() -> None:
    """Have glibc give back the memory that it keeps for later; other C libraries keep none, or have no such call."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
