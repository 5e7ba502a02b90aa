"""Compare two runs, commits or systems: is B better or worse than A, or can that not be told?

A and B are folders of runs, records as they were published, git commits whose runs lie below a folder, or one system of
any of these: RUN:SYSTEM or RUN:SYSTEM/SETTING. Scores are compared document by document, corpus scores with both sides'
documents resampled together, speeds by ratios, all tests corrected together; beside each stands the smallest change
that could have been seen. What must not be compared (other documents, evaluators, normalisation, tokenizers, for speed
other machines) is refused, and named. Exit code 0 whatever comes out: `gate` is what fails.

examples:
  python -m benchmarks compare runs/before runs/after
  python -m benchmarks compare HEAD~1 HEAD --below runs
  python -m benchmarks compare runs/detox-world-nano:gpt2/greedy runs/detox-world-nano:mdlm/confidence-24
  python -m benchmarks compare runs/before runs/after --metric exact_j,latency --out comparison
  python -m benchmarks compare runs/before runs/after --json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.flags import BenchmarksParser
from cosmos.io.terminal import say


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("a", metavar="A", help="what was before: a run, a commit, or RUN:SYSTEM[/SETTING]")
    parser.add_argument("b", metavar="B", help="what is now, likewise; the answer is about it")
    parser.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        default=[],
        help="only these: metrics, calls, latency, throughput, several with commas; may be repeated (default: all)",
    )
    parser.add_argument(
        "--below", metavar="FOLDER", default="runs", help="where the runs of a commit are looked for (default: runs)"
    )
    parser.add_argument("--device", metavar="DEVICE", help="where models judge, should they have to (default: cpu)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.add_argument("--out", metavar="FOLDER", help="write Markdown, LaTeX, HTML and JSON into this folder too")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks import api

    comparison = api.compare(
        arguments.a, arguments.b, metrics=arguments.metric, below=arguments.below, device=arguments.device or "cpu"
    )

    from reports.comparison import report

    if arguments.json:
        print(report.as_json(comparison))
    else:
        say(report.terminal(comparison))
    if arguments.out is not None:
        for kind, path in report.write(comparison, Path(arguments.out)).items():
            if not arguments.json:
                say(f"{kind}: {path}")
    return 0
