"""Trains tiny systems in several processes, as `torchrun` launches them, but forked, so that torch is imported once.

    python launched_systems.py FOLDER ENCODER NAME [NAME ...] [--processes COUNT] [--steps STEPS] [--rows ROWS]

The log then has every step. With --stop the training of each system ends by an error after so many steps, in all of its
processes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import fit, make, with_training

from baselines.contract import Budget
from cosmos.training import loop


class StopError(Exception):
    """Ends a training from outside."""


def train(options: argparse.Namespace) -> None:
    loop.LOG_EVERY = 1
    for name in options.names:
        system = make(name, options.encoder)
        changes = {} if options.rows is None else {"batch_size": options.rows}
        system = type(system)(with_training(system.recipe, checkpoint_seconds=0.0, **changes), system.limits)
        passed = iter(range(10**6))

        def progress(stage: str, share: float, loss: float | None, passed=passed) -> None:
            if next(passed) == options.stop:
                raise StopError

        try:
            fit(system, options.folder / name, Budget(options.steps, "steps"), progress=progress)
        except StopError:
            print("stopped", name, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--stop", type=int, default=-1)
    options = parser.parse_args()
    if options.processes == 1:
        train(options)
        return
    here = LaunchConfig(
        1, 1, options.processes, run_id="tiny", rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="fork"
    )
    elastic_launch(here, train)(options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
