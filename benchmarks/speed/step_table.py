"""A table of training steps: launched, recorded as CUDA graphs, and compiled besides, by the project's own loop."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

import torch

from baselines.contract import RandomTraining, SupportsRandomTraining, UserError
from benchmarks.records.schema import identity
from benchmarks.speed import step_lines, timed_steps
from benchmarks.speed.kernels import KernelTime, longest_of, profiler_of
from benchmarks.speed.step_lines import StepLine
from benchmarks.speed.step_records import StepRecords, StepTime
from benchmarks.speed.timed_steps import StepCounts
from benchmarks.timing import ceilings
from benchmarks.timing.clock import Clock

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
    counts: StepCounts = timed_steps.LONG
    profiled_steps: int = 8


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
        "steps": [*astuple(options.counts), options.profiled_steps],
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
    found = timed_steps.measure(_system(line, options), _asked(line, mode, options), options.device, options.counts)
    return StepTime(
        line.name, mode.name, found.batch, found.seconds, found.flops, found.preparation,
        found.flops / found.seconds / most, found.peak_bytes,
    )  # fmt: skip


def profiled(line: StepLine, mode: Mode, options: TableOptions, most: int = 15) -> list[KernelTime]:
    """The kernels that take most of a step, the longest first; on a CPU its operations."""
    on_gpu = options.device.startswith("cuda")
    profiler, clock = profiler_of(on_gpu), Clock(options.device)

    first, last = options.counts.warm, options.counts.warm + options.profiled_steps

    def watch(step: int) -> None:
        if step in (first, last):
            clock.now()
            (profiler.start if step == first else profiler.stop)()

    timed_steps.train(_system(line, options), _asked(line, mode, options, last), options.device, watch)
    return longest_of(profiler, on_gpu, options.profiled_steps, most)


def _system(line: StepLine, options: TableOptions) -> SupportsRandomTraining:
    return step_lines.system_of(line, (options.changes or {}).get(line.name, {}))


def _asked(line: StepLine, mode: Mode, options: TableOptions, steps: int = 0) -> RandomTraining:
    ways = {"compile": mode.compiled, "cuda_graph": mode.recorded, "length_buckets": mode.buckets}
    return RandomTraining(line.stage, steps, options.rows, options.vocabulary, {**ways, **(options.training or {})})


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
