"""Which cells of a run are audited, and their systems made ready again: by the command that made them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from baselines.contract import Document, UserError, unknown
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import environment, run_texts, store
from benchmarks.records.schema import Header, Record
from benchmarks.running import fitting, seating
from benchmarks.running.auditing import checks
from benchmarks.running.auditing.checks import Audited, Bounds
from benchmarks.timing import memory
from benchmarks.timing.audit import idle
from benchmarks.timing.audit.checked import Checked
from benchmarks.timing.audit.generated import Asked
from benchmarks.timing.clock import Clock
from cosmos.text import round_trip

SYSTEM = "system"  # the check that says whether a system could be loaded at all


def chosen(records: Sequence[Record], asked: str | None, run: Path) -> list[Record]:
    """The cells that are audited: of those that differ by their seed alone, the first.

    Args:
        asked: a system, or the beginning of a cell's id; None: all.

    Raises:
        UserError: none of the cells is done, or none is of that name.
    """
    # Of texts from elsewhere nothing was timed here, and nothing could be made again.
    done = [record for record in records if record.header.status == "done" and not record.header.imported]
    if not done:
        raise UserError(f"No cell of {run} is done, so there is nothing to audit.")
    if asked is not None:
        named = [r for r in done if r.header.cell.system == asked or r.header.cell.id.startswith(asked)]
        if not named:
            raise unknown(
                f"done cell of {run}", asked, {n for r in done for n in (r.header.cell.system, r.header.cell.id)}
            )
        done = named
    first: dict[str, Record] = {}
    for record in done:
        first.setdefault(record.header.entry_id, record)
    return list(first.values())


@dataclass(frozen=True)
class RunToAudit:
    """A run's folder, and how its plan is made again.

    Attributes:
        replan: makes the plan that a command describes, on a device.
        capture: with which texts are compared with those of the setting as it is.
    """

    folder: Path
    replan: Callable[[str, str], Plan]
    bounds: Bounds
    capture: str

    @cached_property
    def _plans(self) -> Callable[[str, str], Plan]:
        return cache(lambda command, device: dataclasses.replace(self.replan(command, device), folder=self.folder))

    def audit(self, record: Record) -> Iterator[Checked]:
        """All that is to be said of a cell."""
        yield from checks.of_records(record)
        try:
            yield from self._of_system(record)
        except UserError as error:
            yield Checked(SYSTEM, "cannot tell", str(error).rstrip("."))
        memory.free()

    def _of_system(self, record: Record) -> list[Checked]:
        header, cell = record.header, record.header.cell
        kept = (
            store.fit_file(self.folder, cell.checkpoint_id),
            store.checkpoint_folder(self.folder, cell.checkpoint_id),
        )
        if not all(path.exists() for path in kept):
            said = "the run has no checkpoint of it, so nothing could be made again"
            return [Checked(SYSTEM, "cannot tell", said)]
        planned, plan = self._planned(header)
        fitting.check(self.folder, planned, plan.task, used=True)
        documents = run_texts.documents_of(self.folder, header, record.samples)
        before = idle.Bystanders()
        system, _ = seating.load(plan, planned, documents)
        findings = checks.of_system(
            Audited(
                system,
                planned.setting,
                _asked(plan, record, documents),
                cell.device,
                _largest(record),
                self.capture,
                round_trip.find(cell.tokenizer).token_counts,
                before,
            ),
            self.bounds,
            Clock(cell.device),
            idle.look,
        )
        del system
        return [_excused(finding, header) for finding in findings]

    def _planned(self, header: Header) -> tuple[PlannedCell, Plan]:
        """The cell as its command makes it now."""
        device = environment.find_device(header.cell.device)
        plan = self._plans(header.command, device)
        for planned in plan.cells:
            if planned.cell.id == header.cell.id:
                return planned, plan
        raise UserError("its command makes another cell now, as the project or what it reads has changed since.")


def _asked(plan: Plan, record: Record, documents: Sequence[Document]) -> Asked:
    """The scored texts in the company in which they were made, as many as were made at once."""
    size, cell = record.header.batch_size, record.header.cell
    texts = [sample.text for sample in record.samples[:size]]
    return Asked(seating.requests_for(plan, cell, documents[:size]), texts, cell.dtype == "float32")


def _largest(record: Record) -> int:
    swept = [len(timing.ids) for timing in record.timings if timing.kind == "sweep"]
    return max([record.header.batch_size, *swept])


def _excused(finding: Checked, header: Header) -> Checked:
    """Texts that come out otherwise than the scored ones say nothing where other code or another machine made those."""
    if finding.check != "untimed texts" or finding.outcome != "found":
        return finding
    here = environment.made_with(header.cell.device)
    before = {"commit": header.commit, "dirty": header.dirty, "packages": header.packages, "device": header.device}
    if environment.alike(before, here):
        return finding
    said = f"{finding.said}, but other code or another machine made those"
    return dataclasses.replace(finding, outcome="cannot tell", said=said)
