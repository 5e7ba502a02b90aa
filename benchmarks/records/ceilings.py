"""What a machine was measured to do at best, to which what was done is compared. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from benchmarks.records.parts import Json, MadeWith
from cosmos.io.typed_json import Amount


@dataclass(frozen=True)
class Ceilings:
    """What this machine did at best, measured: see `benchmarks.timing.ceilings`.

    Attributes:
        made: code and machine, as `benchmarks.records.environment.made_with` says.
    """

    matrix_flops_per_second: Amount
    copy_bytes_per_second: Amount  # read and written
    matrix_size: int
    copy_bytes: int
    dtype: str
    made: Annotated[Json, MadeWith]
