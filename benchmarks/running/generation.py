"""Generate, time and keep the texts of one cell; taken up again, the files are those of an undisturbed run.

A cell's batches are made in turns, so that systems and settings can take theirs between (`benchmarks.running.sitting`).
Nothing that is timed was asked before: warming up takes stand-ins, and single texts are those of the last batch, made
before it, which then counts in no throughput.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from baselines.contract import Request, System, UserError
from benchmarks.records import seals, store
from benchmarks.records.files import Appender, write_lines
from benchmarks.records.schema import Json, SampleRecord, TimingRecord
from benchmarks.records.validity import calls_in, throughput
from benchmarks.running.auditing.checks import in_a_run
from benchmarks.running.cell_timing import Kind, TokenCounts, record_of
from benchmarks.running.sample_records import check_answers, differ, sample_records, stays
from benchmarks.running.single_texts import SingleTexts
from benchmarks.running.sizes.batch_size import TooMany
from benchmarks.running.sizes.warming import sizes_that_fit, warmed
from benchmarks.running.stand_ins import StandIns
from benchmarks.timing import memory, verdict
from benchmarks.timing.clock import Clock
from benchmarks.timing.gpu_state import open_gpu
from benchmarks.timing.phases import can_look, looking, uncaptured
from benchmarks.timing.preparation import preparation
from benchmarks.timing.protocol import Call, Protocol, batches, shares, timed, wanted
from benchmarks.timing.stalls import stalled
from benchmarks.timing.surroundings import Watch

Result = TypeVar("Result")


@dataclass(frozen=True)
class Conditions:
    """Under which texts are made and timed.

    Attributes:
        batch_size: texts made at once.
        sweep: other numbers of texts at once, whose speed is measured besides; one that does not fit is left out.
            "best": the number is searched with which most texts are made a second.
        rules: by which a quantity is valid.
        others: requests for other documents, to warm up with.
        token_counts: of texts in the tokenizer of the run, their ends counted.
    """

    device: str
    batch_size: int
    sweep: tuple[int, ...] | Literal["best"]
    protocol: Protocol
    rules: verdict.Rules
    others: tuple[Request, ...] = ()
    token_counts: TokenCounts | None = None


def generate(
    system: System,
    setting: Any,
    requests: Sequence[Request],
    folder: Path,
    conditions: Conditions,
    *,
    progress: Callable[[float], None],
    say: Callable[[str], None],
) -> Json:
    """Fill samples.jsonl and timings.jsonl of a cell's folder, with no other cell taking turns.

    Returns:
        the verdict on the timings.

    Raises:
        UserError: the samples on disk are not answers to these requests, or not even one text fits.
    """
    cell = CellGeneration(system, system.networks(), setting, requests, folder, conditions, progress=progress, say=say)
    cell.prepare()
    turn = 0
    while cell.unfinished:
        cell.take_turn(turn)
        turn += 1
    cell.look()
    return cell.finish()


class CellGeneration:
    """One cell at work.

    A batch counts as done when its samples and its timing are on disk. One that is not is made again as a whole, and
    only the lines that are missing are added. Where the device's memory does not hold so many texts at once, half as
    many are made at once, which changes no text; the verdict says how many it was.

    Args:
        networks: what `System.networks` gave; it is asked once, before anything is timed.
        too_many: what is known of how many texts do not fit; shared by cells of one system.

    Raises:
        UserError: the samples on disk are not answers to these requests.
    """

    def __init__(
        self,
        system: System,
        networks: Mapping[str, Any],
        setting: Any,
        requests: Sequence[Request],
        folder: Path,
        conditions: Conditions,
        *,
        progress: Callable[[float], None],
        say: Callable[[str], None],
        too_many: TooMany | None = None,
    ) -> None:
        self.system, self.networks, self.setting = system, dict(networks), setting
        self.requests, self.folder, self.conditions = requests, folder, conditions
        self.progress, self.say = progress, say
        self.too_many = too_many or TooMany()
        self.size = max(1, min(conditions.batch_size, len(requests)))
        self.clock, self._alone = Clock(conditions.device), True
        self.stand_ins = StandIns(requests, conditions.others)
        self._opened = False
        self._unnamed, self._found = tuple[str, ...](), tuple[str, ...]()
        self._names: tuple[str, ...] = ()
        self._asked_alone = set[str]()  # ids, also of what was made before memory ran out or the run was interrupted
        self.cold_start: Mapping[str, float] = {}
        check_answers(store.read_samples(folder), requests, folder)

    # -- what a sitting asks ------------------------------------------------------------------------------------------

    def prepare(self, *, alone: bool = True) -> None:
        """Warm up.

        Args:
            alone: whether memory that runs out is this cell's fault, so that it makes fewer texts at once.

        Raises:
            UserError: not even one text fits.
        """
        self._within_memory(lambda: None, alone=alone)

    @property
    def unfinished(self) -> bool:
        """Whether another turn is wanted."""
        return bool(self._shares) or any(map(self._lacks, self.sizes)) or self._singles.lack

    def take_turn(self, turn: int) -> None:
        """Make the next share of the batches, and of what else is timed; then, what lacks."""
        self._within_memory(functools.partial(self._turn, turn))

    def look(self) -> None:
        """See where the time of a batch goes, and which modules do the work, by a call that does not count."""
        self._unnamed = self._look_at_phases()
        asked = self.stand_ins.again(self._last, 2)
        self._found = in_a_run(self.system, self.setting, self.networks, asked, self._singles.seconds)

    def release(self) -> None:
        """Let go of the system."""
        del self.system
        self._names, self.networks = tuple(self.networks), {}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of texts at once that are timed, that of the scored texts first."""
        return (self.size, *self._sizes)

    def add(self, timings: Sequence[TimingRecord]) -> None:
        """Keep what another process timed."""
        with Appender(self.folder / store.TIMINGS) as times:
            for timing in timings:
                self._append(times, replace(timing, index=self._next(timing.kind)))

    def finish(self) -> Json:
        """The verdict on the timings; the system is not needed any more."""
        self.progress(1.0)
        evidence = verdict.Evidence(
            self._records,
            self._timings,
            self.size,
            self._names or tuple(self.networks),
            self._changed,
            self._unnamed,
        )
        said = functools.reduce(verdict.doubted, self._found, verdict.judge(evidence, self.conditions.rules))
        best = {"best_size": max(self._sizes, default=self.size)} if self.conditions.sweep == "best" else {}
        full = {} if self.too_many.size is None else {"too_many": self.too_many.size}
        return {**said, **best, **full, "batch_size": self.size, "warm_up_seconds": self.cold_start["warm_up"]}

    # -- memory -------------------------------------------------------------------------------------------------------

    def _within_memory(self, work: Callable[[], Result], *, alone: bool = True) -> Result:
        """Do something with as many texts at once as memory holds."""
        self._alone = alone
        while True:
            try:
                if not self._opened:
                    self._open()
                return work()
            except Exception as error:
                if not alone or not memory.is_exhausted(error):
                    raise
            # Only here, where nothing refers to the failed call's tensors any more, can their memory be given back.
            memory.free()
            self._opened = False
            size = self.size
            if size == 1:
                raise UserError(
                    "The device's memory does not hold even one text; use a smaller preset, or another device."
                )
            self.say(f"{size} texts at once do not fit into the device's memory; going on with {size // 2}")
            self.too_many.note(size)
            self.size = size // 2

    def _open(self) -> None:
        """See what is there, and warm up for what lacks; before what is on disk is touched, as memory may run out."""
        size, protocol, self._watch = self.size, self.conditions.protocol, Watch(open_gpu(self.conditions.device))
        stored_samples, stored = store.read_samples(self.folder), store.read_timings(self.folder)
        self._groups = batches(self.requests, size)
        ids = [tuple(request.id for request in group) for group in self._groups]
        timings = [timing for timing in stored if stays(timing, ids)]
        done = {timing.index for timing in timings if timing.kind == "batch"}
        larger = any(timing.kind == "batch" and not stays(timing, ids) for timing in stored)
        if larger:  # and so are the batches that the samples came from
            whole = next(index for index in range(len(self._groups) + 1) if index not in done)
            stored_samples = stored_samples[: size * whole]
        todo = [
            index
            for index in range(len(self._groups))
            if index not in done or len(stored_samples) < index * size + len(self._groups[index])
        ]
        with preparation() as prepared:
            warm_ups = self._warm_up(todo)
        first, spent = warm_ups[0].seconds, sum(call.seconds for call in warm_ups)
        self.cold_start = {"first_call": first, "warm_up": spent, **prepared}
        if larger:
            write_lines(self.folder / store.SAMPLES, map(seals.sample_row, stored_samples))
        if len(timings) < len(stored):
            write_lines(self.folder / store.TIMINGS, map(vars, timings))
        self._stored, self._records, self._timings = stored_samples, list(stored_samples), timings
        self._indices = Counter(timing.kind for timing in timings)
        self._changed = 0
        self._repeats = defaultdict[int, list[float]](list)
        self._asked_alone |= {timing.ids[0] for timing in stored if timing.kind == "latency" and timing.texts}
        parts = shares(len(todo), protocol.rounds) if todo else [range(0)]
        self._shares = deque([todo[place] for place in part] for part in parts)
        self._singles = SingleTexts(self._to_make_alone(todo), protocol, len(parts), judged=bool(self.networks))
        with Appender(self.folder / store.TIMINGS) as times:
            for call in warm_ups:
                self._keep(times, "warmup", call, 0)
        self._opened = True

    def _to_make_alone(self, todo: Sequence[int]) -> list[tuple[int, Request]]:
        """Requests of the last batch, and of the one before where that is small, as far as they are not made yet; with
        the places of their batches."""
        last = len(self._groups) - 1
        first = last - 1 if last and 2 * len(self._groups[last]) < self.size else last
        self._last = [request for group in self._groups[first:] for request in group]
        return [(index, r) for index in range(first, last + 1) if index in todo for r in self._groups[index]]

    def _call(self, requests: Sequence[Request]) -> Call:
        return self._watch.over(lambda: timed(self.system, self.networks, requests, self.setting, self.clock))

    def _warm_up(self, todo: Sequence[int]) -> list[Call]:
        """Make everything ready that is to be timed."""
        groups = [self._groups[index] for index in todo]
        if all(len(group) < self.size for group in groups):
            groups = [*self._groups[:1], *groups]
        protocol, sweep = self.conditions.protocol, self.conditions.sweep
        calls = warmed(self._like, groups, self.requests, protocol)
        self._sizes, others = sizes_that_fit(
            self._again, sweep, self.size, self.too_many, protocol, alone=self._alone, say=self.say
        )
        return [*calls, *others]

    def _like(self, group: Sequence[Request]) -> Call:
        return self._call(self.stand_ins.like(group))

    def _again(self, size: int) -> Call:
        return self._call(self.stand_ins.again(self.requests, size))

    # -- one turn -----------------------------------------------------------------------------------------------------

    def _turn(self, turn: int) -> None:
        again = not self._shares
        with Appender(self.folder / store.SAMPLES) as samples, Appender(self.folder / store.TIMINGS) as times:
            self._again(1)  # not kept: others had their turns since, and what they pushed out comes back
            self._watch.busy_cores = self.clock.busy_outside()
            self._time_singles(times, turn, again=again)
            self._time_sizes(times, turn, again=again)
            if self._shares:
                for index in self._shares[0]:
                    self._make(index, samples, times, turn)
                self._shares.popleft()

    def _make(self, index: int, samples: Appender, times: Appender, turn: int) -> None:
        """Make and keep a batch of the texts that are scored."""
        group, start = self._groups[index], index * self.size
        call = self._call(group)
        rows = sample_records(group, call)
        had = self._stored[start:][: len(rows)]
        self._changed += sum(differ(old, new) for old, new in zip(had, rows, strict=False))
        samples.append(map(seals.sample_row, rows[len(had) :]))
        self._records += rows[len(had) :]
        self._keep(times, "batch", call, turn, index=index, made=[*had, *rows[len(had) :]])
        self._singles.batch_made(index)
        self.progress((index + 1) / (len(self._groups) + 1))

    def _time_singles(self, times: Appender, turn: int, *, again: bool) -> None:
        """This turn's part of the single texts; where all batches are made, others in place of those that lack."""
        for request in self._singles.due_again() if again else self._singles.due(len(self._shares)):
            call = self._call([request] if request else self.stand_ins.again(self._last, 1))
            self._asked_alone |= {request.id} if request else set()
            self._singles.note(self._keep(times, "latency", call, turn, scored=request is not None), again=again)

    def _time_sizes(self, times: Appender, turn: int, *, again: bool) -> None:
        """A call of every other size; where all batches are made, also of theirs, in place of those that lack."""
        protocol = self.conditions.protocol
        for size in (*self._sizes, *((self.size,) if again else ())):
            made = [t.seconds for t in self._timings if t.kind == "sweep" and len(t.ids) == size]
            more = not again and wanted(len(made), sum(made), protocol.sweep_calls, protocol.sweep_seconds)
            if more or (again and self._lacks(size)):
                call = self._again(size)
                self._keep(times, "sweep", call, turn)
                if again:
                    self._repeats[size].append(call.seconds)

    def _lacks(self, size: int) -> bool:
        """Whether calls with so many texts lack, or one that stalled was not repeated, and there is time for it."""
        protocol, every = self.conditions.protocol, calls_in(self._timings, self.size, throughput(size))
        whole = [timing for timing in every if len(timing.ids) == size]
        least = protocol.calls if size == self.size else protocol.sweep_calls[0]
        stood, repeats = len(stalled(whole)), self._repeats[size]
        return (len(whole) - stood < least or len(repeats) < stood) and sum(repeats) < protocol.again_seconds

    def _keep(
        self,
        times: Appender,
        kind: Kind,
        call: Call,
        turn: int,
        *,
        index: int | None = None,
        made: Sequence[SampleRecord] = (),
        scored: bool = True,
        phases: Mapping[str, float] | None = None,
    ) -> TimingRecord:
        """Write the line of a call; what is on disk is in memory too, so that it is not read again."""
        place = self._next(kind) if index is None else index
        counts = self.conditions.token_counts
        known = kind == "batch" and not self._asked_alone.isdisjoint(sample.id for sample in made)
        timing = record_of(kind, place, call, turn, counts, phases=phases or {}, scored=scored, asked_before=known)
        self._append(times, timing, made)
        return timing

    def _next(self, kind: Kind) -> int:
        self._indices[kind] += 1
        return self._indices[kind] - 1

    def _append(self, times: Appender, timing: TimingRecord, made: Sequence[SampleRecord] = ()) -> None:
        timing = TimingRecord(
            **{**vars(timing), "seal": seals.timing_seal(timing, made)}
        )  # `replace` is ten times slower
        self._timings.append(timing)
        times.append([vars(timing)])

    def _look_at_phases(self) -> tuple[str, ...]:
        """Where the time of a batch goes, kept besides; returns the modules that ran and are in no network."""
        if not can_look(self.networks):
            return ()
        group = self.stand_ins.like(self._groups[0])
        try:
            with looking(self.networks, self.clock.now) as phases:
                call = timed(self.system, self.networks, group, uncaptured(self.setting), self.clock)
        except Exception as error:
            if not memory.is_exhausted(error):
                raise
            memory.free()
            return ()
        with Appender(self.folder / store.TIMINGS) as times:
            self._keep(times, "phases", call, 0, phases=phases.seconds)
        return tuple(sorted(phases.unnamed))
