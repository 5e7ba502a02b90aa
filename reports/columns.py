"""The score columns of a table: one per metric and signature, for unlike signatures are never compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.records.schema import Direction, Signature, difference
from benchmarks.stats import FEWEST, Interval, SeedVariance, mean_intervals, seed_variance, with_seeds
from reports.quantities import LEVEL, Quantity


@dataclass(frozen=True)
class EntryScore:
    """One entry's score in one column; over several seeds the mean of their values.

    Its interval is over the choice of texts and, where there are several seeds, over that of seeds. That of scores per
    text is worked out here from these, by what the harness uses now and whatever made the records; that of corpus
    metrics is in the records, and is left out below `FEWEST` texts.
    """

    quantity: Quantity
    total: int
    seeds: tuple[float, ...]  # the value of each seed
    per_text: Mapping[str, float]  # mean over seeds by document; empty for corpus metrics
    by_seed: tuple[Mapping[str, float], ...] = ()  # the same of each seed
    variance: SeedVariance | None = None  # what seeds add to that of its value, None where there is one
    from_texts: float | None = None  # half the width of the interval over the choice of texts alone
    trainings: tuple[str, ...] = ()  # of each seed, the same for settings of one system


@dataclass(frozen=True)
class ScoreColumn:
    """One metric under one signature; its title has a letter where the metric has several signatures."""

    metric: str
    title: str
    direction: Direction
    signature: Signature
    scores: Mapping[str, EntryScore]  # by entry
    summary: str = ""  # what the metric says
    companions: tuple[str, ...] = ()  # metrics without which it misleads


def score_columns(scores: pd.DataFrame) -> tuple[tuple[ScoreColumn, ...], tuple[str, ...]]:
    """One column per metric and signature in the order of the records, and sentences on metrics judged unlike.

    A score that is null judged nothing, so it splits no column: it stands in the first one of its metric.
    """
    columns: list[ScoreColumn] = []
    splits: list[str] = []
    order = scores.groupby("metric", sort=False)["position"].min().sort_values(kind="stable")
    for metric in order.index:
        rows = scores[scores["metric"] == metric]
        judged = rows[rows["value"].notna()]
        signatures: list[Signature] = list({str(s): s for s in (judged if len(judged) else rows)["signature"]}.values())
        if len(signatures) > 1:
            splits.append(
                f"{metric} was judged in {len(signatures)} ways that must not be compared, by column: "
                f"{difference(signatures)}."
            )
        for number, signature in enumerate(signatures):
            same = rows["signature"].map(str) == str(signature)
            here = rows[same | (rows["value"].isna() & (number == 0))]
            letter = f" ({chr(ord('a') + number)})" if len(signatures) > 1 else ""
            columns.append(
                ScoreColumn(
                    metric=str(metric),
                    title=f"{metric}{letter}",
                    direction=here["direction"].iloc[0],
                    signature=signature,
                    scores=_entry_scores({str(key): group for key, group in here.groupby("entry", sort=False)}),
                    summary=str(here["summary"].iloc[0]),
                    companions=tuple(here["companions"].iloc[0]),
                )
            )
    return tuple(columns), tuple(splits)


def _entry_scores(groups: Mapping[str, pd.DataFrame]) -> dict[str, EntryScore]:
    """The score of each entry, from the rows of its cells."""
    by_seed = {key: _by_seed(rows) for key, rows in groups.items()}
    per_text = {key: _mean_over_seeds(scores) for key, scores in by_seed.items()}
    limits = mean_intervals([list(values.values()) for values in per_text.values()])
    return {
        key: _entry_score(rows, by_seed[key], per_text[key], found)
        for (key, rows), found in zip(groups.items(), limits, strict=True)
    }


def _by_seed(rows: pd.DataFrame) -> tuple[dict[str, float], ...]:
    """The scores of each text by seed; none where a seed has no score per text."""
    judged = rows[rows["value"].notna()].sort_values("seed")
    return tuple(judged["per_text"]) if all(judged["per_text"].map(len)) else ()


def _mean_over_seeds(by_seed: Sequence[Mapping[str, float]]) -> dict[str, float]:
    texts: dict[str, list[float]] = {}
    for scores in by_seed:
        for key, value in scores.items():
            texts.setdefault(key, []).append(value)
    return {key: math.fsum(values) / len(values) for key, values in texts.items()}


def _entry_score(
    rows: pd.DataFrame,
    by_seed: tuple[dict[str, float], ...],
    per_text: Mapping[str, float],
    limits: Interval | None,
) -> EntryScore:
    """`limits` are those of scores per text over the choice of texts, its seeds together."""
    judged = rows[rows["value"].notna()].sort_values("seed")
    if not len(judged):
        nothing = str(rows["reason"].iloc[0] or "failed: no reason was recorded")
        return EntryScore(Quantity(None, reason=nothing), int(rows["total"].max()), (), {})
    value, seeds = float(judged["value"].mean()), tuple(float(value) for value in judged["value"])
    limits = limits if per_text else _of_corpus(judged)
    variance = over_seeds(seeds, by_seed) if len(seeds) > 1 else None
    unscored = rows[rows["value"].isna()]["reason"].dropna()
    reason = f"{len(unscored)} of {len(rows)} seeds without a score: {unscored.iloc[0]}" if len(unscored) else None
    both = limits
    if limits is not None and variance is not None:
        share = bool(per_text) and min(per_text.values()) >= 0 and max(per_text.values()) <= 1
        both = with_seeds(limits, value, variance, share=share)
    low, high = (None, None) if both is None else (both.low, both.high)
    return EntryScore(
        Quantity(value, low, high, int(judged["n"].min()), reason=reason),
        int(judged["total"].max()),
        seeds,
        per_text,
        by_seed,
        variance,
        None if limits is None else (limits.high - limits.low) / 2,
        tuple(judged["training"]),
    )


def _of_corpus(judged: pd.DataFrame) -> Interval | None:
    """The interval of a corpus metric over the choice of texts, as the records have it: the mean of its limits."""
    low, high = float(judged["low"].mean(skipna=False)), float(judged["high"].mean(skipna=False))
    return Interval(low, high, LEVEL) if low < high and int(judged["n"].min()) >= FEWEST else None


def over_seeds(values: Sequence[float], by_seed: Sequence[Mapping[str, float]]) -> SeedVariance:
    """What seeds add to the variance of the mean of their values. Of a corpus metric nobody knows how much of their
    spread is that of texts, so all of it counts."""
    shared = sorted(set.intersection(*(set(scores) for scores in by_seed))) if by_seed else []
    if len(shared) > 1:
        return seed_variance(np.array([[scores[key] for key in shared] for scores in by_seed]))
    return SeedVariance(float(np.var(values, ddof=1)) / len(values), len(values) - 1)
