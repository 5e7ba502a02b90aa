"""Read the authors' checkpoint, and write it as this package keeps models.

AUTHORS is a .pth file of either stage, or a .safetensors file with the same names. A pickle is read with weights only
and refused if it holds code. OUT gets autoencoder/ or denoiser/, each with config.json and model.safetensors; give the
same OUT for both stages. Of a diffusion checkpoint the moving average is taken, with which the authors sample.

The authors' (never exercised) way with a condition differs from ours in two places; --sensible-condition takes ours,
the default keeps theirs, number for number. See `cosmos.models.denoiser`.

example:
  python -m cosmos convert rocstories-16.pth model --d 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cosmos.cli.flags import finite_number, whole_number
from cosmos.config import MOST_PIECES, MOST_WIDE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("authors", metavar="AUTHORS", type=Path, help="the authors' checkpoint")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write to")
    parser.add_argument(
        "--d", type=finite_number, default=5.0, metavar="D", help="of the tangent schedule of its training (5)"
    )
    parser.add_argument(
        "--latents",
        type=whole_number(1, MOST_WIDE),
        metavar="N",
        help="needed only where the file has no latent statistics",
    )
    parser.add_argument(
        "--head-size", type=whole_number(1, MOST_WIDE), default=64, metavar="N", help="width of an attention head (64)"
    )
    parser.add_argument(
        "--mask-token",
        type=whole_number(0, MOST_PIECES),
        default=103,
        metavar="ID",
        help="[MASK] in the tokenizer (103)",
    )
    parser.add_argument("--sensible-condition", action="store_true", help="our way with a condition, not the authors'")


def main(arguments: argparse.Namespace) -> int:
    from cosmos.release import convert

    given = {name: getattr(arguments, name) for name in ("latents", "head_size", "mask_token", "d")}
    written = convert(arguments.authors, arguments.out, **given, release_condition=not arguments.sensible_condition)
    print(*written, sep="\n")
    return 0
