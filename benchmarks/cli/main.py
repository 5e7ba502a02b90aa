"""From words to a verb; `cosmos.io.terminal` says how a command ends."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from keyword import iskeyword
from types import ModuleType

from baselines.contract import UserError, unknown
from benchmarks.cli.flags import MODULE, SCRIPT, BenchmarksParser, parse, program
from cosmos.io import launched
from cosmos.io.terminal import answer, say

VERBS = (
    "run", "study", "plan", "fit", "generate", "import", "score", "merge", "report", "show", "compare", "gate",
    "history", "audit", "speed", "tune", "train-decoder", "list", "doctor", "fetch", "completion",
)  # fmt: skip

_LAUNCHED = ("fit", "train-decoder")  # in which processes that were launched together share the work
_FAULTS = {"gate": 2}  # exit codes of faults of ours, where 1 means something else: here, a regression

_START = """\
Trains or loads every contestant under one budget, generates, times what it generates, scores exactly those texts, and
writes a report.

where to start:
  python -m benchmarks doctor               what works on this machine, and the command that adds what is missing
  python -m benchmarks plan --task detox    what the next line would do, and about how long it would take
  python -m benchmarks run --task detox     Cosmos, GPT-2 and MDLM, trained here and compared, in minutes, without a GPU
  python -m benchmarks list                 the tasks, systems, settings, metrics and sources there are

python -m benchmarks --help names all verbs, python -m benchmarks VERB --help the flags of one."""

_HELP = """usage: python -m benchmarks VERB [flags]

Trains or loads every contestant under one budget, generates, times what it generates, scores exactly those texts, and
writes a report.

{verbs}

without a verb:
  --version       the version of this package
  --constraints   the file of tested versions, for pip install -c

examples:
  python -m benchmarks run --task detox                 everything, on this machine; a laptop takes four to nine minutes
  python -m benchmarks plan --task detox --steps 8,32   what that would be, and how long it would take
  python -m benchmarks VERB --help                      the flags of a verb"""


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    return answer(lambda: _run(words), _FAULTS.get(words[0]) if words else None)


def _run(words: Sequence[str]) -> int:
    if not words:
        say(_START.replace(MODULE, program()))
        return 0
    verb = words[0]
    if verb in ("-h", "--help"):
        verbs = "\n".join(f"  {verb:14}{_summary(verb)}" for verb in VERBS)
        say(_HELP.format(verbs=verbs).replace(MODULE, program()))
        return 0
    if verb in ("-V", "--version"):
        from cosmos import __version__

        say(f"{SCRIPT} {__version__}")
        return 0
    if verb == "--constraints":
        from benchmarks.tested_versions import constraints

        say(str(constraints()))
        return 0
    if verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    if verb not in _LAUNCHED and launched.launch() is not None:
        raise UserError(
            f"Launched processes share the work of {' and '.join(_LAUNCHED)} alone; give {verb} without a launcher, "
            "and --devices where texts are made."
        )
    module = module_of(verb)
    parser = BenchmarksParser(verb, module.__doc__ or "")
    module.add_arguments(parser)
    code: int = module.main(parse(parser, words[1:]))
    return code


def module_of(verb: str) -> ModuleType:
    """The module of a verb, whose name ends with an underscore where Python keeps the word for itself."""
    return importlib.import_module(f"benchmarks.cli.{verb.replace('-', '_')}{'_' * iskeyword(verb)}")


def _summary(verb: str) -> str:
    return (module_of(verb).__doc__ or "").split("\n", 1)[0].rstrip(".")
