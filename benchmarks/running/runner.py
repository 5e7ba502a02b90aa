"""Run a plan: fit, generate, score, cell by cell. What is on disk already is not made again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Literal

from baselines.contract import (
    BringsTokenizer,
    Corpus,
    Document,
    NeedsTrueDistribution,
    UserError,
)
from benchmarks.data import source as sources
from benchmarks.data.source import HasProvenance
from benchmarks.planning import located_weights, plan_file
from benchmarks.planning.plan import Plan, PlannedCell, check_given, unequal_budgets
from benchmarks.records import claims, environment, run_texts, seals, store
from benchmarks.records.files import locked
from benchmarks.records.schema import Cell, Header, Json
from benchmarks.running import fitting, following, probing, reuse, scoring, seating, sitting
from benchmarks.running.cell_status import ERROR, CellStatus, ProgressReporter, label
from benchmarks.running.devices import generating, shards
from benchmarks.running.devices.generating import ShardedSeat
from benchmarks.running.devices.launched_fits import LaunchedFits
from benchmarks.running.sitting import Seat
from benchmarks.timing import verdict as verdicts
from benchmarks.trackers.tracking import Tracking, followed
from cosmos.io import launched
from cosmos.io.counting import counted
from cosmos.text import round_trip
from cosmos.text.round_trip import RoundTrip

Stage = Literal["fit", "generate", "score"]
VOID = (ERROR, *store.JUDGED)  # files of a cell that are removed when it is begun again


def run(
    plan: Plan,
    voice: ProgressReporter,
    stages: Sequence[Stage] = ("fit", "generate", "score"),
    *,
    fresh: bool = False,
    tracking: Tracking | None = None,
    only: Sequence[PlannedCell] | None = None,
    beside: str | None = None,
    patience: float = 0.0,
) -> CellStatus:
    """Carry out some stages of a plan.

    Args:
        fresh: make again what these stages make, also where it is there.
        tracking: who is told of training curves while they are made.
        only: the cells to be made, beside other processes that make others of the same run; None for all, alone.
        beside: what was done on the device meanwhile, as the timing shall say.
        patience: seconds to wait for one of these cells that another process still holds.

    Raises:
        UserError: before anything is loaded: the folder cannot be used, holds a run with other settings, or a
            checkpoint in it is damaged; or, later, the disk is full.
    """
    if not launched.is_first():
        following.follow(plan if only is None else dataclasses.replace(plan, cells=tuple(only)))
        return CellStatus(plan.folder, voice)
    store.prepare(plan.folder)
    claim = locked(plan.folder) if only is None else claims.some_cells(plan.folder, (p.cell.id for p in only), patience)
    with claim:
        part = plan if only is None else dataclasses.replace(plan, cells=tuple(only))
        sweep = _RunExecution(part, voice, stages, fresh, tracking, shares=only is not None, beside=beside)
        sweep.prepare(plan)
        sweep.run()
    return sweep.outcome


def prepare(plan: Plan, voice: ProgressReporter, stages: Sequence[Stage], *, fresh: bool) -> None:
    """All that `run` does before the first cell, for who has the cells made by other processes, perhaps elsewhere.

    Raises:
        UserError: as `run`, before anything is loaded.
    """
    claims.check_idle(plan.folder, (planned.cell.id for planned in plan.cells))
    with claims.some_cells(plan.folder, ()):
        _RunExecution(plan, voice, stages, fresh, None, shares=True, beside=None).prepare(plan, elsewhere=True)


class _RunExecution:
    """The state of one command at work."""

    def __init__(
        self,
        plan: Plan,
        voice: ProgressReporter,
        stages: Sequence[Stage],
        fresh: bool,
        tracking: Tracking | None,
        *,
        shares: bool,
        beside: str | None,
    ) -> None:
        self.shares, self.beside = shares, beside
        self.plan, self.voice, self.stages, self.fresh = plan, voice, stages, fresh
        self.run_folder, self.tracking = plan.folder, tracking
        self.outcome = CellStatus(plan.folder, voice)
        self.to_generate: list[Sequence[PlannedCell]] = []
        self.fits = LaunchedFits()

    def prepare(self, whole: Plan, *, elsewhere: bool = False) -> None:
        """Check everything, delete what is to be made again, and write the plan of the whole run.

        Args:
            elsewhere: whether the cells are made on other machines than this one.
        """
        from benchmarks.metrics.core import selection

        described = plan_file.join(store.read_plan(self.run_folder), plan_file.describe(whole), self.run_folder)
        self.asked = selection.select(whole.choices.metric, whole.task.metrics, described["evaluators"])
        self.check(elsewhere)
        self.remove()
        with claims.plan_of(self.run_folder) if self.shares else nullcontext():  # others may have added cells meanwhile
            stored = store.read_plan(self.run_folder)
            described = plan_file.join(stored, plan_file.describe(whole), self.run_folder)
            if described != stored:
                store.write_plan(self.run_folder, described)
        for sentence in (f"run folder: {self.run_folder}", unequal_budgets(self.plan)):
            if sentence is not None:
                self.voice.say(sentence)

    @cached_property
    def tests(self) -> Sequence[Document]:
        return self.plan.source.load(self.plan.task.name, "test", self.plan.choices.limit)

    @cached_property
    def corpus(self) -> Corpus:
        return fitting.corpus_of(self.plan)

    @cached_property
    def tokenizer(self) -> RoundTrip:
        """Of all texts of the run."""
        return round_trip.find(self.plan.cells[0].cell.tokenizer)

    @cached_property
    def corpus_digests(self) -> Mapping[str, Json]:
        return run_texts.corpus_digests(self.corpus)

    @cached_property
    def content(self) -> Json:
        source = self.plan.source
        return source.content(self.plan.task.name) if isinstance(source, HasProvenance) else {}

    def folder(self, cell: Cell) -> Path:
        return store.cell_folder(self.run_folder, cell.id)

    def check(self, elsewhere: bool) -> None:
        """Refuse what cannot work, before anything heavy is loaded."""
        for planned in self.plan.cells:
            if issubclass(planned.contestant.system, NeedsTrueDistribution) and not isinstance(
                self.plan.source, sources.HasTrueDistribution
            ):
                raise UserError(
                    f"'{planned.cell.system}' draws from the source's own distribution, which '{planned.cell.source}' "
                    "does not know; leave it out, or take --source world."
                )
        if "score" in self.stages:
            scoring.check_cache()
        for planned in self.plan.cells:
            header = store.read_header(self.folder(planned.cell))
            if header is not None and not self.fresh:
                self.check_record(planned.cell, header)
        digests = {"test": run_texts.digest(self.tests)}
        if "fit" in self.stages:
            if any(map(self.to_fit, self.groups())):
                check_given(self.corpus.train, "training", self.plan.cells[0].cell.source, self.plan.task)
            digests |= self.corpus_digests
        headers = self.headers()
        if self.trains_again:
            reuse.check_shared(self.run_folder, self.plan.cells, headers)
            made_again = {planned.cell.id for planned in self.plan.cells}
            headers = [header for header in headers if header.cell.id not in made_again]
        reuse.check_documents(self.run_folder, headers, digests)
        if self.stages[0] != "score" and any(map(self.pending, self.groups())):
            reuse.check_tokenizer(self.run_folder, headers, self.tokenizer.sha256)
        for group in self.groups():
            if "fit" in self.stages and self.to_fit(group):
                located_weights.check(group[0], self.plan.task)
        for group in self.groups() if not self.trains_again else ():
            used = "generate" in self.stages and bool(self.pending(group))
            fitting.check(self.run_folder, group[0], self.plan.task, used=used)
            if used and not elsewhere:
                probing.floor_summary(group[0].cell.device)  # a damaged one is said now
            if "fit" not in self.stages and "generate" in self.stages:
                self.need_checkpoint(group)

    def headers(self) -> list[Header]:
        """What the run has; a command for some cells reads no others, of which there may be ten thousand."""
        own = [planned.cell.id for planned in self.plan.cells] if self.shares and not self.trains_again else None
        return reuse.headers_of(self.run_folder, own)

    @property
    def trains_again(self) -> bool:
        """Whether checkpoints that are there will be trained again."""
        return self.fresh and "fit" in self.stages

    def remove(self) -> None:
        """Delete what is to be made again, after all was checked."""
        if self.fresh:
            reuse.remove(self.run_folder, self.plan.cells, checkpoints=self.trains_again)
        self.fresh = False

    def check_record(self, cell: Cell, header: Header) -> None:
        """See that what is there of a cell is what was made; where samples were lost, that what is left of it is."""
        folder = self.folder(cell)
        lost = header.status == "done" and not store.is_generated(folder)
        store.check_record(folder, dataclasses.replace(header, status="started") if lost else header)
        if header.status == "done" and not lost:
            store.read_scores(folder)

    def to_fit(self, group: Sequence[PlannedCell]) -> bool:
        """Whether texts are wanted of a checkpoint that is not there."""
        training = fitting.training_of(self.run_folder, group[0].cell.checkpoint_id)
        return (training is None or self.trains_again) and bool(self.pending(group))

    def need_checkpoint(self, group: Sequence[PlannedCell]) -> None:
        cell = group[0].cell
        if group[0].contestant.system.trained and self.to_fit(group):
            raise UserError(f"{cell.system} is not trained yet in {self.run_folder}; use the verb fit or run first.")

    def groups(self) -> Iterator[list[PlannedCell]]:
        """Cells that share a checkpoint."""
        return reuse.groups(self.plan.cells)

    def pending(self, group: Sequence[PlannedCell]) -> list[PlannedCell]:
        """Cells whose texts are not all there, or are to be made again."""
        return list(group) if self.fresh else reuse.pending(self.run_folder, group)

    def run(self) -> None:
        self.documents = run_texts.write_documents(self.run_folder, self.tests)
        for group in self.groups():
            pending = self.pending(group)
            for planned in group:
                if planned not in pending:
                    shards.forget(self.folder(planned.cell))  # a process may have been killed just before it did
                    self.voice.say(f"{label(planned.cell)}: generated already{self.other_code(planned.cell)}")
            if pending and self.stages[0] != "score":
                self.make(pending)
        self.fits.end()
        self.generate()
        if "score" in self.stages:  # last, so that no judge is in memory while anything is timed
            for planned in self.plan.cells:
                self.score(planned)

    def other_code(self, cell: Cell) -> str:
        """What differs between the code that generated a cell and that of now."""
        header = store.read_header(self.folder(cell))
        assert header is not None, "it is generated"
        said = reuse.other_code(reuse.made_with(header), environment.made_with(cell.device))
        return f": {said}; --fresh makes it again" if said else ""

    def make(self, group: Sequence[PlannedCell]) -> None:
        """Fit the cells of one checkpoint."""
        for planned in group:
            self.begin(planned)
        fitted = False
        alone = claims.training(self.run_folder, group[0].cell.checkpoint_id, self.voice.say)
        with self.outcome.guarded(group), alone if self.shares else nullcontext():
            self.fit(group[0])
            fitted = True
        if fitted and "generate" in self.stages:
            self.to_generate.append(group)

    def generate(self) -> None:
        """Make the texts of what was fitted, systems and settings by turns."""
        if self.to_generate:
            others = seating.other_documents(self.plan, self.tests)
            occasion = sitting.Occasion(self.plan, self.tests, others, self.tokenizer, self.voice, self.outcome)
            if self.plan.choices.devices:
                generating.hold(occasion, self.to_generate, self.finish)
            else:
                sitting.hold(occasion, self.to_generate, self.finish)

    def begin(self, planned: PlannedCell) -> None:
        """Leave a header that says what is being made."""
        cell = planned.cell
        old = store.read_header(self.folder(cell))
        origin = environment.made_with(cell.device)
        header = Header(
            cell=cell,
            status="started",
            created=old.created if old is not None else environment.now(),
            command=plan_file.command_of_cell(self.plan, cell),
            titles=planned.contestant.titles(cell),
            method=planned.contestant.method,
            external_weights=planned.contestant.external_weights,
            **origin,
            content=self.content,
            documents={**(self.corpus_digests if "fit" in self.stages else {}), "test": self.documents},
            tokenizer=self.about_tokenizer(planned),
            earlier=() if old is None else self.earlier(old, origin),
        )
        store.write_header(self.folder(cell), header)
        for name in VOID:
            (self.folder(cell) / name).unlink(missing_ok=True)

    def about_tokenizer(self, planned: PlannedCell) -> Json:
        """The tokenizer of the run, which is kept, and the one that a pretrained system has besides."""
        system, recipe = planned.contestant.system, planned.contestant.recipe
        own = system.own_tokenizer(recipe) if issubclass(system, BringsTokenizer) else None
        sha256 = run_texts.write_tokenizer(self.run_folder, self.tokenizer.content)
        name = planned.cell.tokenizer or round_trip.PACKAGED
        return {"name": name, "sha256": sha256, **({} if own is None else {"own": own})}

    def earlier(self, old: Header, origin: Json) -> tuple[Json, ...]:
        """What made the texts that are there already, where it was other code or another machine than now."""
        folder = self.folder(old.cell)
        if store.count_samples(folder) == 0 and shards.count(folder) == 0:
            return ()
        before = {"commit": old.commit, "dirty": old.dirty, "packages": old.packages, "device": old.device}
        return old.earlier if environment.alike(before, origin) else (*old.earlier, before)

    def fit(self, planned: PlannedCell) -> None:
        cell = planned.cell
        if fitting.training_of(self.run_folder, cell.checkpoint_id) is not None:
            if planned.contestant.system.trained:
                origin = fitting.made_with(self.run_folder, cell.checkpoint_id)
                said = reuse.other_code(origin, environment.made_with(cell.device))
                if said:
                    self.voice.say(f"{cell.system} seed {cell.seed}: trained already: {said}; --fresh trains it again")
        else:
            corpus = self.corpus

            def progress(stage: str, share: float, loss: float | None) -> None:
                name = stage if stage.startswith(cell.system) else f"{cell.system} {stage}"
                self.voice.progress(name, share, loss)

            with followed(self.tracking if planned.contestant.system.trained else None, self.run_folder, cell):
                training = fitting.fit(
                    self.run_folder, planned, self.plan.task, corpus, progress,
                    lambda: [*corpus.validation, *self.tests], self.fits,
                )  # fmt: skip
            if planned.contestant.system.trained:
                steps = counted(training.steps, "step")
                self.voice.say(f"{cell.system} seed {cell.seed}: trained, {steps} in {training.seconds:.1f} s")

    def finish(self, seat: Seat | ShardedSeat) -> None:
        """Judge what was timed, and write the header that says that the cell is done."""
        cell, folder = seat.planned.cell, self.folder(seat.planned.cell)
        verdict = seat.generation.finish()
        header = store.read_header(folder)
        assert header is not None
        if header.earlier:
            verdict = verdicts.doubted(verdict, "taken up again with other code or on another machine")
        if self.beside is not None:
            verdict = verdicts.doubted(verdict, self.beside)
        verdict = probing.joined(verdict, seat.probed)
        store.write_header(
            folder,
            dataclasses.replace(
                header,
                status="done",
                finished=environment.now(),
                device=environment.describe_device(cell.device),
                documents={**fitting.documents_of(self.run_folder, cell.checkpoint_id), "test": self.documents},
                training=fitting.training_of(self.run_folder, cell.checkpoint_id),
                trained_with=fitting.made_with(self.run_folder, cell.checkpoint_id),
                no_likelihood=seat.no_likelihood,
                networks=seat.parameters,
                parameters=seat.total,
                cold_start={"load": seat.load_seconds, **seat.generation.cold_start},
                verdict=verdict,
                probes=None if seat.probed is None else seat.probed.results,
                noise_floor=probing.floor_summary(cell.device),
                files=seals.file_hashes(folder, store.SEALED),
            ),
        )
        self.voice.say(f"{label(cell)}: {counted(len(self.tests), 'text')}")

    def score(self, planned: PlannedCell) -> None:
        folder = self.folder(planned.cell)
        header = store.read_header(folder)
        if header is None or not store.is_generated(folder):
            return
        todo = scoring.missing(folder, self.asked, planned.cell.source)
        if not todo:
            return
        self.remember(header)
        with self.outcome.guarded([planned], mark=False):
            scoring.score(self.run_folder, folder, header, self.asked, todo, voice=self.voice)

    def remember(self, header: Header) -> None:
        """Keep the texts learnt from where an earlier version of this project did not."""
        train = header.documents.get("train")
        stored = train is None or run_texts.is_learnt(self.run_folder, train["sha256"])
        if not stored and train is not None and run_texts.digest(self.corpus.train)["sha256"] == train["sha256"]:
            run_texts.write_learnt(self.run_folder, self.corpus.train)
