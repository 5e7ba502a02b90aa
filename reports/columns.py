"""The score columns of a table: one per metric and signature, for unlike signatures are never compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from benchmarks.records.schema import Direction, Signature, difference
from reports.quantities import Quantity


@dataclass(frozen=True)
class EntryScore:
    """One entry's score in one column; over several seeds the mean of their values and of their interval limits."""

    quantity: Quantity
    total: int
    seeds: tuple[float, ...]  # the value of each seed
    per_text: Mapping[str, float]  # mean over seeds by document; empty for corpus metrics


@dataclass(frozen=True)
class ScoreColumn:
    """One metric under one signature; its title has a letter where the metric has several signatures."""

    metric: str
    title: str
    direction: Direction
    signature: Signature
    scores: Mapping[str, EntryScore]  # by entry
    level: float | None = None  # of its intervals
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
                    scores={str(key): _entry_score(group) for key, group in here.groupby("entry", sort=False)},
                    level=float(here["level"].max()) if here["level"].notna().any() else None,
                    summary=str(here["summary"].iloc[0]),
                    companions=tuple(here["companions"].iloc[0]),
                )
            )
    return tuple(columns), tuple(splits)


def _entry_score(rows: pd.DataFrame) -> EntryScore:
    judged = rows[rows["value"].notna()].sort_values("seed")
    if not len(judged):
        reason = str(rows["reason"].iloc[0] or "failed: no reason was recorded")
        return EntryScore(Quantity(None, reason=reason), int(rows["total"].max()), (), {})
    bounded = bool(judged["low"].notna().all() and judged["high"].notna().all())
    texts: dict[str, list[float]] = {}
    for per_text in judged["per_text"]:
        for key, value in per_text.items():
            texts.setdefault(key, []).append(value)
    unscored = rows[rows["value"].isna()]["reason"].dropna()
    return EntryScore(
        Quantity(
            float(judged["value"].mean()),
            float(judged["low"].mean()) if bounded else None,
            float(judged["high"].mean()) if bounded else None,
            int(judged["n"].min()),
            reason=f"{len(unscored)} of {len(rows)} seeds without a score: {unscored.iloc[0]}"
            if len(unscored)
            else None,
        ),
        int(judged["total"].max()),
        tuple(float(value) for value in judged["value"]),
        {key: math.fsum(values) / len(values) for key, values in texts.items()},
    )
