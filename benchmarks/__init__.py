"""The harness: plans cells, trains or loads systems, times what they generate, scores exactly those texts.

`run`, `score`, `report`, `compare`, `import_texts` and `write_requests` do what the verbs of the command line do, which
call them; `load` reads what a run left into a pandas frame. Each is imported when it is asked
for: pandas and torch take seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baselines.contract import UserError
    from benchmarks.api import RunResult, compare, import_texts, report, run, score
    from benchmarks.importing.requests import write_requests
    from benchmarks.records.results import Results, load

_PLACES = {
    "Results": "benchmarks.records.results",
    "RunResult": "benchmarks.api",
    "UserError": "baselines.contract",
    "compare": "benchmarks.api",
    "import_texts": "benchmarks.api",
    "load": "benchmarks.records.results",
    "report": "benchmarks.api",
    "run": "benchmarks.api",
    "score": "benchmarks.api",
    "write_requests": "benchmarks.importing.requests",
}

__all__ = [
    "Results",
    "RunResult",
    "UserError",
    "compare",
    "import_texts",
    "load",
    "report",
    "run",
    "score",
    "write_requests",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
