"""Files as the authors of Cosmos leave them, from the tensors of a recording; and a text encoder that fits them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).parent))
import authors_networks as authors

UNEQUAL = {
    "text_dim": 24, "latent_dim": 20, "heads": 2, "head_size": 16, "autoencoder_layers": 2, "denoiser_layers": 4,
    "num_latents": 5, "max_length": 11, "vocab_size": 40, "ff_mult": 3, "mask_token_id": 7, "tan_d": 5,
    "cond_length": 7, "batch": 3,
}  # fmt: skip


def made_unequal(path: Path) -> Path:
    """A file like the recording, of random weights with unequal widths."""
    draws, sizes = torch.Generator().manual_seed(0), UNEQUAL
    tensors = {
        name: torch.randn(shape, generator=draws) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.3)
        + (1.0 if "gamma" in name else 0.0)
        for name, shape in authors.shapes(sizes).items()
    }
    batch, latents = sizes["batch"], (sizes["batch"], sizes["num_latents"], sizes["latent_dim"])
    states = torch.randn(batch, sizes["max_length"], sizes["text_dim"], generator=draws)
    mask = (torch.arange(sizes["max_length"]) < torch.tensor([[11], [6], [1]])).long()
    tensors |= {"case.encoder.token_embeddings": states, "case.encoder.mask": mask}
    tensors["case.encoder.latents"] = authors.compress(tensors, sizes, states, mask.bool())
    logits, hidden = authors.decompress(tensors, sizes, tensors["case.encoder.latents"])
    tensors |= {"case.decoder.logits": logits, "case.decoder.last_hidden": hidden}
    for prefix in ("denoiser", "denoiser_cond"):
        x, estimate = torch.randn(latents, generator=draws), torch.randn(latents, generator=draws)
        t, source = torch.tensor([0.1, 0.5, 0.95]), None
        case = {"x_t": x, "t": t, "self_cond": estimate}
        if prefix == "denoiser_cond":
            cond = torch.randn(batch, sizes["cond_length"], sizes["latent_dim"], generator=draws)
            cond_mask = (torch.arange(sizes["cond_length"]) < torch.tensor([[7], [3], [1]])).long()
            source, case = (cond, cond_mask.bool()), {**case, "cond": cond, "cond_mask": cond_mask}
        case["x_0"] = authors.denoise(part(tensors, f"{prefix}."), sizes, x, t, estimate, source)
        tensors |= {f"case.{prefix}.{name}": tensor for name, tensor in case.items()}
    save_file(tensors, path, {"config": json.dumps(sizes)})
    return path


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def release_encoder(sizes: Mapping[str, int], folder: Path) -> Path:
    """A small BERT whose tokenizer has as many tokens as the decoder, and [MASK] where the recording has it."""
    mask = sizes["mask_token_id"]
    pieces = [f"w{number}" for number in range(sizes["vocab_size"])]
    places = [number for number in range(sizes["vocab_size"]) if number != mask]
    for special, number in zip(("[PAD]", "[UNK]", "[CLS]", "[SEP]"), places[::2], strict=False):  # apart, as in BERT
        pieces[number] = special
    pieces[mask] = "[MASK]"
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=sizes["text_dim"], num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(str(folder))
    return folder


def save_autoencoder(golden: Mapping[str, Tensor], sizes: Mapping[str, int], path: Path) -> None:
    """The first stage, with what else such a file holds."""
    encoder = {**part(golden, "encoder."), "text_encoder.embeddings.word_embeddings.weight": torch.zeros(3, 2)}
    width = sizes["text_dim"]
    states = {"encodings_mean": torch.arange(float(width)), "encodings_std": torch.ones(width)}
    whole: dict[str, Any] = {"encoder": encoder, "decoder": part(golden, "decoder."), "step": 7, **states}
    torch.save({**whole, "optimizer": {"state": {}}}, path)


def save_denoiser(
    golden: Mapping[str, Tensor], sizes: Mapping[str, int], prefix: str, path: Path, latents: int | None = None
) -> None:
    """The second stage. Its plain weights are wrong on purpose: the moving average holds the right ones."""
    weights = part(golden, f"{prefix}.")
    names = [name for name in weights if name != "position_ids"]
    wrong = {name: weights[name] if name == "position_ids" else weights[name] + 1 for name in weights}
    shape = (latents or sizes["num_latents"], sizes["latent_dim"])
    statistics = {"latent_mean": torch.full(shape, 2.0), "latent_std": torch.full(shape, 3.0)}
    ema = {"decay": 0.9999, "num_updates": 9, "shadow_params": [weights[name] for name in names]}
    torch.save({"score_estimator": wrong, "ema": ema, "step": 9, **statistics}, path)
