"""The verb that trains a first stage for many tasks, and a run that begins from it: what its records and report say."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from benchmarks import tasks
from benchmarks.cli.main import main
from benchmarks.records import store
from cosmos.io.artifact import read_artifact
from cosmos.io.openings import LENGTHS

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
import tiny_systems
from tiny_cosmos import tiny_encoder

from baselines.latent_diffusion.ld4lg import LD4LGSystem


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LD4LG with a tiny preset, and detoxification of texts as short as a tiny encoder reads."""
    detox = dataclasses.replace(tasks.find("detox"), limits=tiny_systems.LIMITS)
    monkeypatch.setattr(tasks, "find", lambda name: detox)
    recipe = tiny_systems.SYSTEMS["ld4lg"].recipe(str(tiny_encoder(tmp_path / "encoder")))
    monkeypatch.setattr(LD4LGSystem, "presets", {"nano": recipe})


def test_a_run_begins_from_it_and_its_records_say_so(
    presets: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"id": str(n), "source": source, "target": target} for n, (source, target) in enumerate(tiny_systems.PAIRS)]
    long = " ".join(rows[20]["source"].split() * 2)
    rows[20]["source"] = long
    for split, part in (("train", rows[:20]), ("validation", rows[20:22]), ("test", rows[22:])):
        path = tmp_path / "data" / "mine" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in part))
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join([*(row["target"] for row in rows[:20]), *(row["source"] for row in rows)]))
    words = ["--system", "ld4lg", "--texts", str(corpus), "--out", "decoder", "--budget", "8steps", "--device", "cpu"]
    assert main(["train-decoder", *words, "--max-tokens", "12"]) == 0
    assert read_artifact(tmp_path / "decoder", "ld4lg")["spent"]["steps"] == 8

    run = ["fit", "--task", "detox", "--source", "local", "--system", "ld4lg", "--out", "run", "--device", "cpu"]
    options = ["data.folder=data", "data.name=mine", "budget=4steps", "ld4lg.recipe.decoder=decoder"]
    assert main([*run, *(word for option in options for word in ("--set", option))]) == 0
    fits = [json.loads(path.read_text()) for path in (tmp_path / "run" / "checkpoints").glob("*.json")]
    [notes] = [each["training"]["notes"] for each in fits if "first_stage" in each["training"]["notes"]]
    assert notes["first_stage"]["spent"]["steps"] == 8
    enough = {text for row in rows[20:] for text in (row["source"], row["target"]) if len(text.split()) >= LENGTHS[0]}
    assert notes["held_out_read"]["read"] == notes["held_out_read"]["told"] == len(enough) > 0
    headers = [h for folder in (tmp_path / "run" / "cells").iterdir() if (h := store.read_header(folder)) is not None]
    own = [header for header in headers if header.cell.system == "ld4lg"]
    assert own
    for header in own:
        assert header.external_weights[-1] == "decoder"
        assert header.cell.contents.keys() >= {"recipe.decoder"}
        assert header.cell.identified["recipe"]["decoder"].startswith("sha256:")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "ld4lg"], "Name one system"),
        (["--system", "ld4lgg", "--texts", "a.txt", "--out", "x"], "did you mean ld4lg"),
        (["--system", "gpt2", "--texts", "a.txt", "--out", "x"], "no first stage of its own"),
        (["--system", "cosmos", "--texts", "a.txt", "--out", "x"], "python -m cosmos train-autoencoder"),
        (["--system", "cosmos-joint", "--texts", "a.txt", "--out", "x"], "no first stage to train once"),
        (["--system", "tencdm", "--texts", "a.csv", "--out", "x"], "Cannot tell what"),
        (["--system", "tencdm", "--texts", "a.txt", "--out", "x", "--max-tokens", "1"], "between 3 and"),
        (["--system", "tencdm", "--texts", "a.txt", "--out", "x", "--set", "budget=3steps"], "none of the keys"),
    ],
)
def test_mistakes_are_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-decoder", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and len(said.splitlines()) == 1
