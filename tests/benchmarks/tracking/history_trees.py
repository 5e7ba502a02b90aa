"""Trees of records as runs leave them, sealed and quickly written, with numbers that a test chooses."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.records import seals, store
from benchmarks.records.files import line
from benchmarks.records.schema import Cell, Header, Network, Score, Signature, TimingRecord, to_json

CELL = Cell(
    task="detox", task_version="1", source="world", data={"train": 10, "seed": 0}, system="gpt2", preset="nano",
    recipe={"width": 8}, budget="2steps", setting="greedy", setting_values={}, limit=20, batch_size=25, device="cpu",
    dtype="float32", seed=0,
)  # fmt: skip
DEVICE = {"name": "Abacus 9", "kind": "cpu", "cores": 4, "threads": 4, "python": "3.11.7", "clock_khz": 1}
PACKAGES = {"torch": "2.13.0", "numpy": "2.4.6"}
SIGNATURE = Signature("exact_j", "1", "world grammar 1", {"form": "round trip 1"})


def commit_of(number: int) -> str:
    """A hash that no repository has."""
    return hashlib.sha1(str(number).encode()).hexdigest()


def record(
    run: Path,
    *,
    commit: str | None = None,
    dirty: bool = False,
    day: int = 1,
    scores: Mapping[str, float | None] | Sequence[Score] = (),
    seconds: Sequence[float] = (),
    latency: Sequence[float] = (),
    texts: str = "a",
    valid: bool = True,
    verdict: Mapping[str, Any] | None = None,
    networks: bool = True,
    sweep: Mapping[int, float] | None = None,
    device: Mapping[str, Any] = DEVICE,
    documents: str = "0" * 64,
    titles: Mapping[str, str] | None = None,
    **cell: Any,
) -> Path:
    """Write a record into a run's folder; returns that of the cell. `day` counts from the first of January 2026."""
    asked = replace(CELL, **cell)
    folder = store.cell_folder(run, asked.id)
    folder.mkdir(parents=True)
    samples = line({"id": "t0", "text": texts, "tokens": 1, "finished": True, "seed": 1, "calls": {}})
    (folder / store.SAMPLES).write_text(samples)
    timed = [("batch", value) for value in seconds] + [("latency", value) for value in latency]
    rows = [
        TimingRecord(kind, number, ("t0", "t1") if kind == "batch" else ("t0",), value, {})  # type: ignore[arg-type]
        for number, (kind, value) in enumerate(timed)
    ]
    rows += [TimingRecord("sweep", size, ("t",) * size, value, {}) for size, value in (sweep or {}).items()]
    (folder / store.TIMINGS).write_text("".join(line(to_json(row)) for row in rows))
    made = f"2026-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}T{day // 336 % 24:02d}:00:00+00:00"
    header = Header(
        asked, "done", created=made, finished=made, command="python -m benchmarks run", method=asked.system,
        commit=commit, dirty=dirty, packages=PACKAGES, device=dict(device),
        verdict={"valid": valid, "reasons": []} | dict(verdict or {}),
        networks={"gpt2": Network(10, 10)} if networks else {},
        documents={"test": {"count": 20, "sha256": documents}, "train": {"count": 10, "sha256": "1" * 64}},
        tokenizer={"name": "words", "sha256": "2" * 64},
        files=seals.file_hashes(folder, [store.SAMPLES, store.TIMINGS]), titles=dict(titles or {}),
    )  # fmt: skip
    (folder / store.HEADER).write_text(json.dumps(seals.sealed(to_json(header)), indent=2))
    if isinstance(scores, Mapping):
        scores = [score(metric, value) for metric, value in scores.items()]
    of = {store.SAMPLES: header.files[store.SAMPLES]}
    (folder / store.SCORES).write_text("".join(seals.sealed_line({**to_json(each), **of}) for each in scores))
    plan = run / store.PLAN
    if not plan.exists():
        plan.write_text("{}")
    return folder


def score(metric: str, value: float | None, signature: Signature = SIGNATURE, direction: str = "higher") -> Score:
    made = replace(signature, metric=metric)
    return Score(metric, value, None, None, None, 20, 20, direction, made, "not run" if value is None else None)  # type: ignore[arg-type]


def repository(folder: Path, commits: int) -> list[str]:
    """A git repository with commits one after another; returns their hashes."""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([*git[:3], "init", "-q", "-b", "main"], check=True)
    made = []
    for number in range(commits):
        (folder / "value.txt").write_text(str(number))
        subprocess.run([*git, "add", "value.txt"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", str(number)], check=True)
        said = subprocess.run([*git[:3], "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        made.append(said.stdout.strip())
    return made
