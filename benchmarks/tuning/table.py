"""What came of a tuning, as JSON and as a table in Markdown."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.planning.run_config import Choices, as_flags
from benchmarks.records.files import write_json
from benchmarks.records.schema import Json
from benchmarks.tuning.protocol import AS_IT_STANDS, Candidate, Tuned
from benchmarks.tuning.space import Grid
from cosmos.io.files import write_bytes

RESULTS, TABLE = "tuning.json", "tuning.md"


def write(
    folder: Path, tuned: Sequence[Tuned], choices: Choices, grid: Grid, metric: str, limit: int, made_with: Json
) -> dict[str, Path]:
    """Leave both in a folder; returns their paths by kind."""
    record = {
        "command": command(choices, grid, metric, limit),
        "metric": metric,
        "limit": limit,
        "grid": dataclasses.asdict(grid),
        "made_with": made_with,
        "systems": {one.system: _system(one) for one in tuned},
    }
    write_json(folder / RESULTS, record)
    write_bytes(folder / TABLE, markdown(tuned, grid, metric).encode())
    return {"json": folder / RESULTS, "markdown": folder / TABLE}


def command(choices: Choices, grid: Grid, metric: str, limit: int) -> str:
    """The command line that tunes the same again."""
    shown = dataclasses.replace(choices, limit=None, metric=(), out=None, device="auto")
    axes = {
        "learning-rates": grid.learning_rates, "batch-sizes": grid.batch_sizes, "dropouts": grid.dropouts,
        "finalists": (grid.finalists,), "seeds": (grid.seeds,), "limit": (limit,), "metric": (metric,),
    }  # fmt: skip
    words = [w for axis, values in axes.items() for w in (f"--{axis}", ",".join(str(value) for value in values))]
    return " ".join(["python -m benchmarks tune", *as_flags(shown), *words])


def _system(tuned: Tuned) -> Json:
    return {
        "chosen": tuned.chosen.name,
        "candidates": [
            {
                "name": candidate.name,
                "changes": dict(candidate.changes),
                "values": {str(seed): result["value"] for seed, result in sorted(candidate.results.items())},
                "validation_losses": {str(seed): r["validation_loss"] for seed, r in sorted(candidate.results.items())},
                "steps": {str(seed): result["steps"] for seed, result in sorted(candidate.results.items())},
            }
            for candidate in tuned.candidates
        ],
    }


def markdown(tuned: Sequence[Tuned], grid: Grid, metric: str) -> str:
    """A line for each system: trainings, what is chosen, and what that and the recipe as it stood score."""
    lines = [
        f"| system | trainings | {metric} as it stood | chosen | {metric} chosen | first scores of the grid |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in tuned:
        stands = next(candidate for candidate in one.candidates if candidate.name == AS_IT_STANDS)
        first = [candidate.values[0] for candidate in one.candidates if candidate.name != AS_IT_STANDS]
        trainings = sum(len(candidate.results) for candidate in one.candidates)
        cells = [
            one.system, str(trainings), _spread(stands), one.chosen.name, _spread(one.chosen),
            f"{_shown(min(first))} to {_shown(max(first))}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    points = len(grid.points)
    lines += [
        "",
        f"Every system had {points} points ({len(grid.learning_rates)} learning rates, {len(grid.batch_sizes)} batch "
        f"sizes, {len(grid.dropouts)} dropouts) and its recipe as it stood, at one budget, each with one seed; that "
        f"recipe and the best {min(grid.finalists, points)} points with {grid.seeds} seeds. Scores are means over "
        "seeds ± their standard deviation, on validation documents that no system was shown and no run is scored on. "
        "A mean that was chosen for being the best is a little too good.",
    ]
    return "\n".join(lines) + "\n"


def _spread(candidate: Candidate) -> str:
    values = [value for value in candidate.values if math.isfinite(value)]
    if len(values) < 2:
        return _shown(candidate.mean)
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


def _shown(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"
