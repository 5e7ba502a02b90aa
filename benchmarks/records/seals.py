"""Seals: hashes that tell a record which was changed after it was written. Standard library only.

A JSON object is sealed by the SHA-256 of all else in it, under the key `seal`; a file by its SHA-256 in an object that
is sealed itself. They guard against accidents, not against whoever computes them anew.

    plan.json, checkpoints/ID.json   sealed
    header.json                      sealed; holds the SHA-256 of the files that were whole when the cell was done
    scores.jsonl                     each line sealed; holds the SHA-256 of the samples that were scored
    timings.jsonl                    each line holds the hash of itself and of the samples that its batch made, which
                                     stands in for that in the header while a cell is being made
    documents/HASH.jsonl             named by its SHA-256
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from baselines.contract import UserError
from benchmarks.records.files import line
from benchmarks.records.schema import Json, SampleRecord, TimingRecord, canonical_json, identity

KEY = "seal"
_LINE_SEAL = f',"{KEY}":"'
SINCE = 4  # the first schema whose records are sealed


def sealed(value: Json) -> Json:
    """A JSON object with its seal, which comes last; one that it had is made anew."""
    rest = {key: part for key, part in value.items() if key != KEY}
    return {**rest, KEY: _seal(json.loads(json.dumps(rest)))}


def opened(value: Json, where: str, remedy: str, *, wanted: bool) -> Json:
    """A JSON object without its seal.

    Args:
        where: what errors call it.
        wanted: whether it must have one.

    Raises:
        UserError: it was changed since it was sealed, or has no seal and must have one.
    """
    rest = {key: part for key, part in value.items() if key != KEY}
    if KEY not in value and not wanted:
        return rest
    if KEY not in value:
        raise UserError(f"{where} has lost its seal, so it may have been changed; {remedy}.")
    if value[KEY] is None or value[KEY] != _seal(rest):
        raise UserError(f"{where} was changed after it was written; {remedy}.")
    return rest


def sealed_line(row: Json) -> str:
    """A JSON line whose seal, which comes last, is of the characters before it: long rows need not be spelt again."""
    text = line(row).removesuffix("}\n")
    return f'{text}{_LINE_SEAL}{hashlib.sha256(text.encode()).hexdigest()}"}}\n'


def opened_line(text: bytes, row: Json, where: str, remedy: str, *, wanted: bool) -> Json:
    """The object of a line without its seal; see `opened`."""
    rest = {key: part for key, part in row.items() if key != KEY}
    if KEY not in row:
        return opened(row, where, remedy, wanted=wanted)
    if row[KEY] != hashlib.sha256(text.rpartition(_LINE_SEAL.encode())[0]).hexdigest():
        raise UserError(f"{where} was changed after it was written; {remedy}.")
    return rest


def _seal(value: Json) -> str | None:
    """Of values as they are read; None, which no seal equals, where it holds what no record may."""
    try:
        return hashlib.sha256(canonical_json(value).encode()).hexdigest()
    except ValueError:
        return None


def sample_row(sample: SampleRecord) -> Json:
    """A sample as its line has it: an entropy that it lacks is left out, since seals are older than entropies."""
    row = dict(vars(sample))
    if sample.entropy is None:
        del row["entropy"]
    return row


def timing_seal(timing: TimingRecord, samples: Sequence[SampleRecord]) -> str:
    """The hash of a timed call and of the samples that are kept of it: those of a batch, none of another call."""
    said = [[getattr(timing, name) for name in ("kind", "index", "ids", "seconds", "calls")], *map(sample_row, samples)]
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def changed_batches(samples: Iterable[SampleRecord], timings: Iterable[TimingRecord]) -> bool:
    """Whether a timed call, or samples of a batch that are all there, are not what was sealed."""
    by_id = {sample.id: sample for sample in samples}
    for timing in timings:
        made = [by_id[key] for key in timing.ids if key in by_id] if timing.kind == "batch" else []
        whole = timing.kind != "batch" or len(made) == len(timing.ids)
        if timing.seal and whole and timing.seal != timing_seal(timing, made):
            return True
    return False


def file_sha256(path: Path) -> str | None:
    """The SHA-256 of a file, None where it is not there.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror or error}).") from error


def file_hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of those of the named files that are there."""
    hashes = {name: file_sha256(folder / name) for name in names}
    return {name: sha256 for name, sha256 in hashes.items() if sha256 is not None}


def tree_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder and the folders in it, by its path from there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return file_hashes(folder, (path.relative_to(folder).as_posix() for path in paths))


def check_files(folder: Path, hashes: Mapping[str, str], remedy: str) -> None:
    """See that files, as far as they are there, are those that were sealed.

    Raises:
        UserError: one is another; the message names it.
    """
    for name, sha256 in hashes.items():
        if file_sha256(folder / name) not in (None, sha256):
            raise UserError(f"{folder / name} was changed after it was written; {remedy}.")


def content_of(path: Path) -> str:
    """What a file, or a folder by the files directly in it, is known by wherever it lies: the hash of names and bytes.

    Hidden files do not count.
    """
    if path.is_file():
        return str(file_sha256(path))
    names = sorted(each.name for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    return identity(file_hashes(path, names))
