"""The score columns of a table: one per metric and signature, for unlike signatures are never compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.records.schema import Direction, Signature, difference
from benchmarks.stats import FEWEST, Interval, SeedVariance, mean_intervals, over_seeds, with_seeds
from reports.names import display_metric
from reports.quantities import LEVEL, Quantity

Row = Mapping[str, Any]
"""A score of one cell (`benchmarks.records.dataframes.scores`)."""


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
    """One metric under one signature; its title, which is for people and which no other column has, ends in a letter
    where the metric has several signatures."""

    metric: str
    title: str
    direction: Direction
    signature: Signature
    scores: Mapping[str, EntryScore]  # by entry
    summary: str = ""  # what the metric says
    companions: tuple[str, ...] = ()  # metrics without which it misleads
    key: str = ""  # its name on a command line: the metric's, with the letter


def score_columns(scores: pd.DataFrame) -> tuple[tuple[ScoreColumn, ...], tuple[str, ...]]:
    """One column per metric and signature in the order of the records, and sentences on metrics judged unlike.

    A score that is null judged nothing, so it splits no column: it stands in the first one of its metric.
    """
    columns: list[ScoreColumn] = []
    splits: list[str] = []
    titles = _titles(scores)
    order = scores.groupby("metric", sort=False)["position"].min().sort_values(kind="stable")
    for metric in order.index:
        rows = scores[scores["metric"] == metric]
        judged = rows[rows["value"].notna()]
        signatures: list[Signature] = list({str(s): s for s in (judged if len(judged) else rows)["signature"]}.values())
        if len(signatures) > 1:
            splits.append(
                f"{titles[metric]} was judged in {len(signatures)} ways that must not be compared, by column: "
                f"{difference(signatures)}."
            )
        for number, signature in enumerate(signatures):
            same = rows["signature"].map(str) == str(signature)
            here = rows[same | (rows["value"].isna() & (number == 0))]
            letter = f" ({chr(ord('a') + number)})" if len(signatures) > 1 else ""
            columns.append(
                ScoreColumn(
                    metric=str(metric),
                    title=f"{titles[metric]}{letter}",
                    direction=here["direction"].iloc[0],
                    signature=signature,
                    scores=_entry_scores(_by_entry(here)),
                    summary=str(here["summary"].iloc[0]),
                    companions=tuple(here["companions"].iloc[0]),
                    key=f"{metric}-{chr(ord('a') + number)}" if letter else str(metric),
                )
            )
    return tuple(columns), tuple(splits)


def _titles(scores: pd.DataFrame) -> dict[str, str]:
    """What each metric is called, as the latest record that says so has it; its name too where two are called alike."""
    said: dict[str, str] = {}
    for metric, title in zip(scores["metric"], scores["title"], strict=True):
        said[metric] = title or said.get(metric, "")
    titles = {metric: display_metric(metric, title) for metric, title in said.items()}
    often = Counter(titles.values())
    return {metric: title if often[title] == 1 else f"{title} [{metric}]" for metric, title in titles.items()}


def _by_entry(scores: pd.DataFrame) -> dict[str, list[Row]]:
    """The rows of each entry's cells, as plain values, for they are few and looked at one by one."""
    groups: dict[str, list[Row]] = {}
    for values in zip(*(scores[name].tolist() for name in scores.columns), strict=True):
        row = dict(zip(scores.columns, values, strict=True))
        groups.setdefault(str(row["entry"]), []).append(row)
    return groups


def _judged(rows: Sequence[Row]) -> list[Row]:
    """Those with a value, in the order of their seeds."""
    return sorted((row for row in rows if not math.isnan(row["value"])), key=lambda row: int(row["seed"]))


def _entry_scores(groups: Mapping[str, Sequence[Row]]) -> dict[str, EntryScore]:
    """The score of each entry, from the rows of its cells."""
    by_seed = {key: _by_seed(rows) for key, rows in groups.items()}
    per_text = {key: _mean_over_seeds(scores) for key, scores in by_seed.items()}
    limits = mean_intervals([list(values.values()) for values in per_text.values()])
    return {
        key: _entry_score(rows, by_seed[key], per_text[key], found)
        for (key, rows), found in zip(groups.items(), limits, strict=True)
    }


def _by_seed(rows: Sequence[Row]) -> tuple[dict[str, float], ...]:
    """The scores of each text by seed; none where a seed has no score per text."""
    found = tuple(row["per_text"] for row in _judged(rows))
    return found if all(found) else ()


def _mean_over_seeds(by_seed: Sequence[Mapping[str, float]]) -> dict[str, float]:
    texts: dict[str, list[float]] = {}
    for scores in by_seed:
        for key, value in scores.items():
            texts.setdefault(key, []).append(value)
    return {key: math.fsum(values) / len(values) for key, values in texts.items()}


def _entry_score(
    rows: Sequence[Row],
    by_seed: tuple[dict[str, float], ...],
    per_text: Mapping[str, float],
    limits: Interval | None,
) -> EntryScore:
    """`limits` are those of scores per text over the choice of texts, its seeds together."""
    judged = _judged(rows)
    if not judged:
        nothing = str(rows[0]["reason"] or "failed: no reason was recorded")
        return EntryScore(Quantity(None, reason=nothing), max(int(row["total"]) for row in rows), (), {})
    seeds = tuple(float(row["value"]) for row in judged)
    value = float(np.mean(seeds))
    limits = limits if per_text else _of_corpus(judged)
    variance = over_seeds(seeds, by_seed) if len(seeds) > 1 else None
    unscored = [row["reason"] for row in rows if math.isnan(row["value"]) and row["reason"] is not None]
    reason = f"{len(unscored)} of {len(rows)} seeds without a score: {unscored[0]}" if unscored else None
    both = limits
    if limits is not None and variance is not None:
        share = bool(per_text) and min(per_text.values()) >= 0 and max(per_text.values()) <= 1
        both = with_seeds(limits, value, variance, share=share)
    low, high = (None, None) if both is None else (both.low, both.high)
    return EntryScore(
        Quantity(value, low, high, min(int(row["n"]) for row in judged), reason=reason),
        max(int(row["total"]) for row in judged),
        seeds,
        per_text,
        by_seed,
        variance,
        None if limits is None else (limits.high - limits.low) / 2,
        tuple(row["training"] for row in judged),
    )


def _of_corpus(judged: Sequence[Row]) -> Interval | None:
    """The interval of a corpus metric over the choice of texts, as the records have it: the mean of its limits."""
    low, high = (float(np.mean([row[limit] for row in judged])) for limit in ("low", "high"))  # NaN where one has none
    return Interval(low, high, LEVEL) if low < high and min(int(row["n"]) for row in judged) >= FEWEST else None
