"""What is asked of the speed of preset `base` on a GPU, and whether it was reached.

The bars are the project's own: the static cache must be worth its trouble, a step of the denoiser must come near what
the machine can do, generating must cost no more than its network calls, and training must use the matrix units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from benchmarks.records.schema import canonical_json
from benchmarks.speed.schema import Ceilings, Speed, SpeedRecord
from reports.numbers import significant
from reports.table import Bar

PRESET = "base"
STATIC_RATIO = {1: 8.0, 512: 2.5}  # batch -> how much faster than `generate` the static cache must be
STEP_MS = {(16, 1): 0.45, (16, 512): 5.0, (128, 512): 32.0}  # (latents, batch) -> the most a denoiser call may take
DECODER_MS = {(16, 64): 3.3, (16, 512): 24.75}  # likewise of the decompressor, which reads its tokens itself
BEYOND_PARTS = 0.10
TRAINING_SHARE = {("diffusion", 128): 0.35, ("autoencoder", 16): 0.30}  # (stage, latents) -> share of the matrix peak


def per_second(record: SpeedRecord, count: int) -> float:
    """How many of something that one batch makes are made in a second."""
    return count / median(record.seconds)


def excess(record: SpeedRecord) -> float | None:
    """How much longer a batch takes than its network calls by themselves, as a share; None if one was not timed."""
    called = {name: count for name, count in record.calls.items() if count}
    if not called or any(name not in record.parts for name in called):
        return None
    return median(record.seconds) / sum(count * record.parts[name] for name, count in called.items()) - 1.0


def shares(record: SpeedRecord, ceilings: Ceilings | None) -> tuple[float, float] | None:
    """Shares of the matrix ceiling and of the copy ceiling (0 where no bytes were counted)."""
    if ceilings is None or record.flops is None:
        return None
    seconds = median(record.seconds)
    matrix = record.flops / seconds / ceilings.matrix_flops_per_second
    return matrix, (record.bytes_read or 0.0) / seconds / ceilings.copy_bytes_per_second


def bars(speed: Speed) -> tuple[Bar, ...]:
    """Every bar, in the order of the module's constants."""
    done = [r for r in speed.measured if r.status == "done" and r.subject.preset == PRESET]
    calls = (*_calls(done, "denoiser", STEP_MS), *_calls(done, "decompressor", DECODER_MS))
    return (*_static(done), *calls, *_parts(done), *_training(done, speed.ceilings))


def latents(record: SpeedRecord) -> int | None:
    """The latents of a Cosmos recipe: one for every position where nothing is compressed."""
    model = record.subject.recipe.get("model")
    if record.subject.recipe.get("full"):
        return record.subject.length
    return None if model is None else int(model["autoencoder"]["latents"])


def _static(done: Sequence[SpeedRecord]) -> Iterator[Bar]:
    """The fastest served decoding against `generate`, for every way to choose tokens that both were measured with."""
    own = [record for record in done if record.subject.system == "gpt2" and record.subject.kind == "generation"]
    plain = [record for record in own if "capture" not in record.subject.values]
    for batch, asked in STATIC_RATIO.items():
        ratios = {}
        for slow in (record for record in plain if record.subject.batch == batch):
            served = [r for r in own if "capture" in r.subject.values and _alike(r, slow)]
            if served:
                fast = min(median(record.seconds) for record in served)
                ratios[slow.subject.what] = median(slow.seconds) / fast
        what = f"static cache against generate at batch {batch}"
        if not ratios:
            yield Bar(what, f"{asked:g} times as fast", "", "not measured")
        for setting, ratio in ratios.items():
            yield _bar(f"{what} ({setting})", f"{asked:g} times as fast", ratio, "times", least=asked)


def _alike(served: SpeedRecord, plain: SpeedRecord) -> bool:
    """Whether two settings choose tokens alike, at the same batch."""
    values = {key: served.subject.values.get(key) for key in plain.subject.values}
    same = canonical_json(values) == canonical_json(plain.subject.values)
    return same and served.subject.batch == plain.subject.batch


def _calls(done: Sequence[SpeedRecord], network: str, most: Mapping[tuple[int, int], float]) -> Iterator[Bar]:
    for (count, batch), asked in most.items():
        milliseconds = [
            1e3 * record.parts[network]
            for record in _cosmos(done, "generation")
            if latents(record) == count and record.subject.batch == batch and network in record.parts
        ]
        what = f"one {network} call of Cosmos with {count} latents at batch {batch}"
        yield _bar(what, f"at most {asked:g} ms", min(milliseconds, default=None), "ms", most=asked)


def _parts(done: Sequence[SpeedRecord]) -> Iterator[Bar]:
    """The worst of all batches of Cosmos."""
    best: dict[tuple[int | None, str, int], tuple[float, float]] = {}
    for record in _cosmos(done, "generation"):  # of several captures the fastest counts
        if (beyond := excess(record)) is not None:
            key = (latents(record), record.subject.what, record.subject.batch)
            best[key] = min(best.get(key, (math.inf, 0.0)), (median(record.seconds), beyond))
    worst = max(best, key=lambda key: best[key][1], default=None)
    what = "generating with Cosmos against its network calls by themselves"
    if worst is not None:
        what += f" (worst: {worst[0]} latents, {worst[1]}, batch {worst[2]})"
    value = None if worst is None else 100 * best[worst][1]
    yield _bar(what, f"at most {100 * BEYOND_PARTS:g} % longer", value, "%", most=100 * BEYOND_PARTS)


def _training(done: Sequence[SpeedRecord], ceilings: Ceilings | None) -> Iterator[Bar]:
    for (stage, count), asked in TRAINING_SHARE.items():
        shares_of = [
            100 * share[0]
            for record in _cosmos(done, "training")
            if record.subject.what == stage and latents(record) == count
            if (share := shares(record, ceilings)) is not None
        ]
        what = f"training step of the {stage} stage of Cosmos with {count} latents"
        yield _bar(
            what, f"{100 * asked:g} % of the matrix ceiling", max(shares_of, default=None), "%", least=100 * asked
        )


def _cosmos(done: Sequence[SpeedRecord], kind: str) -> list[SpeedRecord]:
    return [r for r in done if r.method == "cosmos" and r.subject.kind == kind]


def _bar(
    what: str, asked: str, value: float | None, unit: str, *, least: float = -math.inf, most: float = math.inf
) -> Bar:
    if value is None:
        return Bar(what, asked, "", "not measured")
    return Bar(what, asked, f"{significant(value)} {unit}", "held" if least <= value <= most else "missed")
