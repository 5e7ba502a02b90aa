"""How many documents a system on a frozen encoder learns from: the first ones, as many as it can pay to have encoded.

Encoding is part of what a budget pays for, and long sources cost more than a small budget has, so a recipe limits its
share. Its FLOPs follow from the numbers of tokens alone; where the budget is in seconds, encoding a few documents tells
how many FLOPs a second has. A budget in steps pays for training alone, and then no more documents are encoded than
training will look at.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from baselines.contract import Budget, Corpus, Document, Limits, UserError
from cosmos.config import Place, StatePlace
from cosmos.io import seals
from cosmos.io.files import make_folder
from cosmos.io.typed_json import read_as
from cosmos.stages import MOST_STORED
from cosmos.text.encoder import TextEncoder
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import first_process_first

VALIDATION_SHARE = 0.1  # of what encoding may cost, for validation documents; FLOPs bound their number, uncharged
_TRAIN_SHARE = 1.0 - VALIDATION_SHARE
_CHUNK = 512  # documents that are cut into tokens at once
_TIMED = 64  # documents that are encoded to learn how fast that is
CHOICE = "documents.json"


def affordable(
    whole: Corpus,
    encoder: TextEncoder,
    limits: Limits,
    budget: Budget,
    share: float,
    batch_size: int,
    run: TrainingRun,
    no_passages: bool = False,
) -> Corpus:
    """The first training and validation documents whose texts can be encoded within a share of the budget, and the
    first passages that what training documents leave of it pays for.

    Args:
        share: of the budget, the most that encoding may cost; `VALIDATION_SHARE` of it is for validation.
        batch_size: the largest of training.
        run: in whose folder the choice is kept, so that a fit that was killed makes the same again.
        no_passages: whether a share that pays for no passage is as good as any.

    Raises:
        UserError: the share does not pay for a single document, or, but with `no_passages`, for no passage where there
            are some.
    """
    path = run.workdir / CHOICE
    with first_process_first(run.device):
        if not path.exists():
            make_folder(run.workdir)
            seals.write_sealed(path, _choice(whole, encoder, limits, budget, share, batch_size))
    remedy = "delete it, and run again"
    counts = read_as(dict[str, int], seals.read_sealed(path, remedy), str(path), remedy)
    counts.setdefault("train", 0)
    if counts["train"] == 0:
        raise UserError(
            f"A share of {share:g} of the budget {budget} does not pay for encoding one document; "
            "give a larger budget with --set budget=..."
        )
    if whole.passages and not counts.get("passages") and not no_passages:
        raise UserError(
            f"A share of {share:g} of the budget {budget} pays for encoding {counts['train']} of {len(whole.train)} "
            "documents and no passage; give a larger budget with --set budget=..., fewer documents with data.train=N, "
            "or no data.passages."
        )
    parts = {name: getattr(whole, name)[: counts.get(name, 0)] for name in ("train", "validation", "passages")}
    return replace(whole, **parts)


def place_of_states(asked: StatePlace, whole: Corpus, paid: Corpus, encoder: TextEncoder, limits: Limits) -> Place:
    """Where states come from, if so many texts of a corpus are paid for before training. Where nobody says, they are
    stored if that is all and if they fit: no more than `cosmos.stages.MOST_STORED`, at two bytes a number."""
    if asked != "auto":
        return asked
    if len(paid.train) < len(whole.train) or len(paid.passages) < len(whole.passages):
        return "loop"
    passages = [Document("", None, passage, ()) for passage in whole.passages]
    columns = _rows(encoder, whole.train, limits) + _rows(encoder, passages, replace(limits, source_tokens=0))
    fit = 2.0 * encoder.width * sum(len(row) for rows in columns for row in rows) <= MOST_STORED
    return "stored" if fit else "loop"


def _choice(
    corpus: Corpus, encoder: TextEncoder, limits: Limits, budget: Budget, share: float, batch_size: int
) -> dict[str, int]:
    parts = {"train": (corpus.train, _TRAIN_SHARE), "validation": (corpus.validation, VALIDATION_SHARE)}
    if budget.unit == "steps":
        seen = budget.amount * batch_size / _TRAIN_SHARE
        counts = {name: min(len(documents), max(1, round(seen * part))) for name, (documents, part) in parts.items()}
        rest = max(0, round(seen * _TRAIN_SHARE) - counts["train"])
        return counts | {"passages": min(len(corpus.passages), rest)}
    flops = budget.amount * share
    if budget.unit == "seconds":
        flops *= _speed(encoder, _rows(encoder, corpus.train[:_TIMED], limits))
    counts = {name: _count(encoder, documents, limits, flops * part) for name, (documents, part) in parts.items()}
    counts["passages"] = 0
    if corpus.passages and counts["train"] == len(corpus.train):
        rest = flops * _TRAIN_SHARE - sum(map(encoder.flops, _rows(encoder, corpus.train, limits)))
        passages = [Document("", None, passage, ()) for passage in corpus.passages]
        counts["passages"] = _count(encoder, passages, replace(limits, source_tokens=0), rest)
    return counts


def _count(encoder: TextEncoder, documents: Sequence[Document], limits: Limits, flops: float) -> int:
    """How many of the first documents can be encoded for so much, padding included."""
    columns: list[list[list[int]]] = []
    unpadded = 0.0
    for start in range(0, len(documents), _CHUNK):
        chunk = _rows(encoder, documents[start : start + _CHUNK], limits)
        columns = [done + rows for done, rows in zip(columns, chunk, strict=True)] if columns else chunk
        unpadded += sum(encoder.flops([row]) for rows in chunk for row in rows)
        if unpadded > flops:
            break

    def cost(count: int) -> float:
        return sum(encoder.flops(column[:count]) for column in columns)

    count = bisect_right(range(1, len(columns[0]) + 1), flops, key=cost) if columns else 0
    while count and cost(count) > flops:  # one document more can be padded less
        count -= 1
    return count


def _rows(encoder: TextEncoder, documents: Sequence[Document], limits: Limits) -> list[list[list[int]]]:
    """Token ids of the texts that are encoded together: the targets, and the sources where the task has any."""
    columns = [encoder.ids([document.target for document in documents], limits.target_tokens)[0]]
    if limits.source_tokens:
        columns.append(encoder.ids([str(document.source) for document in documents], limits.source_tokens)[0])
    return columns


def _speed(encoder: TextEncoder, columns: Sequence[Sequence[Sequence[int]]]) -> float:
    """FLOPs of encoding in a second, measured once the encoder is warm."""

    def encode() -> None:
        for rows in columns:
            for group in encoder.groups(rows):
                for states in encoder.states([rows[i] for i in group]):
                    states.cpu()  # so that the device is waited for

    encode()
    started = time.perf_counter()
    encode()
    return sum(map(encoder.flops, columns)) / (time.perf_counter() - started)
