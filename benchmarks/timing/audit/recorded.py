"""Whether timings are what they seem, as far as records alone say. Standard library only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.records import seals
from benchmarks.records.schema import Header, SampleRecord, TimingRecord
from benchmarks.records.validity import LATENCY, throughput, validity
from benchmarks.timing.audit.checked import Checked
from benchmarks.timing.audit.work import less_work
from cosmos.io.counting import agreeing, counted

SHORTER = 0.9  # share of the words of scored texts that texts which are only timed may have at least
FEWEST_TEXTS = 20  # on either side, below which lengths are not compared


def timed_texts(samples: Sequence[SampleRecord], timings: Sequence[TimingRecord], *, exact: bool) -> list[Checked]:
    """Whether the texts that were timed are those that are scored: of batches each, of single texts the share."""
    texts = {sample.id: sample.text for sample in samples}
    hashed = [t for t in timings if t.texts and t.kind in ("batch", "latency") and all(key in texts for key in t.ids)]
    batches = [timing for timing in hashed if timing.kind == "batch"]
    if not batches:
        said = "the records are older than hashes of timed texts"
        if any(t.seal for t in timings if t.kind == "batch") and not seals.changed_batches(samples, timings):
            return [Checked("timed texts", "holds", f"{said}, but each batch is sealed with its texts")]
        return [Checked("timed texts", "cannot tell", said)]
    unequal = [timing for timing in batches if not _same(timing, texts)]
    said = (
        f"{len(unequal):,} of {len(batches):,} timed {agreeing(len(batches), 'batch', 'batches')} "
        f"{agreeing(len(unequal), 'holds', 'hold')} other texts than those that are scored"
    )
    found = [Checked("timed texts", "found" if unequal else "holds", said)]
    singles = [timing for timing in hashed if timing.kind == "latency"]
    if singles:
        other = sum(not _same(timing, texts) for timing in singles)
        share = other / len(singles)
        texts_differ = f"{counted(len(singles), 'text')} {agreeing(other, 'differs', 'differ')}"
        said = f"{other:,} of {texts_differ} ({share:.0%}) when timed alone from the scored ones"
        wrong = other > 0 if exact else other == len(singles)
        found.append(Checked("single texts", "found" if wrong else "holds", said, {"share": share}))
    return found


def _same(timing: TimingRecord, texts: Mapping[str, str]) -> bool:
    return timing.texts == seals.texts_sha256([texts[key] for key in timing.ids])


def timed_lengths(samples: Sequence[SampleRecord], timings: Sequence[TimingRecord]) -> Checked:
    """Whether texts that were timed but are not scored are as long as those that are."""
    check = "timed lengths"
    rows = [t for t in timings if t.kind in ("sweep", "latency") and "words" in t.kept]
    texts = sum(len(timing.ids) for timing in rows)
    if texts < FEWEST_TEXTS or len(samples) < FEWEST_TEXTS:
        return Checked(
            check, "does not apply", f"only {counted(min(texts, len(samples)), 'text')}, too few to compare lengths"
        )
    timed = sum(timing.kept["words"] for timing in rows) / texts
    scored = statistics.fmean(len(sample.text.split()) for sample in samples)
    said = f"{timed:.1f} words in texts that are timed otherwise, {scored:.1f} in those that are scored"
    return Checked(check, "found" if timed < SHORTER * scored else "holds", said, {"timed": timed, "scored": scored})


def counted_calls(header: Header, timings: Sequence[TimingRecord]) -> Checked:
    """Whether every timed call of a system with networks called one."""
    if not header.networks:
        return Checked("counted calls", "does not apply", "the system has no networks")
    timed = [timing for timing in timings if timing.kind != "warmup"]
    if not timed:
        return Checked("counted calls", "cannot tell", "no timed call was kept")
    first = next(iter(header.networks))
    without = sum(not timing.calls.get(first) for timing in timed)
    said = f"{without:,} of {counted(len(timed), 'timed call')} made no call of {first}"
    return Checked("counted calls", "found" if without else "holds", said)


def timed_work(header: Header, timings: Sequence[TimingRecord]) -> Checked:
    """Whether as much was done for texts that were only timed as for those that are scored, and no more."""
    check = "timed work"
    if not header.networks:
        return Checked(check, "does not apply", "the system has no networks")
    sizes = sorted({len(timing.ids) for timing in timings if timing.kind == "sweep"} | {header.batch_size})
    found = []
    for name in (LATENCY, *map(throughput, sizes)):
        said = less_work(name, timings, header.batch_size)
        found += [f"{name}: {reason.removeprefix('audit: less work: ')}" for reason in said]
    return Checked(check, "found" if found else "holds", "; ".join(found) or "network calls are as many, scored or not")


def believed(header: Header) -> Checked:
    """What the verdict of the run said of its speeds; of a system without networks no speed is told."""
    if not header.networks:
        return Checked("verdict", "does not apply", "the system has no networks")
    names = (throughput(header.batch_size), LATENCY)
    reasons = {name: validity(header, name).reasons for name in names}
    doubtful = [f"{name}: {'; '.join(why)}" for name, why in reasons.items() if why]
    if doubtful:
        return Checked("verdict", "cannot tell", f"not believed already: {' | '.join(doubtful)}")
    return Checked("verdict", "holds", "throughput and latency are believed")
