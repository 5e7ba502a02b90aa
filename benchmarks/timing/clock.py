"""A clock that waits for the device."""

from __future__ import annotations

import time


class Clock:
    """Seconds on the wall, read only when the device has finished all work it was given."""

    def __init__(self, device: str) -> None:
        self._device = device if device.startswith("cuda") else None

    def now(self) -> float:
        """Seconds since some fixed moment."""
        if self._device is not None:
            import torch

            torch.cuda.synchronize(self._device)
        return time.perf_counter()
