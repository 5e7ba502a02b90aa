"""Second stage: learn to make latents out of noise, given a source where DATA has one.

DATA is a .txt file (one text per line), or .jsonl or .parquet with a column `text`, or with columns `source` and
`target`; with sources the model is conditional. It may differ from what the autoencoder was trained on. The budget pays
for frozen states and latents. At `nano` both are computed once; at `small` and `base` latents are, where no more than
16 GB, and states again for every batch that needs them. What is stored is kept in OUT/training, with resume points.
Killed, the same command goes on where it stopped.

With --adaptation-share, a part of the budget goes to a third stage, in which a copy of the decompressor learns to read
what the denoiser makes of the texts' latents; texts that are sampled are read by that one.

OUT/model then holds everything that sampling needs. Under `torchrun --nproc_per_node N -m cosmos train-diffusion ...`,
or `accelerate launch`, processes share each batch.

example:
  python -m cosmos train-diffusion pairs.jsonl model --autoencoder ae/model --validation held_out.jsonl --preset nano
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cosmos.cli.flags import add_training_flags, device, finite_number, recipe, train, whole_number
from cosmos.config import MOST_WIDE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--autoencoder", metavar="FOLDER", type=Path, required=True, help="the first stage's model")
    add_training_flags(parser)
    parser.add_argument(
        "--max-source-tokens", type=whole_number(3, MOST_WIDE), metavar="N", help="longest source (that of DATA)"
    )
    parser.add_argument(
        "--adaptation-share",
        type=finite_number,
        metavar="SHARE",
        help="of the budget, from 0 to below 1 (the preset's)",
    )


def main(arguments: argparse.Namespace) -> int:
    from cosmos.text.files import Texts, read_texts
    from cosmos.training.budget import Budget

    preset = recipe(arguments.preset)
    if arguments.adaptation_share is not None:
        preset = replace(preset, adaptation_share=arguments.adaptation_share)
    rest = preset.budget.part(1.0 - preset.autoencoder_share)
    share = rest if arguments.budget is None else Budget.parse(arguments.budget)
    texts = read_texts(arguments.data)
    held_out = read_texts(arguments.validation) if arguments.validation else Texts([], None)

    from cosmos.io.errors import UserError
    from cosmos.pipeline import Pipeline
    from cosmos.train import train_diffusion

    where = device(arguments.device)
    if arguments.validation and (held_out.sources is None) != (texts.sources is None):
        raise UserError(f"{arguments.data} and {arguments.validation} must both have sources, or neither.")
    pipeline = Pipeline.load(arguments.autoencoder, device=where)
    encoder = pipeline.encoder
    if encoder is None:
        raise UserError(f"{arguments.autoencoder} names no text encoder, so no text can be read; train it anew.")
    if texts.sources is not None:
        longest = max(len(row) for row in encoder.ids(texts.sources, encoder.positions)[0])
        config = replace(preset.model.denoiser, max_source_tokens=arguments.max_source_tokens or longest)
        preset = replace(preset, model=replace(preset.model, denoiser=config))
    return train(arguments, where, lambda run: train_diffusion(pipeline, texts, held_out, preset, share, run))
