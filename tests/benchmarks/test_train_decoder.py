"""The verb that trains a first stage for many tasks, and a run that begins from it: what its records and report say."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.contract import Limits
from benchmarks import tasks
from benchmarks.cli.main import main
from benchmarks.planning.overrides import covered, override
from benchmarks.records import store
from cosmos.io.artifact import read_artifact
from cosmos.io.openings import LENGTHS

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
import tiny_systems
from tiny_cosmos import tiny_encoder

from baselines.latent_diffusion.ld4lg import LD4LGSystem

GIVEN = ("--system", "tencdm", "--texts", "a.txt", "--out", "x", "--budget", "4steps")


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
        ([*GIVEN, "--seed", "-1"], "--seed must not be negative"),
        ([*GIVEN, "--seed", str(1 << 63)], "--seed"),
        ([*GIVEN, "--validation", "empty.txt"], "empty.txt holds no text"),
        ([*GIVEN, "--validation", "blank.jsonl"], "blank.jsonl holds no text"),
        ([*GIVEN, "--validation", "gone.txt"], "There is no file gone.txt"),
        ([*GIVEN, "--set", "tencdm.recipe.decoder=/nope"], "tencdm.recipe.decoder has no effect"),
        ([*GIVEN, "--set", "tencdm.recipe.grid_share=0.5"], "tencdm.recipe.grid_share has no effect"),
        ([*GIVEN, "--set", "tencdm.recipe.denoiser.layers=2"], "tencdm.recipe.denoiser.layers has no effect"),
        ([*GIVEN, "--set", "tencdm.recipe.decoder_layer=2"], "did you mean tencdm.recipe.decoder_layers"),
        ([*GIVEN, "--set", "tencdm.recipe.budget=9steps"], "--budget says how much"),
        (["--system", "ld4lg", *GIVEN[2:], "--set", "ld4lg.recipe.denoiser.width=48"], "denoiser.width has no effect"),
        (["--system", "tencdm,ld4lg", *GIVEN[2:]], "Name one system"),
        (["--system", "cosmos", *GIVEN[2:], "--set", "cosmos.recipe.grid_share=0.1"], "train-autoencoder"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("one text\n")
    Path("empty.txt").write_text("\n \n")
    Path("blank.jsonl").write_text('{"text": " "}\n')
    assert main(["train-decoder", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said and len(said.splitlines()) == 1
    assert not Path("x").exists()


@pytest.mark.parametrize("name", ["tencdm", "ld4lg"])
def test_keys_are_read_that_change_the_first_networks(name: str, tmp_path: Path) -> None:
    """Sizes of the recipe change the weights that the first stage begins from exactly where they are named as read."""
    recipe = tiny_systems.SYSTEMS[name].recipe(str(tmp_path))
    shape = {"vocabulary": 64, "length": 12, "text_width": 24}

    def first(changes: dict[str, Any]) -> dict[str, torch.Tensor]:
        made = override(recipe, changes, name)
        weights: dict[str, torch.Tensor] = registry.find(name)(made, Limits(0, 12)).fresh(shape, 3).decoder.state_dict()
        return weights

    usual, system = first({}), registry.find(name)(recipe, Limits(0, 12))
    sizes = {"denoiser.width": 4 * recipe.denoiser.heads, "denoiser.layers": 4, "denoiser.feed_forward": 3.0}
    if name == "ld4lg":
        sizes |= {"autoencoder.width": 4 * recipe.autoencoder.heads, "autoencoder.layers": 3}
    for key, value in {**sizes, "decoder_layers": recipe.decoder_layers + 1}.items():
        changed = first({key: value})
        same = changed.keys() == usual.keys() and all(torch.equal(changed[part], usual[part]) for part in usual)
        assert same is not covered(key, system.decoder_keys()), key


def test_its_help_says_that_one_system_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train-decoder", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "one name: tencdm or ld4lg" in said and "those the task names" not in said and "first seed" not in said
