"""What verbs share: flags, recipes by name, progress on a terminal."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos.io import launched
from cosmos.io.errors import UserError, unknown

if TYPE_CHECKING:
    from cosmos.pipeline import Pipeline
    from cosmos.recipes import Recipe
    from cosmos.training.config import Progress, TrainingResult, TrainingRun


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The `type` of a flag that takes a whole number between two."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = most + 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text[:40]!r}")
        return number

    return read


def finite_number(text: str) -> float:
    """The `type` of a flag that takes a number."""
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"must be a finite number, not {text[:40]!r}")
    return number


MANY = 1_000_000  # texts asked for at once
seed_number = whole_number(0, 2**63 - 1 - MANY)


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """What both stages are told."""
    parser.add_argument("data", metavar="DATA", type=Path, help="texts, or pairs, to learn from")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for everything this leaves")
    add_training_options(parser)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The same without where data are and what is made of them goes."""
    parser.add_argument("--validation", metavar="FILE", type=Path, help="held-out texts, of the same kind as DATA")
    parser.add_argument("--preset", default="nano", metavar="NAME", help="sizes and recipe: nano, small, base (nano)")
    parser.add_argument("--budget", metavar="AMOUNT", help="300steps, 90seconds or 5e12flops (the preset's share)")
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="everything random follows from it (0)"
    )
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (auto)")


def recipe(name: str) -> Recipe:
    """The recipe of a preset, or `UserError`."""
    from cosmos.recipes import RECIPES

    if name not in RECIPES:
        raise unknown("preset", name, RECIPES)
    return RECIPES[name]


def train(
    arguments: argparse.Namespace, where: str, stage: Callable[[TrainingRun], tuple[Pipeline, TrainingResult]]
) -> int:
    """Train a stage under the eyes of its user, save what it has made and print what it cost; of several processes that
    were launched together the first locks the folder, shows, saves and prints."""
    from cosmos.io.files import make_folder
    from cosmos.io.locks import locked
    from cosmos.training.config import TrainingRun, silent
    from cosmos.training.distributed import find_processes

    run = TrainingRun(arguments.out / "training", arguments.seed, where)
    if not launched.is_first():
        find_processes(where).wait()  # until the folder is locked
        stage(replace(run, progress=silent))
        find_processes(where).wait()  # until all is saved
        return 0
    make_folder(arguments.out)
    with locked(arguments.out):
        find_processes(where).wait()
        with progress_bars() as progress:
            pipeline, result = stage(replace(run, progress=progress))
        pipeline.save(arguments.out / "model")
        find_processes(where).wait()
    print(json.dumps({"model": str(arguments.out / "model"), **asdict(result)}, indent=2))
    return 0


def device(name: str) -> str:
    """A device by name, of a launched process its own; "auto" is CUDA where it is. Raises `UserError` where there is
    none."""
    import torch

    if name == "auto":
        return launched.own_device("cuda") if torch.cuda.is_available() else "cpu"
    try:
        parsed = torch.device(name)
    except RuntimeError:
        parsed = None
    if parsed is None or parsed.type not in ("cpu", "cuda"):
        raise UserError(f"There is no device '{name}'; use auto, cpu, cuda or cuda:N.")
    if parsed.type == "cuda" and (parsed.index or 0) >= torch.cuda.device_count():
        raise UserError(f"The device '{name}' is not there; use cpu.")
    return launched.own_device(name)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A `Progress` that shows one bar per stage with its loss and time left, on stderr, for the time of the block."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def progress(stage: str, share: float, loss: float | None) -> None:
        if stage not in bars:
            shape = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
            bars[stage] = tqdm(total=1.0, desc=stage, bar_format=shape, file=sys.stderr, mininterval=0.5)
        bar = bars[stage]
        if share < bar.n:  # another list of texts is encoded
            bar.reset()
        if loss is not None:
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update(share - bar.n)
        if share >= 1.0:
            bar.refresh()

    try:
        yield progress
    finally:
        for bar in bars.values():
            bar.close()
