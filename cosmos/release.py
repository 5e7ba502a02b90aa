"""The authors' checkpoints in, ours out.

Their files are pickles: they are read with `weights_only=True` and refused if they would run code. Names: cosmos.md 1
and 2; matrices that we keep as one (queries, keys and values; gate and up; all blocks' time maps) are stacked here.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from cosmos import converted
from cosmos.config import AutoencoderConfig, DenoiserConfig, ReleaseAutoencoderConfig, ReleaseDenoiserConfig
from cosmos.io import safetensors
from cosmos.io.errors import UserError
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser
from cosmos.models.standardiser import Standardiser
from cosmos.text.encoder import Statistics
from cosmos.text.tokenizer import find_encoder
from cosmos.text.vocabulary import MASK

Model = TypeVar("Model", bound=nn.Module)
_PAIR = ("weight", "bias")
RELEASE_ENCODER = "bert-base-cased"


def read_authors(path: Path) -> dict[str, Tensor]:
    """The tensors of an authors' file by flat name (`encoder.latents`, `score_estimator.time_emb.0.weight`, ...).

    Of a diffusion checkpoint the moving average stands under `ema.0`, `ema.1`, ... in the order of the parameters.

    Raises:
        UserError: not readable, or a pickle that holds more than tensors and plain values.
    """
    if path.suffix == ".safetensors":
        return safetensors.load(path)
    if not zipfile.is_zipfile(path):
        raise UserError(f"Cannot read {path} as a checkpoint; give a whole file that the authors' code has written.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} holds code or unknown objects besides weights, so it is not loaded.") from error
    except (OSError, RuntimeError, EOFError) as error:
        raise UserError(f"Cannot read {path} as a checkpoint ({str(error).splitlines()[0]}).") from error
    if isinstance(content, dict) and isinstance(content.get("ema"), dict):
        content = {**content, "ema": dict(enumerate(content["ema"].get("shadow_params", [])))}
    return dict(_flatten(content, ""))


def _flatten(content: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield prefix, content
    elif isinstance(content, Mapping):
        for name, part in content.items():
            yield from _flatten(part, f"{prefix}.{name}" if prefix else str(name))


# Ours -> theirs, within a layer; where theirs are several, they are stacked.
_FEED_FORWARD = {f"{i}.{kind}": f"ffd.{i}.{kind}" for i in (0, 1, 4) for kind in _PAIR}
_PERCEIVER_LAYER = {
    "attention.stream_norm.gain": "latent_attn.norm_latents.gamma",
    "attention.memory_norm.gain": "latent_attn.norm_embeddings.gamma",
    "attention.query_norm.gain": "latent_attn.query_norm.gamma",
    "attention.key_norm.gain": "latent_attn.key_norm.gamma",
    "attention.stream_to_qkv.weight": "latent_attn.latents_to_Q.weight latent_attn.latents_to_KV.weight",
    "attention.memory_to_kv.weight": "latent_attn.embeddings_to_KV.weight",
    "attention.out.weight": "latent_attn.projector_latents.weight",
    **{f"feed_forward.{new}": f"ffn_latent.{old}" for new, old in _FEED_FORWARD.items()},
}
_LLAMA_BLOCK = {
    "attention_norm.gain": "norm_self_attn.gamma",
    "attention.to_qkv.weight": "self_attn.query.weight self_attn.key.weight self_attn.value.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "feed_forward_norm.gain": "norm_mlp.gamma",
    "feed_forward.to_gate_up.weight": "mlp.gate_proj.weight mlp.up_proj.weight",
    "feed_forward.down.weight": "mlp.down_proj.weight",
}
_CROSS_ATTENTION = {
    "cross_attention.to_query.weight": "cross_attn.query.weight",
    "cross_attention.to_kv.weight": "cross_attn.key.weight cross_attn.value.weight",
    "cross_attention.out.weight": "cross_attn.o_proj.weight",
}


class _Names:
    """Takes tensors out of a name -> tensor mapping and notices what was never asked for."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.left = dict(tensors)

    def take(self, *names: str) -> Tensor:
        """The tensors of the names, stacked along the first axis."""
        missing = [name for name in names if name not in self.left]
        if missing:
            raise UserError(f"The checkpoint lacks '{missing[0]}', so it is not one of the authors'.")
        parts = [self.left.pop(name).float() for name in names]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def take_all(self, table: Mapping[str, str], ours: str, theirs: str) -> dict[str, Tensor]:
        """The tensors of a table, whose names have these prefixes."""
        return {f"{ours}{new}": self.take(*(f"{theirs}{old}" for old in olds.split())) for new, olds in table.items()}

    def gate(self, ours: str, theirs: str) -> dict[str, Tensor]:
        return {f"{ours}.{kind}": self.take(f"{theirs}.scale_mlp.{kind}").flatten() for kind in _PAIR}

    def count(self, prefix: str) -> int:
        return len({name[len(prefix) :].split(".")[0] for name in self.left if name.startswith(prefix)})

    def close(self) -> None:
        if self.left:
            raise UserError(
                f"The checkpoint has '{min(self.left)}', which this model does not; it cannot be converted."
            )


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _row(table: Tensor, token: int) -> Tensor:
    if not 0 <= token < len(table):
        raise UserError(f"The decoder embeds {len(table)} tokens, so {token} is not its [MASK]; give another id.")
    return table[token]


def convert_autoencoder(tensors: Mapping[str, Tensor], mask_token: int = 103) -> Autoencoder:
    """Ours from tensors named `encoder.*` and `decoder.*`; the frozen text encoder among them is left out.

    All sizes are read from the shapes; text width, latent width and the width of attention may be unequal. `mask_token`
    is [MASK]'s row of the decoder's frozen word embedding, 103 in `bert-base-cased`.
    """
    trained = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder.text_encoder.")}
    encoder, decoder = (_Names(_with_prefix(trained, prefix)) for prefix in ("encoder.", "decoder."))
    ours: dict[str, Tensor] = {
        "compressor.queries": encoder.take("latents"),
        "compressor.query_norm.gain": encoder.take("latent_norm.gamma"),
        "compressor.output_norm.gain": encoder.take("output_norm.gamma"),
        "compressor.positions.weight": encoder.take("positional_emb.emb.weight"),
        "decompressor.positions.weight": decoder.take("positional_emb.emb.weight"),
        "decompressor.mask_embedding": _row(decoder.take("embedding.weight"), mask_token),
        "decompressor.head.weight": decoder.take("lm_head.weight"),
    }
    layers = max(1, encoder.count("latent_layers."))
    for i in range(layers):
        ours |= encoder.take_all(_PERCEIVER_LAYER, f"compressor.layers.{i}.", f"latent_layers.{i}.")
        ours |= decoder.take_all(_PERCEIVER_LAYER, f"decompressor.layers.{i}.", f"layers.{i}.")
        ours |= decoder.gate(f"decompressor.layers.{i}.attention_gate", f"layers.{i}.attn_scale")
        ours |= decoder.gate(f"decompressor.layers.{i}.feed_forward_gate", f"layers.{i}.ffn_scale")
    ours |= decoder.take_all(_FEED_FORWARD, "decompressor.embedding_feed_forward.", "embedding_ffn.")
    ours |= decoder.gate("decompressor.embedding_gate", "scale_embedding")
    latents, latent_width = ours["compressor.queries"].shape
    vocabulary, text_width = ours["decompressor.head.weight"].shape
    if text_width != latent_width:  # otherwise latents share the table of the tokens
        ours["decompressor.latent_positions.weight"] = decoder.take("positional_latent.emb.weight")
    encoder.close()
    decoder.close()
    width = ours["compressor.layers.0.attention.out.weight"].shape[1]
    kind = AutoencoderConfig if text_width == latent_width == width else ReleaseAutoencoderConfig
    config = kind(
        text_width=text_width, latent_width=latent_width, width=width, latents=latents, layers=layers,
        heads=width // len(ours["compressor.layers.0.attention.query_norm.gain"]),
        max_tokens=len(ours["compressor.positions.weight"]), vocabulary=vocabulary,
        feed_forward=len(ours["compressor.layers.0.feed_forward.1.weight"]) // latent_width,
    )  # fmt: skip
    return _filled(Autoencoder(config), ours)


def convert_denoiser(
    tensors: Mapping[str, Tensor], latents: int, head_size: int = 64, release_condition: bool = True
) -> Denoiser:
    """Ours from the authors' score estimator, names without prefix.

    Neither the number of latents nor the head size can be read from its shapes. The width is that of the latents and of
    the condition; heads need not add up to it. A conditional model keeps the authors' odd ways (see
    `cosmos.models.denoiser`) unless `release_condition` is False, which leaves out the position table.
    """
    names = _Names({name: tensor for name, tensor in tensors.items() if name != "position_ids"})
    half = max(1, names.count("encoder.input_blocks."))
    layers = 2 * half
    ours = {f"time.{i}.{kind}": names.take(f"time_emb.{i}.{kind}") for i in (0, 2) for kind in _PAIR}
    for kind in _PAIR:
        ours[f"time_shift.{kind}"] = names.take(*(f"encoder.time_layers.{i}.1.{kind}" for i in range(layers)))
        ours[f"estimate_shift.{kind}"] = names.take(*(f"encoder.self_cond_layers.{i}.{kind}" for i in range(layers)))
    conditional = "position_embeddings.weight" in names.left
    for i in range(layers):
        theirs = f"encoder.input_blocks.{i}." if i < half else f"encoder.output_blocks.{i - half}."
        table = {**_LLAMA_BLOCK, **_CROSS_ATTENTION} if conditional else _LLAMA_BLOCK
        ours |= names.take_all(table, f"blocks.{i}.", theirs)
    ours["output.1.gain"] = names.take("encoder.output_norm.gamma")
    width = len(ours["output.1.gain"])
    source_layers = names.count("conditional_encoder.blocks.")
    positions = 0
    if conditional:
        for i in range(source_layers):
            ours |= names.take_all(_LLAMA_BLOCK, f"source_encoder.blocks.{i}.", f"conditional_encoder.blocks.{i}.")
        ours["source_encoder.output_norm.gain"] = names.take("conditional_encoder.output_norm.gamma")
        ours["null_source"] = torch.zeros(width)  # the authors have none, and never withhold a source
        places = names.take("position_embeddings.weight")
        positions = len(places)
        if release_condition:
            ours["source_encoder.positions.weight"] = places
        else:
            ours |= {f"blocks.{i}.cross_norm.gain": torch.ones(width) for i in range(layers)}
    names.close()
    heads, rest = divmod(ours["blocks.0.attention.out.weight"].shape[1], head_size)
    if rest:
        raise UserError(f"Heads of size {head_size} do not add up to those of the checkpoint; give the size they have.")
    sizes: dict[str, Any] = {
        "latents": latents, "latent_width": width, "width": width, "layers": layers, "heads": heads,
        "feed_forward": ours["blocks.0.feed_forward.down.weight"].shape[1] / width,
        "source_width": width if conditional else None, "source_layers": source_layers,
        "max_source_tokens": positions, "release_condition": conditional and release_condition,
    }  # fmt: skip
    equal = heads * head_size == width
    return _filled(
        Denoiser(DenoiserConfig(**sizes) if equal else ReleaseDenoiserConfig(**sizes, head_size=head_size)), ours
    )


def convert(
    path: Path, folder: Path, *, text_encoder: str | None = RELEASE_ENCODER, head_size: int = 64, d: float = 5.0,
    release_condition: bool = True,
) -> list[Path]:  # fmt: skip
    """Convert an authors' checkpoint of either stage into `folder`/autoencoder or `folder`/denoiser, the result.

    Once the first stage is there, the folder is a whole `cosmos.pipeline.Pipeline`, as training leaves one: with the
    vocabulary (all of the tokenizer's tokens, by which the rows of the token head are put in our order) and the
    statistics of the text encoder's states. Once the second is there too, texts can be drawn from it. Either may come
    first. Of a diffusion checkpoint the moving average is taken, with which the authors sample, and the latents'
    statistics.

    Args:
        text_encoder: the frozen encoder of the first stage, as in `cosmos.text.tokenizer.find_encoder`. Only its
            tokenizer is read, and what its files hash to.
        d: of the tangent schedule the model was trained with, which no checkpoint records.

    Raises:
        UserError: unreadable, unsafe, or not an authors' checkpoint; of another text encoder; or two stages that do not
            belong together. Nothing is written then.
    """
    tensors = read_authors(path)
    first = any(name.startswith("decoder.") for name in tensors)
    estimator = _averaged(tensors)
    if not first and not estimator:
        raise UserError(f"{path} holds neither an autoencoder nor a score estimator of the authors.")
    autoencoder = _first_stage(path, tensors, text_encoder) if first else None
    denoiser = _second_stage(path, tensors, estimator, head_size, release_condition) if estimator else None
    first_sizes = None if autoencoder is None else autoencoder.model.config
    converted.check_stages(folder, first_sizes, None if denoiser is None else denoiser.config)
    written = []
    if autoencoder is not None:
        converted.save_first_stage(folder, autoencoder)
        written.append(folder / converted.AUTOENCODER)
    if denoiser is not None:
        converted.save_second_stage(folder, denoiser, d)
        written.append(folder / converted.DENOISER)
    converted.describe(folder, None if autoencoder is None else str(find_encoder(text_encoder)))
    return written


def _first_stage(path: Path, tensors: Mapping[str, Tensor], text_encoder: str | None) -> converted.FirstStage:
    _Names(_with_prefix(tensors, "encoder.")).take("latents")  # whatever else is wrong, it is one of the authors'
    vocabulary = converted.whole_vocabulary(text_encoder)
    model = convert_autoencoder(tensors, int(vocabulary.to_full[MASK]))
    if model.config.vocabulary != len(vocabulary):
        raise UserError(
            f"{path} writes {model.config.vocabulary} tokens and the tokenizer of the text encoder has "
            f"{len(vocabulary)}; name the encoder it was trained on with --text-encoder."
        )
    missing = [name for name in ("encodings_mean", "encodings_std") if name not in tensors]
    if missing:
        raise UserError(f"{path} has no '{missing[0]}', the statistics of its text encoder's states.")
    statistics = Statistics(*(tensors[f"encodings_{kind}"].float().flatten() for kind in ("mean", "std")))
    if statistics.mean.shape != statistics.std.shape or len(statistics.mean) != model.config.text_width:
        raise UserError(f"The statistics in {path} are not of {model.config.text_width} numbers, the text's width.")
    with torch.no_grad():
        head = model.decompressor.head.weight
        head.copy_(head[vocabulary.to_full])
    return converted.FirstStage(model, vocabulary, Standardiser.of(statistics))


def _second_stage(
    path: Path, tensors: Mapping[str, Tensor], estimator: Mapping[str, Tensor], head_size: int, release_condition: bool
) -> Denoiser:
    missing = [name for name in ("latent_mean", "latent_std") if name not in tensors]
    if missing:
        raise UserError(f"{path} has no '{missing[0]}', the statistics of its latents, without which none can be read.")
    count = tensors["latent_mean"].shape[-2]
    denoiser = convert_denoiser(estimator, count, head_size, release_condition)
    for kind in ("mean", "std"):
        getattr(denoiser.normaliser, kind).copy_(tensors[f"latent_{kind}"].float().view(count, -1))
    return denoiser


def _averaged(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The score estimator's tensors, its parameters replaced by their moving average where there is one."""
    estimator = _with_prefix(tensors, "score_estimator.")
    average = [tensors[f"ema.{i}"] for i in range(sum(name.startswith("ema.") for name in tensors))]
    if average:
        names = [name for name in estimator if name != "position_ids"]  # a buffer; the rest are parameters, in order
        if [estimator[name].shape for name in names] != [tensor.shape for tensor in average]:
            raise UserError("The checkpoint's moving average does not fit its score estimator.")
        estimator |= dict(zip(names, average, strict=True))
    return estimator


def _filled(model: Model, tensors: Mapping[str, Tensor]) -> Model:
    """The model with the tensors as its weights; buffers that are not given keep their first values."""
    expected = model.state_dict()
    strange = [name for name, tensor in tensors.items() if name in expected and expected[name].shape != tensor.shape]
    if strange:
        raise UserError(f"The checkpoint's sizes contradict each other (our '{strange[0]}'); it cannot be converted.")
    model.load_state_dict({**expected, **tensors})
    return model.eval()
