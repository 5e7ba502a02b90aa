"""Batches on their way to a GPU: copied on a stream of their own, so that no step waits for what the next one is about.

Between two steps, on the stream of both, the copy would be a fortieth of a step of a denoiser whose latents lie on the
host. Other devices take rows where they are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from cosmos.training.batches import Rows


class Uploaded(NamedTuple):
    """Rows on a device, perhaps still on their way."""

    rows: Rows
    arrived: torch.cuda.Event | None  # None: they are where they are needed

    def wait(self) -> Rows:
        """The rows, for what is launched from now on on the current stream; the host does not wait."""
        if self.arrived is not None:
            stream = torch.cuda.current_stream(self.arrived.device)
            stream.wait_event(self.arrived)
            for value in self.rows.values():
                value.record_stream(stream)  # the memory is not given to another batch before the stream is done
        return self.rows


class Uploads:
    """What sends rows to a device; may be asked by several threads at once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def begin(self, rows: Rows) -> Uploaded:
        """Start to copy rows from the CPU."""
        if self.stream is None:
            return Uploaded(rows, None)
        with torch.cuda.stream(self.stream):
            sent = {name: value.pin_memory().to(self.device, non_blocking=True) for name, value in rows.items()}
            return Uploaded(sent, self.stream.record_event())
