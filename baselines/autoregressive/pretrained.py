"""A pretrained GPT-2 to fine-tune: folder, byte-pair tokenizer and weights, under the token ids that rivals share.

Systems number the special tokens alike (`cosmos.text.vocabulary`): [SEP] ends a text, and here it is <|endoftext|>. The
other tokens follow in the tokenizer's order, none left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from baselines.contract import UserError
from cosmos.io.files import read_json, write_json
from cosmos.io.safetensors import load, read_header
from cosmos.io.typed_json import AnyJson, read_as
from cosmos.text.tokenizer import find_model, load_tokenizer
from cosmos.text.tokenizer import tokenizer_of as read_tokenizer
from cosmos.text.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary

END = "<|endoftext|>"
WEIGHTS = "model.safetensors"


class StoredBytePairs(TypedDict):
    """What a file of byte pairs says."""

    byte_pairs: AnyJson


class BytePairs(Vocabulary):
    """All tokens of a byte-pair tokenizer under compact ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        end, size = tokenizer.token_to_id(END), tokenizer.get_vocab_size()
        if end is None:
            raise UserError(f"The tokenizer has no token {END}; give a folder with GPT-2's tokenizer.")
        others = [number for number in range(size) if number != end]
        self.tokenizer = tokenizer
        self.pieces = (*SPECIALS, *(tokenizer.id_to_token(number) for number in others))
        specials = {PAD: size, UNK: size + 1, CLS: size + 2, SEP: end, MASK: size + 3}  # those it lacks come after it
        self.to_full = torch.tensor([specials[i] for i in range(len(SPECIALS))] + others)
        self.to_compact = torch.empty(size + 4, dtype=torch.int64)
        self.to_compact[self.to_full] = torch.arange(len(self.pieces))

    def texts(self, rows: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> list[str]:
        known = (np.arange(rows.shape[1]) < counts[:, None]) & (rows >= len(SPECIALS)) & (rows < len(self))
        full, own = self.to_full.numpy(), zip(rows, known, strict=True)
        texts: list[str] = self.tokenizer.decode_batch([full[row[mask]].tolist() for row, mask in own])
        return texts

    def text(self, ids: Sequence[int]) -> str:
        row = np.array(ids, dtype=np.int64)
        known = row[(row >= len(SPECIALS)) & (row < len(self))]
        text: str = self.tokenizer.decode(self.to_full.numpy()[known].tolist())
        return text

    def save(self, path: Path) -> None:
        write_json(path, {"byte_pairs": json.loads(self.tokenizer.to_str())})

    @classmethod
    def load(cls, path: Path) -> BytePairs:
        stored = read_as(StoredBytePairs, read_json(path), str(path), "restore it from a copy")
        return cls(read_tokenizer(json.dumps(stored["byte_pairs"]).encode(), path))


class GPT2Sizes(TypedDict):
    """As much of a GPT-2's config.json as says its sizes."""

    n_embd: int
    n_layer: int
    n_head: int
    n_positions: int
    n_inner: int | None


def tokenizer_of(name: str) -> BytePairs:
    """The tokenizer of a pretrained GPT-2, by folder or name in the local cache; errors as of `find`."""
    return BytePairs(load_tokenizer(find(name)))


def find(name: str) -> Path:
    """The folder of a pretrained GPT-2, checked without loading a weight; the network is never asked.

    Raises:
        UserError: it is missing or incomplete, not a plain GPT-2, or not in float32.
    """
    folder = find_model(name, "GPT-2")
    config = read_json(folder / "config.json")
    usual = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
    plain = {"model_type": "gpt2", "activation_function": "gelu_new"} | usual
    for key, value in plain.items():
        if config.get(key, usual.get(key, "gelu_new")) != value:
            raise UserError(f"The model in {folder} is no plain GPT-2 ({key} is {config.get(key)!r}); give another.")
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"The GPT-2 folder {folder} has its weights in several files; save them as one {WEIGHTS}.")
    strange = {kind for kind in read_header(folder / WEIGHTS).dtypes.values() if kind.startswith(("F", "BF"))} - {"F32"}
    if strange:
        raise UserError(f"{folder / WEIGHTS} holds {', '.join(sorted(strange))} weights; save them in float32.")
    return folder


def sizes(name: str) -> dict[str, int]:
    """Width, layers, heads, width inside the feed-forward layers, and positions of a pretrained GPT-2."""
    path = find(name) / "config.json"
    config = read_as(GPT2Sizes, {"n_inner": None, **read_json(path)}, str(path), "restore it from a copy")
    keys = {"width": "n_embd", "layers": "n_layer", "heads": "n_head", "positions": "n_positions"}
    given = {size: config[key] for size, key in keys.items()}
    return given | {"inner": config["n_inner"] or 4 * given["width"]}


def copy_weights(name: str, model: GPT2LMHeadModel, vocabulary: Vocabulary) -> None:
    """Put pretrained weights into a network of the same sizes, whose tokens have compact ids.

    Tokens that were not in the pretraining get the mean of all embeddings, and so hardly any probability; fresh ones
    would get most of it, since the network gives tokens it knows large negative logits.
    """
    path = find(name) / WEIGHTS
    stored = {key.removeprefix("transformer."): value for key, value in load(path).items()}
    expected = model.transformer.state_dict()
    strange = [key for key, value in expected.items() if key not in stored or stored[key].shape[1:] != value.shape[1:]]
    if strange:
        missing = f"'{strange[0]}' of the shape that its configuration says"
        raise UserError(f"{path} lacks {missing}; restore it from a copy.")
    table = stored["wte.weight"]
    rows = table.mean(0).repeat(model.config.vocab_size, 1)
    there = vocabulary.to_full < len(table)
    rows[: len(there)][there] = table[vocabulary.to_full[there]]
    model.transformer.load_state_dict({key: stored[key] for key in expected} | {"wte.weight": rows})
    assert model.lm_head.weight is model.transformer.wte.weight
