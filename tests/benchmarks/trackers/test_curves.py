"""What is read from logs while they are written, and what is said of it once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.trackers.curves import CurvePoint, LogReader
from benchmarks.trackers.sent import Sent, forget, read_sent, state_file, write_sent
from cosmos.training.resume import Log


def test_whole_lines_are_read_once_as_they_come(tmp_path: Path) -> None:
    reader, log = LogReader(tmp_path), Log(tmp_path / "denoiser.jsonl", 0)
    assert list(reader.new()) == []
    log.write(step=20, share=0.1, loss=1.5, lr=1e-3, seconds=2.0)
    with (tmp_path / "denoiser.jsonl").open("ab") as file:
        file.write(b'{"step": 40, "sha')
    assert list(reader.new()) == [CurvePoint("denoiser", 20, {"loss": 1.5, "lr": 1e-3, "seconds": 2.0})]
    assert list(reader.new()) == []
    with (tmp_path / "denoiser.jsonl").open("ab") as file:
        file.write(b're": 0.2, "validation_loss": 1}\n')
    assert list(reader.new()) == [CurvePoint("denoiser", 40, {"validation_loss": 1.0})]


def test_a_log_that_was_cut_is_read_again(tmp_path: Path) -> None:
    reader, log = LogReader(tmp_path), Log(tmp_path / "a.jsonl", 0)
    log.write(step=20, share=0.1, loss=1.0)
    length = log.length()
    log.write(step=40, share=0.2, loss=0.9)
    assert [point.step for point in reader.new()] == [20, 40]
    log.close()
    Log(tmp_path / "a.jsonl", length)
    assert [point.step for point in reader.new()] == [20]


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b"no json", b"\xff\xfe", b'{"step": "a", "share": 1, "loss": 1}', b'{"id": "x", "text": "y"}',
     b'{"step": 1, "share": 0.1, "loss": NaN, "lr": Infinity, "said": "words", "sure": null}'],
)  # fmt: skip
def test_lines_of_other_files_are_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other.jsonl").write_bytes(line + b"\n")
    assert list(LogReader(tmp_path).new()) == []
    assert list(LogReader(tmp_path / "missing").new()) == []


def test_stages_come_in_the_order_in_which_they_were_trained(tmp_path: Path) -> None:
    for name, seconds in (("diffusion", 2_000), ("autoencoder", 1_000)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps({"step": 5, "share": 1.0, "loss": 1.0}) + "\n")
        os.utime(path, (seconds, seconds))
    assert [point.stage for point in LogReader(tmp_path).new()] == ["autoencoder", "diffusion"]


def test_steps_of_a_second_stage_follow_those_of_the_first_and_nothing_is_said_twice() -> None:
    sent = Sent()
    first = [CurvePoint("autoencoder", step, {"loss": 1.0 / step}) for step in (20, 40)]
    assert [sent.unsaid(point)[0] for point in first] == [20, 40]
    loss, validation = CurvePoint("diffusion", 20, {"loss": 2.0}), CurvePoint("diffusion", 20, {"validation_loss": 3.0})
    assert sent.unsaid(loss) == (60, {"diffusion/loss": 2.0})
    assert sent.unsaid(validation) == (60, {"diffusion/validation_loss": 3.0}), "another number of the same step"
    assert [sent.unsaid(point)[1] for point in (*first, loss, validation)] == [{}] * 4
    assert sent.unsaid(CurvePoint("diffusion", 40, {"loss": 1.0})) == (80, {"diffusion/loss": 1.0})
    assert sent.unsaid_values({"scores/a/bleu": 1.0, "scores/a/chrf": 2.0}) == {
        "scores/a/bleu": 1.0,
        "scores/a/chrf": 2.0,
    }
    assert sent.unsaid_values({"scores/a/bleu": 1.0, "scores/a/chrf": 2.5}) == {"scores/a/chrf": 2.5}


def test_what_was_said_is_remembered_and_forgotten_with_the_training(tmp_path: Path) -> None:
    sent = Sent()
    sent.unsaid(CurvePoint("a", 20, {"loss": 1.0}))
    for tracker in ("tensorboard", "trackio"):
        write_sent(state_file(tmp_path, tracker, "0123"), sent)
    other = state_file(tmp_path, "tensorboard", "4567")
    write_sent(other, sent)
    assert read_sent(state_file(tmp_path, "trackio", "0123")) == sent
    forget(tmp_path, "0123")
    assert [path.name for path in (tmp_path / "trackers").iterdir()] == [other.name]
    fresh = read_sent(state_file(tmp_path, "trackio", "0123"))
    assert fresh.entry != sent.entry and fresh.steps == {}
    other.write_text("{")
    with pytest.raises(UserError, match=r"is damaged .*; delete it, and the training begins a new entry"):
        read_sent(other)
