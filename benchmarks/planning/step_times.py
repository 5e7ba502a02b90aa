"""How long a training step takes here: a few are made on random rows, in a folder that is thrown away."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from baselines.contract import Limits, RandomTraining, SupportsRandomTraining, UserError
from benchmarks.planning.plan import Contestant
from benchmarks.timing.clock import Clock

WARM, COUNTED = 1, 3  # steps
ROWS, VOCABULARY = 512, 8000
_LONGEST_SECONDS = 5.0  # after which a stage is not timed any more, once it has made a step that counts
_STAGES = ("autoencoder", "diffusion")  # of a system that trains two, the first with a share of the budget


class _EnoughError(Exception):
    """Enough steps were timed."""


def of(contestant: Contestant, limits: Limits, device: str) -> float | None:
    """Seconds of a step of a system, over its stages as its budget is shared; None where it cannot train so.

    Texts are taken to be as long as the limits allow source and target together to be, encoders to cost nothing.
    """
    kind: Any = contestant.system
    try:
        system = kind(contestant.recipe, Limits(0, limits.source_tokens + limits.target_tokens))
    except UserError:  # one that needs a source
        return None
    if not isinstance(system, SupportsRandomTraining):
        return None
    first = getattr(contestant.recipe, "autoencoder_share", None)
    shares: Mapping[str, float] = {"": 1.0} if first is None else dict(zip(_STAGES, (first, 1 - first), strict=True))
    try:
        times = {stage: _timed(system, stage, device) for stage, share in shares.items() if share > 0}
    except (
        UserError,
        AssertionError,
        AttributeError,
    ):  # what it is made of was learnt elsewhere, or it has other stages
        return None
    return sum(shares[stage] * seconds for stage, seconds in times.items())


def _timed(system: SupportsRandomTraining, stage: str, device: str) -> float:
    """Seconds of a step of a stage."""
    clock = Clock(device)
    times = [clock.now()]

    def watch(name: str, share: float, loss: float | None) -> None:
        times.append(clock.now())
        if len(times) > WARM + 2 and times[-1] - times[0] > _LONGEST_SECONDS:
            raise _EnoughError

    asked = RandomTraining(stage, WARM + COUNTED, ROWS, VOCABULARY, {})
    with tempfile.TemporaryDirectory(prefix="steps-") as folder, suppress(_EnoughError):
        system.train_on_random_rows(asked, Path(folder), device=device, progress=watch)
    return statistics.median([end - start for start, end in pairwise(times)][WARM:])
