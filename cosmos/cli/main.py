"""From words to a verb; `cosmos.io.terminal` says how a command ends."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import NoReturn

from cosmos.io import launched
from cosmos.io.errors import UserError, unknown
from cosmos.io.terminal import answer

VERBS = ("train-autoencoder", "train-diffusion", "sample", "reconstruct", "convert", "probe")

_HELP = """usage: python -m cosmos VERB [flags]

Cosmos: latent diffusion for text in a compressed, smooth space (arXiv 2506.21170).

{verbs}

examples:
  python -m cosmos train-autoencoder texts.txt ae --preset nano
  python -m cosmos train-diffusion pairs.jsonl out --autoencoder ae/model --preset nano
  python -m cosmos sample out/model --sources questions.txt
  python -m cosmos VERB --help                              the flags of a verb"""


class CosmosParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence, and whose help is the verb's own text."""

    def __init__(self, verb: str, doc: str) -> None:
        super().__init__(
            prog=f"python -m cosmos {verb}",
            description=doc.strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.")


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    return answer(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_HELP.format(verbs="\n".join(f"  {verb:18} {_module(verb).__doc__.splitlines()[0]}" for verb in VERBS)))
        return 0
    if words[0] not in VERBS:
        raise unknown("verb", words[0], VERBS)
    if not words[0].startswith("train") and launched.launch() is not None:
        raise UserError(f"Launched processes share a training and nothing else; give {words[0]} without the launcher.")
    module = _module(words[0])
    parser = CosmosParser(words[0], module.__doc__)
    module.add_arguments(parser)
    arguments, extra = parser.parse_known_args(words[1:])
    if extra:
        flags = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
        if extra[0].startswith("-"):
            raise unknown(f"flag of {parser.prog}", extra[0].partition("=")[0], flags)
        raise UserError(f"Cannot place the word '{extra[0]}'; see {parser.prog} --help.")
    return module.main(arguments)


def _module(verb: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"cosmos.cli.{verb.replace('-', '_')}")
