"""The noise floor of a machine: the smallest difference in speed that can be told from none.

Something is timed against itself, A against A, turn and turn about, in several processes. How far the two seem apart
says what the machine does by itself. From that follows the smallest ratio which a comparison of so many processes and
rounds would find; it is kept per class of machine, beside what else this project keeps for the user, and results carry
it. `python -m benchmarks doctor --timing` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.records import environment
from benchmarks.records.schema import Json
from benchmarks.stats.intervals import LEVEL
from benchmarks.stats.paired import POWER
from benchmarks.stats.ratios import Spread, compare_rounds, detectable_ratio, spread_of
from cosmos.io.errors import UserError
from cosmos.io.files import cache_folder, make_folder, read_json, write_json
from cosmos.io.typed_json import Amount, AnyJson, Count, read_as

LEAST_PROCESSES = 3
SCHEMA = 1
_AGAIN = "delete it and run doctor --timing again"


@dataclass(frozen=True)
class QuantityFloor:
    """Of one quantity ("latency", "throughput"): what A against A showed.

    Attributes:
        ratio: smallest ratio above 1 that `processes` times `rounds` find with probability `power` at `level`.
        between, within: variances of log ratios, see `benchmarks.stats.ratios.Spread`.
        seen: the ratio that A seemed to have to itself, with the limits of its interval.
        seconds: how long one side of a round took, in the middle.
    """

    ratio: Amount
    level: Amount
    power: Amount
    between: Amount
    within: Amount
    processes: Count
    rounds: Count
    seen: tuple[Amount, Amount, Amount]
    seconds: Amount

    @property
    def spread(self) -> Spread:
        return Spread(self.between, self.within, self.processes, self.rounds)

    @property
    def differs_from_itself(self) -> bool:
        """Whether A seemed to differ from A, as happens by chance in a share of 1 - `level`, and else by a fault of the
        way in which is timed."""
        _, low, high = self.seen
        return not low <= 1 <= high

    def of(self, processes: int, rounds: int, *, level: float = LEVEL, power: float = POWER) -> float:
        """The smallest ratio above 1 that other numbers of processes (two at least) and rounds would find."""
        return detectable_ratio(self.spread, processes, rounds, level=level, power=power)


@dataclass(frozen=True)
class NoiseFloor:
    """What is kept of a class of machines.

    Attributes:
        hardware: its class, `benchmarks.records.environment.hardware_class`.
        workload: what was timed against itself, in words.
        quantities: name -> floor.
        made: when (UTC).
        device: the description of the machine it was measured on.
    """

    hardware: str
    workload: str
    quantities: Mapping[str, QuantityFloor]
    made: str
    device: AnyJson
    schema: Count = SCHEMA

    @property
    def summary(self) -> Json:
        """As run headers hold it: of each quantity the ratio, for how much timing, at which level and power."""
        told = ("ratio", "level", "power", "processes", "rounds")
        return {
            "hardware": self.hardware,
            "made": self.made,
            "quantities": {
                name: {key: getattr(floor, key) for key in told} for name, floor in sorted(self.quantities.items())
            },
        }


def floor(processes: Sequence[Sequence[float]], seconds: float) -> QuantityFloor:
    """The floor that A against A shows.

    Args:
        processes: of each process, at least `LEAST_PROCESSES`, the log ratios of its rounds.
        seconds: how long one side of a round took, in the middle.
    """
    assert len(processes) >= LEAST_PROCESSES, f"{len(processes)} processes, {LEAST_PROCESSES} are needed"
    spread, found = spread_of(processes), compare_rounds(processes)
    return QuantityFloor(
        detectable_ratio(spread, spread.processes, spread.rounds),
        LEVEL,
        POWER,
        spread.between,
        spread.within,
        spread.processes,
        spread.rounds,
        (found.ratio, found.low, found.high),
        seconds,
    )


def path_of(hardware: str) -> Path:
    """Where the floor of a class of machines is kept."""
    return cache_folder() / "noise-floor" / f"{hardware}.json"


def write(kept: NoiseFloor) -> Path:
    """Keep a floor in place of the one before."""
    path = path_of(kept.hardware)
    make_folder(path.parent)
    write_json(path, asdict(kept))
    return path


def read(hardware: str) -> NoiseFloor | None:
    """The floor that was measured on this class of machines; None if none was.

    Raises:
        UserError: the file is damaged, or of a later version.
    """
    path = path_of(hardware)
    if not path.is_file():
        return None
    value = read_json(path, _AGAIN)
    if value.get("schema") != SCHEMA:
        raise UserError(f"{path} has schema {value.get('schema')}, this version reads {SCHEMA}; {_AGAIN}.")
    kept = read_as(NoiseFloor, value, str(path), _AGAIN)
    ratios = [math.isfinite(part.ratio) and part.ratio >= 1 for part in kept.quantities.values()]
    if kept.hardware != hardware or not all(ratios):
        raise UserError(f"{path} is damaged (not a noise floor of {hardware}); {_AGAIN}.")
    return kept


def here(device: str) -> NoiseFloor | None:
    """The floor of this machine with this device, if one was measured."""
    return read(environment.hardware_class(environment.describe_device(device)))
