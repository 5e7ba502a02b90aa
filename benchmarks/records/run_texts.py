"""What a run keeps of its texts, each file under the hash of what it holds: test documents, the targets of those learnt
from, and the tokenizer. Standard library only.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from baselines.contract import Corpus, Document, UserError
from benchmarks.records import seals, store
from benchmarks.records.files import StoreError, line, parsed_lines
from benchmarks.records.schema import Header, Json, Record, SampleRecord
from cosmos.io.files import make_folder, write_bytes
from cosmos.io.typed_json import AnyText, parse, read_as, shown

_ANEW = "delete its folder and run again"


def _lines(documents: Iterable[Document]) -> Iterable[str]:
    return (line(dataclasses.asdict(document)) for document in documents)


def digest(documents: Sequence[Document]) -> Json:
    """How many documents, and the SHA-256 of their lines."""
    hashed = hashlib.sha256()
    for text in _lines(documents):
        hashed.update(text.encode())
    return {"count": len(documents), "sha256": hashed.hexdigest()}


def corpus_digests(corpus: Corpus) -> dict[str, Json]:
    """The digests of all that may be learnt from: "train", "validation" and "passages"."""
    passages = hashlib.sha256("".join(line({"text": text}) for text in corpus.passages).encode()).hexdigest()
    return {
        "train": digest(corpus.train),
        "validation": digest(corpus.validation),
        "passages": {"count": len(corpus.passages), "sha256": passages},
    }


def write_documents(run: Path, documents: Sequence[Document]) -> Json:
    """Keep documents, so that scoring and reports need no source; returns their digest.

    Raises:
        UserError: those that are there were changed.
    """
    about = digest(documents)
    path = _documents(run, about["sha256"])
    if not _is_unchanged(path, about["sha256"]):
        make_folder(path.parent, StoreError)
        write_bytes(path, "".join(_lines(documents)).encode(), StoreError)
    return about


def read_documents(run: Path, sha256: str) -> list[Document]:
    """The documents that were kept under a hash.

    Raises:
        UserError: they are not there, or were changed.
    """
    path = _documents(run, sha256)
    if not store.ID.fullmatch(sha256) or not _is_unchanged(path, sha256):
        raise UserError(f"The run {run} has lost its documents {sha256[:64]}.jsonl; run it again.")
    return parsed_lines(path, lambda row, where: read_as(Document, row, where, _ANEW))


def documents_of(run: Path, header: Header, samples: Sequence[SampleRecord]) -> list[Document]:
    """The document that each sample answers.

    Raises:
        UserError: they are not there, or one of them is not.
    """
    about = header.documents.get("test")
    if about is None:
        raise UserError(f"The header of the cell {header.cell.id} in {run} names no documents; {_ANEW}.")
    by_id = {document.id: document for document in read_documents(run, about["sha256"])}
    if strange := [sample.id for sample in samples if sample.id not in by_id]:
        samples_file = store.cell_folder(run, header.cell.id) / store.SAMPLES
        raise UserError(f"{samples_file} answers {shown(strange[0])}, which is none of the run's documents; {_ANEW}.")
    return [by_id[sample.id] for sample in samples]


def has_documents(run: Path, sha256: str) -> bool:
    """Whether the documents of a hash were kept: published records may leave them out.

    Raises:
        UserError: they were changed.
    """
    return _is_unchanged(_documents(run, sha256), sha256)


def _documents(run: Path, sha256: str) -> Path:
    return run / "documents" / f"{sha256}.jsonl"


def _is_unchanged(path: Path, sha256: str) -> bool:
    """Whether a file that is named by its hash is there; `UserError` where it is and was changed."""
    found = seals.file_sha256(path)
    if found not in (None, sha256):
        raise UserError(f"{path} was changed after it was written; delete it, and give the command of the run again.")
    return found is not None


def write_learnt(run: Path, documents: Sequence[Document]) -> Json:
    """Keep the targets of training documents, so that scoring needs no source; returns the documents' digest, and that
    of the targets."""
    about = digest(documents)
    rows = "".join(f"{json.dumps(document.target)}\n" for document in documents).encode()
    path = _learnt(run, about["sha256"])
    if not path.exists():
        make_folder(path.parent, StoreError)
        write_bytes(path, gzip.compress(rows, mtime=0), StoreError)
    return {**about, "targets": hashlib.sha256(rows).hexdigest()}


def is_learnt(run: Path, sha256: str) -> bool:
    """Whether the targets of the training documents of a hash were kept."""
    return _learnt(run, sha256).exists()


def read_learnt(run: Path, sha256: str, targets_sha256: str | None = None) -> list[str] | None:
    """The targets of the training documents of a hash, in order; None if they were not kept.

    Args:
        targets_sha256: what `write_learnt` called "targets", where that is known.

    Raises:
        UserError: the file is damaged, or was changed.
    """
    path = _learnt(run, sha256)
    if not path.exists():
        return None
    remedy = "delete it, and give the command of the run again"
    try:
        rows = gzip.decompress(path.read_bytes())
        targets = read_as(list[AnyText], [parse(row) for row in rows.splitlines()], str(path), remedy)
    except UserError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} is damaged; {remedy}.") from error
    if targets_sha256 not in (None, hashlib.sha256(rows).hexdigest()):
        raise UserError(f"{path} was changed after it was written; {remedy}.")
    return targets


def _learnt(run: Path, sha256: str) -> Path:
    return run / "learnt" / f"{sha256}.jsonl.gz"


def write_tokenizer(run: Path, content: bytes) -> str:
    """Keep a tokenizer, the bytes of its tokenizer.json, so that scoring needs no encoder; returns their SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = _tokenizer(run, sha256)
    if path.exists():
        read_tokenizer(run, sha256)
    else:
        make_folder(path.parent, StoreError)
        write_bytes(path, _compressed(content), StoreError)
    return sha256


@lru_cache(maxsize=1)
def _compressed(content: bytes) -> bytes:
    """A process that makes several runs has one tokenizer for all of them, mostly."""
    return gzip.compress(content, mtime=0)


def has_tokenizer(run: Path, sha256: str) -> bool:
    """Whether the tokenizer of a hash was kept."""
    return _tokenizer(run, sha256).exists()


def read_tokenizer(run: Path, sha256: str) -> bytes:
    """The tokenizer that was kept under a hash.

    Raises:
        UserError: it is not there, or damaged.
    """
    path = _tokenizer(run, sha256)
    if not path.exists():
        raise UserError(f"The run {run} has lost its tokenizer {path.name}; copy it from where the run was made.")
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged; restore it from a copy.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{path} holds another tokenizer than its name says; restore it from a copy.")
    return content


def _tokenizer(run: Path, sha256: str) -> Path:
    return run / "tokenizers" / f"{sha256}.json.gz"


def text_ids(record: Record) -> list[str]:
    """The ids of a cell's texts in their order; where the texts were not published, as its batches name them."""
    batches = {timing.index: timing.ids for timing in record.timings if timing.kind == "batch"}
    return [sample.id for sample in record.samples] or [key for index in sorted(batches) for key in batches[index]]
