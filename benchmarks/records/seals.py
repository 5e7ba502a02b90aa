"""Seals of records (`cosmos.io.seals`), which tell one that was changed after it was written. Standard library only.

plan.json, checkpoints/ID.json   sealed
header.json                      sealed; holds the SHA-256 of the files that were whole when the cell was done
scores.jsonl                     each line sealed; holds the SHA-256 of the samples that were scored
timings.jsonl                    each line holds the hash of itself and of the samples that its batch made, which
                                 stands in for that in the header while a cell is being made
documents/HASH.jsonl             named by its SHA-256
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.records.files import line
from benchmarks.records.schema import Json, SampleRecord, TimingRecord, canonical_json, identity
from cosmos.io.seals import KEY, changed
from cosmos.io.seals import check_files as check_files
from cosmos.io.seals import file_hashes as file_hashes
from cosmos.io.seals import file_sha256 as file_sha256
from cosmos.io.seals import opened as opened
from cosmos.io.seals import sealed as sealed
from cosmos.io.seals import tree_hashes as tree_hashes

_WITH_SAMPLES = ("batch", "shard")  # kinds of timed calls whose texts are kept
_LINE_SEAL = f',"{KEY}":"'
_SINCE_SCHEMA_6 = (
    "round",
    "process",
    "device_seconds",
    "cpu_seconds",
    "phases",
    "kept",
    "texts",
    "asked_before",
    "beside",
    "slowed",
    "device",
)
_OLDER = TimingRecord("batch", 0, (), 0.0, {})  # says none of these, as older lines, whose seals do not know them
SINCE = 4  # the first schema whose records are sealed


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
        raise changed(where, remedy)
    return rest


def sample_row(sample: SampleRecord) -> Json:
    """A sample as its line has it: an entropy that it lacks is left out, since seals are older than entropies."""
    row = dict(vars(sample))
    if sample.entropy is None:
        del row["entropy"]
    return row


def timing_seal(timing: TimingRecord, samples: Sequence[SampleRecord]) -> str:
    """The hash of a timed call and of the samples that are kept of it: those of a batch or shard, else none."""
    said = [[getattr(timing, name) for name in ("kind", "index", "ids", "seconds", "calls")], *map(sample_row, samples)]
    later = {name: value for name in _SINCE_SCHEMA_6 if (value := getattr(timing, name)) != getattr(_OLDER, name)}
    said += [later] if later else []
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def texts_sha256(texts: Iterable[str]) -> str:
    """What the texts of a call are known by, in their order."""
    return hashlib.sha256(canonical_json(list(texts)).encode()).hexdigest()


def changed_batches(samples: Iterable[SampleRecord], timings: Iterable[TimingRecord]) -> bool:
    """Whether a timed call, or samples of a batch that are all there, are not what was sealed."""
    by_id = {sample.id: sample for sample in samples}
    for timing in timings:
        made = [by_id[key] for key in timing.ids if key in by_id] if timing.kind in _WITH_SAMPLES else []
        whole = timing.kind not in _WITH_SAMPLES or len(made) == len(timing.ids)
        if timing.seal and whole and timing.seal != timing_seal(timing, made):
            return True
    return False


def content_of(path: Path) -> str:
    """What a file, or a folder by the files directly in it, is known by wherever it lies: the hash of names and bytes.

    Hidden files do not count.
    """
    if path.is_file():
        return str(file_sha256(path))
    names = sorted(each.name for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    return identity(file_hashes(path, names))
