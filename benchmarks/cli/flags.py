"""The flags that verbs share, and how they become choices."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from baselines.contract import UserError, unknown

if TYPE_CHECKING:
    from benchmarks.planning.run_config import Choices

_HELP = {
    "task": ("TASK", "what is asked: `list tasks` names them"),
    "system": ("NAME", "a contestant, or several with commas; may be repeated (default: those the task names)"),
    "preset": ("NAME", "size and recipe: nano, small or base (default: nano)"),
    "source": ("NAME", "where texts come from (default: the task's first)"),
    "limit": ("N", "use only the first N test documents"),
    "device": ("DEVICE", "auto, cpu, cuda or cuda:N (default: auto, CUDA where it is)"),
    "devices": (
        "DEVICE[,DEVICE]",
        "make the texts of each cell on all of these at once, such as cuda:0,cuda:1, or on `all` GPUs; the texts are "
        "those of one",
    ),
    "setting": (
        "NAME",
        "a way to generate, or several with commas, SYSTEM:NAME for one system's; may be repeated (default: the usual "
        "ones of each system; `list settings` names all)",
    ),
    "steps": ("N[,N]", "numbers of generation steps, a cell for each"),
    "metric": (
        "NAME",
        "a metric, or several with commas, or `evaluate:NAME` for one of that library; `usual`: those of the task that "
        "take seconds; `all`: those of the task; may be repeated (default: usual)",
    ),
    "seed": ("N", "the first seed (default: 0)"),
    "seeds": ("K", "how many seeds, one cell for each (default: 1)"),
    "timing": (
        "HOW",
        "rounds: systems and settings take turns; fresh: besides in three processes of their own, for numbers that are "
        "published (default: rounds)",
    ),
    "out": ("FOLDER", "the run's folder (default: runs/TASK-SOURCE-PRESET)"),
}

SETTING_HELP = """keys of --set and of the tables in --config:
  data.KEY                     size and seed of the source, such as data.train=500
  budget                       of every trained system: budget=300steps, 90seconds or 5e12flops
  batch_size, sweep            texts at once, and other numbers whose speed is measured: batch_size=64 sweep=8,512;
                               sweep=best searches the fastest number
  dtype, capture               float32 or bfloat16; off, compile or graph (CUDA), for all settings that know it
  evaluators.ROLE              the model that judges in a role, by name (`fetch --list`) or folder
  SYSTEM.recipe.KEY            of a system's size and training
  SYSTEM.setting.KEY           of how it generates, in all its settings
  SYSTEM.settings.NAME.KEY     in one of them"""


MODULE = "python -m benchmarks"
SCRIPT = "cosmos-bench"


def program() -> str:
    """The words this process was started with: the console script's name, or the module's."""
    return SCRIPT if os.path.basename(sys.argv[0]).removesuffix(".exe") == SCRIPT else MODULE


class BenchmarksParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence."""

    def __init__(self, verb: str, doc: str) -> None:
        super().__init__(
            prog=f"{program()} {verb}",
            description=doc.strip().replace(MODULE, program()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def set_help(self, flag: str, text: str) -> None:
        """Say of a shared flag what it means to this verb."""
        next(action for action in self._actions if action.dest == flag).help = text

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UserError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def parse(parser: BenchmarksParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a verb; an unknown flag is answered with the nearest ones."""
    arguments, extra = parser.parse_known_args(words)
    if extra:
        flags = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
        if extra[0].startswith("-"):
            raise unknown(f"flag of {parser.prog}", extra[0].partition("=")[0], flags)
        raise UserError(f"Cannot place the word '{extra[0]}'; see {parser.prog} --help.")
    return arguments


def add_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add some of the shared flags. All default to None, which means not given."""
    for name in names:
        meta, text = _HELP[name]
        parser.add_argument(
            f"--{name}",
            metavar=meta,
            help=text,
            action="append" if name in ("system", "setting", "metric") else "store",
        )


def add_run_flags(parser: BenchmarksParser) -> None:
    """All flags that decide what the cells of a run are."""
    add_flags(parser, *_HELP)
    add_settings(parser)
    parser.epilog = SETTING_HELP


def add_fresh(parser: BenchmarksParser) -> None:
    """`--fresh`, of the verbs that make something."""
    parser.add_argument("--fresh", action="store_true", help="delete what this command makes, and make it again")


def add_cell(parser: BenchmarksParser) -> None:
    """`--cell`, of the verbs that make cells."""
    parser.add_argument(
        "--cell",
        metavar="ID",
        help="only the cell with this id, or these first digits of it, beside other commands for cells of the same run",
    )


def add_track(parser: BenchmarksParser) -> None:
    """`--track`, of the verbs that make something to be looked at."""
    parser.add_argument(
        "--track",
        metavar="TRACKER",
        help="tell tensorboard, trackio, mlflow or wandb too: training curves meanwhile, scores and timings at the end",
    )


def add_settings(parser: BenchmarksParser) -> None:
    """`--set`, `--config` and `--offline`."""
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change one option; repeatable")
    parser.add_argument(
        "--config", metavar="FILE.toml", help="flags as keys and --set keys as tables; the command line beats it"
    )
    parser.add_argument(
        "--offline",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="never touch the network (default: on; --no-offline allows it)",
    )


def source_of(typed: str | None) -> str:
    """The source named, or the built-in one.

    Raises:
        UserError: there is no such source.
    """
    from benchmarks.data import source

    name = typed or "world"
    if name not in source.names():
        raise unknown("source", name, source.names())
    return name


def choices_of(arguments: argparse.Namespace) -> Choices:
    """The choices of a command, and its offline switch thrown before any library can look for a network."""
    from benchmarks.planning.run_config import FLAGS, gather, go_offline

    flags = {name: getattr(arguments, name, None) for name in FLAGS}
    choices = gather(flags, getattr(arguments, "set", ()), getattr(arguments, "config", None))
    if choices.offline:
        go_offline()
    return choices
