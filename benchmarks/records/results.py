"""What runs found as pandas frames: the scores, and beside them the texts, the timings and what training cost.

Nothing is computed here that a record does not say, and nothing is loaded that trains or generates.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd

from baselines.contract import UserError
from benchmarks.records import dataframes, store, validity
from benchmarks.records.archive import found_runs
from benchmarks.records.schema import Header, Record

_CELL = ("task", "source", "system", "preset", "setting", "seed")
_ORIGIN = ("commit", "device")
_PLACE = ("run", "cell")  # what tells the rows of one cell in all frames
COLUMNS = (*_CELL, "metric", "value", "low", "high", "n", "signature", *_ORIGIN, "direction", "reason", *_PLACE)
SAMPLE_COLUMNS = (*_CELL, "document", "text", "tokens", "finished", "calls", "entropy", *_PLACE)
TIMING_COLUMNS = (*_CELL, "kind", "texts", "seconds", "valid", *_ORIGIN, *_PLACE)
TRAINING_COLUMNS = (
    *("task", "source", "system", "preset", "seed", "steps", "seconds", "flops", "validation_loss"),
    *("trainable", "frozen", *_ORIGIN, "run", "checkpoint"),
)
CURVE_COLUMNS = ("system", "preset", "seed", "stage", "step", "validation_loss", "run", "checkpoint")


class Results(pd.DataFrame):
    """The scores of runs, a row for each cell and metric, and what else their records hold.

    What is cut out of it is a plain frame; the frames beside it belong to the whole.

    Attributes:
        samples: a row for each text, with a column for each metric that scores texts one by one.
        timings: a row for each timed call of a system.
        training: a row for each training, which several settings may share.
        curves: a row for each validation loss that was measured while training.
    """

    _metadata: ClassVar[list[str]] = ["samples", "timings", "training", "curves"]  # pandas pickles them with the rest

    samples: pd.DataFrame
    timings: pd.DataFrame
    training: pd.DataFrame
    curves: pd.DataFrame

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame


def load(place: str | os.PathLike[str]) -> Results:
    """Read the cells of a run that are done, or of all runs below a folder, published ones too.

    Args:
        place: a run's folder, a folder that holds runs, or an archive of records as they are published.

    Returns:
        One row per cell and metric: `value` with its interval from `low` to `high` over `n` texts (NaN where there is
        none, and `reason` says why), who judged (`signature`: only equal ones may be compared), the `commit` and the
        `device` that made the texts, and the `run` and `cell` where they lie. Other frames are beside it; see
        `Results`.

    Raises:
        UserError: there is no run or no cell that is done, or a record is damaged, changed or of a later version.
    """
    runs: list[tuple[str, list[Record]]] = []
    for run in found_runs(Path(place)):
        with run.named():
            done = [record for record in store.read_run(run.folder) if record.header.status == "done"]
        if done:
            runs.append((run.name, done))
    if not runs:
        raise UserError(f"No cell in {place} is done; give the command of its run again.")
    frames = [(_about(name, records), records) for name, records in runs]
    results = Results(_together([_scores(about, records) for about, records in frames], COLUMNS))
    results.samples = _together([_samples(about, records) for about, records in frames], SAMPLE_COLUMNS)
    results.timings = _together([_timings(about, records) for about, records in frames], TIMING_COLUMNS)
    results.training = _together([_training(name, records) for name, records in runs], TRAINING_COLUMNS)
    results.curves = _together([_curves(name, records) for name, records in runs], CURVE_COLUMNS)
    return results


def _together(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of all frames, the named columns first, and then those that only some have."""
    rows = pd.concat(frames, ignore_index=True)
    return rows[[*columns, *(name for name in rows.columns if name not in columns)]]


def _about(run: str, records: Sequence[Record]) -> pd.DataFrame:
    """A row for each cell: what it is, and what made it."""
    rows = []
    for record in records:
        header = record.header
        cell = {name: getattr(header.cell, name) for name in _CELL}
        origin = {"commit": header.commit, "device": header.device.get("name") or header.cell.device}
        rows.append({**cell, **origin, "run": run, "cell": header.cell.id})
    return pd.DataFrame(rows)


def _joined(frame: pd.DataFrame, about: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a frame with what is known of their cells."""
    frame = frame.rename(columns={"id": "cell"}).drop(columns="seed", errors="ignore")
    return frame.merge(about, on="cell", how="left", validate="many_to_one")[list(columns)]


def _scores(about: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    scores = dataframes.scores(records)
    return _joined(scores.assign(signature=scores["signature"].map(str)), about, COLUMNS)


def _timings(about: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    headers = {record.header.cell.id: record.header for record in records}
    timings = dataframes.timings(records)
    calls = zip(timings["id"], timings["kind"], timings["texts"], strict=True)
    valid = [_valid(headers[cell], kind, texts) for cell, kind, texts in calls]
    return _joined(timings.assign(valid=pd.Series(valid, dtype="boolean")), about, TIMING_COLUMNS)


def _valid(header: Header, kind: str, texts: int) -> bool | None:
    """Whether the quantity that a timed call belongs to may be believed; None of a call that belongs to none."""
    if kind == "warmup":
        return None
    size = header.batch_size if kind == "batch" else texts
    return validity.validity(header, validity.LATENCY if kind == "latency" else validity.throughput(size)).valid


def _samples(about: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    samples = dataframes.samples(records)
    metrics = samples.columns[len(dataframes.SAMPLE_COLUMNS) :]
    return _joined(samples, about, (*SAMPLE_COLUMNS, *metrics))


def _training(run: str, records: Sequence[Record]) -> pd.DataFrame:
    sizes = dataframes.cells(records).set_index("id")
    rows = {}
    for record in records:
        header, training = record.header, record.header.training
        if training is None or training.steps == 0:
            continue
        made_with = header.trained_with
        device = (made_with.get("device") or header.device).get("name")
        rows[header.cell.checkpoint_id] = {
            **{name: getattr(header.cell, name) for name in ("task", "source", "system", "preset", "seed")},
            **{name: getattr(training, name) for name in ("steps", "seconds", "flops", "validation_loss")},
            **{name: sizes.at[header.cell.id, name] for name in ("trainable", "frozen")},
            "commit": made_with.get("commit", header.commit),
            "device": device or header.cell.device,
            "run": run,
            "checkpoint": header.cell.checkpoint_id,
        }
    return pd.DataFrame(rows.values(), columns=TRAINING_COLUMNS).astype({"validation_loss": "float64"})


def _curves(run: str, records: Sequence[Record]) -> pd.DataFrame:
    curves = dataframes.curves(records)
    return curves.assign(run=run)[list(CURVE_COLUMNS)]
