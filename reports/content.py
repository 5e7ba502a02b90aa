"""What a report says, before any writer writes it: the same content goes into Markdown, LaTeX, HTML and the figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.contract import Document, UserError
from benchmarks.records.dataframes import Run, documents_hash, read_run
from benchmarks.records.schema import Cell
from reports import examples, provenance
from reports import tables as overview
from reports.costs import detail, generating
from reports.curves import table as curves
from reports.curves.equal import on_equal_terms
from reports.findings.answer import answer
from reports.findings.details import summarise
from reports.front import shares_on_front
from reports.legend import legend
from reports.names import display_system
from reports.numbers import counted, listed
from reports.panels import Panel, panels
from reports.significance import ColumnMarks, judge
from reports.study import sizes
from reports.table import Table


@dataclass(frozen=True)
class Section:
    """One panel made ready: what it compares, what it says, its tables, samples and gaps."""

    name: str  # for anchors and labels
    title: str
    panel: Panel
    answer: tuple[str, ...]  # the question, the answer with its size, what it holds for
    reading: tuple[str, ...]  # everything else that the numbers say
    glance: Table
    scores: Table
    batches: Table | None  # speed by number of texts at once, where several were timed
    speed: (
        Table | None
    )  # percentiles of latency, rates of words and tokens, phases and cold start, where they are known
    seeds: Table | None  # what training seeds move, where entries have several
    costs: Table | None  # memory, energy and operations, where they were measured
    sizes: Table | None  # by number and width of latents, where a method was run with several
    curves: Table | None  # quality at equal time and speed at equal quality, where a system ran at several values
    curves_said: tuple[str, ...]  # the same in sentences
    front: Mapping[str, float]  # how sure it is that an entry is on the front of quality and speed
    tokenizer: Table | None  # what it takes from the references, where it takes anything
    legend: tuple[str, ...]
    missing: tuple[provenance.Missing, ...]
    examples: tuple[examples.Example, ...]
    documents: Mapping[str, Document]  # what was asked, by id; empty where it was not kept

    @property
    def tables(self) -> tuple[Table, ...]:
        """All its tables, in order; that of scores where something was scored."""
        more = (self.sizes, self.curves, self.batches, self.speed, self.costs, self.scores, self.seeds, self.tokenizer)
        return (self.glance, *(table for table in more if table is not None and table.columns))


@dataclass(frozen=True)
class Report:
    """Everything a reader gets."""

    title: str
    lead: str  # one line under the title
    sections: tuple[Section, ...]
    facts: tuple[provenance.Fact, ...]
    sources: tuple[provenance.CellOrigin, ...]
    note: str  # licence of the task's texts and what harm they may do, "" if none is known
    label: str = ""  # what labels of its tables begin with, which no other report's do

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of all sections, in order."""
        return tuple(table for section in self.sections for table in section.tables)


def build(run_folder: Path, out: Path, packed: provenance.PackedAt | None = None) -> Report:
    """The report of a run; links are relative to `out`.

    Args:
        packed: where readers find the records, if not in the run's folder.

    Raises:
        UserError: the folder holds no run, or not one of its cells is done.
    """
    run = read_run(run_folder)
    if not any(record.header.status == "done" for record in run.records):
        why = next((f" ({display_system(r.header)}: {r.header.reason})" for r in run.records if r.header.reason), "")
        raise UserError(f"No cell of {run_folder} is done{why}; run the same command again and then make the report.")
    task = provenance.task_of(run)
    sections_of = panels(run.records, task.get("headline") or (), provenance.floors_of(run))
    several = len(sections_of) > 1
    sections = tuple(
        _section(run, panel, f"-{number}" if several else "") for number, panel in enumerate(sections_of, start=1)
    )
    title = str(task.get("title") or " and ".join(dict.fromkeys(section.title for section in sections)))
    return Report(
        title,
        _lead(run, sections_of),
        sections,
        provenance.facts(run, sections_of),
        provenance.sources(run, sections_of, out, packed),
        str(task.get("note") or ""),
        provenance.label(run),
    )


def _lead(run: Run, every: Sequence[Panel]) -> str:
    systems = len({entry.system for panel in every for entry in panel.trained})
    days = sorted({stamp[:10] for record in run.records if (stamp := record.header.finished or record.header.created)})
    commits = sorted({record.header.commit[:10] for record in run.records if record.header.commit})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else ""
    parts = (counted(systems, "trained system"), when, f"commit {listed(commits)}" if commits else "")
    return ", ".join(part for part in parts if part)


def _section(run: Run, panel: Panel, suffix: str) -> Section:
    judgements = {column.title: judge(column, panel.trained) for column in panel.columns}
    headline, front = panel.headline, shares_on_front(panel)
    marks = judgements[headline.title] if headline else ColumnMarks()
    cell = panel.cell
    terms = on_equal_terms(panel)
    curves_said = curves.sentences(panel, terms)
    title = str(provenance.task_of(run).get("title") or "")
    documents = run.documents.get(documents_hash(panel.entries[0].records[0]), {}) if panel.entries else {}
    return Section(
        name=f"panel{suffix}",
        title=_title(cell),
        panel=panel,
        answer=answer(panel, marks, title),
        reading=(*summarise(panel, marks, front, title), *curves_said),
        glance=overview.at_a_glance(panel, judgements, front, provenance.unbegun(run), suffix),
        scores=overview.in_full(panel, judgements, suffix),
        batches=overview.by_batch(panel, suffix),
        speed=detail.table(panel, suffix),
        seeds=overview.by_seed(panel, suffix),
        costs=generating.table(panel, suffix),
        sizes=sizes.table(panel, judgements, suffix),
        curves=curves.table(panel, terms, suffix),
        curves_said=curves_said,
        front=front,
        tokenizer=overview.before_and_after(panel, suffix),
        legend=legend(panel, judgements),
        missing=provenance.missing(panel.missing),
        examples=examples.choose(panel, documents) if documents else (),
        documents=documents,
    )


def _title(cell: Cell) -> str:
    limit = "" if cell.limit is None else f", first {counted(cell.limit, 'text')}"
    return f"{cell.task} (version {cell.task_version}) on {cell.source}{limit}"
