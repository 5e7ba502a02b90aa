"""A table of training steps: launched, recorded as CUDA graphs, and compiled besides, by the project's own loop."""

from __future__ import annotations

import gc
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from baselines.contract import RandomTraining, TrainingResult, UserError
from benchmarks.records.schema import identity
from benchmarks.speed import ceilings
from benchmarks.speed.kernels import KernelTime, longest_of, profiler_of
from benchmarks.speed.measure import empty, peak_bytes
from benchmarks.speed.step_lines import StepLine, train_steps
from benchmarks.speed.step_records import StepRecords, StepTime
from benchmarks.timing.clock import Clock

WARM_STEPS, BLOCKS, BLOCK_STEPS = 24, 6, 8
PROFILED_STEPS = 8
OUTLIER = 2.0  # blocks that take so many medians are left out: a shape came up that was not there before
BUCKETS = 3


@dataclass(frozen=True)
class Mode:
    """A way to run steps. `bucketed`: only where batches are padded."""

    name: str
    compiled: bool
    recorded: bool
    buckets: int = 1
    bucketed: bool = False


MODES = (
    Mode("launched", False, False, 0),
    Mode("graph", False, True),
    Mode("compiled+graph", True, True),
    Mode(f"compiled+graph, {BUCKETS} lengths", True, True, BUCKETS, bucketed=True),
)


@dataclass(frozen=True)
class TableOptions:
    """What is asked for: `rows` of made-up data, tokens of the vocabulary, changed fields of each line's recipe by
    dotted keys."""

    device: str
    rows: int = 4096
    vocabulary: int = 16_000
    profiled: bool = False
    changes: Mapping[str, Mapping[str, Any]] | None = None
    training: Mapping[str, Any] | None = None  # changed fields of every training


def table(
    lines: Sequence[StepLine], options: TableOptions, say: Callable[[str], None], kept: StepRecords | None = None
) -> dict[str, Any]:
    """Measure all lines in all modes, and say each at once; what was found, as JSON has it.

    Args:
        kept: what was measured before and is not measured again, unless it failed; what is measured is added.
    """
    kept = StepRecords() if kept is None else kept
    on_gpu = options.device.startswith("cuda")
    dtype = "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float32"
    if kept.ceilings is None:
        kept.add_ceilings(ceilings.measure(options.device, dtype))
    assert kept.ceilings is not None
    most = kept.ceilings.matrix_flops_per_second
    say(f"matrix products at best: {most / 1e12:.3g} TFLOP/s ({dtype}); vocabulary {options.vocabulary}")
    say(_row(("line", "mode", "batch", "ms a step", "TFLOP/s", "of ceiling", "prepared, s", "GB")))
    found: list[StepTime] = []
    kernels: dict[str, list[KernelTime]] = {}
    for line in lines:
        modes = [mode for mode in MODES if (on_gpu or not mode.recorded) and (line.ragged or not mode.bucketed)]
        for mode in modes:
            key = _key(line, mode, options)
            if key not in kept.steps or kept.steps[key].reason:
                kept.add_step(key, _guarded(line, mode, options, most))
            found.append(kept.steps[key])
            say(_told(found[-1]))
        if options.profiled and not found[-1].reason:
            if key not in kept.kernels:
                kept.add_kernels(key, profiled(line, modes[-1], options))
            kernels[line.name] = kept.kernels[key]
            say(f"kernels of {line.name}, {modes[-1].name}:")
            for kernel in kernels[line.name]:
                say(kernel.told())
    return {
        "matrix_flops_per_second": most,
        "steps": [asdict(part) for part in found],
        "kernels": {name: [asdict(kernel) for kernel in part] for name, part in kernels.items()},
    }


def _key(line: StepLine, mode: Mode, options: TableOptions) -> str:
    """The hash of all that decides what is measured."""
    asked = {
        "device": options.device,
        "line": asdict(line),
        "mode": asdict(mode),
        "rows": options.rows,
        "vocabulary": options.vocabulary,
        "changes": dict((options.changes or {}).get(line.name, {})),
        "training": dict(options.training or {}),
        "steps": [WARM_STEPS, BLOCKS, BLOCK_STEPS, PROFILED_STEPS],
    }
    return identity(asked)


def _guarded(line: StepLine, mode: Mode, options: TableOptions, most: float) -> StepTime:
    try:
        return measure(line, mode, options, most)
    except UserError:
        raise
    except RuntimeError as error:  # such as too little memory: one line's own failure
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    gc.collect()
    return StepTime(line.name, mode.name, 0, reason=reason)


def measure(line: StepLine, mode: Mode, options: TableOptions, most: float) -> StepTime:
    """Train so many steps that whatever comes up has come up, then time blocks of them."""
    empty(options.device)
    clock, times = Clock(options.device), []

    def watch(step: int) -> None:
        if step >= WARM_STEPS and (step - WARM_STEPS) % BLOCK_STEPS == 0:
            times.append(clock.now())

    trained, batch = _train(line, mode, options, WARM_STEPS + BLOCKS * BLOCK_STEPS, watch)
    blocks = [(end - start) / BLOCK_STEPS for start, end in itertools.pairwise(times)]
    usual = OUTLIER * statistics.median(blocks)
    seconds = statistics.fmean(block for block in blocks if block <= usual)
    flops = trained.flops / trained.steps
    prepared = trained.notes.get("preparation", {}).get("seconds", 0.0)
    return StepTime(
        line.name, mode.name, batch, seconds, flops, prepared, flops / seconds / most,
        peak_bytes(options.device),
    )  # fmt: skip


def profiled(line: StepLine, mode: Mode, options: TableOptions, most: int = 15) -> list[KernelTime]:
    """The kernels that take most of a step, the longest first; on a CPU its operations."""
    empty(options.device)
    on_gpu = options.device.startswith("cuda")
    profiler, clock = profiler_of(on_gpu), Clock(options.device)

    def watch(step: int) -> None:
        if step in (WARM_STEPS, WARM_STEPS + PROFILED_STEPS):
            clock.now()
            (profiler.start if step == WARM_STEPS else profiler.stop)()

    _train(line, mode, options, WARM_STEPS + PROFILED_STEPS, watch)
    return longest_of(profiler, on_gpu, PROFILED_STEPS, most)


def _train(
    line: StepLine, mode: Mode, options: TableOptions, steps: int, watch: Callable[[int], None]
) -> tuple[TrainingResult, int]:
    """Train for so many steps in a folder that is thrown away; what it cost, and the rows of a batch."""
    ways = {"compile": mode.compiled, "cuda_graph": mode.recorded, "length_buckets": mode.buckets}
    changes = {**ways, **(options.training or {})}
    asked = RandomTraining(line.stage, steps, options.rows, options.vocabulary, changes)
    with tempfile.TemporaryDirectory(prefix="steps-") as folder:
        recipe = (options.changes or {}).get(line.name, {})
        return train_steps(line, asked, recipe, Path(folder), options.device, watch)


def _row(cells: Iterable[str]) -> str:
    return "".join(
        f"{cell:<{width}}" for cell, width in zip(cells, (22, 28, 7, 11, 9, 12, 13, 6), strict=True)
    ).rstrip()


def _told(part: StepTime) -> str:
    if part.seconds is None or part.flops is None or part.ceiling is None:
        return f"{part.line:<22}{part.mode:<28}failed: {part.reason}"
    memory = "" if part.peak_bytes is None else f"{part.peak_bytes / 1e9:.1f}"
    rate = part.flops / part.seconds / 1e12
    return _row(
        (
            part.line, part.mode, str(part.batch), f"{1e3 * part.seconds:.2f}", f"{rate:.3g}", f"{part.ceiling:.1%}",
            f"{part.preparation or 0.0:.1f}", memory,
        )
    )  # fmt: skip
