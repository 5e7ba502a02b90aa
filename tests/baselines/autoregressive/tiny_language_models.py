"""Language models of every architecture that `hf` names, made here: random weights and a byte-level tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

KINDS = ("gpt2", "gpt_neo", "gpt_neox", "llama", "t5", "bart")
ENCODES = ("t5", "bart")
SPECIALS = ["<pad>", "<s>", "</s>"]
WIDE = 0.3  # spread of the random weights, so that texts differ


def tiny_tokenizer(texts: Sequence[str], kind: str) -> PreTrainedTokenizerFast:
    """Byte pairs of a few texts; begins and ends texts as the tokenizer of such a model does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=340, special_tokens=SPECIALS, initial_alphabet=alphabet)
    )
    around = {"t5": "$A </s>", "bart": "<s> $A </s>", "llama": "<s> $A"}.get(kind)
    if around is not None:
        numbers = [(token, tokenizer.token_to_id(token)) for token in SPECIALS if token in around]
        tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=numbers)
    pad = {} if kind in ("gpt2", "gpt_neo", "gpt_neox") else {"pad_token": "<pad>"}  # those have none
    first = {} if kind == "t5" else {"bos_token": "<s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", **pad, **first)


def configuration(kind: str, size: int, positions: int = 96) -> Any:
    common: dict[str, Any] = {"vocab_size": size, "bos_token_id": 1, "eos_token_id": 2}
    if kind == "gpt2":
        return GPT2Config(**common, n_positions=positions, n_embd=32, n_layer=2, n_head=2, initializer_range=WIDE)
    if kind == "gpt_neo":
        return GPTNeoConfig(
            **common, max_position_embeddings=positions, hidden_size=32, num_heads=2, num_layers=2, window_size=8,
            attention_types=[[["global", "local"], 1]], initializer_range=WIDE,
        )  # fmt: skip
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    shape |= {"max_position_embeddings": positions, "initializer_range": WIDE}
    if kind == "gpt_neox":
        return GPTNeoXConfig(**common, **shape)
    if kind == "llama":
        return LlamaConfig(**common, **shape, num_key_value_heads=1, tie_word_embeddings=True, pad_token_id=0)
    if kind == "t5":
        return T5Config(
            vocab_size=size, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, initializer_factor=1.0,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=2,
        )  # fmt: skip
    assert kind == "bart"
    halves = {f"{half}_{name}": value for half in ("encoder", "decoder")
              for name, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 64))}  # fmt: skip
    return BartConfig(
        **common, **halves, max_position_embeddings=positions, d_model=32, init_std=WIDE, decoder_start_token_id=2,
        forced_eos_token_id=2, pad_token_id=0,
    )  # fmt: skip


MODELS = {
    "gpt2": GPT2LMHeadModel, "gpt_neo": GPTNeoForCausalLM, "gpt_neox": GPTNeoXForCausalLM, "llama": LlamaForCausalLM,
    "t5": T5ForConditionalGeneration, "bart": BartForConditionalGeneration,
}  # fmt: skip


def save_model(kind: str, texts: Sequence[str], folder: Path, positions: int = 96) -> Path:
    """A model's folder as the hub has them."""
    tokenizer = tiny_tokenizer(texts, kind)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        MODELS[kind](configuration(kind, len(tokenizer), positions)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
