"""Read the authors' checkpoint, and write it as this package keeps models.

AUTHORS is a .pth file of either stage, or a .safetensors file with the same names. A pickle is read with weights only
and refused if it holds code. Give the same OUT for both stages, in either order: then it is a model as train-diffusion
leaves one, which `sample` reads and `python -m benchmarks run --set cosmos.recipe.released=OUT`. After the first stage
alone `reconstruct` reads it. Of a diffusion checkpoint the moving average is taken, with which the authors sample.

The first stage needs the tokenizer of the frozen text encoder it was trained on, --text-encoder: a folder, or a name in
the local Hugging Face cache.

The authors' (never exercised) way with a condition differs from ours in two places; --sensible-condition takes ours,
the default keeps theirs, number for number. See `cosmos.models.denoiser`.

example:
  python -m cosmos convert wikipedia-16.pth model && python -m cosmos convert rocstories-16.pth model --d 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cosmos.cli.flags import finite_number, whole_number
from cosmos.config import MOST_WIDE

ENCODER = "bert-base-cased"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("authors", metavar="AUTHORS", type=Path, help="the authors' checkpoint")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write to")
    parser.add_argument(
        "--d", type=finite_number, default=5.0, metavar="D", help="of the tangent schedule of its training (5)"
    )
    parser.add_argument(
        "--text-encoder", default=ENCODER, metavar="NAME", help=f"the frozen encoder of the first stage ({ENCODER})"
    )
    parser.add_argument(
        "--head-size", type=whole_number(1, MOST_WIDE), default=64, metavar="N", help="width of an attention head (64)"
    )
    parser.add_argument("--sensible-condition", action="store_true", help="our way with a condition, not the authors'")


def main(arguments: argparse.Namespace) -> int:
    from cosmos.release import convert

    given = {name: getattr(arguments, name) for name in ("text_encoder", "head_size", "d")}
    written = convert(arguments.authors, arguments.out, **given, release_condition=not arguments.sensible_condition)
    print(*written, sep="\n")
    return 0
