"""The commands that find the one commit of a change: `git bisect run` with the gate as its judge.

At each commit the entry is made again by the code that is checked out and gated against the last run before the change,
with half of the change as the margin. It is worse where the gate says so of this very metric and entry. What it cannot
judge (2), as at a commit that has no such verb, and what ends otherwise, as where Python cannot even begin or the entry
itself fails, is a commit to be skipped (125): Python ends with the code of a regression when it meets a syntax error.
Where the change was for the better, old and new are the other way round: the gate asks whether the code is worse than
it became.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.archive import RECORDS
from benchmarks.records.store import PLAN
from benchmarks.tracking.history.schema import LATENCY, HistoryLine, HistoryPoint

_CODES = {False: (0, 1), True: (1, 0)}  # for git: where the gate passes, and where it finds the regression
FOLDER = "runs/bisect"
_SPECIAL, _ESCAPED = r"[][.*^$\\]", r"\\\g<0>"  # characters of a basic regular expression


def commands(
    line: HistoryLine, points: Sequence[HistoryPoint], first: int, last: int, before: float, after: float
) -> tuple[tuple[str, ...], str]:
    """The commands, in order, and why there are none where there are none.

    Args:
        points: of the series; the change is at one of `first` to `last`.
        before, after: values of the metric on either side.
    """
    good, bad = points[first - 1], points[last]
    if line.kind == "micro":
        return (), "a micro-benchmark has no gate; time the test at the commits between"
    if line.direction == "none":
        return (), "neither more nor less of it is better, so no gate can judge it"
    if good.commit is None or bad.commit is None:
        return (), "the commit on one side is unknown"
    if good.commit == bad.commit:
        return (), "both sides are of one commit; the change is in what was not committed, or in the machine"
    if not (math.isfinite(before) and math.isfinite(after)):
        return (), "the size of the change is not known"
    better = (after > before) == (line.direction == "higher")
    # A baseline has to be the better side, since a gate looks for what is worse.
    against = _readable(bad.run if better else good.run)
    words = ["python", "-m", "benchmarks", "gate", "--against", against, "--system", line.system]
    words += ["--set", "gate.others=false", "--set", "gate.calls=false"]
    if line.kind == "quality":
        words += ["--set", f"gate.{line.metric}={_half(before, after)}", "--no-speed"]
    else:
        fast, slow = sorted((before, after), reverse=line.metric != LATENCY)
        seconds = abs(math.log(fast / slow))  # of a text, the slow side against the fast one
        words += ["--set", f"gate.speed={100 * math.expm1(seconds / 2):.3g}%"]
    passed, worse = _CODES[better]
    gate = (
        f'said=$({shlex.join(words)} --out "{FOLDER}/$(git rev-parse HEAD)"); code=$?; printf "%s\\n" "$said"; '
        f"test $code = 0 && exit {passed}; test $code = 1 && "
        f'printf "%s\\n" "$said" | grep -q {shlex.quote(_regression(line))} && exit {worse}; exit 125'
    )
    return (f"git bisect start {bad.commit} {good.commit}", f"git bisect run sh -c {shlex.quote(gate)}"), ""


def _regression(line: HistoryLine) -> str:
    """The beginning of the sentence by which a gate tells the regression of a line, as a pattern of `grep`."""
    metric = re.sub(_SPECIAL, _ESCAPED, line.metric)
    if line.kind == "speed" and line.metric != LATENCY:
        metric = "throughput@[0-9]*"  # as gates name it, of so many texts at once
    entry = line.system if line.setting in ("", "default") else f"{line.system} {line.setting}"
    return f"^regression: {metric} of {re.sub(_SPECIAL, _ESCAPED, entry)}: "


def _readable(run: str) -> str:
    """The run's folder; of a run that is packed with others, the folder of their archive."""
    place = Path(run)
    if (place / PLAN).exists():
        return run
    return str(next((each for each in place.parents if (each / RECORDS).exists()), run))


def _half(before: float, after: float) -> str:
    return f"{abs(after - before) / 2:.6g}"
