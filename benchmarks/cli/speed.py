"""Measure how fast systems generate and train, with random weights.

Nothing is trained and nothing scored: no quality may be read from this. Every text is written to its full length.
Measured are a batch from requests to texts, one call of each network, GPU memory, and training steps; beside them stand
the network calls and operations that were counted, as shares of what this machine was measured to do at best. Killed or
interrupted, the same command goes on where it stopped.

examples:
  python -m benchmarks speed --system gpt2,mdlm --batch 1,8 --length 32
  python -m benchmarks speed --preset base --out runs/speed-base
  python -m benchmarks speed --system cosmos --setting cosmos:release-200 --steps 10,50 --capture off,graph
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of
from cosmos.io.terminal import say

_FLAGS = {  # field of `benchmarks.speed.lines.SpeedOptions` -> flag, what it takes, what it is
    "batches": ("batch", "N[,N]", "sizes of a batch (default: 1,8,64,512)"),
    "length": ("length", "N", "positions of a text, the given first one included (default: 128)"),
    "vocabulary": ("vocabulary", "N", "tokens of the made-up vocabulary (default: 30522)"),
    "capture": ("capture", "NAME[,NAME]", "off, compile or graph (default: the fastest of each setting)"),
    "seconds": ("seconds", "S", "how long repeats of one entry may go on (default: 1.5)"),
}


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "system", "preset", "setting", "steps", "device")
    for flag, meta, text in _FLAGS.values():
        parser.add_argument(f"--{flag}", metavar=meta, help=text)
    parser.add_argument(
        "--training", action=argparse.BooleanOptionalAction, default=True, help="training steps too (default: on)"
    )
    parser.add_argument("--dtype", metavar="NAME", help="float32 or bfloat16 (default: bfloat16 on a GPU)")
    parser.add_argument("--out", metavar="FOLDER", help="where records and tables go (default: runs/speed-PRESET)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change one option; repeatable")
    parser.epilog = """keys of --set:
  SYSTEM.recipe.KEY            of a system's size and training
  SYSTEM.setting.KEY           of how it generates, in all its settings
  SYSTEM.settings.NAME.KEY     in one of them"""


def main(arguments: argparse.Namespace) -> int:
    from baselines.contract import unknown
    from benchmarks.cli.progress import ConsoleReporter
    from benchmarks.records import environment

    choices = choices_of(arguments)
    flag_values = _options_given(arguments)
    if arguments.dtype not in (None, *_DTYPES):
        raise unknown("dtype", arguments.dtype, _DTYPES)
    device = environment.find_device(choices.device)
    dtype = arguments.dtype or ("bfloat16" if device.startswith("cuda") else "float32")

    from benchmarks.speed import lines, measure_all

    options = lines.SpeedOptions(choices, training=arguments.training, **flag_values)
    entries = lines.entries(options, device, dtype)
    folder = Path(choices.out or f"runs/speed-{choices.preset}")
    speed = measure_all.run(entries, options, folder, device, dtype, ConsoleReporter())

    from reports.speed import report

    written = report.write(folder)
    say(report.terminal(folder))
    for kind, path in written.items():
        say(f"{kind}: {path}")
    return 1 if any(record.status == "failed" for record in speed.measured) else 0


_DTYPES = ("float32", "bfloat16")


def _options_given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given, as values of the fields of `SpeedOptions`."""
    import typing

    from benchmarks.planning.overrides import CliValue, convert
    from benchmarks.speed.lines import SpeedOptions

    hints = typing.get_type_hints(SpeedOptions)
    assert set(_FLAGS) <= {field.name for field in dataclasses.fields(SpeedOptions)}
    return {
        name: convert(CliValue(text), hints[name], f"--{flag}")
        for name, (flag, _, _) in _FLAGS.items()
        if (text := getattr(arguments, flag)) is not None
    }
