"""MDLM and SEDD with the weights that their authors have published, used as they are.

A folder holds what the hub has: `config.json` and `model.safetensors` (or `pytorch_model.bin`, read with weights only),
and beside them `tokenizer.json` of GPT-2, whose tokens they write. Nothing is trained, so no budget is used. Texts are
as long as the task allows. The published models have learnt rows of many documents with an end token between them, and
some with one in front: that is not of the text, which is cut at the next.

Their tokens get the ids that rivals share (`cosmos.text.vocabulary`): rows of embeddings and output head are put in
that order when a checkpoint is made, with rows for the three special tokens they lack, which are never drawn.
"""

from __future__ import annotations

import dataclasses
import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.autoregressive.pretrained import BytePairs
from baselines.common import checkpoint
from baselines.common.token_rows import samples_from_tokens
from baselines.contract import Budget, Corpus, Document, Likelihood, Limits, Request, Sample, TrainingResult, UserError
from baselines.token_diffusion.ddit import DDiT
from baselines.token_diffusion.likelihood import BoundsLikelihood
from cosmos.io import safetensors
from cosmos.io.files import expanded, read_json
from cosmos.release import read_authors
from cosmos.text.tokenizer import load_tokenizer
from cosmos.text.vocabulary import CLS, MASK, PAD, SEP, UNK, Vocabulary
from cosmos.training.config import TrainingRun

WEIGHTS, PICKLED = "model.safetensors", "pytorch_model.bin"
NEVER = -1e4  # a logit whose exponential is zero
LACKING = (PAD, UNK, CLS)  # special tokens that published vocabularies do not have
NO_BOUND = "the released weights have learnt rows of full length, and not how likely a single text is"


@dataclass(frozen=True)
class Published:
    """What a published configuration says.

    Attributes:
        tokens: with the mask, which is the last.
        length: positions of the rows that were learnt.
        prefix: of the names of all weights.
    """

    tokens: int
    length: int
    width: int
    blocks: int
    heads: int
    condition: int
    prefix: str

    def __post_init__(self) -> None:
        if min(self.tokens - 1, self.length, self.width, self.blocks, self.heads, self.condition) < 1:
            raise UserError("The published configuration has a size below 1; restore config.json from a copy.")
        if self.width % self.heads or self.width // self.heads % 2:
            raise UserError(f"{self.heads} heads do not split a width of {self.width} into equal, even parts.")

    def shape(self, vocabulary: int, length: int) -> dict[str, int]:
        """Sizes of the network, as a checkpoint keeps them."""
        sizes = {"width": self.width, "blocks": self.blocks, "heads": self.heads, "condition": self.condition}
        return {"vocabulary": vocabulary, "length": length, **sizes}


Reader = Callable[[Mapping[str, Any], Path], Published]
"""What a method's `config.json` says; `UserError` where it is of another kind."""


def number(config: Mapping[str, Any], key: str, path: Path) -> int:
    """The whole number at a dotted key."""
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{path} does not say {key}, so it is not of a published model; give the folder of one.")
    return value


@dataclass(frozen=True)
class Folder:
    """A published folder of which all but the numbers in its weights has been looked at."""

    path: Path
    published: Published
    vocabulary: BytePairs

    @property
    def rows(self) -> Tensor:
        """Where each compact token has its row in the published tables, int64 [V]; any row for those they lack."""
        rows = self.vocabulary.to_full.clone()
        rows[MASK] = self.published.tokens - 1
        rows[list(LACKING)] = 0
        return rows


def open_folder(name: str, reader: Reader) -> Folder:
    """A published folder; no weight is read, unless they are pickled.

    Raises:
        UserError: it is missing or incomplete, of another method or kind, or its files do not belong together.
    """
    path = expanded(name)
    if not path.is_dir():
        raise UserError(f"There is no folder {path} with published weights; give one that holds them.")
    if not (path / "config.json").is_file():
        raise UserError(f"{path} has no config.json, so it holds no published weights; give a folder that does.")
    published = reader(read_json(path / "config.json"), path / "config.json")
    if not (path / "tokenizer.json").is_file():
        raise UserError(f"{path} has no tokenizer.json; put that of GPT-2 there, whose tokens the model writes.")
    tokenizer = load_tokenizer(path)
    if tokenizer.get_vocab_size() != published.tokens - 1:
        raise UserError(
            f"The model in {path} writes {published.tokens - 1} tokens and its tokenizer.json has "
            f"{tokenizer.get_vocab_size()}; put the tokenizer there that belongs to it."
        )
    if (path / WEIGHTS).is_file():
        header = safetensors.read_header(path / WEIGHTS).shapes
        _check(path / WEIGHTS, published, header)
    elif not (path / PICKLED).is_file():
        raise UserError(f"{path} has neither {WEIGHTS} nor {PICKLED}; put the published weights there.")
    return Folder(path, published, BytePairs(tokenizer))


def _check(path: Path, published: Published, shapes: Mapping[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        network = _network(published.shape(published.tokens, 2))
    expected = {f"{published.prefix}{name}": tuple(value.shape) for name, value in network.state_dict().items()}
    own = {name: shape for name, shape in shapes.items() if not name.endswith("rotary_emb.inv_freq")}
    wrong = sorted(name for name in expected.keys() | own.keys() if expected.get(name) != own.get(name))
    if wrong:
        problem = "lacks" if wrong[0] not in own else "has, unexpectedly or of another shape,"
        raise UserError(f"{path} {problem} '{wrong[0]}', so it is not of the model in config.json beside it.")


def _network(shape: Mapping[str, int]) -> DDiT:
    sizes = ("vocabulary", "length", "width", "blocks", "heads", "condition")
    return DDiT(*(shape[name] for name in sizes))


def read_network(folder: Folder, length: int, correction: float) -> DDiT:
    """The published network with compact tokens, for sequences of a length; `correction` is added to every logit."""
    published = folder.published
    file = folder.path / WEIGHTS if (folder.path / WEIGHTS).is_file() else folder.path / PICKLED
    tensors = {name: value.float() for name, value in read_authors(file).items() if "rotary_emb" not in name}
    _check(file, published, {name: tuple(value.shape) for name, value in tensors.items()})
    tensors = {name.removeprefix(published.prefix): value for name, value in tensors.items()}
    rows = folder.rows
    for name in ("vocab_embed.embedding", "output_layer.linear.weight", "output_layer.linear.bias"):
        tensors[name] = tensors[name][rows]
    tensors["output_layer.linear.bias"] += correction
    for name, value in (("output_layer.linear.weight", 0.0), ("output_layer.linear.bias", NEVER)):
        tensors[name][list(LACKING)] = value
    network = _network(published.shape(len(folder.vocabulary), length))
    network.load_state_dict(tensors)
    return network


def released_of(recipe: Any) -> str | None:
    """The published folder that a recipe names; those of outside packages may have no such field."""
    named: str | None = getattr(recipe, "released", None)
    return named


class MayBeReleased(BoundsLikelihood):
    """A system whose recipe has `released`, the folder of published weights, or None."""

    counts_tokens: ClassVar[bool] = False  # whether what logits mean depends on how many tokens there are

    @staticmethod
    @abstractmethod
    def read_published(config: Mapping[str, Any], path: Path) -> Published:
        """A `Reader`."""

    def __init__(self, recipe: Any, limits: Limits) -> None:
        super().__init__(recipe, limits)
        if released_of(recipe) is not None and limits.source_tokens > 0:
            raise UserError(f"The published weights of {self.name} take no source, and the task has one.")

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        return () if (released := released_of(recipe)) is None else (released,)

    @staticmethod
    def own_tokenizer(recipe: Any) -> str | None:
        return released_of(recipe)

    def ignored_keys(self) -> dict[str, str]:
        if released_of(self.recipe) is None:
            return super().ignored_keys()
        others = [field.name for field in dataclasses.fields(self.recipe) if field.name != "released"]
        return dict.fromkeys(others, "the released weights are used as they are; leave out {}released")

    def locate_weights(self) -> None:
        if (released := released_of(self.recipe)) is not None:
            open_folder(released, self.read_published)

    def read_vocabulary(self, path: Path) -> Vocabulary:
        return super().read_vocabulary(path) if released_of(self.recipe) is None else BytePairs.load(path)

    def build(self, shape: Mapping[str, int]) -> nn.Module:
        return super().build(shape) if released_of(self.recipe) is None else _network(shape)

    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        if (released := released_of(self.recipe)) is None:
            return super().fit_networks(corpus, budget, workdir, run)
        began, folder = time.perf_counter(), open_folder(released, self.read_published)
        # One position more than others write, for the end token that may stand in front.
        length = min(folder.published.length, self.limits.target_tokens)
        compact = len(folder.vocabulary)
        correction = math.log((compact - 1) / (folder.published.tokens - 1)) if self.counts_tokens else 0.0
        network = read_network(folder, length, correction)
        shape = folder.published.shape(compact, length)
        parameters = sum(value.numel() for value in network.parameters())
        notes = {"released": folder.path.absolute().name, "parameters": parameters, **shape}
        checkpoint.save_configuration(workdir, self.configured, shape)
        checkpoint.save_networks(workdir, self.name, folder.vocabulary, network)
        return TrainingResult(0, time.perf_counter() - began, 0.0, None, notes)

    def samples(self, requests: Sequence[Request], tokens: Tensor) -> list[Sample]:
        if released_of(self.recipe) is None:
            return super().samples(requests, tokens)
        leading = (tokens == SEP).long().cumprod(1).sum(1).tolist()
        rows = zip(requests, tokens, leading, strict=True)
        return [samples_from_tokens([r], row[None, skip:], self.vocabulary, whole=True)[0] for r, row, skip in rows]

    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        if released_of(self.recipe) is None:
            return super().likelihoods(documents, seeds)
        return [Likelihood(document.id, None, "bound", 0, NO_BOUND) for document in documents]
