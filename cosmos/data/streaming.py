"""Corpora of any size as what a first stage learns from: tokens on disk, states computed in the loop.

run.workdir/corpora/<hash>/   tokens of a corpus (`cosmos.data.token_store`)
run.workdir/sample.json       what encoding the sample cost, by which states are standardised
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosmos.data.datasets import LoopTextDataset, TextDataset
from cosmos.data.encoding import SAMPLE, EncodedCorpus, EncodedTexts, Encoding
from cosmos.data.loop_states import LoopStates, with_states
from cosmos.data.mixture import MixtureOrder
from cosmos.data.state_cache import CachedStates
from cosmos.data.token_store import StoredCorpus, store_tokens
from cosmos.io.artifact import OPENINGS, CorpusRead, write_artifact
from cosmos.io.openings import write_filter
from cosmos.text.corpora import CorpusFile, check_corpora
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.budget import Budget, Cost
from cosmos.training.config import TrainingResult, TrainingRun
from cosmos.training.distributed import find_processes

STREAM_SAMPLE = 512  # texts that are encoded before training, for statistics of states and a linear start
_FEWEST, _AT_ONCE = 16, 64  # of them at least; encoded together
_SAMPLE_SHARE = 0.1  # of a budget in FLOPs, the most that they may cost


class JoinedStates(LoopStates):
    """The texts of several corpora, one after the other."""

    def __init__(self, parts: Sequence[LoopStates]) -> None:
        self.parts, self.encoder = list(parts), parts[0].encoder
        self.cut, self.limit = sum(part.cut for part in parts), max(part.limit for part in parts)
        self.bounds = torch.tensor([0, *map(len, parts)]).cumsum(0)

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def _by_part(self, index: Tensor) -> list[tuple[LoopStates, Tensor, Tensor]]:
        """Each corpus with the places in `index` of its texts, and their rows in it."""
        owner = torch.searchsorted(self.bounds, index, right=True) - 1
        places = [(part, (owner == number).nonzero()[:, 0]) for number, part in enumerate(self.parts)]
        first = dict(zip(self.parts, self.bounds.tolist(), strict=False))
        return [(part, place, index[place] - first[part]) for part, place in places if len(place)]

    @property
    def lengths(self) -> Tensor:
        return torch.cat([part.lengths for part in self.parts])

    def longest_of(self, index: Tensor) -> int:
        return max(part.longest_of(rows) for part, _, rows in self._by_part(index))

    def ids(self, index: Tensor, length: int) -> tuple[Tensor, Tensor]:
        ids = torch.full((len(index), length), self.encoder.pad)
        mask = torch.zeros(len(index), length, dtype=torch.bool)
        for part, place, rows in self._by_part(index):
            ids[place], mask[place] = part.ids(rows, length)
        return ids, mask


class MixedDataset(LoopTextDataset):
    """Texts of several corpora, in an order of their own (`cosmos.training.loop.BringsOrder`)."""

    def __init__(self, states: JoinedStates, vocabulary: Vocabulary, weights: Sequence[float]) -> None:
        super().__init__(states, vocabulary)
        self.counts, self.weights = [len(part) for part in states.parts], list(weights)

    def lengths_of(self, index: Tensor) -> list[int]:
        """Tokens of the texts at `index`."""
        return [self.states.longest_of(row) for row in index.split(1)]

    def order(self, seed: int) -> MixtureOrder:
        return MixtureOrder(self.counts, self.weights, seed)


@dataclass(frozen=True)
class Streamed:
    """Corpora ready to be learnt from, the vocabulary of all of them, and what is to be told of each."""

    corpus: EncodedCorpus
    vocabulary: Vocabulary
    told: list[CorpusRead]
    parts: list[StoredCorpus]


Measured = Callable[[Callable[[], None], TrainingRun, str], Cost]


def stream(
    corpora: Sequence[CorpusFile],
    validation_texts: Sequence[str],
    encoder: TextEncoder,
    max_tokens: int,
    budget: Budget,
    run: TrainingRun,
    measured: Measured,
) -> Streamed:
    """Read corpora, or find them read.

    Args:
        max_tokens: longest text in tokens, specials included.
        budget: which pays for encoding a sample.
        measured: `cosmos.stages.measured`.

    Raises:
        UserError: see `check_corpora` and `store_tokens`.
    """
    check_corpora(list(corpora))
    processes = find_processes(run.device)

    def stored(corpus: CorpusFile) -> StoredCorpus:
        folder = run.workdir / "corpora" / hashlib.sha256(str(corpus.path.absolute()).encode()).hexdigest()[:16]
        return store_tokens(corpus, encoder, max_tokens, folder)

    own: dict[int, StoredCorpus] = {}
    for number, corpus in enumerate(corpora):  # each read by one process
        if number % processes.count == processes.rank:
            own[number] = stored(corpus)
            run.progress("read", (number + 1) / len(corpora), None)
    processes.wait()
    parts = [own[number] if number in own else stored(corpus) for number, corpus in enumerate(corpora)]
    vocabulary = Vocabulary.of_numbers({number for part in parts for number in part.numbers}, str(encoder.folder))
    texts = MixedDataset(JoinedStates([part.states for part in parts]), vocabulary, [c.weight for c in corpora])
    told: list[CorpusRead] = [
        {"name": corpus.name, "sha256": part.sha256, "weight": corpus.weight, "texts": len(part.states)}
        for corpus, part in zip(corpora, parts, strict=True)
    ]
    key = hashlib.blake2b(repr((told, encoder.fingerprint, max_tokens)).encode(), digest_size=16).hexdigest()
    encoding = Encoding(encoder, vocabulary, max_tokens, 0, run, "loop")
    place = "stored" if len(validation_texts) <= SAMPLE else "loop"
    held_out = encoding.encoded(Texts(validation_texts, None), place) if validation_texts else None
    learnt, prepare, frozen = EncodedTexts(texts, key, None), partial(with_states, encoder), (encoder.network,)
    sample = _sample(texts, budget, run, measured)
    corpus = EncodedCorpus(learnt, held_out, sample, None, prepare, frozen=frozen)
    return Streamed(corpus, vocabulary, told, parts)


def _sample(texts: MixedDataset, budget: Budget, run: TrainingRun, measured: Measured) -> TextDataset:
    """The first texts that training will see, encoded and kept in memory."""
    index = texts.order(run.seed).rows(0, min(STREAM_SAMPLE, len(texts)))
    if budget.unit == "flops":
        price = texts.states.encoder.flops([[0] * length for length in texts.lengths_of(index)]) / len(index)
        index = index[: max(_FEWEST, int(_SAMPLE_SHARE * budget.amount / price))]
    groups: list[tuple[Tensor, Tensor, Tensor]] = []

    def encode() -> None:
        for part in index.split(_AT_ONCE):
            length = texts.states.longest_of(part)
            states, mask = texts.states.rows(part, length)
            groups.append((states[mask].half().cpu(), mask.sum(1).cpu(), texts.batch(part, length)["tokens"]))

    cost = measured(encode, run, "sample")
    flat, lengths = (torch.cat([group[place] for group in groups]) for place in (0, 1))
    tokens = torch.zeros(len(index), int(lengths.max()), dtype=torch.int64)
    start = 0
    for _, _, rows in groups:
        tokens[start : start + len(rows), : rows.shape[1]] = rows
        start += len(rows)
    return TextDataset.of_tokens(CachedStates(flat, lengths, 0, cost), tokens, texts.longest)


def leave_artifact(
    folder: Path,
    made_by: Mapping[str, Any],
    encoder: TextEncoder,
    sizes: Mapping[str, Any],
    trained: TrainingResult,
    batch_size: int,
    streamed: Streamed,
    device: str,
) -> None:
    """Write what a first stage is known by beside its model (`cosmos.io.artifact`), once that is there.

    Args:
        made_by: `kind`, `preset` and `seed`.
        sizes: of the networks.
        batch_size: of training, for the number of texts seen.
    """
    hashes = [part.openings for part in streamed.parts]
    write_filter(folder / OPENINGS, hashes, sum(map(len, hashes)))
    reached = ("validation_loss", "token_accuracy", "text_accuracy")
    known = {"validation_loss": trained.validation_loss, **trained.notes}
    about = {
        **made_by,
        "text_encoder": encoder.fingerprint,
        "sizes": dict(sizes),
        "spent": {
            "steps": trained.steps,
            "seconds": trained.seconds,
            "flops": trained.flops,
            "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
            "texts_seen": trained.steps * batch_size,
        },
        "corpora": list(streamed.told),
        "reached": {name: known[name] for name in reached if known.get(name) is not None},
    }
    write_artifact(folder, about)
