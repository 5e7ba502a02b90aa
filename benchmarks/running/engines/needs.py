"""What each stage of a cell takes of a machine, and what that does to its timing. No engine is imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from baselines.contract import UserError
from benchmarks.running.runner import Stage

BESIDE = "made beside other work on its device, as was asked for"
"""What a timing says that was not alone on its device."""


@dataclass(frozen=True)
class Machine:
    """A node of a cluster."""

    cpus: float
    gpus: float


@dataclass(frozen=True)
class Shares:
    """What was asked for.

    Attributes:
        gpus: GPUs of a training, a whole one or a share of it; None for one.
        cpus: cores of a stage; None for a machine's where cells run on the CPU, else those that go with their GPU.
        timed: whether texts are generated, and so timed, with no more than that.
    """

    gpus: float | None = None
    cpus: int | None = None
    timed: bool = False

    def __post_init__(self) -> None:
        if self.gpus is not None and not 0 < self.gpus <= 1:
            raise UserError(f"--gpus-per-cell must be more than 0 and at most 1, not {self.gpus:g}.")
        if self.cpus is not None and self.cpus < 1:
            raise UserError(f"--cpus-per-cell must be at least 1, not {self.cpus}.")


@dataclass(frozen=True)
class Needs:
    """What stages take, and what a timing is to say.

    Attributes:
        stages: cores and GPUs of each.
        threads: of each; None where cores were not asked for, and the libraries decide. It is said of all or of none,
            as the process of one stage may be another's before.
    """

    stages: Mapping[Stage, tuple[float, float]]
    threads: Mapping[Stage, int] | None
    beside: str | None


def needs(machines: Iterable[Machine], device: str, asked: Shares, budgets_in_seconds: bool) -> Needs:
    """What the stages of a run's cells take.

    Training may share a device where that is asked for; generating, which is timed, has a device of its own: a GPU, or
    all cores of a machine, unless that too is asked for. Scoring takes cores alone.

    Raises:
        UserError: no machine has that, or what is asked for has no effect or would make budgets unequal.
    """
    known = list(machines)
    shared = asked.gpus is not None and asked.gpus < 1
    if device == "cpu":
        if asked.gpus is not None:
            raise UserError("--gpus-per-cell has no effect with --device cpu; leave it out, or take --device cuda.")
        most = max((machine.cpus for machine in known), default=0.0)
        cpus = float(asked.cpus or most)
        shared = cpus < most
        if cpus > most or most <= 0:
            raise UserError(f"No machine of the cluster has {max(cpus, 1):g} cores; the largest has {most:g}.")
        timed = cpus if asked.timed else most
        stages: dict[Stage, tuple[float, float]] = {"fit": (cpus, 0), "generate": (timed, 0), "score": (cpus, 0)}
    else:
        with_gpus = [machine for machine in known if machine.gpus >= 1]
        if not with_gpus:
            raise UserError("No machine of the cluster has a GPU; take --device cpu, or start Ray with --num-gpus.")
        of_each = min(machine.cpus // machine.gpus for machine in with_gpus)
        gpus = asked.gpus or 1.0
        # A core of those that go with a GPU is left to scoring, where there are several.
        cpus = float(asked.cpus or max(1, int(of_each * gpus) - 1))
        if cpus > max(machine.cpus for machine in with_gpus):
            raise UserError(f"No machine of the cluster with a GPU has {cpus:g} cores.")
        stages = {"fit": (cpus, gpus), "generate": (cpus, gpus if asked.timed else 1.0), "score": (cpus, 0)}
    if shared and budgets_in_seconds:
        raise UserError(
            "A budget in seconds buys less on a device that is shared; give it in steps or FLOPs, or leave out "
            "--gpus-per-cell and --cpus-per-cell."
        )
    if asked.timed and not shared:
        share = "--cpus-per-cell, fewer than a machine has" if device == "cpu" else "--gpus-per-cell, less than 1"
        raise UserError(f"--share-timed has no effect where no device is shared; leave it out, or give {share}.")
    threads = None if asked.cpus is None else {stage: int(cpus) for stage, (cpus, _) in stages.items()}
    return Needs(stages, threads, BESIDE if asked.timed else None)
