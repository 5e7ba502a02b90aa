"""Cosmos with the authors' weights: from their files to texts behind the contract, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from baselines.contract import Budget, Corpus, Document, Limits, Request, UserError
from baselines.latent_diffusion.cosmos import Cosmos16System, CosmosSystem
from baselines.latent_diffusion.settings import LatentSamplingSetting
from baselines.titles import system_title
from benchmarks.planning.plan import make as make_plan
from benchmarks.planning.run_config import gather
from cosmos.config import SamplerSetting
from cosmos.pipeline import Pipeline
from cosmos.recipes import RECIPES
from cosmos.release import convert

sys.path.insert(0, str(Path(__file__).parents[2] / "golden"))
from authors_files import UNEQUAL, made_unequal, release_encoder, save_autoencoder, save_denoiser

LIMITS = Limits(0, 9)
DOCUMENTS = [Document(str(i), None, "w8 w9", ("w8 w9",)) for i in range(4)]
CORPUS = Corpus(DOCUMENTS[:2], DOCUMENTS[2:])
REQUESTS = [Request(str(i), None, 7 + i, 9) for i in range(5)]
SETTING = LatentSamplingSetting("euler_ode", 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted from files of the authors' structure with random weights."""
    path = tmp_path_factory.mktemp("released")
    golden = load_file(made_unequal(path / "authors.safetensors"))
    encoder = release_encoder(UNEQUAL, path / "encoder")
    save_autoencoder(golden, UNEQUAL, path / "a.pth")
    save_denoiser(golden, UNEQUAL, "denoiser", path / "d.pth")
    for file in ("a.pth", "d.pth"):
        convert(path / file, path / "model", text_encoder=str(encoder), head_size=UNEQUAL["head_size"])
    return path / "model"


def made(folder: Path | str, limits: Limits = LIMITS) -> CosmosSystem:
    return CosmosSystem(dataclasses.replace(RECIPES["nano"], released=str(folder)), limits)


def fit(system: CosmosSystem, out: Path) -> Any:
    return system.fit(CORPUS, Budget(5, "steps"), out, seed=0, device="cpu")


def test_its_texts_are_those_of_the_pipeline_and_its_checkpoint_stands_by_itself(folder: Path, tmp_path: Path) -> None:
    system = made(folder)
    system.locate_weights()
    fitted = fit(system, tmp_path / "checkpoint")
    assert (fitted.steps, fitted.flops, fitted.validation_loss) == (0, 0.0, None)
    assert fitted.notes["released"] == "model" and fitted.notes["latents"] == UNEQUAL["num_latents"]
    assert fit(made(folder), tmp_path / "checkpoint") == fitted
    expected = Pipeline.load(folder, with_encoder=False).sample(
        None, [request.seed for request in REQUESTS], SamplerSetting("euler_ode", 4)
    )
    moved = folder.with_name("moved")
    folder.rename(moved)
    try:
        system = CosmosSystem(dataclasses.replace(RECIPES["nano"], released=str(folder)), Limits(0, 11))
        with pytest.raises(UserError, match="another limits"):
            system.check(tmp_path / "checkpoint")
        system = made(folder)
        system.check(tmp_path / "checkpoint")
        system.load(tmp_path / "checkpoint", device="cpu", dtype="float32")
        samples = system.generate(REQUESTS, SETTING)
        assert samples == [system.generate([request], SETTING)[0] for request in REQUESTS]
    finally:
        moved.rename(folder)
    assert len({sample.text for sample in samples}) > 1
    for sample, written in zip(samples, expected, strict=True):  # the pipeline's have two positions more
        assert written.text.startswith(sample.text)


def test_the_whole_run_takes_its_tokenizer_and_no_key_of_training(folder: Path) -> None:
    given = {"task": "story", "system": ["cosmos", "mdlm"]}
    plan = make_plan(gather(given, [f"cosmos.recipe.released={folder}"]), "cpu")
    encoder = json.loads((folder / "pipeline.json").read_text())["text_encoder"]
    assert {planned.cell.tokenizer for planned in plan.cells} == {encoder}
    cosmos = next(planned for planned in plan.cells if planned.cell.system == "cosmos")
    assert cosmos.contestant.external_weights == (str(folder),)
    assert cosmos.cell.contents["recipe.released"]
    assert system_title("cosmos", cosmos.cell.recipe) == f"Cosmos, released weights {folder.name}"
    for key in ("cosmos.recipe.grid_share=0.1", "cosmos.recipe.model.text_encoder=mine"):
        with pytest.raises(UserError, match=r"used as they are; leave out cosmos\.recipe\.released"):
            make_plan(gather(given, [f"cosmos.recipe.released={folder}", key]), "cpu")


def test_wrong_folders_are_refused_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    first, torn = tmp_path / "first", tmp_path / "torn"
    for copy in (first, torn):
        shutil.copytree(folder, copy)
    about = json.loads((first / "pipeline.json").read_text())
    (first / "pipeline.json").write_text(json.dumps({**about, "diffusion": None}))
    weights = torn / "denoiser" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    cases = [
        (made(tmp_path / "nowhere"), "There is no folder"),
        (
            made(tmp_path),
            "so it is no folder of a released model; python -m cosmos convert writes",
        ),
        (made(first), "has no denoiser; convert the second stage"),
        (made(torn), "truncated"),
        (made(folder, Limits(8, 9)), "was trained without and the task has sources"),
    ]
    for system, message in cases:
        for ask in (system.locate_weights, lambda system=system: fit(system, tmp_path / "out")):
            with pytest.raises(UserError, match=message) as caught:
                ask()
            assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="name cosmos, not cosmos-16"):
        Cosmos16System(dataclasses.replace(RECIPES["nano"], released=str(folder)), LIMITS)


def test_a_plan_blames_an_empty_folder_and_no_setting(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^\S+ has no pipeline\.json, .*cosmos convert writes one\.$"):
        make_plan(gather({"task": "story", "system": ["cosmos"]}, [f"cosmos.recipe.released={tmp_path}"]), "cpu")
