"""What 1,000 GPUs, a million records and 15 million training texts would take: measured unit costs, put together.

    python examples/scale_on_paper.py

prints the table of docs/clusters.md. Every number of `MEASURED` was measured, on the machine that is named with it;
change one to see what follows. Standard library only.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

# Measured with one core of an AMD EPYC that had other work, 2026-11-30, unless another machine is named. A record is
# one of the 19 of reports/published/2026-11-28-h200/detox-480s: 700 texts, their timings and scores.
MEASURED = {
    "read a record, its seals checked, s": 0.052,
    "read a header, s": 0.0027,
    "bytes of a record": 301_000,
    "look for links in a cell's folder, s": 25e-6,
    "decide a cell of a plan, s": 0.57e-3,
    "give a stage to Ray and settle it, s": 0.023,
    "train a checkpoint (small, H200), s": 480.0,
    "generate and time a record (small, H200), s": 15.5,
    "start a worker process, s": 6.8,
    "encode a text (MiniLM, H200, eager), s": 66 / 81_000,
    "bytes of a text as a Document in Python": 2_310,
    "read a text from Parquet, s": 64e-6,
    "hash a text, s": 42e-6,
}

SCORE_SECONDS = 60.0  # of one core, by the usual metrics: the one number that is assumed and not measured
GPUS, RECORDS, TEXTS = 1_000, 1_000_000, 15_000_000
CELLS = 10_000  # of one run, at most
SETTINGS = 4  # of a checkpoint: records that share a training
POSITIONS, STATE_WIDTH, LATENTS, LATENT_WIDTH, HALF = 128, 768, 16, 768, 2  # of a text at `base`; bytes of a number
WALKS = 5  # times that one stage looks through the folder of its run
HOUR, DAY, GB, TB = 3600.0, 86_400.0, 1e9, 1e12


@dataclass(frozen=True)
class Sweep:
    """How a sweep on many GPUs ended: hours, and the share of these in which a GPU had work."""

    hours: float
    busy: float


def sweep(checkpoints: int, gpus: int, train: float, generate: float, settle: float) -> Sweep:
    """Simulate one launch: each checkpoint is trained on a GPU, then each of its settings generates on one.

    Args:
        settle: seconds for which the one process that gives work is busy with each stage; scoring is given too.
    """
    free = [0.0] * gpus  # when each GPU is free again
    giver = spent = 0.0  # when the process that gives work is; GPU seconds of work
    # (when it may be given, its seconds, what follows it): trainings are given first, and what is ready in time.
    ready = [(0.0, number, True) for number in range(checkpoints)]
    heapq.heapify(ready)
    number = checkpoints
    while ready:
        since, _, training = heapq.heappop(ready)
        giver = max(giver, since) + settle * (1 if training else 2)
        begin = max(heapq.heappop(free), giver)
        seconds = train if training else generate
        heapq.heappush(free, begin + seconds)
        spent += seconds
        if training:
            for _ in range(SETTINGS):
                heapq.heappush(ready, (begin + seconds, number, False))
                number += 1
    end = max(free)
    return Sweep(end / HOUR, spent / (end * gpus))


def table() -> list[tuple[str, str, str]]:
    """What is asked, what it comes to, and whether that holds."""
    m = MEASURED
    settle = m["give a stage to Ray and settle it, s"]
    train = m["train a checkpoint (small, H200), s"] + m["start a worker process, s"]
    generate = m["generate and time a record (small, H200), s"] + m["start a worker process, s"]
    checkpoints, runs = RECORDS // SETTINGS, RECORDS // CELLS
    one = sweep(CELLS // SETTINGS, GPUS, train, generate, settle)
    whole = (checkpoints * train + RECORDS * generate) / GPUS
    stages = checkpoints + 2 * RECORDS
    links = m["look for links in a cell's folder, s"] * CELLS * WALKS
    read = m["read a record, its seals checked, s"]
    header = m["read a header, s"]
    text = m["bytes of a text as a Document in Python"]
    encode = m["encode a text (MiniLM, H200, eager), s"]
    state = POSITIONS * STATE_WIDTH * HALF
    latent = LATENTS * LATENT_WIDTH * HALF
    return [
        ("training and generating, all GPUs", f"{whole / DAY:.1f} days", "this is the work itself"),
        (
            f"one launch of {CELLS:,} cells on {GPUS:,} GPUs, simulated",
            f"{one.hours:.2f} h, GPUs {one.busy:.0%} busy",
            "holds; GPUs wait while the first get their work, and at the end, so launch several runs at once",
        ),
        ("giving and settling, one process", f"{stages * settle / HOUR:.1f} h of {whole / HOUR:.0f}", "holds"),
        ("deciding the cells of one run", f"{CELLS * m['decide a cell of a plan, s']:.1f} s a process", "holds"),
        (
            "looking for links, of each stage of a full run",
            f"{links:.2f} s of a local disk",
            "holds on a local disk; on a file server some ten times as long: look into the cell's own folders only",
        ),
        (
            f"scoring, if a record takes {SCORE_SECONDS:.0f} s (assumed), cores",
            f"{RECORDS * SCORE_SECONDS / whole:.0f} busy all the time",
            "holds: 8 cores go with each GPU",
        ),
        ("records on disk", f"{RECORDS * m['bytes of a record'] / GB:.0f} GB, {runs} runs", "holds"),
        ("report of one full run, one process", f"{CELLS * read / 60:.0f} min to read", "bearable, once a run"),
        (
            "all records, one process",
            f"{RECORDS * read / HOUR:.1f} h to read; {RECORDS * header / HOUR:.2f} h for headers alone",
            "does not hold: one table of scores a run, written when it is reported, is what histories should read",
        ),
        (
            "training texts in memory, each worker",
            f"{TEXTS * text / GB:.1f} GB",
            "does not hold for 8 GPUs a machine: `run` is to read row by row, as `cosmos train-autoencoder` does",
        ),
        (
            "reading and hashing training texts, each process",
            f"{TEXTS * (m['read a text from Parquet, s'] + m['hash a text, s']) / 60:.0f} min",
            "does not hold for each stage: keep the digest of a file by its size, time and own hash",
        ),
        (
            "encoding training texts once",
            f"{TEXTS * encode / HOUR:.1f} GPU hours",
            f"holds if done once; by each training, {TEXTS * encode * checkpoints / GPUS / DAY:.0f} days of all GPUs",
        ),
        (
            "their states, stored",
            f"{TEXTS * state / TB:.2f} TB",
            "does not hold: `states=loop`, which is what `auto` takes",
        ),
        ("their latents, stored", f"{TEXTS * latent / GB:.0f} GB", "holds on a file server, one for each autoencoder"),
    ]


def markdown() -> str:
    """The table of docs/clusters.md."""
    rows = [f"| {what} | {comes_to} | {holds} |" for what, comes_to, holds in table()]
    return "\n".join(["| what | comes to | does it hold? |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    print(markdown())
