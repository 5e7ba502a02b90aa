"""What can be done with runs from Python. The verbs of the command line call these functions, and nothing besides.

Nothing heavy is imported until a function needs it. What a user can mend is a `UserError` of one sentence; a cell that
fails ends no run and is named in the result.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from baselines.contract import UserError
from benchmarks.planning.run_config import Choices, choose, go_offline
from benchmarks.progress import ConsoleReporter, ProgressReporter, beating
from cosmos.io import launched

if TYPE_CHECKING:
    from benchmarks.records.results import Results
    from benchmarks.running.engines.engine import Engine
    from benchmarks.running.runner import Stage
    from benchmarks.trackers.tracking import Tracking
    from benchmarks.tracking.schema import RunComparison

Place = str | os.PathLike[str]
Names = str | Sequence[str]

ALL_STAGES: tuple[Stage, ...] = ("fit", "generate", "score")


@dataclass(frozen=True)
class RunResult:
    """What became of a run.

    Attributes:
        folder: of the run.
        failed: a sentence for each cell in which something broke; the traceback is in `error.txt` of its folder.
        refused: a sentence for each cell that could not be made, which the user can mend.
        table: the compact table of the report; "" where no report was written.
        report: kind ("html", "markdown", "latex", "figure", ...) -> the file that was written.
    """

    folder: Path
    failed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    table: str = ""
    report: Mapping[str, Path] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 where every cell came to its end, 1 where one failed, 2 where one was refused."""
        return 1 if self.failed else 2 if self.refused else 0

    def load(self) -> Results:
        """The scores as a pandas frame, and the frames beside it; see `benchmarks.load`."""
        from benchmarks.records.results import load

        return load(self.folder)


def run(
    task: str,
    systems: Names | None = None,
    *,
    preset: str | None = None,
    source: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    devices: Names | None = None,
    settings: Names | None = None,
    steps: Sequence[int] | None = None,
    metrics: Names | None = None,
    seed: int | None = None,
    seeds: int | None = None,
    timing: Literal["rounds", "fresh"] | None = None,
    out: Place | None = None,
    options: Mapping[str, Any] | None = None,
    config: Place | None = None,
    stages: Sequence[Stage] = ALL_STAGES,
    fresh: bool = False,
    track: str | None = None,
    offline: bool | None = None,
    reporter: ProgressReporter | None = None,
) -> RunResult:
    """Train or find every contestant, generate, time what is generated, score exactly those texts, and report.

    What is on disk already is not made again, so that the same call goes on where one was killed. What is None is as
    `config` says, or else as said here.

    Args:
        task: `story`, `question`, `summary`, `detox`, or one of an installed package.
        systems: contestants; else those that the task names. Floors and the reference come besides.
        preset: size and recipe: `nano`, `small` or `base`; else `nano`.
        source: where texts come from; else the task's first.
        limit: only so many of the first test documents; else all.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; else `auto`.
        devices: several that make the texts of each cell at once; `all` is those there are.
        settings: ways to generate, `SETTING` or `SYSTEM:SETTING`; else the usual ones of each system.
        steps: numbers of generation steps, a cell for each.
        metrics: names, `usual`, `all` or `evaluate:NAME`; else the usual ones.
        seed: the first seed, else 0, and `seeds` how many, else 1.
        timing: `rounds`, or `fresh`, besides in processes of their own; else `rounds`.
        out: the run's folder; else `runs/TASK-SOURCE-PRESET`.
        options: what `--set` sets, by dotted keys or nested: `{"budget": "300steps", "data": {"train": 500}}`.
        config: a TOML file of the same and of the arguments above, which beat it where they are given.
        stages: of "fit", "generate" and "score", those to be done now.
        fresh: make again what these stages make.
        track: a tracker that is told too: tensorboard, trackio, mlflow or wandb.
        offline: keep every library of this process from looking for a network, from now on; else true.
        reporter: who is told of progress; None for lines on stderr, a bar on a terminal.

    Raises:
        UserError: something that was given is unknown, of the wrong type or cannot be; nothing was begun then. Or,
            later, the disk is full.
    """
    choices = choose(
        config=config, options=options, task=task, system=systems, preset=preset, source=source, limit=limit,
        device=device, devices=devices, setting=settings, steps=steps, metric=metrics, seed=seed, seeds=seeds,
        timing=timing, out=out, offline=offline,
    )  # fmt: skip
    return carry_out(choices, stages, fresh=fresh, track=track, reporter=reporter)


def carry_out(
    choices: Choices,
    stages: Sequence[Stage] = ALL_STAGES,
    *,
    fresh: bool = False,
    track: str | None = None,
    reporter: ProgressReporter | None = None,
    cell: str | None = None,
    engine: Callable[[], Engine | None] | None = None,
) -> RunResult:
    """`run`, for choices that were made: of one cell alone where one is named, and then without a report; by the engine
    that `engine` gives, if any, once the texts of the source are known to be right."""
    from benchmarks.planning import plan
    from benchmarks.trackers import names

    if choices.offline:
        go_offline()
    if track is not None:
        names.check(track)
    # What is wrong with the texts is said before frameworks take their seconds.
    source = plan.open_source(choices, train="fit" in stages)
    chosen = engine() if engine is not None else None

    from benchmarks.planning import cell_lines
    from benchmarks.records import environment, store
    from benchmarks.running import runner

    voice = reporter or ConsoleReporter()
    if chosen is None:
        device, devices = environment.find_devices(choices.device, choices.devices)
    elif choices.devices:
        raise UserError("--devices is of this machine; leave it out with --engine ray, or take --engine local.")
    else:
        device, devices = chosen.find_device(choices.device), ()
    run_plan = plan.make(dataclasses.replace(choices, devices=devices), device, source)
    only = None if cell is None else [cell_lines.find(run_plan, cell)]
    track = track if launched.is_first() else None
    with _tracked(track, run_plan.folder, voice, offline=choices.offline) as tracking:
        if chosen is not None:
            outcome = chosen.run(run_plan, voice, tuple(stages), fresh)
        else:
            outcome = runner.run(run_plan, voice, tuple(stages), fresh=fresh, tracking=tracking, only=only)
    result = RunResult(run_plan.folder, tuple(outcome.failed), tuple(outcome.refused))
    scored = only is None and "score" in stages and any(h.status == "done" for h in store.read_headers(run_plan.folder))
    return _reported(result, voice) if scored else result


def score(
    place: Place,
    *,
    metrics: Names = (),
    evaluators: Mapping[str, str] | None = None,
    device: str = "cpu",
    track: str | None = None,
    offline: bool = True,
    reporter: ProgressReporter | None = None,
) -> RunResult:
    """Score the stored texts of a run again, without any system or checkpoint, and report.

    Args:
        place: the run's folder.
        metrics: as in `run`; what models said of a text before is kept in the user's cache.
        evaluators: role -> the model that judges in it, by name or folder.
        device: where models judge.

    Returns:
        Cells whose texts are not all there are among those `refused`.

    Raises:
        UserError: there is no run, a name is unknown, or a record is damaged or was changed.
    """
    from benchmarks.metrics.core import selection
    from benchmarks.records import environment, store
    from benchmarks.records.files import locked
    from benchmarks.running import scoring
    from benchmarks.running.cell_status import label
    from benchmarks.trackers import names

    if offline:
        go_offline()
    if track is not None:
        names.check(track)
    chosen = selection.chosen_evaluators({f"{selection.PREFIX}.{r}": name for r, name in (evaluators or {}).items()})
    where, folder = environment.find_device(device), Path(place)
    headers = store.read_headers(folder)
    plan = store.read_plan(folder)
    assert plan is not None, "a run that can be read has a plan"
    judges = {**plan.get("evaluators", {}), **chosen}
    asked = selection.select(_words(metrics), plan["task"].get("metrics", ()), judges, where)
    scoring.check_cache()
    voice, unscored = reporter or ConsoleReporter(), []
    with locked(folder), _tracked(track, folder, voice, offline=offline):
        store.write_plan(folder, {**plan, "evaluators": judges})
        for header in headers:
            at = store.cell_folder(folder, header.cell.id)
            if not store.is_generated(at):
                unscored.append(f"{label(header.cell)}: not scored, its texts are not all there")
                voice.say(unscored[-1])
                continue
            scoring.score(folder, at, header, asked, voice=voice)
            voice.say(f"{label(header.cell)}: scored")
    return _reported(RunResult(folder, refused=tuple(unscored)), voice)


def report(
    place: Place,
    *,
    layout: str = "paper",
    label_prefix: str | None = None,
    size: str | None = None,
    table: str = "",
    columns: Names = (),
    rows: Names = (),
    digits: str | int | Mapping[str, int] = "",
    caption: str = "",
) -> RunResult:
    """Write the report of a run again from its records, without torch, or a table of it for a paper.

    With any of `table`, `columns`, `rows`, `digits` and `caption` one table is written instead, into files of its own.

    Args:
        layout: of LaTeX tables: paper, column or wide. label_prefix: what their labels begin with.
        size: of figures: column, page or slide.
        table: the columns of a paper, beside published values: story, summary, question, detox or time.
        columns: metrics, latency, throughput, calls and others, in order; else those of the report's first table.
        rows: SYSTEM or SYSTEM/SETTING, in order, `*` for anything; else all.
        digits: decimals of all columns, or of some by column; as text `2`, or `bleu=2,latency=3`.
        caption: of the table.

    Returns:
        The files written; of one table those under "latex" and "csv" ("csv-1", "csv-2" and so on where a run asked
        several things, each of which has columns of its own), and no compact table.

    Raises:
        UserError: there is no run, none of its cells is done, a record is damaged or was changed, or there is no such
            layout, size, table, column or row.
    """
    import reports
    from benchmarks.records.archive import found_run
    from benchmarks.records.store import read_headers
    from reports.paper.choice import made_choice

    reports.check_form(layout, label_prefix, size)
    choice = made_choice(table, _words(columns), _words(rows), digits, caption)
    if choice and size is not None:
        raise UserError("A size is of figures and one table has none; leave out the size, or what chooses the table.")
    folder = Path(place)
    if found_run(folder).origin is not None:
        raise UserError(
            f"{folder} holds published records, whose report `python -m reports.publishing` writes; unpack their "
            "archive into another folder to make one there."
        )
    read_headers(folder)  # says what is wrong before pandas is loaded
    if choice:
        return RunResult(folder, report=reports.write_table(folder, choice, layout=layout, label_prefix=label_prefix))
    return _reported(RunResult(folder), None, layout=layout, label_prefix=label_prefix, size=size)


def compare(a: Place, b: Place, *, metrics: Names = (), below: Place = "runs", device: str = "cpu") -> RunComparison:
    """Whether B is better or worse than A, quantity by quantity, all tests corrected together.

    Args:
        a: what was before: a run's folder, published records, a git commit, or `RUN:SYSTEM/SETTING`.
        b: what is now, likewise.
        metrics: only these: metrics, "calls", "latency", "throughput".
        below: where the runs of a commit are looked for.
        device: where models judge, should they have to.

    Raises:
        UserError: a side is nothing, or the two must not be compared; the message says what differs.
    """
    from benchmarks.records import environment
    from benchmarks.tracking import comparison
    from benchmarks.tracking.sides import read_side

    where = environment.find_device(device)
    sides = [read_side(os.fspath(side), Path(below)) for side in (a, b)]
    with beating(ConsoleReporter(), "comparing"):
        return comparison.compare(*sides, metrics=_words(metrics), device=where)


def import_texts(
    task: str,
    texts: Place,
    name: str,
    *,
    seconds: float | None = None,
    preset: str = "nano",
    source: str | None = None,
    limit: int | None = None,
    metrics: Names = (),
    seed: int = 0,
    out: Place | None = None,
    options: Mapping[str, Any] | None = None,
    fresh: bool = False,
    offline: bool = True,
    reporter: ProgressReporter | None = None,
) -> RunResult:
    """Put texts that were made elsewhere into a run, score and rank them among their like, and report.

    Args:
        texts: JSON lines or Parquet of `id`, `text` and, to be checked, `source`; one row for each test document.
        name: of the system that made them.
        seconds: how long making all of them took, as far as it is known; it ranks nothing.
        seed: the training seed of these texts.
        fresh: replace other texts of that name and seed.
        out: the run, made with the task's floors where there is none. All else as in `run`.

    Raises:
        UserError: the file does not answer the test documents, is not that which texts of this name came from, or the
            run asks something else; nothing was written then.
    """
    choices = choose(
        options=options, task=task, preset=preset, source=source, limit=limit, metric=metrics, seed=seed, out=out,
        offline=offline,
    )  # fmt: skip
    return bring(choices, Path(texts), name, seconds=seconds, fresh=fresh, reporter=reporter)


def bring(
    choices: Choices,
    texts: Path,
    name: str,
    *,
    seconds: float | None = None,
    fresh: bool = False,
    reporter: ProgressReporter | None = None,
) -> RunResult:
    """`import_texts`, for choices that were made."""
    from benchmarks.importing import bringing

    if choices.offline:
        go_offline()
    voice = reporter or ConsoleReporter()
    folder = bringing.bring(choices, bringing.TextsFromElsewhere(texts, name, seconds), voice, fresh=fresh)
    return _reported(RunResult(folder), voice)


def _words(names: Names) -> tuple[str, ...]:
    """Names as they come from one text with commas, or from several."""
    listed = (names,) if isinstance(names, str) else names
    return tuple(part.strip() for name in listed for part in name.split(",") if part.strip())


def _reported(result: RunResult, voice: ProgressReporter | None, **how: Any) -> RunResult:
    """The result with its report, written."""
    import reports

    with beating(voice or ConsoleReporter(), "writing the report"):
        table, written = reports.publish(result.folder, **how)
    return RunResult(result.folder, result.failed, result.refused, table, written)


@contextmanager
def _tracked(tracker: str | None, folder: Path, voice: ProgressReporter, *, offline: bool) -> Iterator[Tracking | None]:
    """A tracker that is told what a run holds when this ends; None where none is asked for."""
    if tracker is None:
        yield None
        return
    from benchmarks.trackers.outcomes import tell_outcomes
    from benchmarks.trackers.tracking import Tracking

    with Tracking(tracker, folder, voice.say, offline=offline) as tracking:
        yield tracking
        tell_outcomes(tracking, folder)
