"""Texts of stored cells judged again, by the evaluators that their run names, for all that resampling takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from baselines.contract import UserError
from benchmarks.records import run_texts, store
from benchmarks.records.schema import Score
from benchmarks.running import scoring
from benchmarks.tracking.sides import StoredCell

if TYPE_CHECKING:
    from benchmarks.metrics import Measured, MetricInput

Finder = Callable[[str, bool], "tuple[Measured, Score]"]


class NotJudged(Exception):  # noqa: N818, it says that nothing can be told, which is no fault
    """A score cannot be resampled; the message says why."""


@dataclass
class Judge:
    """Who judges texts again: on a device, large models only where they are asked for by name.

    What was read of a cell, and brought into its normal form, is kept for all metrics.
    """

    device: str = "cpu"
    asked: frozenset[str] = frozenset()
    batches: dict[tuple[str, str], MetricInput] = field(default_factory=dict)
    finders: dict[tuple[str, str], Finder] = field(default_factory=dict)

    def batch(self, cell: StoredCell) -> MetricInput:
        """The texts of a cell.

        Raises:
            NotJudged: they were not published, or something of the run is missing.
        """
        key = (str(cell.run), cell.header.cell.id)
        if key not in self.batches:
            asked = str(cell.header.documents.get("test", {}).get("sha256", ""))
            try:
                with cell.found.named():
                    if not cell.record.samples or not run_texts.has_documents(cell.run, asked):
                        absent = f"its texts or the test documents are not in the records of {cell.found.name}"
                        raise NotJudged(absent)
                    folder = store.cell_folder(cell.run, cell.header.cell.id)
                    self.batches[key] = scoring.batch_of(cell.run, folder, cell.header, self.device)
            except UserError as error:
                raise NotJudged(str(error).rstrip(".")) from error
        return self.batches[key]

    def found(self, cell: StoredCell, metric: str, part: MetricInput | None = None) -> tuple[Measured, Score]:
        """What the metric's evaluator finds in the texts of a cell, or in a part of them.

        Raises:
            NotJudged: it finds nothing, with its reason.
        """
        from benchmarks import metrics

        key = (str(cell.run), cell.header.cell.id)
        try:
            metrics.find(metric)
        except UserError:
            raise NotJudged("no metric of this name is known here") from None
        try:
            if part is not None:
                return _finder(cell, part)(metric, metric not in self.asked)
            if key not in self.finders:
                self.finders[key] = _finder(cell, self.batch(cell))
            return self.finders[key](metric, metric not in self.asked)
        except (metrics.Absent, UserError) as absent:
            raise NotJudged(str(absent).rstrip(".")) from absent


def _finder(cell: StoredCell, batch: MetricInput) -> Finder:
    """The judges of a cell's run, at work on some texts; what models said of texts before is found again."""
    from benchmarks import evaluators, metrics

    with cell.found.named():
        models = (store.read_plan(cell.run) or {}).get("evaluators", {})
    return metrics.finder(batch, cache=evaluators.cache_folder() / "scores", evaluators=models)
