"""Measure how smooth and robust a trained model is.

Four probes: texts between texts; the decompressor against noise; the sampler against a kick on its way; and how far a
written text lies, once encoded again, from the latents it was read from. MODEL is the folder that train-diffusion
leaves (OUT/model), TEXTS a file like the one it was trained on, best held out. OUT gets probes.json and probes.png.

example:
  python -m cosmos probe model/model held_out.jsonl probes --limit 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cosmos.cli.flags import MANY, add_device, device, seed_number, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a trained model's folder")
    parser.add_argument("texts", metavar="TEXTS", type=Path, help="texts, or pairs, to probe with")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write to")
    parser.add_argument(
        "--limit", type=whole_number(2, MANY), default=100, metavar="N", help="use the first N texts (100)"
    )
    parser.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of the noise (0)")
    add_device(parser)


def main(arguments: argparse.Namespace) -> int:
    from cosmos.io.errors import UserError
    from cosmos.text.files import read_texts

    if arguments.limit < 2:
        raise UserError("--limit must be at least 2, as one probe goes from one text to another.")
    targets, sources = (texts and texts[: arguments.limit] for texts in read_texts(arguments.texts))

    from cosmos.io.files import make_folder, write_json
    from cosmos.pipeline import Pipeline
    from cosmos.probes import figure, probe

    pipeline = Pipeline.load(arguments.model, device=device(arguments.device))
    make_folder(arguments.out)
    results = probe(pipeline, targets, sources, arguments.seed)
    write_json(arguments.out / "probes.json", results)
    figure(results, arguments.out / "probes.png")
    print(arguments.out / "probes.json", arguments.out / "probes.png", sep="\n")
    return 0
