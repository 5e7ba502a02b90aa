"""The frozen language encoder: hidden states of texts.

Any BERT-like Hugging Face encoder works, by folder or by name in the local cache; the packaged MiniLM is the default.
Its weights never change, so the states of training texts are computed once.

Axis legend: B texts, L tokens, T tokens of all texts together, D width of the encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn

from cosmos.io.counting import counted
from cosmos.io.errors import UserError
from cosmos.io.files import read_json
from cosmos.runtime.flops import measure_flops
from cosmos.text.tokenizer import find_encoder, load_tokenizer, tokenize

TOKENS_PER_BATCH = 2048  # on the CPU more is not faster, and on a GPU this fills it with short texts well enough


class States(NamedTuple):
    """Hidden states of some texts."""

    states: Tensor  # float32 [B, L, D], zero where there is no token
    mask: Tensor  # bool [B, L], True where there is a token, specials included
    cut: int  # how many texts were longer than the limit and lost their tail


class Statistics(NamedTuple):
    """Mean and standard deviation of each dimension, float32 [D] both."""

    mean: Tensor
    std: Tensor


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Transformers without its progress bars and advice."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def fingerprint_of(name: str | None, layers: int | None = None) -> str:
    """`TextEncoder.fingerprint` of an encoder that is not loaded; name and errors as in `find_encoder`."""
    folder = find_layers(name, layers)
    return _fingerprint(folder, load_tokenizer(folder), layers)


def layers_read(name: str | None, fingerprint: str) -> int | Literal["none"] | None:
    """How many of an encoder's layers a fingerprint is of, "none" where all were kept, as the options of recipes have
    it; None where it is of another encoder. Name and errors as in `find_encoder`."""
    folder = find_encoder(name)
    hashed = _hashed(folder, load_tokenizer(folder))
    if _with_layers(hashed, None) == fingerprint:
        return "none"
    return next((n for n in range(_layers_of(folder) + 1) if _with_layers(hashed, n) == fingerprint), None)


def _layers_of(folder: Path) -> int:
    config = read_json(folder / "config.json")
    return int(config.get("num_hidden_layers", config.get("n_layers", 0)))  # DistilBERT has the second


def find_layers(name: str | None, layers: int | None) -> Path:
    """`find_encoder`, or `UserError` if the encoder has not so many layers; None: all."""
    folder = find_encoder(name)
    total = 0 if layers is None else _layers_of(folder)
    if layers is not None and not 0 <= layers <= total:
        raise UserError(f"The encoder {folder} has {counted(total, 'layer')}, not {layers}; ask for at most {total}.")
    return folder


def _fingerprint(folder: Path, tokenizer: Tokenizer, layers: int | None) -> str:
    return _with_layers(_hashed(folder, tokenizer), layers)


def _hashed(folder: Path, tokenizer: Tokenizer) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted([*folder.glob("model*.safetensors"), folder / "config.json"]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    digest.update(tokenizer.to_str().encode())
    return digest


def _with_layers(hashed: hashlib.blake2b, layers: int | None) -> str:
    digest = hashed.copy()
    if layers is not None:
        digest.update(f"layers {layers}".encode())
    return digest.hexdigest()


class TextEncoder:
    """A frozen encoder and its tokenizer.

    Args:
        name: see `find_encoder`. precision: of the matrix products; states are float32 either way.
        layers: how many of its layers are kept, the first ones, whose states are then read; None: all. Of 0 it is the
            embeddings of tokens and places.

    Attributes:
        network: the `torch.nn.Module`, in evaluation mode, none of its parameters requires a gradient.
        width: D.

    Raises:
        UserError: see `find_encoder`; it is not a BERT-like encoder, or has not so many layers.
    """

    def __init__(
        self,
        name: str | None = None,
        device: str = "cpu",
        precision: Literal["float32", "bfloat16"] = "float32",
        layers: int | None = None,
    ) -> None:
        self.folder = find_layers(name, layers)
        self.precision, self.layers = precision, layers
        self.tokenizer = load_tokenizer(self.folder)
        numbers = [self.tokenizer.token_to_id(piece) for piece in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")]
        if None in numbers:
            raise UserError(f"The encoder {self.folder} has no BERT tokenizer; choose a BERT-like encoder.")
        self._pad, self._cls, self._sep, self._mask = numbers
        with quiet_transformers():
            from transformers import AutoModel

            try:
                self.network: nn.Module = AutoModel.from_pretrained(
                    str(self.folder),
                    local_files_only=True,
                    dtype=torch.float32,
                    attn_implementation="sdpa",
                    use_safetensors=True,
                    **({} if layers is None else {"num_hidden_layers": layers}),
                )
            except (OSError, ValueError, SafetensorError) as error:
                reason = str(error).splitlines()[0]
                raise UserError(f"Cannot load the encoder {self.folder} ({reason}); restore it from a copy.") from error
        self.network.eval().requires_grad_(False).to(device)
        self.width: int = self.network.config.hidden_size  # type: ignore[union-attr, assignment]
        self.positions: int = self.network.config.max_position_embeddings  # type: ignore[union-attr, assignment]

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """A hash of weights, configuration, tokenizer and the number of layers, where not all are kept."""
        return _fingerprint(self.folder, self.tokenizer, self.layers)

    @cached_property
    def _row_flops(self) -> tuple[float, float, float]:
        """FLOPs of one row are a quadratic function of its length; its values at three lengths decide it."""
        lengths = (4, 8, 16)
        values = [measure_flops(lambda length=length: self.states([[self._mask] * length])) for length in lengths]
        solved = np.linalg.solve(np.vander(lengths, 3), values)
        return tuple(solved.round().tolist())

    def flops(self, rows: Sequence[Sequence[int]]) -> float:
        """What computing the states of rows costs, padding within `groups` included, known before it is done."""
        square, linear, fixed = self._row_flops
        groups = ((len(group), len(rows[group[-1]])) for group in self.groups(rows))
        return sum(count * (square * longest**2 + linear * longest + fixed) for count, longest in groups)

    @property
    def mask_embedding(self) -> Tensor:
        """The word embedding of [MASK], float32 [D], from which the decompressor starts."""
        table: Any = self.network.get_input_embeddings()  # type: ignore[operator]
        return table.weight[self._mask].detach().clone()

    def ids(self, texts: Sequence[str], max_tokens: int) -> tuple[list[list[int]], int]:
        """The encoder's own token ids of each text, [CLS] and [SEP] included, and how many texts were cut: longer ones
        than `max_tokens` lose their tail (and keep [SEP])."""
        assert 2 < max_tokens <= self.positions, f"the encoder has {self.positions} positions, not {max_tokens}"
        rows = tokenize(self.tokenizer, texts)
        cut = sum(len(row) > max_tokens - 2 for row in rows)
        return [[self._cls, *row[: max_tokens - 2], self._sep] for row in rows], cut

    @torch.no_grad()
    def states(self, rows: Sequence[Sequence[int]]) -> list[Tensor]:
        """Last hidden states of rows of `ids`, run as one batch: float32 [length of the row, D] each."""
        lengths = torch.tensor([len(row) for row in rows])
        tokens = torch.full((len(rows), int(lengths.max())), self._pad)
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]  # [B, L]
        tokens[mask] = torch.tensor([number for row in rows for number in row])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            result = self.network(input_ids=tokens.to(self.device), attention_mask=mask.to(self.device))
        return [state[: len(row)].float() for state, row in zip(result.last_hidden_state, rows, strict=True)]

    @torch.no_grad()
    def batch_states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Last hidden states float32 [B, L, D] of padded `ids` int64 [B, L], zero where `mask` bool [B, L] is False.

        For the training loop: on the device that the ids are on, in float16 on a GPU, without a gradient, and without
        waiting for the device, so that a recorded step can hold it.
        """
        half = ids.device.type == "cuda"
        seen = mask[:, None, None, :] if self._takes_ready_masks else mask
        with torch.autocast(ids.device.type, torch.float16 if half else torch.bfloat16, enabled=half):
            result = self.network(input_ids=ids, attention_mask=seen)
        return result.last_hidden_state.float().masked_fill(~mask[:, :, None], 0.0)

    @cached_property
    def _takes_ready_masks(self) -> bool:
        """Whether the network takes a mask [B, 1, 1, L] as it is. One of [B, L] it may look into, which waits for the
        device."""
        ids = torch.full((1, 2), self._mask, device=self.device)
        try:
            with torch.no_grad():
                self.network(input_ids=ids, attention_mask=torch.ones_like(ids, dtype=torch.bool)[:, None, None])
        except ValueError:  # networks that widen masks themselves say so
            return False
        return True

    @property
    def pad(self) -> int:
        """The token that fills a row up."""
        return self._pad

    @staticmethod
    def groups(rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Places of rows in groups of similar length, at most TOKENS_PER_BATCH tokens each, shortest first."""
        groups: list[list[int]] = []
        for i in sorted(range(len(rows)), key=lambda i: len(rows[i])):
            if not groups or (len(groups[-1]) + 1) * len(rows[i]) > TOKENS_PER_BATCH:
                groups.append([])
            groups[-1].append(i)
        return groups

    def encode(self, texts: Sequence[str], max_tokens: int, pad_to: int | None = None) -> States:
        """Hidden states of texts (see `ids`), on the encoder's device, padded to a width or to the longest of them."""
        rows, cut = self.ids(texts, max_tokens)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        width = pad_to or max((len(row) for row in rows), default=1)
        states = torch.zeros(len(rows), width, self.width, device=self.device)
        for group in self.groups(rows):
            for place, value in zip(group, self.states([rows[i] for i in group]), strict=True):
                states[place, : len(value)] = value
        return States(states, torch.arange(width, device=self.device) < lengths[:, None], cut)
