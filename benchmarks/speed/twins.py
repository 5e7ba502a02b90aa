"""A against A: two processes of the same code time the same generation in turns, again and again in fresh ones.

What the pair differs by is the machine's doing, and from it follows the noise floor (`benchmarks.timing.noise_floor`).
Both time the same number of calls right after each other, and who is first changes with every round.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.records import environment
from benchmarks.records.schema import Json
from benchmarks.records.validity import LATENCY, throughput
from benchmarks.stats.ratios import log_ratios
from benchmarks.timing import line_process, noise_floor
from benchmarks.timing.line_process import LineProcess
from benchmarks.timing.noise_floor import NoiseFloor

TWIN = (sys.executable, "-m", "benchmarks.speed.twin_process")


@dataclass(frozen=True)
class TwinDesign:
    """What is timed against itself, and how often.

    Attributes:
        processes: pairs of processes.
        rounds: of each pair.
        seconds: one side of a round lasts at least about so long.
        sizes: texts at once; one alone is a latency.
    """

    processes: int = 5
    rounds: int = 10
    seconds: float = 0.2
    sizes: tuple[int, ...] = (1, 8)
    system: str = "cosmos-16"
    preset: str = "nano"
    setting: str = "dpmpp_2m-20"
    length: int = 32
    vocabulary: int = 2000

    def job(self, device: str) -> Json:
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
        named = {"system": self.system, "preset": self.preset, "setting": self.setting}
        sizes = {"length": self.length, "vocabulary": self.vocabulary, "sizes": list(self.sizes)}
        return {**named, **sizes, "device": device, "dtype": dtype}

    @property
    def workload(self) -> str:
        """In words."""
        return f"{self.system} ({self.setting}) at {self.preset} with random weights, {self.length} positions"


@dataclass(frozen=True)
class TwinPair:
    """Rounds of one pair of processes with one number of texts at once: seconds of each side, shape (rounds,)."""

    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def log_ratios(self) -> list[float]:
        return log_ratios(self.first, self.second)


class Twin:
    """A process that waits to be asked."""

    def __init__(self, process: LineProcess) -> None:
        self._process = process

    def begin(self, job: Json) -> None:
        """Tell it what to build; `wait` is over when it has."""
        self._process.tell(job)

    def wait(self) -> None:
        assert self._process.answer() == {"ready": True}

    def seconds(self, size: int, calls: int) -> float:
        """How long so many calls for so many texts took."""
        return float(self._process.ask({"size": size, "calls": calls})["seconds"])


@contextmanager
def started(command: Sequence[str] = TWIN) -> Iterator[Twin]:
    """A process of its own, which ends with the block."""
    with line_process.started(command, "What is timed against itself did not run") as process:
        yield Twin(process)


def pairs(
    design: TwinDesign,
    device: str,
    progress: Callable[[float], None] = lambda share: None,
    commands: tuple[Sequence[str], Sequence[str]] = (TWIN, TWIN),
) -> dict[int, list[TwinPair]]:
    """Time both sides: texts at once -> a pair for each pair of processes.

    Args:
        commands: what starts the first side and the second.

    Raises:
        UserError: a side does not run, with the last it said.
    """
    found: dict[int, list[TwinPair]] = {size: [] for size in design.sizes}
    for number in range(design.processes):
        with ExitStack() as stack:
            twins = [stack.enter_context(started(command)) for command in commands]
            for twin in twins:
                twin.begin(design.job(device))
            for twin in twins:
                twin.wait()
            for size, pair in _rounds(twins, design, number).items():
                found[size].append(pair)
        progress((number + 1) / design.processes)
    return found


def _rounds(twins: Sequence[Twin], design: TwinDesign, number: int) -> Mapping[int, TwinPair]:
    """All rounds of one pair of processes."""
    calls = {size: _calls(twins, size, design.seconds) for size in design.sizes}
    seconds: dict[int, tuple[list[float], list[float]]] = {size: ([], []) for size in design.sizes}
    for turn in range(design.rounds):
        for size in design.sizes:
            for side in (0, 1) if (turn + number) % 2 == 0 else (1, 0):
                seconds[size][side].append(twins[side].seconds(size, calls[size]))
    return {size: TwinPair(tuple(first), tuple(second)) for size, (first, second) in seconds.items()}


def _calls(twins: Sequence[Twin], size: int, seconds: float) -> int:
    """Calls that last about so long, the same for both sides."""
    each = statistics.median(twin.seconds(size, 1) for twin in (*twins, *twins))
    return max(1, math.ceil(seconds / max(each, 1e-6)))


def measure(device: str, design: TwinDesign, progress: Callable[[float], None] = lambda share: None) -> NoiseFloor:
    """The noise floor of this machine with this device."""
    found = pairs(design, device, progress)
    described = environment.describe_device(device)
    return NoiseFloor(
        environment.hardware_class(described),
        design.workload,
        {
            LATENCY if size == 1 else throughput(size): noise_floor.floor(
                [pair.log_ratios for pair in by_process],
                statistics.median(seconds for pair in by_process for seconds in (*pair.first, *pair.second)),
            )
            for size, by_process in found.items()
        },
        environment.now(),
        described,
    )
