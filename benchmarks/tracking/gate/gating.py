"""A run against its baseline: everything that is looked at, put together."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from baselines.contract import UserError, unknown
from benchmarks.planning.gate_margins import Margins
from benchmarks.records.schema import Cell
from benchmarks.tracking import comparison
from benchmarks.tracking import quality as compared_quality
from benchmarks.tracking import speed as recorded_speed
from benchmarks.tracking.gate import quality, side_process, speed
from benchmarks.tracking.gate.interleaving import Design
from benchmarks.tracking.gate.side_process import StartSide
from benchmarks.tracking.gate.timing_jobs import sizes_of
from benchmarks.tracking.gate.verdict import GateFinding, GateResult
from benchmarks.tracking.pairs import EntryPair, SideEntry, entries, match, summed_up
from benchmarks.tracking.schema import ComparedEntry
from benchmarks.tracking.sides import Side

_TRAINED_ON = {"train texts": "training set", "validation texts": "validation set", "passages texts": "passages"}
_SAID_ELSEWHERE = ("commit",)


@dataclass(frozen=True)
class GateRequest:
    """What a gate is asked.

    Attributes:
        systems: those that are gated; all if none.
        speed: whether speed is judged.
        minutes: that timing may take, all entries together; no limit if None.
        again: the words of the command that gates a system again, without its name.
        say: who hears what is going on.
    """

    margins: Margins = field(default_factory=Margins)
    systems: tuple[str, ...] = ()
    speed: bool = True
    design: Design = field(default_factory=Design)
    minutes: float | None = None
    again: tuple[str, ...] = ("python", "-m", "benchmarks", "gate")
    start: StartSide = side_process.started
    say: Callable[[str], None] = lambda text: None


def narrowed(side: Side, systems: Collection[str]) -> Side:
    """Some systems of a side; all where none is named.

    Raises:
        UserError: it has none of a name.
    """
    known = {cell.header.cell.system for cell in side.cells}
    for system in systems:
        if system not in known:
            raise unknown(f"system of {side.text}", system, known)
    kept = tuple(cell for cell in side.cells if not systems or cell.header.cell.system in systems)
    return dataclasses.replace(side, cells=kept)


def gate(baseline: Side, run: Side, asked: GateRequest) -> GateResult:
    """Judge a run by its baseline."""
    baseline = narrowed(baseline, asked.systems)
    pairs, unpaired = match(baseline, run)
    refused = summed_up(unpaired)
    found = list(_missing(baseline, run, refused, asked.again))
    notes = [*run.notes, *(note for note in baseline.notes if note not in run.notes)]
    notes += [sentence for sentence in refused if _only_in(run, sentence)]
    metrics, sides = _shared_metrics(pairs, asked.margins), _compared_sides(baseline, run, asked.systems)
    plain = ("python", "-m", "benchmarks", "compare", *sides)
    named = [*metrics, *([] if asked.margins.calls is None else ["calls"])]
    command = (*plain, "--metric", ",".join(named)) if named else plain
    try:
        compared = _compared(baseline, run, pairs, asked.margins) if pairs else []
    except UserError as error:
        found.append(GateFinding("", (), "cell", "comparison", "cannot judge", str(error), command=shlex.join(command)))
        compared = []
    judged = quality.findings(compared, asked.margins, command)
    found += [one if one.quantity in named else dataclasses.replace(one, command=shlex.join(plain)) for one in judged]
    if asked.speed and asked.margins.speed is not None:
        found += _speeds(compared, asked)
    notes += _differences([entry for _, entry in compared])
    return GateResult(baseline.text, run.text, tuple(found), tuple(dict.fromkeys(notes)))


def _compared(
    baseline: Side, run: Side, pairs: Sequence[EntryPair], margins: Margins
) -> list[tuple[EntryPair, ComparedEntry]]:
    """Each pair with what is said of it; corpus scores that are not gated are not drawn again."""
    speeds = (recorded_speed.LATENCY, recorded_speed.THROUGHPUT)
    said = comparison.compare(baseline, run, metrics=[*_shared_metrics(pairs, margins), "calls", *speeds])
    return list(zip(pairs, said.entries, strict=True))


def _compared_sides(baseline: Side, run: Side, systems: Sequence[str]) -> list[str]:
    """The two sides in the words of `compare`, which takes one system or all."""
    sides = [baseline.text, run.text]
    if len(systems) != 1:
        return sides
    return [text if ":" in text and not Path(text).exists() else f"{text}:{systems[0]}" for text in sides]


def _shared_metrics(pairs: Sequence[EntryPair], margins: Margins) -> list[str]:
    """The gated metrics that both sides have."""
    both = {name for pair in pairs for name in compared_quality.metric_names(pair)}
    return [name for name in quality.gated_metrics(pairs, margins) if name in both]


def _only_in(side: Side, sentence: str) -> bool:
    """Whether a refusal is of entries that the other side has not."""
    return sentence.startswith(f"Only {side.text} has ")


def _missing(baseline: Side, run: Side, refused: Sequence[str], again: Sequence[str]) -> Iterator[GateFinding]:
    """What of the baseline cannot be judged: another test set, another tokenizer, or cells that are not there any more;
    one that failed is worse, whatever became of the other seeds of its entry."""
    for sentence in refused:
        if not _only_in(run, sentence) and not _only_in(baseline, sentence):
            yield GateFinding("", (), "cell", "comparison", "cannot judge", sentence)
    there = {_asked(cell.header.cell) for cell in run.cells}
    ended = {_asked(header.cell): header for header in run.undone}
    for entry in entries(baseline):
        command = shlex.join([*again, "--system", entry.header.cell.system])
        lost = [cell.header.cell for cell in entry.cells if _asked(cell.header.cell) not in there]
        failed = [cell for cell in lost if _asked(cell) in ended and ended[_asked(cell)].status == "failed"]
        if failed:
            reason = ended[_asked(failed[0])].reason or "it does not say why"
            why = f"it fails now{_of_seeds(failed, entry)}: {reason}"
            yield GateFinding(entry.name, (), "cell", "cell", "regression", why, command=command)
        others = [cell for cell in lost if cell not in failed]
        if others:
            header = ended.get(_asked(others[0]))
            if header is None:
                why = f"it is not in {run.text}"
            else:
                why = header.reason or ("it is unfinished" if header.status == "started" else f"it was {header.status}")
            why += _of_seeds(others, entry)
            yield GateFinding(entry.name, (), "cell", "cell", "cannot judge", why, command=command)


def _of_seeds(cells: Sequence[Cell], entry: SideEntry) -> str:
    """Which seeds some cells of an entry are of, "" where they are all of its."""
    if len(cells) == len(entry.cells):
        return ""
    return f" (seed{'s' if len(cells) > 1 else ''} {', '.join(str(cell.seed) for cell in cells)})"


def _asked(cell: Cell) -> tuple[str, str, str, str, int]:
    return cell.task, cell.source, cell.system, cell.setting, cell.seed


def _speeds(compared: Sequence[tuple[EntryPair, ComparedEntry]], asked: GateRequest) -> Iterator[GateFinding]:
    timed = [(pair, entry) for pair, entry in compared if speed.is_timed(pair)]
    new = [(pair, entry) for pair, entry in timed if not speed.same_code(pair.a.header, pair.b.header)]
    tests = sum(len(sizes_of(pair)) for pair, _ in new)
    design = asked.design
    if asked.minutes is not None and new:
        design = dataclasses.replace(design, seconds=60 * asked.minutes / len(new) / design.processes)
    for pair, entry in timed:
        command = shlex.join([*asked.again, "--system", pair.b.header.cell.system])
        assert asked.margins.speed is not None
        asked.say(f"timing {entry.name}")
        yield from speed.findings(
            pair, entry, speed.SpeedRules(asked.margins.speed, design, tests, command, asked.start)
        )


def _differences(compared: Sequence[ComparedEntry]) -> Iterator[str]:
    """In what the entries differ besides their code, each with the entries that it holds for."""
    holding: dict[str, list[str]] = {}
    for entry in compared:
        for said in entry.differs:
            if not said.startswith(_SAID_ELSEWHERE):
                holding.setdefault(said, []).append(entry.name)
    for said, names in holding.items():
        what = next((word for head, word in _TRAINED_ON.items() if said.startswith(head)), "")
        told = f"the {what} changed: {said}" if what else f"{said}"
        yield f"{told} ({', '.join(names)})"
    yield from dict.fromkeys(note for entry in compared for note in entry.notes)
