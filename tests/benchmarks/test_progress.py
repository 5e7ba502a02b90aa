"""What a log gets of a long work: a line wherever nothing was said for an interval, from whatever stage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from baselines.contract import Document
from benchmarks import metrics, progress
from benchmarks.metrics.core.cache import Vectors


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_short_stages_are_told_where_together_they_are_long(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    voice = progress.ConsoleReporter()
    for second in range(1, 13):  # a stage a second, as of metrics that each take one
        clock[0] = float(second)
        voice.progress(f"by {second}", 0.0, None)
        voice.progress(f"by {second}", 1.0, None)
    assert capsys.readouterr().err.splitlines() == ["by 5: 0 s so far", "by 10: 0 s so far"]


def test_lines_come_further_apart_the_longer_a_stage_takes(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    voice = progress.ConsoleReporter()
    for second in range(3601):
        clock[0] = float(second)
        voice.progress("training", second / 3600, 0.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 0%, loss 0.5000, 3595 s left" and len(lines) < 200


def test_a_work_that_says_nothing_is_told_by_a_heartbeat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.0)
    heard = threading.Event()

    class Voice(progress.Silent):
        def progress(self, stage: str, share: float, loss: float | None) -> None:
            told.append((stage, share))
            if len(told) > 3:
                heard.set()

    told: list[tuple[str, float]] = []
    with progress.beating(Voice(), "work") as beat:
        beat.at("work by mauve", 0.5)
        assert heard.wait(60)
    assert told[0] == ("work", 0.0) and told[-1] == ("work", 1.0)
    assert list(dict.fromkeys(told)) == [("work", 0.0), ("work by mauve", 0.5), ("work", 1.0)]
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_metrics_say_which_is_at_work_and_how_far_it_is(tmp_path: Path) -> None:
    documents = [Document(str(n), f"source {n}", f"target {n}", (f"target {n}",)) for n in range(4)]
    heard: list[tuple[str, float]] = []
    batch = metrics.MetricInput("detox", "local", documents, ["a", "b", "c", "d"])
    metrics.score(batch, ["length", "copy_rate"], progress=lambda name, share: heard.append((name, share)))
    assert heard == [("length", 0.0), ("copy_rate", 0.0)]
    shares: list[float] = []
    make = lambda missing: (([text], [[1.0]]) for text in missing)  # noqa: E731
    Vectors(tmp_path, shares.append).of("judge", ["a", "b", "c", "d", "a"], make)
    assert shares == [0.25, 0.5, 0.75, 1.0]
