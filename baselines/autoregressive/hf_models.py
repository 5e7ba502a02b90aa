"""Language models of Hugging Face as `hf` takes them: where one lies, whether it can write what a task asks for, its
tokenizer and its weights. Whatever can be refused is refused from configuration and headers, before a weight is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from baselines.contract import UserError
from cosmos.io.files import read_json
from cosmos.runtime import compilation
from cosmos.text.encoder import quiet_transformers
from cosmos.text.tokenizer import find_model
from cosmos.training.distributed import ASKED, Processes
from cosmos.training.sharding import is_dealt_out

KIND = "language model"  # what errors call it
START, FORCED = "decoder_start_token_id", "forced_bos_token_id"  # of a decoder, as configurations call them
DROPOUTS = ("dropout", "dropout_rate", "resid_pdrop", "embd_pdrop", "resid_dropout", "embed_dropout", "hidden_dropout")
"""Names under which configurations keep the dropout of what attention and feed-forward add, and of embeddings."""
ATTENTION_DROPOUTS = ("attn_pdrop", "attention_dropout", "attention_probs_dropout_prob")
"""Names under which they keep that of what attention looks at."""
EXPERTS = re.compile(r"^(n|num|moe_num)_(local_|routed_)?experts$")
"""Names under which they keep how many experts a layer has."""
EXPERT_SWITCHES = ("is_moe", "enable_moe_block")
"""Names under which some keep whether there are any."""


@contextmanager
def _whole(where: Path) -> Iterator[None]:
    """What `transformers` cannot read, in one sentence."""
    with quiet_transformers():
        try:
            yield
        except UserError:
            raise
        except (OSError, ValueError, KeyError, TypeError, SafetensorError, ImportError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"Cannot read the {KIND} in {where} ({reason}); restore it from a copy.") from error


def find(name: str) -> Path:
    """The folder of a model, by folder or by name in the local cache; the network is never asked.

    Raises:
        UserError: it is missing or incomplete.
    """
    return find_model(name, KIND)


def configuration(folder: Path) -> Any:
    """What `config.json` of a folder says, as `transformers` reads it; no code of the folder is run.

    Raises:
        UserError: unreadable, of an unknown kind, or of a model that writes no text.
    """
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto as known

    stored = read_json(folder / "config.json")
    with _whole(folder):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    kind = config.model_type
    if config.is_encoder_decoder:
        writes = kind in known.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    else:  # an encoder is among the causal models too, since one can be made a decoder, and says so then
        encoder = kind in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
        writes = kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not encoder
    if not writes:
        raise UserError(
            f"The model in {folder} is a {stored.get('model_type')}, which is neither causal nor from sequence to "
            "sequence; give one that writes text, such as a GPT-2 or a T5."
        )
    return config


def with_dropout(config: Any, dropout: float | None, where: Path) -> Any:
    """The configuration with another dropout, None leaves the model's own; and without any within attention.

    Raises:
        UserError: the model has none.
    """
    for name in ATTENTION_DROPOUTS:
        if getattr(config, name, None) is not None:
            setattr(config, name, 0.0)
    if dropout is None:
        return config
    names = [name for name in DROPOUTS if getattr(config, name, None) is not None]
    if not names:
        raise UserError(f"The {config.model_type} in {where} has no dropout; leave hf.recipe.dropout out.")
    for name in names:
        setattr(config, name, dropout)
    return config


def layers_left_out(config: Any) -> str | None:
    """The name under which a configuration has it that layers are left out at random; None: none are."""
    found = (name for name, value in _entries(config.to_dict()) if isinstance(value, float) and value > 0)
    return next((name for name in found if "layerdrop" in name.replace("_", "")), None)


def experts_chosen(config: Any) -> str | None:
    """The name under which a configuration has how many experts tokens are shared out among; None: there are none."""
    found = (name for name, value in _entries(config.to_dict()) if isinstance(value, int) and value > 1)
    return next((name for name in found if EXPERTS.search(name)), None)


def _entries(stored: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of a configuration, and of those within it; of what a switch turns off nothing is said."""
    if any(stored.get(switch) is False for switch in EXPERT_SWITCHES):
        stored = {name: value for name, value in stored.items() if not EXPERTS.search(str(name))}
    for name, value in stored.items():
        if isinstance(value, Mapping):
            yield from _entries(value)
        else:
            yield str(name), value


def check_parts(config: Any, processes: Processes, where: Path) -> None:
    """Raise `UserError` where each process would hold a part of a model (FSDP2) whose rows decide which of its weights
    have a gradient: processes exchange those of a block together, and would not mean the same. Experts whose weights
    are rows of one tensor do no harm: it has a gradient whichever of them are called."""
    layers, experts = layers_left_out(config), experts_chosen(config)
    if processes.count == 1 or not (layers or experts):
        return
    with torch.device("meta"):
        network = build(config)
    if is_dealt_out(network, processes) and (layers or _has_lists_in_blocks(network)):
        does = f"leaves out layers at random ({layers})" if layers else f"chooses among experts ({experts})"
        raise UserError(
            f"The {config.model_type} in {where} {does}, so {processes.count} processes cannot hold it together; "
            f"leave out {ASKED} where it fits one device, or launch one process."
        )


def _has_lists_in_blocks(network: nn.Module) -> bool:
    """Whether a block of a network holds several modules alike, as experts are that have weights of their own."""
    parts = (part for block in compilation.blocks({"": network}) for part in block.modules())
    return any(isinstance(part, nn.ModuleList | nn.ModuleDict) for part in parts)


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer of a model's folder, which must know where texts end.

    Raises:
        UserError: it cannot be read, or has no end token.
    """
    from transformers import AutoTokenizer

    with _whole(folder):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    if tokenizer.eos_token_id is None:
        raise UserError(f"The tokenizer in {folder} names no end token; add eos_token to its tokenizer_config.json.")
    if not tokenizer.is_fast:
        raise UserError(f"The folder {folder} has no fast tokenizer; save tokenizer.json there.")
    return tokenizer


def check_length(config: Any, needed: int, what: str, where: Path) -> None:
    """Raise `UserError` unless a model has so many positions; those of relative positions have any number."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and needed > positions:
        raise UserError(
            f"The {config.model_type} in {where} has {positions} positions and {what} may need {needed}; give another "
            "model, a shorter prompt, or a task with shorter limits."
        )


def check_vocabulary(config: Any, tokenizer: Any, where: Path) -> None:
    """Raise `UserError` unless a model embeds every token of the tokenizer beside it."""
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"The tokenizer in {where} has {len(tokenizer)} tokens and the model embeds {config.vocab_size}; give the "
            "tokenizer that belongs to it."
        )


def build(config: Any) -> nn.Module:
    """A network of a configuration, with fresh weights, in float32."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with _whole(Path(config.model_type)):
        model: nn.Module = kind.from_config(config, dtype=torch.float32)
    return model


def load(folder: Path, config: Any) -> nn.Module:
    """The model of a folder, in float32, with nothing dropped within attention; safetensors alone are read.

    Raises:
        UserError: unreadable, or weights that belong to another configuration.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with _whole(folder), torch.random.fork_rng(devices=[]):
        try:
            model, found = kind.from_pretrained(
                str(folder), config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32,
                output_loading_info=True,
            )  # fmt: skip
        except RuntimeError as error:  # shapes that differ
            raise ValueError(str(error).strip().splitlines()[0]) from error
    if found["missing_keys"]:
        raise UserError(f"The weights in {folder} lack '{min(found['missing_keys'])}'; restore them from a copy.")
    assert isinstance(model, nn.Module)
    for module in model.modules():  # a T5 has one number for what attention looks at and for what it adds
        if "Attention" in type(module).__name__ and isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    return model


def save_description(folder: Path, config: Any, tokenizer: Any) -> None:
    """Write configuration and tokenizer as `transformers` reads them; the same bytes for the same model."""
    config.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def pad_of(tokenizer: Any) -> int:
    """The token that fills rows up, which no network sees: the end token where there is none for it."""
    pad = tokenizer.pad_token_id
    return int(tokenizer.eos_token_id if pad is None else pad)


def beginning(model: Any, tokenizer: Any) -> dict[str, int]:
    """How a decoder begins: the token it is given before the first of a text, and the first one where it is forced.
    Nothing of a causal model.

    Raises:
        UserError: the model does not say.
    """
    if not model.config.is_encoder_decoder:
        return {}
    own = model.generation_config
    given = (getattr(model.config, START, None), getattr(own, START, None), tokenizer.bos_token_id)
    start = next((token for token in given if token is not None), None)
    if start is None:
        raise UserError(f"The model does not say with which token its decoder begins; add {START} to its config.json.")
    forced = getattr(own, FORCED, None)
    return {START: int(start)} | ({} if forced is None else {FORCED: int(forced)})


def has_static_cache(model: Any) -> bool:
    """Whether the library keeps this model's keys and values in a cache of fixed size."""
    return bool(getattr(model, "_can_compile_fullgraph", False))


def token_ends(tokenizer: Any, stop: str) -> tuple[int, ...]:
    """The end token, and every other whose text holds `stop` (none if it is empty)."""
    ends = [int(tokenizer.eos_token_id)]
    if stop:
        texts = tokenizer.batch_decode([[number] for number in range(len(tokenizer))])
        ends += [number for number, text in enumerate(texts) if stop in text and number != ends[0]]
    return tuple(ends)
