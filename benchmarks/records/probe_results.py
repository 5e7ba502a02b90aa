"""What generating takes besides time, from passes of their own. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from cosmos.io.typed_json import Amount, AnyText, Count


@dataclass(frozen=True)
class ProbeResults:
    """Figures of one setting, none of them taken while anything was timed. A figure that is None has a reason.

    Attributes:
        texts: made at once in every pass.
        calls: network -> forward calls of one batch.
        flops_per_text: of matrix products, convolutions and attention, networks and everything else; a multiply and an
            add are two (`cosmos.runtime.flops`).
        peak_bytes: of the weights and of what generating a batch took besides at most: on a GPU of what torch had in
            use, on a CPU of what was resident of the process.
        joules: counter ("GPU", "CPU") -> joules a text, idling included.
        energy_seconds: how long the pass lasted that measured them; `energy_texts` were made in it.
        matrix_flops_per_second: of a large matrix product of the setting's type of numbers on the same device, the
            ceiling that shares are of.
        reasons: "flops", "memory", "energy" or "ceiling" -> why there is no such figure.
    """

    texts: Count
    calls: Mapping[str, Count] = field(default_factory=dict)
    flops_per_text: Amount | None = None
    peak_bytes: Count | None = None
    joules: Mapping[str, Amount] = field(default_factory=dict)
    energy_seconds: Amount | None = None
    energy_texts: Count = 0
    matrix_flops_per_second: Amount | None = None
    reasons: Mapping[str, AnyText] = field(default_factory=dict)

    @property
    def joules_per_text(self) -> float | None:
        """Of all counters together; None where there is none."""
        return math.fsum(self.joules.values()) if self.joules else None

    def share_of_ceiling(self, texts_per_second: float) -> float | None:
        """What part of the operations that the device can do it does at such a throughput; None where not known."""
        if self.flops_per_text is None or not self.matrix_flops_per_second:
            return None
        return self.flops_per_text * texts_per_second / self.matrix_flops_per_second
