"""A text encoder with random weights, a few texts, and sizes with which both stages train in seconds."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from cosmos.config import LADDER, AutoencoderConfig, DenoiserConfig, DiffusionConfig, Preset
from cosmos.pipeline import Pipeline
from cosmos.recipes import Recipe
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.train import train_autoencoder, train_diffusion
from cosmos.training.budget import Budget
from cosmos.training.config import Progress, TrainingConfig, TrainingResult, TrainingRun, silent

WHO, WHAT = ["anna", "ben", "the old man", "my sister"], ["lamp", "red chair", "book"]
SOURCES = [f"{who} broke the {n} {what} ." for n in ("damn", "dumb") for who in WHO for what in WHAT]
TARGETS = [f"{who} broke the {what}." for _ in range(2) for who in WHO for what in WHAT]
PAIRS = Texts(TARGETS[:20], SOURCES[:20]), Texts(TARGETS[20:], SOURCES[20:])
STEPS = Budget(60, "steps"), Budget(20, "steps")  # of each stage
WORDS = sorted({word for text in SOURCES for word in text.split()})
WIDTH = 24
TRAINING = TrainingConfig(batch_size=8, learning_rate=1e-2, ema_decay=0.9, validations=2, checkpoint_seconds=0.0)
AUTOENCODER = AutoencoderConfig(
    text_width=WIDTH, latent_width=16, width=32, latents=6, layers=1, heads=4, max_tokens=12, vocabulary=0, dropout=0.1
)
DENOISER = DenoiserConfig(
    latents=6, latent_width=16, width=16, layers=2, heads=2, output_norm=False, source_layers=1, max_source_tokens=16
)


def tiny_encoder(folder: Path, seed: int = 0) -> Path:
    """Save a small BERT with random weights as Hugging Face saves one."""
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(str(folder))
    return folder


def tiny_recipe(encoder: Path, **changes: Any) -> Recipe:
    """A recipe of these sizes; changes are of fields of the recipe or of its model."""
    model = Preset(str(encoder), AUTOENCODER, LADDER["latent"], DENOISER, DiffusionConfig())
    parts = {field.name: changes.pop(field.name) for field in fields(Preset) if field.name in changes}
    values = {"autoencoder_share": 0.5, "budget": Budget(40, "steps"), "start_linear": True, **changes}
    return Recipe(replace(model, **parts), TRAINING, TRAINING, **values)


def tiny_autoencoder(
    encoder: TextEncoder,
    folder: Path,
    budget: Budget = STEPS[0],
    progress: Progress = silent,
    training: TrainingConfig = TRAINING,
    **changes: Any,
) -> tuple[Pipeline, TrainingResult]:
    """The first stage."""
    recipe = replace(tiny_recipe(encoder.folder, **changes), autoencoder_training=training)
    vocabulary = Vocabulary.of([*TARGETS, *SOURCES], str(encoder.folder))
    run = TrainingRun(folder / "autoencoder", 3, "cpu", progress)
    return train_autoencoder(TARGETS[:20], TARGETS[20:], encoder, vocabulary, recipe, budget, run)


def tiny_diffusion(
    pipeline: Pipeline,
    folder: Path,
    budget: Budget = STEPS[1],
    progress: Progress = silent,
    texts: Texts = PAIRS[0],
    validation_texts: Texts = PAIRS[1],
    **changes: Any,
) -> tuple[Pipeline, TrainingResult]:
    """The second stage, conditional unless other texts are given."""
    assert pipeline.encoder is not None
    run = TrainingRun(folder / "diffusion", 3, "cpu", progress)
    recipe = tiny_recipe(pipeline.encoder.folder, **changes)
    return train_diffusion(pipeline, texts, validation_texts, recipe, budget, run)
