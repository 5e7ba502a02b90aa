"""How many latents, and how wide: every combination trained, compared and drawn.

A run whose contestants are Cosmos with each number of latents (`full`: one for every position) in each width, all
under one budget. They are systems named cosmos-N and cosmos-NxW, so records, resuming and all else are those of `run`,
and its report has a table and a figure by number and by width besides. Keys and settings of `cosmos` are meant for each
of them, unless `--system` names `cosmos` itself: then they are its own, and each combination takes keys under its name
(`--set cosmos-8.recipe.KEY`). `--system` adds rivals.

examples:
  python -m benchmarks study --task story --latents 8,16,32,full
  python -m benchmarks study --task story --preset small --latents 8,16,32,64,full --latent-width 32,64,128,384
  python -m benchmarks study --task detox --latents 4,8 --latent-width 32,64 --system tencdm --setting dpmpp_2m-20
"""

from __future__ import annotations

import argparse

from benchmarks.cli.engine import add_engine
from benchmarks.cli.flags import BenchmarksParser, add_fresh, add_run_flags, add_track, choices_of


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("--latents", metavar="N[,N]", required=True, help="numbers of latents, full among them")
    parser.add_argument("--latent-width", metavar="W[,W]", help="widths of a latent (default: that of the preset)")
    add_run_flags(parser)
    parser.set_help("out", "the run's folder (default: runs/TASK-SOURCE-PRESET-study)")
    parser.set_help("system", "rivals besides, or several with commas; may be repeated (default: none)")
    add_fresh(parser)
    add_engine(parser)
    add_track(parser)


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.cli.run import carry_out
    from benchmarks.planning import study

    names = study.contestants(arguments.latents, arguments.latent_width)
    choices = study.choose(choices_of(arguments), names)
    return carry_out(choices, ("fit", "generate", "score"), arguments)
