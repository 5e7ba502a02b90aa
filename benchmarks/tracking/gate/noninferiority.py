"""Good enough, worse, or not to be told: one-sided non-inferiority with a margin.

A change passes where the one-sided 95 % limit of its loss is below the margin, so what is worse by the margin passes in
one of twenty cases at most. It is a regression where it does not pass and a loss is shown: a test of its whole family,
of which 5 % at most claim a loss that is none. Otherwise there is too little to go by, and so much is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from benchmarks.stats.evidence import Evidence
from benchmarks.stats.intervals import LEVEL

GateOutcome = Literal["pass", "regression", "cannot judge"]

_ONE_SIDED = 2 * LEVEL - 1  # the level of a two-sided interval each limit of which is one-sided at 95 %


@dataclass(frozen=True)
class Loss:
    """How much worse something became, in the units of its change: below 0 where it became better.

    Attributes:
        most, least: one-sided limits at 95 %; infinite where nothing is known of the spread.
    """

    estimate: float
    least: float
    most: float


def loss_of(evidence: Evidence, worse: Literal["up", "down"]) -> Loss:
    """The loss of a change, of which `worse` is the bad direction."""
    sign = 1.0 if worse == "up" else -1.0
    estimate = sign * (evidence.change - evidence.null)
    limits = evidence.interval(_ONE_SIDED)
    if limits is None:
        return Loss(estimate, -math.inf, math.inf)
    ends = sorted(sign * (limit - evidence.null) for limit in (limits.low, limits.high))
    return Loss(estimate, ends[0], ends[1])


def judge(loss: Loss, margin: float, *, shown: bool) -> GateOutcome:
    """The outcome.

    Args:
        margin: the loss that still passes, not negative.
        shown: whether a test says that there is a loss.
    """
    assert margin >= 0, "a margin is no gain"
    if loss.most < margin:
        return "pass"
    return "regression" if shown else "cannot judge"


def shown(evidence: Evidence, worse: Literal["up", "down"], factor: float) -> bool:
    """Whether a change is significantly for the worse, its p-value times the factor of its family (`holm_factors`).

    As in tables, interval and p-value must agree.
    """
    loss = evidence.change - evidence.null if worse == "up" else evidence.null - evidence.change
    limits = evidence.interval(1 - (1 - LEVEL) / factor)
    if loss <= 0 or limits is None or factor * evidence.p > 1 - LEVEL + 1e-12:
        return False
    return not limits.low <= evidence.null <= limits.high
