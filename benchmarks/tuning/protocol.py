"""The protocol: every system has the same grid of trials; the best of each are trained with more seeds, and so is the
recipe as it stands; the best mean is chosen. Trials run side by side, each in a process of its own."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.contract import UserError, unknown
from benchmarks import tasks
from benchmarks.planning.run_config import Choices
from benchmarks.tuning import trial
from benchmarks.tuning.space import Grid, changes
from benchmarks.tuning.trial import Trial, TrialResult

AS_IT_STANDS = "as it stands"


@dataclass
class Candidate:
    """A recipe of a system: `changes` of the one as it stands, and its results by seed."""

    name: str
    changes: Mapping[str, Any]
    results: dict[int, TrialResult] = field(default_factory=dict)

    @property
    def values(self) -> list[float]:
        """Its scores in order of seeds; a trial without one counts as the worst there is."""
        return [-math.inf if r["value"] is None else r["value"] for _, r in sorted(self.results.items())]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)


@dataclass(frozen=True)
class Tuned:
    """What came of a system: all candidates, and the one that is chosen."""

    system: str
    candidates: Sequence[Candidate]
    chosen: Candidate


def candidates_of(system: str, choices: Choices, grid: Grid) -> list[Candidate]:
    """The recipe as it stands, and the points of the grid that differ from it.

    Raises:
        UserError: an unknown preset, a floor, or a recipe that a point does not fit.
    """
    found = registry.find(system)
    if not found.trained:
        raise UserError(f"{system} learns nothing that could be tuned; leave it out.")
    if choices.preset not in found.presets:
        raise unknown(f"preset of {system}", choices.preset, found.presets)
    limits = tasks.find(choices.need_task()).limits
    recipe = found.presets[choices.preset]
    out = [Candidate(AS_IT_STANDS, {})]
    out += [Candidate(p.name, changes(system, found, recipe, limits, p)) for p in grid.points]
    return out


def tune(
    systems: Sequence[str], choices: Choices, grid: Grid, metric: str, limit: int, folder: Path, jobs: int,
    say: Callable[[str], None],
) -> list[Tuned]:  # fmt: skip
    """Try every point for every system; what is in the folder already is not tried again.

    Args:
        jobs: how many trials at once, each with an equal part of the processor's cores.
        say: told of every trial that ends.

    Raises:
        UserError: before anything is trained, what cannot be tuned or tried; later, what a trial refuses.
    """
    choices = trial.judged_data(choices, limit)
    ahead = {system: candidates_of(system, choices, grid) for system in systems}
    for system, candidates in ahead.items():
        for candidate in candidates:
            _ = Trial(
                choices, system, candidate.changes, choices.seed, metric, limit, folder
            ).plan  # refuses what cannot be
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(threads,)) as pool:
        search = _Search(pool, choices, grid, metric, limit, folder, say)
        return list(search.run(ahead))


def _begin(threads: int) -> None:
    """In each process: so many threads for tensors."""
    import torch

    torch.set_num_threads(threads)


@dataclass
class _Search:
    """Trials under way: the next ones of a system are asked for when its first ones have ended."""

    pool: ProcessPoolExecutor
    choices: Choices
    grid: Grid
    metric: str
    limit: int
    folder: Path
    say: Callable[[str], None]
    pending: dict[Future[TrialResult], tuple[str, Candidate, int]] = field(default_factory=dict)

    def run(self, ahead: Mapping[str, list[Candidate]]) -> Iterator[Tuned]:
        first = self.choices.seed
        seeds = range(first, first + self.grid.seeds)
        for system, candidates in ahead.items():
            for candidate in candidates:
                self.ask(system, candidate, first)
        finalists: dict[str, list[Candidate]] = {}
        while self.pending:
            for future in as_completed(list(self.pending)):
                system, candidate, seed = self.pending.pop(future)
                result = candidate.results[seed] = future.result()
                told = "no score: " + str(result["reason"]) if result["value"] is None else f"{result['value']:.3f}"
                self.say(f"{system}, {candidate.name}, seed {seed}: {self.metric} {told}, {result['seconds']:.0f} s")
                if system not in finalists and all(c.results for c in ahead[system]):
                    finalists[system] = self.best(ahead[system])
                    for best in finalists[system]:
                        for further in seeds[1:]:
                            self.ask(system, best, further)
                    break  # the further ones are waited for too
        for system, candidates in ahead.items():
            yield Tuned(system, candidates, max(finalists[system], key=lambda candidate: candidate.mean))

    def ask(self, system: str, candidate: Candidate, seed: int) -> None:
        wanted = Trial(
            replace(self.choices, seed=seed), system, candidate.changes, seed, self.metric, self.limit, self.folder
        )
        self.pending[self.pool.submit(trial.run, wanted)] = (system, candidate, seed)

    def best(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The recipe as it stands, and the best of the others."""
        stands, *others = candidates
        ranked = sorted(others, key=lambda candidate: candidate.mean, reverse=True)
        return [stands, *ranked[: self.grid.finalists]]
