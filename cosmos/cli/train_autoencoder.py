"""First stage: learn to compress texts into latents and back.

DATA is a .txt file (one text per line), or .jsonl or .parquet with a column `text`, or with columns `source` and
`target`, of which the targets are compressed. The vocabulary is that of all texts in DATA. Frozen encoder states are
computed once, which the budget pays for; they and resume points are kept in OUT/training. Killed, the same command goes
on where it stopped.

OUT/model then holds the vocabulary and the autoencoder: try `reconstruct OUT/model`, or train the second stage on it.
Works under `accelerate launch -m cosmos train-autoencoder ...`, where processes share each batch.

example:
  python -m cosmos train-autoencoder texts.jsonl ae --validation held_out.jsonl --preset nano --budget 2e12flops
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from cosmos.cli.flags import add_training_flags, device, recipe, train, whole_number
from cosmos.config import MOST_WIDE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training_flags(parser)
    parser.add_argument("--encoder", metavar="NAME", help="frozen text encoder, a folder or cached name (the preset's)")
    parser.add_argument(
        "--max-tokens",
        type=whole_number(3, MOST_WIDE),
        metavar="N",
        help="longest text; longer ones are cut (that of DATA)",
    )
    parser.add_argument(
        "--latents", type=whole_number(1, MOST_WIDE), metavar="N", help="how many latents a text becomes (the preset's)"
    )
    parser.add_argument("--corruption", metavar="NAME", help="ce, mse, activation or latent: the ablation ladder")


def main(arguments: argparse.Namespace) -> int:
    from cosmos.text.files import read_texts
    from cosmos.training.budget import Budget

    preset = recipe(arguments.preset)
    share = preset.budget.part(preset.autoencoder_share) if arguments.budget is None else Budget.parse(arguments.budget)

    texts = read_texts(arguments.data)
    held_out = read_texts(arguments.validation).targets if arguments.validation else []

    from cosmos.config import LADDER, MINILM
    from cosmos.io.errors import UserError, unknown
    from cosmos.text.encoder import TextEncoder
    from cosmos.text.vocabulary import Vocabulary
    from cosmos.train import encoder_name, train_autoencoder

    where = device(arguments.device)
    corruption = preset.model.corruption
    if arguments.corruption is not None:
        if arguments.corruption not in LADDER:
            raise unknown("corruption", arguments.corruption, LADDER)
        corruption = LADDER[arguments.corruption]
    encoder = TextEncoder(arguments.encoder or encoder_name(preset.model.text_encoder, MINILM), where)
    vocabulary = Vocabulary.of([*texts.targets, *(texts.sources or [])], str(encoder.folder))
    longest = int(vocabulary.encode(texts.targets, encoder.positions).mask.sum(1).max())
    limit = arguments.max_tokens or min(longest, encoder.positions)
    if not 2 < limit <= encoder.positions:
        raise UserError(
            f"--max-tokens must lie between 3 and the encoder's {encoder.positions} positions, not {limit}."
        )
    latents = arguments.latents or preset.model.autoencoder.latents
    sizes = replace(preset.model.autoencoder, max_tokens=limit, latents=latents)
    preset = replace(preset, model=replace(preset.model, autoencoder=sizes, corruption=corruption))
    made_of = (texts.targets, held_out, encoder, vocabulary, preset, share)
    return train(arguments, where, lambda run: train_autoencoder(*made_of, run))
