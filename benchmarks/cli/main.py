"""From words to a verb; `cosmos.io.terminal` says how a command ends."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from baselines.contract import unknown
from benchmarks.cli.flags import BenchmarksParser, parse
from cosmos.io.terminal import answer

VERBS = (
    "run", "study", "plan", "fit", "generate", "score", "merge", "report", "show", "compare", "speed", "tune",
    "train-decoder", "list", "doctor", "fetch",
)  # fmt: skip

_HELP = """usage: python -m benchmarks VERB [flags]

Trains or loads every contestant under one budget, generates, times what it generates, scores exactly those texts, and
writes a report.

{verbs}

examples:
  python -m benchmarks run --task detox                 everything, on this machine, about five minutes
  python -m benchmarks plan --task detox --steps 8,32   what that would be, and how long it would take
  python -m benchmarks VERB --help                      the flags of a verb"""


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    return answer(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_HELP.format(verbs="\n".join(f"  {verb:14}{_summary(verb)}" for verb in VERBS)))
        return 0
    verb = words[0]
    if verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    module = importlib.import_module(f"benchmarks.cli.{verb.replace('-', '_')}")
    parser = BenchmarksParser(verb, module.__doc__ or "")
    module.add_arguments(parser)
    code: int = module.main(parse(parser, words[1:]))
    return code


def _summary(verb: str) -> str:
    module = importlib.import_module(f"benchmarks.cli.{verb.replace('-', '_')}")
    return (module.__doc__ or "").split("\n", 1)[0].rstrip(".")
