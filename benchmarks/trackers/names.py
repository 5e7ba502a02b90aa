"""The trackers there are, which are those of accelerate, and what each needs. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from baselines.contract import UserError, unknown

PROJECT = "cosmos-bench"  # what a run's trainings are filed under
TRACKERS: Mapping[str, str] = {  # name, which is that of its package too -> the command that adds it
    "tensorboard": "pip install -c constraints.txt -e '.[track]'",
    "trackio": "pip install -c constraints.txt -e '.[track]'",
    "mlflow": "pip install mlflow",
    "wandb": "pip install wandb",
}


def check(name: str) -> None:
    """See that a tracker can be written to.

    Raises:
        UserError: there is none of that name, or its package is not here.
    """
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    if find_spec(name) is None:
        raise UserError(f"Tracking with {name} needs a package that is not here; add it with: {TRACKERS[name]}")
