"""What came of a tuning, as JSON and as a table in Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.files import write_json
from benchmarks.records.schema import Json
from benchmarks.tuning.protocol import AS_IT_STANDS, Candidate, Tuned
from cosmos.io.files import write_bytes

RESULTS, TABLE = "tuning.json", "tuning.md"


def write(folder: Path, tuned: Sequence[Tuned], metric: str, command: str, made_with: Json) -> dict[str, Path]:
    """Leave both in a folder; returns their paths by kind."""
    record = {
        "command": command,
        "metric": metric,
        "made_with": made_with,
        "systems": {one.system: _system(one) for one in tuned},
    }
    write_json(folder / RESULTS, record)
    write_bytes(folder / TABLE, markdown(tuned, metric).encode())
    return {"json": folder / RESULTS, "markdown": folder / TABLE}


def _system(tuned: Tuned) -> Json:
    return {
        "chosen": tuned.chosen.name,
        "candidates": [
            {
                "name": candidate.name,
                "recipe": next(iter(candidate.results.values()))["recipe"],
                "trials": {
                    str(seed): {key: result[key] for key in ("value", "n", "validation_loss", "steps", "seconds")}
                    for seed, result in sorted(candidate.results.items())
                },
            }
            for candidate in tuned.candidates
        ],
    }


def markdown(tuned: Sequence[Tuned], metric: str) -> str:
    """A line for each system: trainings, what is chosen, and what that and the recipe as it stood score."""
    lines = [
        f"| system | recipes tried | {metric} as it stood | chosen | {metric} chosen | all recipes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in tuned:
        stands = [candidate for candidate in one.candidates if candidate.name == AS_IT_STANDS]
        first = [candidate.values[0] for candidate in one.candidates]
        cells = [
            one.system,
            str(len(one.candidates)),
            _spread(stands[0]) if stands else "not tried",
            one.chosen.name,
            _spread(one.chosen),
            f"{_shown(min(first))} to {_shown(max(first))}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(candidate: Candidate) -> str:
    """The mean over seeds, and where there are several its standard deviation."""
    values = [value for value in candidate.values if math.isfinite(value)]
    if len(values) < len(candidate.values):
        return f"none with {len(candidate.values) - len(values)} of {len(candidate.values)} seeds"
    if len(values) < 2:
        return _shown(candidate.mean)
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def _shown(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"
