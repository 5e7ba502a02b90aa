"""What stands in for a training where speed alone is measured: a vocabulary, an encoder and texts, all made up. See
`baselines.contract.SupportsRandomWeights`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from baselines.contract import Corpus, Document, UserError
from cosmos.text.vocabulary import PAD, SPECIALS, Vocabulary

CONTINUED = 5  # one piece in so many continues a word, about as in BERT's table (5,828 of 30,522)


def made_up_vocabulary(tokens: int) -> Vocabulary:
    """A WordPiece vocabulary of so many tokens, specials included, of words that mean nothing.

    Raises:
        UserError: fewer tokens than the specials and one word.
    """
    if tokens <= len(SPECIALS):
        raise UserError(f"A vocabulary needs more than {len(SPECIALS)} tokens, not {tokens}.")
    own = range(tokens - len(SPECIALS))
    pieces = [*SPECIALS, *(f"##x{n}" if n % CONTINUED == CONTINUED - 1 else f"word{n}" for n in own)]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Vocabulary(tokenizer, pieces)


def stand_in_encoder(vocabulary: Vocabulary, width: int, positions: int, folder: Path) -> None:
    """Save a text encoder with random weights in `folder`, of one layer: its states are computed before what is
    measured."""
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=width,
        max_position_embeddings=positions,
        pad_token_id=PAD,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        weights = BertModel(config).state_dict()
    config.architectures = [BertModel.__name__]
    config.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    vocabulary.tokenizer.save(str(folder / "tokenizer.json"))


def made_up_corpus(vocabulary: Vocabulary, count: int, tokens: int) -> Corpus:
    """At least `count` documents without a source, whose targets have so many tokens each and together every token of
    the vocabulary."""
    own = vocabulary.pieces[len(SPECIALS) :]
    generator, order, texts = random.Random(0), [], []
    for _ in range(max(count, -(-len(own) // (tokens - 1)))):
        words = [own[0]]  # so that no text begins with the rest of a word
        for _ in range(tokens - 1):
            order = order or generator.sample(own, len(own))
            piece = order.pop()
            if piece.startswith("##"):
                words[-1] += piece.removeprefix("##")
            else:
                words.append(piece)
        texts.append(" ".join(words))
    return Corpus([Document(str(n), None, text, (text,)) for n, text in enumerate(texts)], ())


def first_number(call: Callable[[], Any]) -> Tensor:
    """One number of what a network call returns: a recording hands out a copy, which shall cost nothing."""
    out = call()
    while not isinstance(out, Tensor):
        out = out[0]
    return out.flatten()[:1]
