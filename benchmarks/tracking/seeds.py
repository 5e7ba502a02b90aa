"""Training seeds of two entries as a level of their own: what they add to the variance of a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.records.schema import Header
from benchmarks.stats import SeedVariance, over_seeds
from benchmarks.tracking.pairs import EntryPair, SideEntry

PerText = Mapping[str, float]


def is_trained(entry: SideEntry) -> bool:
    """Whether an entry has networks, which another training would leave otherwise."""
    return bool(entry.header.networks)


def covered(pair: EntryPair) -> bool:
    """Whether both sides have several training seeds."""
    return min(len(pair.a.cells), len(pair.b.cells)) > 1


def of_difference(
    pair: EntryPair,
    values: tuple[Sequence[float], Sequence[float]],
    per_text: tuple[Sequence[PerText], Sequence[PerText]],
) -> SeedVariance | None:
    """What seeds add to the variance of the difference of two means over seeds; None where a side has but one.

    Trainings that both sides share, as two settings of one run do, move both alike, so their differences are looked
    at; others are as independent as two samples.

    Args:
        values: the score of each seed, of A and of B.
        per_text: the scores of texts of each seed; empty for corpus metrics.
    """
    if min(len(values[0]), len(values[1])) < 2:
        return None
    if share_trainings(pair) and len(values[0]) == len(values[1]):
        apart = [
            {key: theirs[key] - ours[key] for key in ours.keys() & theirs.keys()}
            for ours, theirs in zip(*per_text, strict=True)
        ]
        return over_seeds([b - a for a, b in zip(*values, strict=True)], apart)
    return over_seeds(values[0], per_text[0]) + over_seeds(values[1], per_text[1])


def share_trainings(pair: EntryPair) -> bool:
    """Whether both sides read the same trainings: same inputs, and made by the same code or in the same run."""
    return [_training(cell.header, str(cell.run)) for cell in pair.a.cells] == [
        _training(cell.header, str(cell.run)) for cell in pair.b.cells
    ]


def _training(header: Header, run: str) -> tuple[str, str]:
    made = header.trained_with or {"commit": header.commit, "dirty": header.dirty}
    known = made.get("commit") and made.get("dirty") is False
    return header.cell.checkpoint_id, str(made["commit"]) if known else run


def mean_over_seeds(by_seed: Sequence[PerText]) -> dict[str, float]:
    """The mean score of each text that every seed has a score of."""
    shared = set.intersection(*(set(scores) for scores in by_seed)) if by_seed else set()
    return {key: math.fsum(scores[key] for scores in by_seed) / len(by_seed) for key in sorted(shared)}
