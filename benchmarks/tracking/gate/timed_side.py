"""A process of its own that generates with the code of one commit, and says how long each call took.

Run as a file, `python -P timed_side.py`, with the packages of that commit on PYTHONPATH: this file is that of the code
at work, all else is the commit's. It speaks lines of JSON. The first it is given says what to load; it answers with
`{"ready": ...}` when everything is warm. Each further one, `{"size": n, "start": i}`, has n texts from the i-th request
on generated and is answered with the seconds and the network calls. It ends when there are no more lines.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(row: Mapping[str, Any]) -> None:
        answers.write(json.dumps(row) + "\n")
        answers.flush()

    job = json.loads(sys.stdin.readline())
    generate, place = prepared(job)
    answer({"ready": place})
    for line in sys.stdin:
        call = generate(**json.loads(line))
        answer({"seconds": call.seconds, "calls": dict(call.calls)})


def prepared(job: Mapping[str, Any]) -> tuple[Callable[..., Any], str]:
    """How to generate so many texts from a request on, each size warm, and the folder of the code that does it."""
    import benchmarks
    from baselines import registry
    from baselines.contract import Limits, Request
    from benchmarks.timing.clock import Clock
    from benchmarks.timing.protocol import Protocol, timed, warm_up

    system_class: Any = registry.find(job["system"])
    recipe = as_said(system_class.presets[job["preset"]], job["recipe"])
    system = system_class(recipe, Limits(**job["limits"]))
    system.load(Path(job["checkpoint"]), device=job["device"], dtype=job["dtype"])
    setting = setting_of(system_class, job["setting"], job["setting_values"])
    requests = [Request(**row) for row in job["requests"]]
    clock = Clock(job["device"])

    def generate(size: int, start: int = 0) -> Any:
        return timed(system, requests[start : start + size], setting, clock)

    for size in job["sizes"]:
        for _ in warm_up(lambda size=size: generate(size), Protocol()):  # type: ignore[misc]
            pass
    return generate, str(Path(benchmarks.__file__).resolve().parents[1])


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
            yield f"{prefix}{key}", CliValue(value) if isinstance(value, str) else value


if __name__ == "__main__":
    main()
