"""The flags that say who makes the cells of a run, and what follows from them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from baselines.contract import UserError, unknown
from benchmarks.cli.flags import BenchmarksParser, choices_of

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan
    from benchmarks.running.cell_status import CellStatus, ProgressReporter
    from benchmarks.running.engines.engine import Engine
    from benchmarks.running.runner import Stage

ENGINES = ("local", "ray")


def add_engine(parser: BenchmarksParser) -> None:
    """`--engine` and what goes with it."""
    parser.add_argument(
        "--engine",
        metavar="NAME",
        default="local",
        help="local: this process; ray: the workers of a Ray cluster (docs/clusters.md; default: local)",
    )
    ray = parser.add_argument_group("with --engine ray")
    ray.add_argument(
        "--address", metavar="HOST:PORT", help="of the cluster's head (default: the cluster Ray finds, or this machine)"
    )
    ray.add_argument(
        "--gpus-per-cell", metavar="G", help="a share of a GPU for each training, such as 0.5 (default: 1)"
    )
    ray.add_argument(
        "--cpus-per-cell",
        metavar="N",
        help="cores of each stage (default: a whole machine's on the CPU, those that go with its GPU on CUDA)",
    )
    ray.add_argument(
        "--share-timed",
        action="store_true",
        help="texts, too, are made on devices that are shared; their timings are then not valid, and say so",
    )


def chosen(arguments: argparse.Namespace) -> Engine | None:
    """How a plan is carried out by the engine that was chosen; None for this process itself.

    Raises:
        UserError: an unknown engine, flags that have no effect, or no cluster.
    """
    name = arguments.engine
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    own = {"--address": arguments.address, "--gpus-per-cell": arguments.gpus_per_cell}
    own |= {"--cpus-per-cell": arguments.cpus_per_cell, "--share-timed": arguments.share_timed or None}
    if name == "local":
        given = next((flag for flag, value in own.items() if value is not None), None)
        if given is not None:
            raise UserError(f"{given} has an effect only with --engine ray.")
        return None
    if getattr(arguments, "cell", None) is not None:
        raise UserError("--cell is of one process; leave out --engine ray, or --cell.")
    if choices_of(arguments).devices:
        raise UserError("--devices is of this machine; leave it out with --engine ray, or take --engine local.")
    from benchmarks.planning.overrides import CliValue, convert

    gpus, cpus = arguments.gpus_per_cell, arguments.cpus_per_cell
    from benchmarks.running.engines.needs import Shares

    shares = Shares(
        None if gpus is None else convert(CliValue(gpus), float, "--gpus-per-cell"),
        None if cpus is None else convert(CliValue(cpus), int, "--cpus-per-cell"),
        arguments.share_timed,
    )
    from benchmarks.running.engines import cluster
    from benchmarks.running.engines.engine import Engine

    cluster.connect(arguments.address)

    def run(plan: Plan, voice: ProgressReporter, stages: Sequence[Stage], fresh: bool) -> CellStatus:
        from benchmarks.running.engines import launch

        return launch.run(plan, voice, stages, fresh=fresh, shares=shares)

    return Engine(device_of, run)


def device_of(name: str) -> str:
    """A device that the cluster has: "auto" takes CUDA where any node has a GPU.

    Raises:
        UserError: it is none, or names one GPU of several, of which Ray chooses.
    """
    from benchmarks.records import environment
    from benchmarks.running.engines import cluster

    if environment.is_cuda(name) and name != "cuda":
        raise UserError(f"Ray chooses which GPU a cell has; take --device cuda in place of {name}.")
    has_gpus = any(node.machine.gpus >= 1 for node in cluster.nodes())
    if name == "auto":
        return "cuda" if has_gpus else "cpu"
    return name if name == "cuda" else environment.find_device(name)
