"""The order of commits: that of git where it knows them, and by time where it does not."""

from __future__ import annotations

import bisect
import itertools
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HOME = Path(__file__).resolve().parents[3]  # where this code is, which may be a clone of its repository
_SLACK = 3600  # seconds that clocks of two machines may differ without a word


@dataclass(frozen=True)
class KnownCommits:
    """Commits of a repository: hash -> place in an order in which no commit comes before its parents; and their times
    in seconds since 1970, as the committers' clocks said."""

    places: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, int] = field(default_factory=dict)


def known_commits(wanted: Collection[str], folders: Collection[Path] = (Path(), HOME)) -> KnownCommits:
    """All commits of that repository, of several folders, which knows most of those that are wanted."""
    every = [_of(folder) for folder in folders]
    return max(every, key=lambda known: len(known.places.keys() & set(wanted)), default=KnownCommits())


def _of(folder: Path) -> KnownCommits:
    command = ["git", "-C", str(folder), "log", "--all", "HEAD", "--date-order", "--reverse", "--format=%H %ct"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return KnownCommits()
    rows = [line.split() for line in done.stdout.splitlines()] if done.returncode == 0 else []
    places = {commit: place for place, (commit, _) in enumerate(rows)}
    return KnownCommits(places, {commit: int(seconds) for commit, seconds in rows})


@dataclass(frozen=True, order=True)
class Code:
    """One state of the code. Where it is in no commit, or in an unknown one, `record` tells it from others."""

    commit: str | None
    dirty: bool
    record: int | None = None


def ordered(times: Mapping[Code, float], known: KnownCommits) -> list[Code]:
    """States of the code in order.

    A commit that git knows has its place, whatever clocks say. Any other comes after the last known one of which there
    was a record when it was first measured. What had changes that are in no commit comes after its commit.

    Args:
        times: when the first record of each was begun, in seconds since 1970; 0 where it does not say.
    """
    firsts: dict[str, float] = {}  # commit -> when it was first measured
    for code, begun in times.items():
        if code.commit is not None:
            firsts[code.commit] = min(begun, firsts.get(code.commit, begun))
    settled = sorted((begun, known.places[commit]) for commit, begun in firsts.items() if commit in known.places)
    begun_until = [begun for begun, _ in settled]
    latest = list(itertools.accumulate((place for _, place in settled), max))  # place of any until then

    def key(code: Code) -> tuple[int, int, float, str, bool, float, int]:
        commit = code.commit or ""
        of_code = (commit, code.dirty, times[code] if code.dirty else 0.0, code.record or 0)
        if commit in known.places:
            return known.places[commit], 0, 0.0, *of_code
        first = firsts.get(commit, times[code])
        earlier = bisect.bisect_right(begun_until, first)
        return latest[earlier - 1] if earlier else -1, 1, first, *of_code

    return sorted(times, key=key)


def seconds_of(made: str) -> float:
    """Seconds since 1970 of a time as records hold it; 0 where it is none."""
    try:
        time = datetime.fromisoformat(made)
    except ValueError:
        return 0.0
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def impossible_times(made: Collection[tuple[str | None, str, str | None]], known: KnownCommits) -> str | None:
    """A sentence on clocks that went backwards; None where none is seen to.

    Args:
        made: of each record its commit, when it was begun, and when it was finished.
    """
    count = 0
    for commit, begun, finished in made:
        start = seconds_of(begun)
        early = start > 0 and start < known.seconds.get(commit or "", 0) - _SLACK
        count += early or bool(finished and 0 < seconds_of(finished) < start)
    if not count:
        return None
    return (
        f"A clock went backwards: {count} records end before they begin, or are older than the commit that made them; "
        "the order is that of the commits where git knows them, and by those clocks elsewhere."
    )
