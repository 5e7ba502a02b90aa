"""What the gate promises, over simulated gates: a regression of 2 points or of 5 % is found nine times in ten at the
sizes that `gate --plan` names, and what is no regression is claimed to be one in 5 % at most."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planning.gate_margins import Margin
from benchmarks.records.schema import Cell
from benchmarks.stats import holm_factors
from benchmarks.stats.evidence import TextEvidence
from benchmarks.stats.intervals import Array
from benchmarks.stats.ratios import Spread
from benchmarks.tracking.gate import sizes
from benchmarks.tracking.gate.code_trees import CodeTree
from benchmarks.tracking.gate.interleaving import Design
from benchmarks.tracking.gate.noninferiority import judge, loss_of, shown
from benchmarks.tracking.gate.side_process import TimedSide, TimingJob
from benchmarks.tracking.gate.speed import SpeedRules, timed
from benchmarks.tracking.gate.verdict import GateFinding
from benchmarks.tracking.schema import ComparedEntry
from benchmarks.tracking.speed import PROCESS_DEVIATION

GATES = 200
POINTS = 0.02


def shares(generator: np.random.Generator, n: int, loss: float) -> Array:
    """Differences of 0/1 scores of which a tenth are others, for the worse by `loss`."""
    return generator.choice([1.0, 0.0, -1.0], size=n, p=[0.05 - loss / 2, 0.9, 0.05 + loss / 2])


def overlaps(generator: np.random.Generator, n: int, loss: float) -> Array:
    """Differences of scores such as ROUGE: half of the texts are the same, the others vary."""
    return np.where(generator.random(n) < 0.5, 0.0, generator.normal(-2 * loss, 0.12, n))


def outcome(differences: Array, factor: float = 1.0) -> str:
    evidence = TextEvidence(differences, flips=1000)
    return judge(loss_of(evidence, "down"), POINTS, shown=shown(evidence, "down", factor))


@pytest.mark.parametrize("drawn", [shares, overlaps])
def test_the_texts_that_are_planned_show_two_points(drawn: Callable[[np.random.Generator, int, float], Array]) -> None:
    generator = np.random.default_rng(1)
    # Planned from a run that is as good as its baseline, of another number of texts.
    plan = sizes.texts_for("system", "score", POINTS, 500, TextEvidence(drawn(generator, 500, 0.0)), 1, "both runs")
    assert plan.needed is not None and plan.visible is not None
    assert plan.needed == pytest.approx(500 * (plan.visible / POINTS) ** 2, abs=1)
    worse = Counter(outcome(drawn(generator, plan.needed, POINTS)) for _ in range(GATES))
    assert worse["regression"] >= 0.9 * GATES, (plan, worse)
    alike = Counter(outcome(drawn(generator, plan.needed, 0.0)) for _ in range(GATES))
    assert alike["regression"] <= 0.05 * GATES and alike["pass"] >= 0.8 * GATES, (plan, alike)


def test_few_of_the_gates_of_many_scores_claim_a_loss_that_is_none() -> None:
    """Six scores each: 5 % of the gates at most have one that is claimed to be worse."""
    generator, claimed = np.random.default_rng(2), 0
    for _ in range(GATES):
        scores = [overlaps(generator, 150, 0.0) for _ in range(6)]
        factors = holm_factors([TextEvidence(each, flips=1000).p for each in scores])
        claimed += any(outcome(each, factor) == "regression" for each, factor in zip(scores, factors, strict=True))
    assert claimed <= 0.05 * GATES


def test_what_is_worse_by_the_margin_passes_once_in_twenty_at_most() -> None:
    generator = np.random.default_rng(3)
    passed = Counter(outcome(overlaps(generator, 800, POINTS)) for _ in range(2 * GATES))
    assert passed["pass"] <= 0.05 * 2 * GATES + 2 * (2 * GATES * 0.05 * 0.95) ** 0.5, passed


class SimulatedSide:
    """A process whose calls take as long as its side and its luck say."""

    def __init__(self, seconds: float, spread: Spread, draw: random.Random) -> None:
        self.draw, self.within = draw, (spread.within / 2) ** 0.5
        self.mean = seconds * float(np.exp(draw.gauss(0, (spread.between / 2) ** 0.5)))

    def seconds(self, size: int, start: int = 0) -> float:
        return self.mean * float(np.exp(self.draw.gauss(0, self.within)))


def simulated(slowdown: float, spread: Spread, draw: random.Random) -> Callable[..., object]:
    @contextmanager
    def start(job: TimingJob) -> Iterator[TimedSide]:
        yield SimulatedSide(1 + slowdown if job.tree.name == "new" else 1.0, spread, draw)

    return start


def gates(slowdown: float, spread: Spread, design: Design, count: int, seed: int) -> Counter[str]:
    """The outcomes of so many gates of one quantity."""
    margin = Margin(0.05, relative=True)
    return Counter(found.outcome for found in findings(slowdown, spread, design, count, seed, margin))


def findings(
    slowdown: float, spread: Spread, design: Design, count: int, seed: int, margin: Margin
) -> Iterator[GateFinding]:
    """What so many gates of one quantity find."""
    cell = Cell(
        "task", "1", "source", {}, "system", "nano", {}, "none", "default", {}, None, 25, "cpu", "float32", seed=0
    )
    old, new = (TimingJob(CodeTree(Path(name), name), cell, Path(), {}, (), (25,)) for name in ("old", "new"))
    entry = ComparedEntry("system", "task", "source", "", (), (), (0,), (0,), (), (), ())
    draw = random.Random(seed)
    for _ in range(count):
        start = simulated(slowdown, spread, draw)
        rules = SpeedRules(margin, design, 1, "", start, itertools.count().__next__)
        yield from timed(entry, old, new, rules)


@pytest.mark.parametrize("between", [0.004, 0.012])
def test_the_processes_that_are_planned_show_five_per_cent(between: float) -> None:
    spread = Spread(between**2, 0.02**2, 5, 10)
    needed = sizes.processes_for(spread, 10, 1)
    assert needed is not None and needed >= 3
    assert sizes.visible(spread, needed, 10, 1) <= 0.05
    slower = gates(0.05, spread, Design(needed, 10), GATES, 4)
    assert slower["regression"] >= 0.9 * GATES, (needed, slower)
    alike = gates(0.0, spread, Design(needed, 10), GATES, 5)
    assert alike["regression"] <= 0.05 * GATES and alike["pass"] >= 0.8 * GATES, (needed, alike)


@pytest.mark.parametrize("recorded", [1, 2])
def test_the_processes_that_ordinary_records_plan_show_five_per_cent(recorded: int) -> None:
    """A run is timed in one process, which says nothing of others; they differ here as `compare` assumes they do."""
    truth, draw = Spread(2 * PROCESS_DEVIATION**2, 2 * 0.01**2, 5, 10), random.Random(8)
    processes = [SimulatedSide(1.0, truth, draw) for _ in range(recorded)]
    spread, basis = sizes.spread_between([[math.log(each.seconds(25)) for _ in range(20)] for each in processes])
    assert spread is not None and "2% assumed for how processes differ" in basis
    needed = sizes.processes_for(spread, 10, 1)
    assert needed is not None
    slower = gates(0.05, truth, Design(needed, 10), GATES, 9)
    assert slower["regression"] >= 0.9 * GATES, (needed, slower)


def test_a_loud_machine_passes_no_slowdown_unsaid() -> None:
    """Where 5 % cannot be seen the margin is what can be, and a slowdown of twice that is still found."""
    spread = Spread(0.05**2, 0.05**2, 5, 10)
    assert sizes.visible(spread, 5, 10, 1) > 0.05
    assert gates(0.0, spread, Design(5, 10), 100, 6)["regression"] <= 5
    assert gates(0.5, spread, Design(5, 10), 100, 7)["regression"] >= 90


def test_a_margin_that_was_widened_is_said_to_be() -> None:
    loud, quiet = Spread(0.05**2, 0.05**2, 5, 10), Spread(0.002**2, 0.002**2, 5, 10)
    default, stated = Margin(0.05, relative=True), Margin(0.05, relative=True, stated=True)
    (found,) = findings(0.0, loud, Design(5, 10), 1, 6, default)
    assert found.margin is not None and found.margin > 1.05
    assert f"the margin was widened from 5.0% to {found.margin - 1:.1%}, this machine's A/A noise floor" in found.why
    for spread, margin in ((quiet, default), (loud, stated)):
        (found,) = findings(0.0, spread, Design(5, 10), 1, 6, margin)
        assert found.margin == 1.05 and "widened" not in found.why
