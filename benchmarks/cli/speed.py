"""Measure how fast systems generate and train, with random weights.

Nothing is trained and nothing scored: no quality may be read from this. Every text is written to its full length.
Measured are a batch from requests to texts, one call of each network, GPU memory, and training steps; beside them stand
the network calls and operations that were counted, as shares of what this machine was measured to do at best. Killed or
interrupted, the same command goes on where it stopped.

examples:
  python -m benchmarks speed --system gpt2,mdlm --batch 1,8 --length 32
  python -m benchmarks speed --preset base --out runs/speed-base
  python -m benchmarks speed --system cosmos --setting cosmos:release-200 --steps 10,50 --capture off,graph
  python -m benchmarks speed --training-steps all                 training alone, on random rows, in every way
  python -m benchmarks speed --training-steps gpt2,mdlm --profile
  python -m benchmarks speed --system cosmos-16 --setting cosmos-16:release-200 --steps 10 --batch 512 --profile
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of
from cosmos.io.errors import check_range
from cosmos.io.terminal import say

_FLAGS = {  # field of `benchmarks.speed.lines.SpeedOptions` -> flag, what it takes, what it is
    "batches": ("batch", "N[,N]", "sizes of a batch (default: 1,8,64,512)"),
    "length": ("length", "N", "positions of a text, the given first one included (default: 128)"),
    "vocabulary": ("vocabulary", "N", "tokens of the made-up vocabulary (default: 30522)"),
    "capture": ("capture", "NAME[,NAME]", "off, compile or graph (default: the fastest of each setting)"),
    "seconds": ("seconds", "S", "how long repeats of one entry may go on (default: 1.5)"),
}


_DTYPES = ("float32", "bfloat16")
_DEFAULT = (
    "gpt2,cosmos-16,cosmos-full,mdlm,tencdm,duo,sedd,ld4lg,diffuseq"  # as `benchmarks.speed.lines.LINES` has them
)


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "system", "preset", "setting", "steps", "device")
    parser.set_help("system", f"whose speed is measured, or several with commas; may be repeated (default: {_DEFAULT})")
    parser.set_help("preset", "size of the networks, which have random weights: nano, small or base (default: nano)")
    parser.set_help(
        "setting",
        "a way to generate, or several with commas, SYSTEM:NAME for one system's; may be repeated (default: of a "
        "system that is named the usual ones, and else those that docs/speed.md compares)",
    )
    parser.set_help("steps", "numbers of generation steps, a line of the table for each")
    for flag, meta, text in _FLAGS.values():
        parser.add_argument(f"--{flag}", metavar=meta, help=text)
    parser.add_argument(
        "--training", action=argparse.BooleanOptionalAction, default=None, help="training steps too (default: on)"
    )
    parser.add_argument(
        "--training-steps",
        metavar="NAME[,NAME]",
        help="nothing but training steps, on random rows of story-like lengths: launched, as CUDA graphs, compiled; "
        "all, or lines by name: autoencoder-16, denoiser-16, denoiser-92, gpt2, mdlm, autoencoder-128-base, "
        "denoiser-128-base, sedd, duo, diffuseq; besides it there are --vocabulary, --profile, --device and --out",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="the kernels that take longest: of each generation and a call of its networks, in place of times, "
        "and on a GPU where a generation's time lies; with --training-steps, of a step",
    )
    parser.add_argument("--dtype", metavar="NAME", help="float32 or bfloat16 (default: bfloat16 on a GPU)")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="where records and tables go (default: runs/speed-PRESET, or runs/training-steps)",
    )
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change one option; repeatable")
    parser.epilog = """keys of --set:
  SYSTEM.recipe.KEY            of a system's size and training
  SYSTEM.setting.KEY           of how it generates, in all its settings
  SYSTEM.settings.NAME.KEY     in one of them"""


def main(arguments: argparse.Namespace) -> int:
    from baselines.contract import UserError, unknown
    from benchmarks.progress import ConsoleReporter
    from benchmarks.records import environment

    if arguments.training_steps is not None:
        _refuse_idle(arguments)
    choices = choices_of(arguments)
    flag_values = _options_given(arguments)
    if arguments.dtype not in (None, *_DTYPES):
        raise unknown("dtype", arguments.dtype, _DTYPES)
    device = environment.find_device(choices.device)
    dtype = arguments.dtype or ("bfloat16" if device.startswith("cuda") else "float32")

    if arguments.training_steps is not None:
        return _training_steps(arguments, device)
    if arguments.profile and arguments.training:
        raise UserError("--profile without --training-steps is of generating; name training steps with those.")

    from benchmarks.speed import lines, measure_all, profiles

    training = arguments.training is not False and not arguments.profile
    options = lines.SpeedOptions(choices, training=training, **flag_values)
    entries = lines.entries(options, device, dtype)
    folder = Path(choices.out or f"runs/speed-{choices.preset}")
    if arguments.profile:
        say(f"kernels: {profiles.run(entries, options, folder, device, dtype, ConsoleReporter())}")
        return 0
    speed = measure_all.run(entries, options, folder, device, dtype, ConsoleReporter())

    from reports.speed import report

    written = report.write(folder)
    say(report.terminal(folder))
    for kind, path in written.items():
        say(f"{kind}: {path}")
    return 1 if any(record.status == "failed" for record in speed.measured) else 0


_IDLE = ("system", "preset", "setting", "steps", "batch", "length", "capture", "seconds", "training", "dtype", "set")


def _refuse_idle(arguments: argparse.Namespace) -> None:
    """Raise `UserError` for the first flag that says nothing to `--training-steps`."""
    from baselines.contract import UserError

    for name in _IDLE:
        if getattr(arguments, name) not in (None, []):
            raise UserError(
                f"--{name} has no effect on --training-steps, whose lines have systems, sizes and precision of their "
                "own; leave it out."
            )


def _training_steps(arguments: argparse.Namespace, device: str) -> int:
    """The table of training steps, without data and reports."""
    from baselines.contract import UserError
    from benchmarks.speed import step_lines, step_records, step_table
    from cosmos.io.files import write_json

    names = tuple(part.strip() for part in arguments.training_steps.split(",") if part.strip())
    if not names:
        raise UserError("--training-steps names no line; write all, or some such as gpt2,mdlm.")
    lines = step_lines.lines_named(() if names == ("all",) else names)
    vocabulary = _options_given(arguments).get("vocabulary", step_table.TableOptions.vocabulary)
    check_range("--vocabulary", vocabulary, 64, 10_000_000)
    options = step_table.TableOptions(device, vocabulary=vocabulary, profiled=arguments.profile)
    folder = Path(arguments.out or "runs/training-steps")
    with step_records.opened(folder, device) as kept:
        found = step_table.table(lines, options, say, kept)
        write_json(folder / "training_steps.json", found)
    say(f"records: {folder}")
    return 1 if any(part["reason"] for part in found["steps"]) else 0


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
