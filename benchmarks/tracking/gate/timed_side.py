"""A process of its own that generates with the code of one commit, and says how long each call took.

Run as a file, `python -P timed_side.py`, with the packages of that commit on PYTHONPATH: this file, and with it the
clock, is that of the code at work on both sides; what generates is the commit's. It speaks lines of JSON. The first it
is given says what to load; it answers with `{"ready": FOLDER}`, of the code that is loaded, when everything is warm.
Each further one, `{"size": n, "start": i}`, has n texts from the i-th request on generated and is answered with the
seconds. It ends when there are no more lines.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

WARM_UPS = (2, 6)  # calls of each size, at least and at most
STEADY = 0.1  # share by which the last of them may differ from the one before


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(row: Mapping[str, Any]) -> None:
        answers.write(json.dumps(row) + "\n")
        answers.flush()

    job = json.loads(sys.stdin.readline())
    seconds, place = prepared(job)
    answer({"ready": place})
    for line in sys.stdin:
        answer({"seconds": seconds(**json.loads(line))})


def prepared(job: Mapping[str, Any]) -> tuple[Callable[..., float], str]:
    """What times so many texts from a request on, each size warm, and the folder of the code that does it."""
    import benchmarks
    from baselines import registry
    from baselines.contract import Limits, Request

    system_class: Any = registry.find(job["system"])
    recipe = as_said(system_class.presets[job["preset"]], job["recipe"])
    system = system_class(recipe, Limits(**job["limits"]))
    system.load(Path(job["checkpoint"]), device=job["device"], dtype=job["dtype"])
    setting = setting_of(system_class, job["setting"], job["setting_values"])
    requests = [Request(**row) for row in job["requests"]]

    def seconds(size: int, start: int = 0) -> float:
        began = now(job["device"])
        samples = system.generate(requests[start : start + size], setting)
        texts = [str(sample.text) for sample in samples]  # nothing of them is put off
        took = now(job["device"]) - began
        assert len(texts) == size, f"asked for {size} texts, got {len(texts)}"
        return took

    for size in job["sizes"]:
        warm_up(partial(seconds, size))
    return seconds, str(Path(benchmarks.__file__).resolve().parents[1])


def now(device: str) -> float:
    """Seconds since some moment, read when the device has done all that it was given."""
    torch: Any = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        torch.cuda.synchronize(device)
    return time.perf_counter()


def warm_up(call: Callable[[], float]) -> None:
    """Call until two durations in a row agree."""
    least, most = WARM_UPS
    last = call()
    for count in range(2, most + 1):
        took = call()
        if count >= least and abs(took - last) <= STEADY * last:
            return
        last = took


def setting_of(system_class: Any, name: str, values: Mapping[str, Any]) -> Any:
    """The setting of these values: one of the name, or one that has the same options."""
    known = {**system_class.settings, **getattr(system_class, "other_settings", {})}
    alike = [setting for setting in known.values() if set(vars(setting)) == set(values)]
    return as_said(known.get(name, (alike or [*known.values()])[0]), values)


def as_said(instance: Any, values: Mapping[str, Any]) -> Any:
    """A recipe or a setting with the values that a record has of it."""
    from benchmarks.planning.overrides import override

    return override(instance, dict(leaves(values)), type(instance).__name__)


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; texts as if they had been typed, for infinity and budgets are texts in records."""
    from benchmarks.planning.overrides import CliValue

    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", typed(value, CliValue)


def typed(value: Any, as_text: Callable[[str], Any]) -> Any:
    """A value with its texts, also those in lists, as if they had been typed."""
    if isinstance(value, list):
        return [typed(part, as_text) for part in value]
    return as_text(value) if isinstance(value, str) else value


if __name__ == "__main__":
    main()
