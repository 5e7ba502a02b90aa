"""Train the first stage of a system once, on corpora of any size, for many tasks.

For systems that diffuse what a frozen encoder makes of texts: `tencdm`, `ld4lg` (the first stage of `cosmos` has a
command of its own, python -m cosmos train-autoencoder). Corpora are .txt files (one text per line), or .jsonl or
.parquet with a column `text` or `target`; PATH=2 is seen twice as often as others. Texts are read row by row and
encoded in the training loop. Killed, the same command goes on where it stopped. Processes that torchrun or accelerate
launched share each batch (docs/devices.md).

What OUT then holds is used by `run --set SYSTEM.recipe.decoder=OUT`. Its training is in no budget of such runs: their
reports tell what it cost, and rank those entries among others on weights learnt elsewhere. Keys of the recipe that the
first stage does not read are refused.

examples:
  python -m benchmarks train-decoder --system tencdm --preset small --texts wiki.parquet --texts stories.parquet --out d
  python -m benchmarks run --task story --preset small --set tencdm.recipe.decoder=d
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Collection, Iterable
from pathlib import Path

from benchmarks.cli.flags import BenchmarksParser, add_flags

_MOST_TOKENS = 65_536


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "system", "preset", "device", "seed")
    parser.set_help("system", "whose first stage, one name: tencdm or ld4lg (needed)")
    parser.set_help("seed", "of first weights and of the order of texts (default: 0)")
    parser.add_argument("--texts", metavar="PATH[=WEIGHT]", action="append", default=[], help="a corpus; repeatable")
    parser.add_argument("--validation", metavar="FILE", help="held-out texts, of the same kinds")
    parser.add_argument("--out", metavar="OUT", help="folder for everything this leaves")
    parser.add_argument("--budget", metavar="AMOUNT", help="300steps, 90seconds or 5e12flops (the preset's share)")
    parser.add_argument("--max-tokens", metavar="N", default="128", help="longest text; longer ones are split (128)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change SYSTEM.recipe.KEY")


def main(arguments: argparse.Namespace) -> int:
    from baselines import registry
    from baselines.contract import Budget, Limits, TrainsSharedDecoder, UserError, silent, unknown
    from benchmarks.planning.ignored_keys import change_recipe
    from benchmarks.planning.overrides import CliValue, convert, split_assignment
    from benchmarks.planning.run_config import gather
    from benchmarks.progress import ConsoleReporter
    from benchmarks.records import environment
    from cosmos.io import launched

    names = [name for given in arguments.system or [] for name in given.split(",") if name]
    if len(names) != 1 or not arguments.texts or not arguments.out:
        raise UserError("Name one system with --system, corpora with --texts, and a folder with --out.")
    choices = gather({"seed": arguments.seed, "preset": arguments.preset})  # bounded as those of a run
    name, preset, seed = names[0], choices.preset, choices.seed
    if name not in registry.names():
        raise unknown("system", name, registry.names())
    system_class = registry.find(name)
    if preset not in system_class.presets:
        raise unknown(f"preset of {name}", preset, system_class.presets)
    longest = convert(CliValue(arguments.max_tokens), int, "--max-tokens")
    if not 3 <= longest <= _MOST_TOKENS:
        raise UserError(f"--max-tokens must lie between 3 and {_MOST_TOKENS}, not {longest}.")
    limits, changes = Limits(0, longest), dict(map(split_assignment, arguments.set))
    prefix = f"{name}.recipe."
    for key in changes:
        if not key.startswith(prefix):
            raise UserError(f"{key} is none of the keys of {prefix}KEY, which alone can be set here.")
    made = {key.removeprefix(prefix): value for key, value in changes.items()}
    recipe = change_recipe(name, system_class, system_class.presets[preset], made, limits)
    system = system_class(recipe, limits)
    if not isinstance(system, TrainsSharedDecoder):
        raise UserError(f"'{name}' has no first stage of its own; choose tencdm or ld4lg.")
    _refuse_unread(made, system.decoder_keys(), prefix, budget_given=arguments.budget is not None)
    budget = None if arguments.budget is None else Budget.parse(arguments.budget)
    first, device = launched.is_first(), environment.find_device(arguments.device or "auto")
    trained = system.train_decoder(
        arguments.texts,
        arguments.validation,
        budget,
        Path(arguments.out),
        preset=preset,
        seed=seed,
        device=launched.own_device(device),
        progress=ConsoleReporter().progress if first else silent,
    )
    if not first:
        return 0
    print(json.dumps({"decoder": arguments.out, **dataclasses.asdict(trained)}, indent=2))
    return 0


def _refuse_unread(asked: Iterable[str], read: Collection[str], prefix: str, *, budget_given: bool) -> None:
    """Raise `UserError` for the first of the recipe's keys that does not decide what is trained."""
    from baselines.contract import UserError
    from benchmarks.planning.overrides import covered

    for key in asked:
        if not covered(key, read):
            raise UserError(f"{prefix}{key} has no effect: the first stage does not read it; leave it out.")
        if budget_given and covered(key, ("budget", "decoder_share")):
            raise UserError(f"{prefix}{key} has no effect: --budget says how much; leave out one of the two.")
