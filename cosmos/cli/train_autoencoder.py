"""First stage: learn to compress texts into latents and back.

One file, DATA, or corpora of any size. DATA is a .txt file (one text per line), or .jsonl or .parquet with a column
`text`, or with columns `source` and `target`, of which the targets are compressed. Corpora are such files too, named
with --texts, each with a weight if it is to be seen more or less often than others (PATH=WEIGHT: a text of weight 2 is
seen twice as often as one of weight 1). They are read row by row, so memory does not grow with them, and long texts
become several, of whole sentences. The vocabulary is that of all texts.

States of the frozen encoder are computed in the training loop, and with DATA at the preset nano before it; the budget
pays for them. What training needs besides, and resume points, are kept in OUT/training, and the log autoencoder.jsonl,
with the share of validation tokens that come back right. Killed, the same command goes on where it stopped.

OUT/model then holds the vocabulary and the autoencoder: try `reconstruct OUT/model`, or train the second stage on it.
Of corpora, OUT as a whole is a first stage for many tasks: `benchmarks run --set cosmos.recipe.autoencoder=OUT`.
Under `torchrun --nproc_per_node N -m cosmos train-autoencoder ...`, or `accelerate launch`, processes share each batch.

example:
  python -m cosmos train-autoencoder texts.jsonl ae --validation held_out.jsonl --preset nano --budget 2e12flops
  python -m cosmos train-autoencoder --texts wiki.parquet --texts stories.parquet=3 --out ae --preset small
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos.cli.flags import add_training_options, device, finite_number, recipe, train, whole_number
from cosmos.config import MOST_LAYERS, MOST_WIDE
from cosmos.io import launched
from cosmos.io.artifact import AUTOENCODER_KIND, MODEL

if TYPE_CHECKING:
    from cosmos.pipeline import Pipeline
    from cosmos.recipes import Recipe
    from cosmos.text.corpora import CorpusFile
    from cosmos.text.encoder import TextEncoder
    from cosmos.training.budget import Budget
    from cosmos.training.config import TrainingResult, TrainingRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", type=Path, nargs="?", help="texts, or pairs, to learn from")
    parser.add_argument("folder", metavar="OUT", type=Path, nargs="?", help="folder for everything this leaves")
    parser.add_argument("--texts", metavar="PATH[=WEIGHT]", action="append", help="a corpus, in place of DATA; again")
    parser.add_argument("--out", metavar="OUT", type=Path, help="the folder, where corpora are named")
    add_training_options(parser)
    parser.add_argument("--encoder", metavar="NAME", help="frozen text encoder, a folder or cached name (the preset's)")
    parser.add_argument(
        "--encoder-layers",
        type=whole_number(0, MOST_LAYERS),
        metavar="N",
        help="read its first N layers alone; 0: its embeddings (the preset's: all)",
    )
    parser.add_argument(
        "--max-tokens",
        type=whole_number(3, MOST_WIDE),
        metavar="N",
        help="longest text (that of DATA, whose longer ones are cut; with --texts the preset's)",
    )
    parser.add_argument(
        "--latents", type=whole_number(1, MOST_WIDE), metavar="N", help="how many latents a text becomes (the preset's)"
    )
    parser.add_argument("--corruption", metavar="NAME", help="ce, mse, activation or latent: the ablation ladder")
    parser.add_argument(
        "--full-from",
        type=finite_number,
        metavar="SHARE",
        help="of the budget, from which on corruption has its full strength, growing from none (0: at once)",
    )


def main(arguments: argparse.Namespace) -> int:
    from cosmos.io.errors import UserError
    from cosmos.text.corpora import CorpusFile, check_corpora
    from cosmos.text.files import read_texts
    from cosmos.training.budget import Budget

    if bool(arguments.texts) == bool(arguments.data) or (arguments.folder is None) == (arguments.out is None):
        raise UserError("Give DATA and OUT, or corpora with --texts PATH and the folder with --out OUT.")
    arguments.out = arguments.out or arguments.folder
    preset = recipe(arguments.preset)
    share = preset.budget.part(preset.autoencoder_share) if arguments.budget is None else Budget.parse(arguments.budget)
    corpora = [CorpusFile.parse(text) for text in arguments.texts or []]
    if corpora:
        check_corpora(corpora)
    texts = None if corpora else read_texts(arguments.data)
    held_out = read_texts(arguments.validation).targets if arguments.validation else []

    from cosmos.config import LADDER, MINILM
    from cosmos.io.errors import unknown
    from cosmos.text.encoder import TextEncoder
    from cosmos.text.vocabulary import Vocabulary
    from cosmos.train import encoder_name, train_autoencoder

    where = device(arguments.device)
    corruption = preset.model.corruption
    if arguments.corruption is not None:
        if arguments.corruption not in LADDER:
            raise unknown("corruption", arguments.corruption, LADDER)
        corruption = LADDER[arguments.corruption]
    if arguments.full_from is not None:
        corruption = replace(corruption, full_from=arguments.full_from)
    layers = preset.model.encoder_layers if arguments.encoder_layers is None else arguments.encoder_layers
    preset = replace(preset, model=replace(preset.model, corruption=corruption, encoder_layers=layers))
    name = arguments.encoder or encoder_name(preset.model.text_encoder, MINILM)
    encoder = TextEncoder(name, where, layers=layers)
    if texts is None:
        preset = _sized(arguments, preset, encoder, preset.model.autoencoder.max_tokens)
        return _on_corpora(arguments, where, corpora, held_out, encoder, preset, share)
    vocabulary = Vocabulary.of([*texts.targets, *(texts.sources or [])], str(encoder.folder))
    longest = int(vocabulary.encode(texts.targets, encoder.positions).mask.sum(1).max())
    preset = _sized(arguments, preset, encoder, longest)
    made_of = (texts.targets, held_out, encoder, vocabulary, preset, share)
    return train(arguments, where, lambda run: train_autoencoder(*made_of, run))


def _sized(arguments: argparse.Namespace, preset: Recipe, encoder: TextEncoder, longest: int) -> Recipe:
    """The recipe with the sizes asked for; texts have `longest` tokens where nothing is said of that."""
    from cosmos.io.errors import UserError

    limit = arguments.max_tokens or min(longest, encoder.positions)
    if not 2 < limit <= encoder.positions:
        raise UserError(
            f"--max-tokens must lie between 3 and the encoder's {encoder.positions} positions, not {limit}."
        )
    latents = arguments.latents or preset.model.autoencoder.latents
    sizes = replace(preset.model.autoencoder, max_tokens=limit, latents=latents)
    return replace(preset, model=replace(preset.model, autoencoder=sizes))


def _on_corpora(
    arguments: argparse.Namespace,
    where: str,
    corpora: Sequence[CorpusFile],
    held_out: Sequence[str],
    encoder: TextEncoder,
    preset: Recipe,
    budget: Budget,
) -> int:
    """Train on corpora and leave a first stage that many tasks can begin with."""
    from cosmos.data.streaming import leave_artifact
    from cosmos.train import train_autoencoder_on

    def stage(run: TrainingRun) -> tuple[Pipeline, TrainingResult]:
        pipeline, trained, streamed = train_autoencoder_on(corpora, held_out, encoder, preset, budget, run)
        if not launched.is_first():
            return pipeline, trained
        pipeline.save(arguments.out / MODEL)
        made_by = {"kind": AUTOENCODER_KIND, "preset": arguments.preset, "seed": run.seed}
        batch_size = preset.autoencoder_training.batch_size
        sizes = asdict(pipeline.autoencoder.config)
        leave_artifact(arguments.out, made_by, encoder, sizes, trained, batch_size, streamed, run.device)
        return pipeline, trained

    return train(arguments, where, stage)
