"""How much training a system may spend, and what it has spent besides. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cosmos.io.errors import UserError

Unit = Literal["steps", "seconds", "flops"]
MOST: Mapping[str, float] = {"steps": 1e9, "seconds": 1e8, "flops": 1e28}  # of a budget: years on any machine


@dataclass(frozen=True)
class Cost:
    """What was done beside training steps, for which a budget in seconds or FLOPs pays."""

    seconds: float = 0.0
    flops: float = 0.0

    @classmethod
    def total(cls, parts: Iterable[Cost]) -> Cost:
        paid = list(parts)
        return cls(sum(part.seconds for part in paid), sum(part.flops for part in paid))

    def of_validation(self) -> Cost:
        """What is charged of work for validation: in FLOPs training alone costs, in seconds all that is done."""
        return Cost(self.seconds)


@dataclass(frozen=True)
class Budget:
    """An amount of training: optimiser steps, seconds of the training loop, or training FLOPs.

    Steps and FLOPs make a run repeatable to the byte; seconds make it comparable on one machine.
    """

    amount: float
    unit: Unit

    def __post_init__(self) -> None:
        if not 0 < self.amount < math.inf:
            raise UserError(f"A budget must be positive and finite, not {self.amount:g} {self.unit}.")
        if self.amount > MOST[self.unit]:
            raise UserError(f"A budget of {self.amount:g} {self.unit} never ends; ask for {MOST[self.unit]:g} at most.")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `300steps`, `90seconds` or `5e12flops` (a space between is allowed)."""
        squeezed = text.replace(" ", "").lower()
        for unit in get_args(Unit):
            if squeezed.endswith(unit):
                try:
                    return cls(float(squeezed.removesuffix(unit)), unit)
                except ValueError as error:
                    if isinstance(error, UserError):
                        raise
        raise UserError(
            f"Cannot read the budget '{text}'; write a number and a unit, such as 300steps, 90seconds or 5e12flops."
        )

    def part(self, share: float) -> Budget:
        """A share of this budget, for one stage of several."""
        return Budget(self.amount * share, self.unit)

    def after(self, cost: Cost, what: str) -> Budget:
        """What a cost leaves of this budget; a budget in steps pays for training alone.

        Args:
            what: the cost's name, for the error.

        Raises:
            UserError: it leaves nothing.
        """
        spent = {"steps": 0.0, "seconds": cost.seconds, "flops": cost.flops}[self.unit]
        if spent >= self.amount:
            raise UserError(
                f"{what} costs {spent:.3g}{self.unit}, which uses up the budget of {self}; "
                "give a larger budget or fewer texts."
            )
        return Budget(self.amount - spent, self.unit)

    def __str__(self) -> str:
        short = f"{self.amount:g}"  # where it is the amount itself; budgets are told apart by what is written here
        return f"{short if float(short) == self.amount else repr(float(self.amount))}{self.unit}"
