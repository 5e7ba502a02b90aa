"""Another process tells the tracker: curves meanwhile, the rest at the end, nothing twice, and no run ends of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.trackers import names
from benchmarks.trackers.tracking import Trackable, Tracking
from cosmos.training.resume import Log

Curves = dict[str, list[tuple[int, float]]]


@pytest.fixture
def training(tmp_path: Path) -> Trackable:
    folder = tmp_path / "run" / "checkpoints" / "0123" / "training"
    folder.mkdir(parents=True)
    return Trackable("0123", "detox gpt2 nano seed 0", str(folder.parent), {"system": "gpt2", "recipe.width": 128})


def steps(log: Log, *numbers: int) -> None:
    for step in numbers:
        log.write(step=step, share=step / 100, loss=10.0 / step, lr=0.5, seconds=0.25 * step)


def wait_until(true: Callable[[], bool]) -> None:
    """Until something is so, which takes as long as it takes; a minute is too long on any machine."""
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_with_the_same_curve(
    tracker: str, curves: Callable[[Path], Curves], training: Trackable, tmp_path: Path
) -> None:
    """Its log is cut at a resume point and written again; then a second stage follows, and scores, told twice."""
    run, said = tmp_path / "run", list[str]()
    log = Log(Path(training.folder) / "training" / "gpt2.jsonl", 0)
    tracking = Tracking(tracker, run, said.append, offline=True)
    with tracking.following(training):
        steps(log, 20, 40)
        length = log.length()
        steps(log, 60)
        process = tracking._process
        assert process is not None and process.stdin is not None
        state = run / "trackers" / f"{tracker}.0123.json"
        wait_until(lambda: '"gpt2/loss": 60' in state.read_text())  # while training goes on
        process.stdin.close()  # as when the process that trains is killed
        process.wait(60)
        tracking._broken = True  # nobody is left who could say that training has ended
    again = Log(Path(training.folder) / "training" / "gpt2.jsonl", length)
    with Tracking(tracker, run, said.append, offline=True) as tracking:
        with tracking.following(training):
            steps(again, 60, 80)
        with tracking.following(training):
            steps(Log(Path(training.folder) / "training" / "second.jsonl", 0), 20)
        for _ in range(2):
            tracking.tell(training, {"scores/greedy/bleu": 12.5, "timings/greedy/latency_ms": 3.5})
        tracking.tell(training, {"scores/greedy/bleu": 12.5, "scores/greedy/chrf": 50.0})
    assert said == []
    found = curves(run)
    assert found["gpt2/loss"] == [(step, pytest.approx(10.0 / step)) for step in (20, 40, 60, 80)]
    assert found["gpt2/seconds"] == [(step, pytest.approx(0.25 * step)) for step in (20, 40, 60, 80)]
    assert found["second/loss"] == [(100, pytest.approx(0.5))]
    assert found["scores/greedy/bleu"] == [(100, 12.5)]
    assert found["scores/greedy/chrf"] == [(100, 50.0)]
    assert found["timings/greedy/latency_ms"] == [(100, 3.5)]


@pytest.mark.slow
def test_the_process_that_tells_may_be_killed_too(
    tracker: str, curves: Callable[[Path], Curves], training: Trackable, tmp_path: Path
) -> None:
    """One sentence says so, the training goes on, and who comes next says the rest."""
    run, said = tmp_path / "run", list[str]()
    log = Log(Path(training.folder) / "training" / "gpt2.jsonl", 0)
    with Tracking(tracker, run, said.append, offline=True) as tracking:
        with tracking.following(training):
            steps(log, 20)
            wait_until(lambda: "gpt2/loss" in curves(run))
            assert tracking._process is not None
            tracking._process.send_signal(signal.SIGKILL)
            tracking._process.wait()
            steps(log, 40)
        tracking.tell(training, {"scores/greedy/bleu": 1.0})
    [sentence] = said
    assert sentence.startswith(f"{tracker} is told nothing more (")
    assert sentence.endswith("); the run goes on, and its records have everything.")
    with Tracking(tracker, run, said.append, offline=True) as tracking:
        tracking.tell(training, {"scores/greedy/bleu": 1.0})
    assert len(said) == 1
    assert [step for step, _ in curves(run)["gpt2/loss"]] == [20, 40]


def test_a_damaged_note_of_what_was_said_ends_no_run(training: Trackable, tmp_path: Path) -> None:
    run, said = tmp_path / "run", list[str]()
    path = run / "trackers" / "tensorboard.0123.json"
    path.parent.mkdir()
    path.write_text("no json")
    with Tracking("tensorboard", run, said.append, offline=True) as tracking, tracking.following(training):
        pass
    [sentence] = said
    assert f"({path} is damaged" in sentence and "delete it" in sentence
    assert path.read_text() == "no json"


@pytest.mark.parametrize("verb", ["run", "fit", "generate", "score", "study"])
def test_an_unknown_tracker_is_one_sentence(verb: str, command: Callable, tmp_path: Path) -> None:
    latents = ("--latents", "4,8") if verb == "study" else ()
    done = command(verb, "--task", "detox", *latents, "--track", "tensorbord", "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stderr) == (2, "Unknown tracker 'tensorbord'; did you mean tensorboard?\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", names.TRACKERS)
def test_a_package_that_is_not_here_is_one_sentence_with_the_command(
    name: str, command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "find_spec", lambda package: None)
    done = command("run", "--task", "detox", "--track", name, "--out", str(tmp_path / "run"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Tracking with {name} needs a package that is not here; add it with: pip install ")
    assert not (tmp_path / "run").exists()
