"""Which kernels a generation and a call of each of its networks spend their time in, and on a GPU what lies between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path

from baselines.contract import ValidatesSetting
from benchmarks.running.cell_status import ProgressReporter
from benchmarks.speed import measure_all, time_lines
from benchmarks.speed.kernels import KernelTime, longest_of, profiler_of
from benchmarks.speed.lines import PlannedTiming, SpeedOptions
from benchmarks.speed.measure import Bench
from benchmarks.speed.time_lines import TimeLine
from benchmarks.timing.clock import Clock
from cosmos.io.files import make_folder, write_json

FILE, TIME_LINES = "kernels.json", "time_lines.json"
WARM_CALLS, PROFILED_CALLS = 3, 4
WHOLE = "generation"  # all of it, from requests to texts


def run(
    entries: Sequence[PlannedTiming],
    options: SpeedOptions,
    folder: Path,
    device: str,
    dtype: str,
    voice: ProgressReporter,
) -> Path:
    """Profile every generation among the entries, say what is found, and write it; nothing else is measured.

    Raises:
        UserError: an entry that cannot be run.
    """
    make_folder(folder)
    found: dict[str, Mapping[str, list[KernelTime]]] = {}
    lines: dict[str, TimeLine] = {}
    generations = [entry for entry in entries if entry.subject.kind == "generation"]
    for _, group in groupby(generations, key=lambda entry: (entry.subject.system, entry.recipe)):
        same = list(group)
        bench = measure_all.bench_of(same[0], options, device, dtype)
        for entry in same:
            subject = entry.subject
            if isinstance(bench.system, ValidatesSetting):
                bench.system.check_setting(entry.setting)
            name = f"{subject.system} {subject.what} ({subject.capture}) batch {subject.batch}"
            found[name] = of_generation(bench, entry.setting, subject.batch)
            for part, kernels in found[name].items():
                voice.say(f"kernels of {name}, {part}: {1e3 * sum(kernel.seconds for kernel in kernels):.3f} ms in")
                for kernel in kernels:
                    voice.say(kernel.told())
            requests = bench.requests(subject.batch)
            line = time_lines.of_call(partial(bench.system.generate, requests, entry.setting), device)
            if line is not None:
                lines[name] = line
                voice.say(f"time of {name}, longer under the profiler: {line.told()}")
    path = folder / FILE
    write_json(path, {name: {k: [asdict(x) for x in v] for k, v in parts.items()} for name, parts in found.items()})
    if lines:
        write_json(folder / TIME_LINES, {name: asdict(line) for name, line in lines.items()})
    return path


def of_generation(bench: Bench, setting: object, batch: int) -> dict[str, list[KernelTime]]:
    """The kernels of a batch from requests to texts, and of one call of each network that can be called again."""
    requests = bench.requests(batch)
    parts: dict[str, Callable[[], object]] = {WHOLE: lambda: bench.system.generate(requests, setting)}
    parts |= bench.calls(setting, batch)
    return {name: _profiled(call, bench.device) for name, call in parts.items()}


def _profiled(call: Callable[[], object], device: str) -> list[KernelTime]:
    on_gpu, clock = device.startswith("cuda"), Clock(device)
    for _ in range(WARM_CALLS):  # compiles, records
        call()
    profiler = profiler_of(on_gpu)
    clock.now()
    profiler.start()
    for _ in range(PROFILED_CALLS):
        call()
    clock.now()
    profiler.stop()
    return longest_of(profiler, on_gpu, PROFILED_CALLS)
