"""Whether a measured quantity may be believed, and why not. Standard library only.

A verdict is given for each quantity, so that a doubtful latency does not void a good throughput. Records before
schema 6 have one verdict for all that was timed, which holds for each quantity then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.records.schema import Header, Record, TimingRecord

LATENCY, MEMORY, ENERGY = "latency", "memory", "energy"
_THROUGHPUT = "throughput@"
NOT_JUDGED = "no verdict was given"


def throughput(size: int) -> str:
    """The name of the quantity "texts per second with so many texts at once"."""
    return f"{_THROUGHPUT}{size}"


def size_of(quantity: str) -> int | None:
    """How many texts at once a throughput is of; None of another quantity."""
    return int(quantity.removeprefix(_THROUGHPUT)) if quantity.startswith(_THROUGHPUT) else None


@dataclass(frozen=True)
class Validity:
    """Whether a quantity may be believed.

    Attributes:
        reasons: sentences that say why not; none where it may.
        unknown: what its verdict could not look at, such as "what other processes used"; it stands besides, and makes
            nothing invalid.
    """

    valid: bool
    reasons: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said beside the number: a clause for each reason, and one of what is not known."""
        told = [not_valid([reason]) for reason in self.reasons]
        return (*told, *((not_known(self.unknown),) if self.unknown else ()))


def validity(header: Header, quantity: str) -> Validity:
    """Whether a quantity of a cell may be believed: `LATENCY`, `MEMORY`, `ENERGY` or `throughput(size)`."""
    verdict = header.verdict
    by_quantity = verdict.get("quantities")
    said = verdict if by_quantity is None else by_quantity.get(quantity, {})
    unknown = tuple(map(str, said.get("unknown", ())))
    if said.get("valid") is True:
        return Validity(True, unknown=unknown)
    return Validity(False, tuple(map(str, said.get("reasons") or [NOT_JUDGED])), unknown)


def calls_of(record: Record, quantity: str) -> tuple[TimingRecord, ...]:
    """The timed calls of a cell that a latency or a throughput rests on, without those that stalled."""
    return without_stalled(calls_in(record.timings, record.header.batch_size, quantity), record.header)


def calls_in(timings: Iterable[TimingRecord], made: int, quantity: str) -> tuple[TimingRecord, ...]:
    """The timed calls that a latency or a throughput rests on, stalled ones too.

    A throughput of as many texts at once as the scored ones were made by rests on their batches, the last and smaller
    one too, and on what else was made so many at once; but not on a batch some of whose requests were asked alone
    before, in whose place others were made.

    Args:
        timings: in the order in which calls were made.
        made: how many texts the scored ones were made at once.
    """
    size = size_of(quantity)
    found, alone = [], set[str]()
    for timing in timings:
        if timing.kind == "latency":
            alone.add(timing.ids[0])
            if quantity == LATENCY:
                found.append(timing)
        elif timing.kind == "batch":
            if size == made and not timing.asked_before and alone.isdisjoint(timing.ids):
                found.append(timing)
        elif timing.kind == "sweep" and len(timing.ids) == size:
            found.append(timing)
    return tuple(found)


def swept(record: Record) -> tuple[int, ...]:
    """The other numbers of texts at once that were timed, in ascending order."""
    sizes = {len(timing.ids) for timing in record.timings if timing.kind == "sweep"}
    return tuple(sorted(sizes - {record.header.batch_size}))


def counted(record: Record) -> tuple[TimingRecord, ...]:
    """The timings that count: all but those of calls that stalled, which the verdict names and others replaced."""
    return without_stalled(record.timings, record.header)


def without_stalled(timings: Iterable[TimingRecord], header: Header) -> tuple[TimingRecord, ...]:
    """Of timings of a cell, those that count."""
    stalled = {(call["kind"], call["index"]) for call in header.verdict.get("stalled", ())}
    return tuple(timing for timing in timings if (timing.kind, timing.index) not in stalled)


def not_valid(reasons: Sequence[str]) -> str:
    """Reasons of a verdict as a clause, in which "not" stands once: "not valid: other processes used 51% ..."."""
    return f"not valid: {'; '.join(reasons).replace('not alone: ', '')}"


def not_known(what: Sequence[str]) -> str:
    """What a verdict could not look at as a clause: "not known while this was timed: what other processes used"."""
    return f"not known while this was timed: {'; '.join(what)}"
