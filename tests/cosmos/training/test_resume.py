"""What a killed training left is verified before it is gone on with."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from cosmos.io.errors import UserError
from cosmos.training import loop
from cosmos.training.resume import ResumePoints

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_training import Ticking, digest, run


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume points every few steps: writing one takes a tick, and there is at least one tick a step."""
    monkeypatch.setattr(time, "perf_counter", Ticking())
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.2)


class StopTrainingError(Exception):
    """Ends training from outside."""


def interrupt(workdir: Path, step: int, steps: float = 100, **changes: object) -> None:
    """Train and stop at a step, leaving resume points."""

    def stop(stage: str, share: float, loss: float | None) -> None:
        if share >= step / steps:
            raise StopTrainingError

    with pytest.raises(StopTrainingError):
        run(workdir, steps, progress=stop, **changes)


def flip(path: Path, place: int) -> None:
    """Change one bit of a byte of a file, counted from the end where negative."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_of_a_resume_point_is_found_wherever_it_is(tmp_path: Path) -> None:
    interrupt(tmp_path, 50)
    points = ResumePoints(tmp_path, "tiny")
    points.previous.unlink()
    whole = points.current.read_bytes()
    in_header = 8 + int.from_bytes(whole[:8], "little")
    for place in (*range(0, in_header, 61), *range(in_header, len(whole), 1999), -1):
        flip(points.current, place)
        with pytest.raises(UserError, match=f"^{re.escape(str(points.current))} .*; (delete it, and|restore it from)"):
            points.load()
        points.current.write_bytes(whole)
    assert points.load() is not None


def test_a_changed_resume_point_is_passed_over_for_the_one_before_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the same end, also where a kill follows while the next point is about to take its name."""
    run(tmp_path / "calm", 100)
    interrupt(tmp_path / "cut", 50)
    points = ResumePoints(tmp_path / "cut", "tiny")
    flip(points.current, -1)
    said = f"{points.current} was changed after it was written; going on from the point before, tiny"
    renames = []

    def killed(self: Path, target: Path) -> None:
        renames.append(target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", 100)
    assert capsys.readouterr().err.startswith(said)
    assert renames == [points.current], "the whole one before is kept until the next has its name"
    run(tmp_path / "cut", 100)
    assert capsys.readouterr().err.startswith(said)
    assert digest(tmp_path / "cut") == digest(tmp_path / "calm")


def test_what_began_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    """Texts and systems are known by a hash; one stage's point is not another's, whatever its file is called."""
    interrupt(tmp_path / "one", 50, made_of="a")
    with pytest.raises(UserError, match="made_of was a and is now b"):
        run(tmp_path / "one", 100, made_of="b")
    points = ResumePoints(tmp_path / "one", "tiny")
    other = ResumePoints(tmp_path / "one", "other")
    points.current.rename(other.current)
    with pytest.raises(UserError, match=r"other\.resume\.safetensors is a resume point of another training; delete it"):
        other.load()


def test_what_a_finished_stage_left_is_verified(tmp_path: Path) -> None:
    run(tmp_path, 10)
    weights_path, marker = tmp_path / "tiny.trained.safetensors", tmp_path / "tiny.trained.json"
    before = {path: path.read_bytes() for path in (weights_path, marker)}
    flip(weights_path, -1)
    with pytest.raises(UserError, match=rf"^{weights_path} was changed after it was written; delete it and tiny"):
        run(tmp_path, 10)
    weights_path.write_bytes(before[weights_path])
    marker.write_bytes(before[marker].replace(b'"flops": ', b'"flops": 1'))
    with pytest.raises(UserError, match=rf"^{marker} was changed after it was written; delete it, and run again"):
        run(tmp_path, 10)
    marker.write_bytes(before[marker])
    run(tmp_path / "other", 11)
    weights_path.write_bytes((tmp_path / "other" / weights_path.name).read_bytes())
    with pytest.raises(UserError, match=rf"^{weights_path} holds other weights than {marker.name} says"):
        run(tmp_path, 10)
