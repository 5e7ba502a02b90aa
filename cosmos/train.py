"""The two stages, each as a command of its own: the autoencoder on texts, then the denoiser on texts or pairs.

Each has a folder and a budget of its own, out of which encoding its texts is paid first; texts may differ between
stages. Killed and called again, a stage takes up its work (`cosmos.stages`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from cosmos.adaptation import (
    ADAPTATION,
    adaptation_stage,
    decompressor_reads,
    latent_inputs,
    read_datasets,
)
from cosmos.config import Place
from cosmos.data.encoding import EncodedCorpus, Encoding
from cosmos.data.streaming import Streamed, stream
from cosmos.io.errors import UserError
from cosmos.io.later_fields import identified
from cosmos.io.seals import seal_of
from cosmos.models.autoencoder import Autoencoder, Decompressor
from cosmos.models.denoiser import Denoiser
from cosmos.models.linear_init import linear_start, tokens_per_latent
from cosmos.models.standardiser import Standardiser
from cosmos.pipeline import Pipeline
from cosmos.recipes import Recipe, adaptation_training
from cosmos.runtime.rng import initialised
from cosmos.stages import (
    autoencoder_stage,
    corpus_latents,
    diffusion_stage,
    first_texts,
    measured,
    reconstruction,
)
from cosmos.text.corpora import CorpusFile
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.budget import Budget, Cost
from cosmos.training.config import TrainingResult, TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingStage, check_shares, train
from cosmos.training.resume import trainable


def train_autoencoder(
    texts: Sequence[str],
    validation_texts: Sequence[str],
    encoder: TextEncoder,
    vocabulary: Vocabulary,
    recipe: Recipe,
    budget: Budget,
    run: TrainingRun,
) -> tuple[Pipeline, TrainingResult]:
    """First stage: compressor and decompressor, of the encoder's width and the vocabulary's size.

    Args:
        budget: pays for encoding the texts and for a linear start, then for training; in seconds for encoding
            validation texts too.

    Returns:
        A pipeline that can reconstruct (it has no denoiser), and the notes `token_accuracy` and `text_accuracy` on
        validation texts, `cut` (training texts longer than `max_tokens`) and shares of the cost.

    Raises:
        UserError: no texts, a budget that encoding them uses up, and whatever `cosmos.training.loop.train` says.
    """
    if not texts:
        raise UserError("There is nothing to train the autoencoder on; give at least one text.")
    encoding = Encoding(encoder, vocabulary, recipe.model.autoencoder.max_tokens, 0, run, _place(recipe))
    corpus = encoding.corpus(Texts(texts, None), Texts(validation_texts, None))
    return _train_autoencoder(corpus, encoder, vocabulary, recipe, budget, run)


def train_autoencoder_on(
    corpora: Sequence[CorpusFile],
    validation_texts: Sequence[str],
    encoder: TextEncoder,
    recipe: Recipe,
    budget: Budget,
    run: TrainingRun,
) -> tuple[Pipeline, TrainingResult, Streamed]:
    """First stage on corpora of any size, whose texts are read from disk and encoded in the loop, whatever the recipe
    says of states. The vocabulary is that of all of them, and `max_tokens` of the recipe the longest text.

    Arguments, results and errors as `train_autoencoder`, and those of `cosmos.data.streaming.stream`; and the corpora.
    """
    streamed = stream(corpora, validation_texts, encoder, recipe.model.autoencoder.max_tokens, budget, run, measured)
    trained = _train_autoencoder(streamed.corpus, encoder, streamed.vocabulary, recipe, budget, run)
    return *trained, streamed


def _train_autoencoder(
    corpus: EncodedCorpus,
    encoder: TextEncoder,
    vocabulary: Vocabulary,
    recipe: Recipe,
    budget: Budget,
    run: TrainingRun,
) -> tuple[Pipeline, TrainingResult]:
    model = recipe.model
    held_out = None if corpus.validation is None else [corpus.validation.key]
    run = _made_of(run, recipe, encoder, [corpus.train.key], held_out)
    config = replace(model.autoencoder, text_width=encoder.width, vocabulary=vocabulary.padded_size)
    standardiser = Standardiser.of(corpus.sample.states.statistics()).to(find_processes(run.device).device)
    autoencoder = initialised(lambda: Autoencoder(config, encoder.mask_embedding.cpu()), run.seed)
    cost = corpus.cost
    start_linear = recipe.start_linear and tokens_per_latent(config) is not None
    if start_linear:
        autoencoder.to(standardiser.mean.device)
        begin = measured(lambda: linear_start(autoencoder, *first_texts(corpus.sample, standardiser), run.seed), run)
        cost = Cost.total([cost, begin])
    stage = autoencoder_stage(autoencoder, standardiser, model.corruption, corpus, accuracy=True)
    trained = train(stage, recipe.autoencoder_training, budget.after(cost, "Encoding the texts"), run)
    notes = {"cut": corpus.train.targets.states.cut, "start_linear": start_linear}
    if corpus.validation is not None:
        notes |= reconstruction(autoencoder, standardiser, corpus.validation.targets, corpus.prepare)
    return Pipeline(vocabulary, standardiser, autoencoder, encoder), _with_cost(trained, cost, autoencoder, notes)


def train_diffusion(
    pipeline: Pipeline, texts: Texts, validation_texts: Texts, recipe: Recipe, budget: Budget, run: TrainingRun
) -> tuple[Pipeline, TrainingResult]:
    """Second stage: the denoiser on standardised latents of the targets, given states of the sources, if any.

    Args:
        pipeline: of the first stage, with its text encoder.
        budget: pays for encoding targets and sources and for latents of the targets, then for training; in seconds for
            those of validation texts too. The recipe's `adaptation_share` of what is left is for the third stage
            (`cosmos.adaptation`).

    Returns:
        The pipeline with its denoiser and, where one was adapted, its decompressor for sampled latents; and the notes
        `cut_targets`, `cut_sources`, `adaptation` and shares of the cost.

    Raises:
        UserError: as `train_autoencoder`, and sources and targets of unequal number.
    """
    encoder, autoencoder, standardiser = pipeline.encoder, pipeline.autoencoder, pipeline.standardiser
    assert encoder is not None, "the second stage reads texts, so the pipeline needs its text encoder"
    targets, sources = texts
    if sources is not None and len(sources) != len(targets):
        raise UserError(f"{len(sources)} sources do not pair with {len(targets)} targets; give one source per target.")
    if not targets:
        raise UserError("There is nothing to train the denoiser on; give at least one text.")
    if recipe.distillation.share > 0 or recipe.grid_share > 0:
        raise UserError(
            "This trains no students and chooses no time grids; leave distillation.share and grid_share at 0."
        )
    run = _made_of(run, recipe, encoder, *texts, *validation_texts)
    here = find_processes(run.device).device
    adapting = adaptation_training(recipe.adaptation, recipe.autoencoder_training)
    if recipe.adaptation_share > 0:  # before the second stage is trained
        check_shares(ADAPTATION, autoencoder.decompressor, adapting, find_processes(run.device))
    autoencoder.to(here).eval().requires_grad_(False)
    standardiser.to(here)
    shape, diffusion = autoencoder.config, recipe.model.diffusion
    source_width = None if sources is None else shape.text_width
    config = replace(
        recipe.model.denoiser, latents=shape.latents, latent_width=shape.latent_width, source_width=source_width
    )
    encoding = Encoding(encoder, pipeline.vocabulary, shape.max_tokens, config.max_source_tokens, run, _place(recipe))
    corpus = encoding.corpus(texts, validation_texts)
    second = budget.after(corpus.cost, "Encoding the texts").part(1.0 - recipe.adaptation_share)
    latents = corpus_latents(autoencoder, standardiser, replace(corpus, second=second), run, recipe.clean_latents)
    cost = Cost.total([corpus.cost, latents.cost])
    denoiser = initialised(lambda: Denoiser(config), run.seed)
    stage = diffusion_stage(denoiser, standardiser, latents, diffusion)
    left = budget.after(cost, "Encoding the texts")
    trained = train(stage, recipe.diffusion_training, left.part(1.0 - recipe.adaptation_share), run)
    finished = replace(pipeline, denoiser=denoiser, diffusion=diffusion)
    if recipe.adaptation_share > 0:
        third = _adapting(finished, stage, corpus, recipe)
        more = train(third, adapting, left.part(recipe.adaptation_share), run)
        assert isinstance(third.network, Decompressor)
        finished, trained = replace(finished, adapted=third.network), _together(trained, more)
    return finished, _with_cost(trained, cost, denoiser, _cut(corpus))


def _place(recipe: Recipe) -> Place:
    """Where states come from. No share of a budget limits what encoding may cost here, so if the recipe does not say,
    each batch pays for its own."""
    return "loop" if recipe.states == "auto" else recipe.states


def _made_of(run: TrainingRun, recipe: Recipe, encoder: TextEncoder, *texts: Sequence[str] | None) -> TrainingRun:
    """The run, which goes on only with the same texts (or hashes of them), encoder, model and objective."""
    columns = [column and list(column) for column in texts]
    return replace(
        run, made_of=seal_of([identified(recipe.model), identified(recipe.adaptation), encoder.fingerprint, columns])
    )


def _adapting(pipeline: Pipeline, second: TrainingStage, corpus: EncodedCorpus, recipe: Recipe) -> TrainingStage:
    """The third stage of a pipeline that is trained but for it."""
    denoiser, held_out = pipeline.denoiser, None if corpus.validation is None else corpus.validation.targets
    assert denoiser is not None
    rows, held_rows = read_datasets(second, corpus.train.targets, held_out)
    inputs, reads = latent_inputs(denoiser, pipeline.standardiser), decompressor_reads(denoiser)
    of = (pipeline.autoencoder.decompressor, reads, inputs, denoiser, recipe.model.diffusion, recipe.adaptation)
    return adaptation_stage(*of, rows, held_rows, second.prepare, second.frozen)


def _together(second: TrainingResult, third: TrainingResult) -> TrainingResult:
    """What the second stage reached, at the cost of both."""
    return TrainingResult(
        second.steps + third.steps,
        second.seconds + third.seconds,
        second.flops + third.flops,
        second.validation_loss,
        {**second.notes, ADAPTATION: asdict(third)},
    )


def _cut(corpus: EncodedCorpus) -> dict[str, int]:
    cut = {}
    for name, texts in (("", corpus.train), ("validation_", corpus.validation)):
        if texts is not None:
            cut[f"{name}cut_targets"] = texts.targets.states.cut
            if texts.sources is not None:
                cut[f"{name}cut_sources"] = texts.sources.cut
    return cut


def _with_cost(trained: TrainingResult, cost: Cost, model: nn.Module, notes: Mapping[str, Any]) -> TrainingResult:
    """What a stage cost together with what it paid for before."""
    parameters = sum(value.numel() for value in trainable(model).values())
    costs = {"parameters": parameters, "encoding_seconds": cost.seconds, "encoding_flops": cost.flops}
    seconds, flops = trained.seconds + cost.seconds, trained.flops + cost.flops
    return replace(trained, seconds=seconds, flops=flops, notes={**trained.notes, **costs, **notes})


def encoder_name(name: str, packaged: str) -> str | None:
    """The name for `TextEncoder`: None, the packaged encoder, where that is what is wanted."""
    return None if name == packaged else name
