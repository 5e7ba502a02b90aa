"""The protocol: every system has the same grid of trials; the best of each are trained with more seeds, and so is the
recipe as it stands; the best mean is chosen. Trials run side by side, each in a process of its own."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import signal
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.contract import UserError
from benchmarks import tasks
from benchmarks.planning.plan import PlannedCell
from benchmarks.planning.run_config import Choices
from benchmarks.records.files import locked
from benchmarks.records.schema import canonical_json
from benchmarks.tuning import trial
from benchmarks.tuning.further_points import NONE, FurtherPoints
from benchmarks.tuning.space import TrialGrid, changes
from benchmarks.tuning.trial import Trial, TrialResult
from cosmos.io.files import make_folder

AS_IT_STANDS = "as it stands"


@dataclass
class Candidate:
    """A recipe of a system: `changes` of the one as it stands, and its results by seed."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
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
    """What came of a system: all candidates that were tried, the recipe as it stands first."""

    system: str
    candidates: Sequence[Candidate]

    @property
    def chosen(self) -> Candidate:
        """The best mean of those with all seeds; while none but the recipe as it stands has several, the best first
        score."""
        most = max(len(candidate.results) for candidate in self.candidates)
        complete = [candidate for candidate in self.candidates if len(candidate.results) == most]
        if len(complete) > 1 or most == 1:
            return max(complete, key=lambda candidate: candidate.mean)
        return max(self.candidates, key=lambda candidate: candidate.values[0])


def tune(
    systems: Sequence[str], choices: Choices, grid: TrialGrid, metric: str, limit: int, folder: Path, jobs: int,
    say: Callable[[str], None], points: FurtherPoints = NONE,
) -> list[Tuned]:  # fmt: skip
    """Try every point for every system; what is in the folder already is not tried again.

    Args:
        jobs: how many trials at once, each with an equal part of the processor's cores.
        points: what is tried beside the grid.
        say: told of every trial that ends.

    Returns:
        Of every system all that was tried of the same (task, data, budget, metric) in this folder, by other grids too.

    Raises:
        UserError: before anything is trained, what cannot be tuned or tried, and a folder that cannot be used; later,
            what a trial refuses.
    """
    points.check_equal(systems)
    make_folder(folder)
    with locked(folder):
        choices = replace(trial.judged_data(choices, limit), system=tuple(systems))
        search = _Search(choices, grid, metric, limit, folder, say, points)
        ahead = {system: search.distinct(system) for system in systems}
        threads = max(1, (os.cpu_count() or 1) // jobs)
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(threads,))
        try:
            search.run(pool, ahead)
        except BaseException:  # an interrupt too: nobody goes on training alone
            for child in multiprocessing.active_children():
                child.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
        asked = {result["asked"] for tried in ahead.values() for c in tried for result in c.results.values()}
        return [tuned for tuned in stored(folder, asked) if tuned.system in ahead]


def stored(folder: Path, asked: Collection[str] | None = None) -> list[Tuned]:
    """What was tried in a folder so far, whatever the grids.

    Args:
        asked: of which searches (`TrialResult`); None: all.

    Raises:
        UserError: a file of it is damaged, or was changed.
    """
    found: dict[str, dict[str, Candidate]] = {}
    for path in sorted(folder.glob("*.json")):
        result = trial.stored(path)
        if asked is None or result["asked"] in asked:
            mine = found.setdefault(result["system"], {})
            candidate = mine.setdefault(result["candidate"], Candidate(result["candidate"]))
            candidate.results[result["seed"]] = result
    return [
        Tuned(system, sorted(mine.values(), key=lambda candidate: (candidate.name != AS_IT_STANDS, candidate.name)))
        for system, mine in found.items()
    ]


def _begin(threads: int) -> None:
    """In each process: so many threads for tensors; interrupts are for the process that began it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)


@dataclass
class _Search:
    """Trials under way: the further ones of a system are asked for when its first ones have ended."""

    choices: Choices
    grid: TrialGrid
    metric: str
    limit: int
    folder: Path
    say: Callable[[str], None]
    points: FurtherPoints = NONE
    pending: dict[Future[TrialResult], tuple[str, Candidate, int]] = field(default_factory=dict)

    def trial(self, system: str, candidate: Candidate, seed: int) -> Trial:
        choices = replace(self.choices, seed=seed)
        return Trial(choices, system, candidate.name, candidate.changes, seed, self.metric, self.limit, self.folder)

    def candidates(self, system: str) -> list[Candidate]:
        """The recipe as it stands, with what the command sets, the points of the grid, and those beside it.

        Raises:
            UserError: an unknown preset, a floor, or a recipe that a point does not fit.
        """
        if not registry.find(system).trained:
            raise UserError(f"{system} learns nothing that could be tuned; leave it out.")
        stands = Candidate(AS_IT_STANDS)
        contestant = self.cell(system, stands).contestant
        limits = tasks.find(self.choices.need_task()).limits
        return [
            stands,
            *(
                Candidate(point.name, changes(system, contestant.system, contestant.recipe, limits, point))
                for point in (*self.grid.points, *self.points.every)
            ),
            *(Candidate(name, dict(keys)) for name, keys in self.points.own.get(system, {}).items()),
        ]

    def cell(self, system: str, candidate: Candidate) -> PlannedCell:
        cells = self.trial(system, candidate, self.choices.seed).plan.cells
        return next(planned for planned in cells if planned.cell.system == system)

    def distinct(self, system: str) -> list[Candidate]:
        """The candidates of a system, no two of one recipe; made into a plan, so that what cannot be is refused."""
        by_recipe: dict[str, Candidate] = {}
        for candidate in self.candidates(system):
            by_recipe.setdefault(canonical_json(self.cell(system, candidate).cell.recipe), candidate)
        return list(by_recipe.values())

    def run(self, pool: ProcessPoolExecutor, ahead: Mapping[str, list[Candidate]]) -> None:
        first, *further = range(self.choices.seed, self.choices.seed + self.grid.seeds)
        for turn in itertools.zip_longest(*ahead.values()):  # cut short, all have had as many
            for system, candidate in zip(ahead, turn, strict=True):
                if candidate is not None:
                    self.ask(pool, system, candidate, first)
        while self.pending:
            ended, _ = wait(self.pending, return_when=FIRST_COMPLETED)
            for future in ended:
                system, candidate, seed = self.pending.pop(future)
                self.keep(system, candidate, seed, future.result())
                if seed == first and all(c.results for c in ahead[system]):
                    for best in self.finalists(ahead[system]):
                        for other in further:
                            self.ask(pool, system, best, other)

    def ask(self, pool: ProcessPoolExecutor, system: str, candidate: Candidate, seed: int) -> None:
        self.pending[pool.submit(trial.run, self.trial(system, candidate, seed))] = (system, candidate, seed)

    def keep(self, system: str, candidate: Candidate, seed: int, result: TrialResult) -> None:
        candidate.results[seed] = result
        told = f"no score ({result['reason']})" if result["value"] is None else f"{self.metric} {result['value']:.3f}"
        self.say(f"{system}, {candidate.name}, seed {seed}: {told}, {result['seconds']:.0f} s")

    def finalists(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The recipe as it stands, and the best of the others."""
        stands, *others = candidates
        return [stands, *sorted(others, key=lambda one: one.mean, reverse=True)[: self.grid.finalists]]
