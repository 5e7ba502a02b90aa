"""How much worse is still good enough: the `[gate]` table of a configuration, and what holds where it says nothing.

    [gate]
    exact_j = 0.02       # of a score, in its own units
    bleu = 1.5
    nll = "1%"           # of the baseline's value
    chrf = false         # is not gated
    others = false       # nor is any metric that is not named here (default: true)
    speed = "5%"         # more seconds
    calls = 0            # more network calls

Standard library only: a command reads it before anything is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from baselines.contract import UserError, unknown
from benchmarks.planning.overrides import shortened
from benchmarks.records.schema import Score

TABLE = "gate"
SPEED, CALLS, OTHERS = "speed", "calls", "others"
DEFAULTS = """margins where the table [gate] says nothing:
  scores from 0 to 1 (or -1 to 1)   0.02, which is 2 points
  scores from 0 to 100              2
  scores of another scale           2 % of the baseline's value
  scores without a direction        not gated
  seconds                           5 %, or the A/A noise floor of the machine, where that is more
  network calls                     1 %"""

_SHARE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*")
_RANGES = ((re.compile(r"\b0 to 100\b"), 2.0), (re.compile(r"(?:\b0|-1) to 1\b"), 0.02))


@dataclass(frozen=True)
class Margin:
    """A loss that still passes.

    Attributes:
        amount: in the units of the score; of the baseline's value where `relative`.
        stated: whether the user said it.
    """

    amount: float
    relative: bool = False
    stated: bool = False

    def of(self, baseline: float) -> float:
        """In the units of the score, for a baseline of that value."""
        return self.amount * abs(baseline) if self.relative else self.amount

    def __str__(self) -> str:
        return f"{100 * self.amount:g} %" if self.relative else f"{self.amount:g}"


@dataclass(frozen=True)
class Margins:
    """All margins of a gate: None of a metric that is not gated.

    Attributes:
        metrics: those that the user said.
        others: whether metrics that the user did not name are gated.
    """

    metrics: Mapping[str, Margin | None] = field(default_factory=dict)
    others: bool = True
    speed: Margin | None = Margin(0.05, relative=True)
    calls: Margin | None = Margin(0.01, relative=True)

    def of(self, score: Score) -> Margin | None:
        """The margin of a metric, by the score that the baseline has by it."""
        if score.direction == "none":
            return None
        if score.metric in self.metrics:
            return self.metrics[score.metric]
        return default(score) if self.others else None


def default(score: Score) -> Margin:
    """By the range that the metric's definition states, or that of its texts' scores; else relative."""
    for pattern, amount in _RANGES:
        if pattern.search(score.summary):
            return Margin(amount)
    values = [value for value in score.values or () if value is not None]
    if values and min(values) >= 0 and max(values) <= 1:
        return Margin(0.02)
    return Margin(0.02, relative=True)


def read(table: Any, where: str) -> Margins:
    """The margins of a `[gate]` table.

    Args:
        where: what errors call the place, such as "plan.toml".

    Raises:
        UserError: it is no table, or has an unknown metric, or a margin that is negative or none.
    """
    from benchmarks.metrics.core import metric_names  # not at the top: what trains and times imports no metric

    if not isinstance(table, Mapping):
        raise UserError(f"[{TABLE}] in {where} must be a table of margins, such as exact_j = 0.02.")
    metrics: dict[str, Margin | None] = {}
    others, rates = True, {SPEED: Margins.speed, CALLS: Margins.calls}
    for key, value in table.items():
        name = f"{TABLE}.{key} in {where}"
        if key == OTHERS:
            if not isinstance(value, bool):
                raise UserError(f"{name} must be true or false, not {shortened(value)}.")
            others = value
        elif key in rates:
            rates[key] = _margin(value, name, relative=True)
        else:
            if not key.startswith("evaluate:") and key not in metric_names.names():
                raise unknown(f"metric of [{TABLE}] in {where}", key, [*metric_names.names(), *rates, OTHERS])
            metrics[key] = _margin(value, name)
            if metrics[key] is not None and metric_names.find(key).direction == "none":
                raise UserError(f"{name} has no effect: neither more nor less of {key} is better; leave it out.")
    return Margins(metrics, others, rates[SPEED], rates[CALLS])


def _margin(value: Any, name: str, *, relative: bool = False) -> Margin | None:
    """A number, a share such as "5%", or false for none."""
    if value is False or (isinstance(value, str) and value.lower() == "false"):
        return None
    share = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if share is not None:
        return Margin(float(share.group(1)) / 100, relative=True, stated=True)
    try:
        amount = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not math.isfinite(amount) or amount < 0:
        raise UserError(
            f'{name} must be a number that is not negative, a share such as "5%", or false, not {shortened(value)}.'
        )
    return Margin(amount, relative, stated=True)
