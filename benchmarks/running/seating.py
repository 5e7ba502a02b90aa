"""What it takes to have a cell's texts made in this process: its system, its requests and the conditions."""

from __future__ import annotations

import time
from collections.abc import Sequence

from baselines.contract import (
    Document,
    NeedsReferences,
    NeedsTrueDistribution,
    NeedsTrueProbability,
    Request,
    System,
)
from benchmarks.data import source as sources
from benchmarks.data.source import HasTrueProbability
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import store
from benchmarks.records.schema import Cell
from benchmarks.running.generation import Conditions
from benchmarks.running.seeds import request_seed
from benchmarks.timing import verdict as verdicts
from benchmarks.timing.protocol import Protocol
from cosmos.text import round_trip

PROCESSES = 3
"""How many processes of their own time again what is published."""
OTHERS = 256
"""How many documents of validation stand in for those that are timed."""


def load(plan: Plan, planned: PlannedCell, documents: Sequence[Document]) -> tuple[System, float]:
    """The system of a cell, ready to generate, and the seconds that took.

    Args:
        documents: whose references a system may be told that is no contestant.
    """
    cell, contestant = planned.cell, planned.contestant
    started = time.perf_counter()
    system = contestant.system(contestant.recipe, plan.task.limits)
    system.load(store.checkpoint_folder(plan.folder, cell.checkpoint_id), device=cell.device, dtype=cell.dtype)
    seconds = time.perf_counter() - started
    if isinstance(system, NeedsReferences) and not contestant.system.trained:
        system.answers({document.id: document.target for document in documents})
    if isinstance(system, NeedsTrueDistribution) and not contestant.system.trained:
        assert isinstance(plan.source, sources.HasTrueDistribution)
        system.law(plan.source.law(plan.task.name))
    if isinstance(system, NeedsTrueProbability) and isinstance(plan.source, HasTrueProbability):
        system.probability(plan.source.log_probability(plan.task.name))
    return system, seconds


def other_documents(plan: Plan, tests: Sequence[Document]) -> list[Document]:
    """Documents of validation that are none of the test documents, not even by their id."""
    known = {document.id for document in tests}
    return [d for d in plan.source.load(plan.task.name, "validation", OTHERS) if d.id not in known]


def requests_for(plan: Plan, cell: Cell, documents: Sequence[Document]) -> list[Request]:
    """What a cell is asked."""
    longest = plan.task.limits.target_tokens
    return [Request(d.id, d.source, request_seed(cell.seed, d.id), longest) for d in documents]


def conditions(plan: Plan, cell: Cell, others: Sequence[Document]) -> Conditions:
    """Under which a cell's texts are made."""
    processes = 1 + (PROCESSES if plan.choices.timing == "fresh" else 0)
    return Conditions(
        cell.device,
        cell.batch_size,
        cell.sweep,
        Protocol(rehearse=cell.device.startswith("cuda")),
        verdicts.Rules(exact=cell.dtype == "float32", processes=processes),
        tuple(requests_for(plan, cell, others)),
        round_trip.find(cell.tokenizer).token_counts,
    )
