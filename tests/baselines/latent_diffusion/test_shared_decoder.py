"""First stages that are trained once, on other corpora, and begun from: who can, what is refused, and what is paid."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.contract import Budget, Limits, UserError
from cosmos.cli.main import main
from cosmos.io.artifact import read_artifact, write_artifact
from cosmos.training.batches import BringsOrder

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_cosmos import SOURCES, TARGETS, tiny_encoder, tiny_recipe
from tiny_systems import CORPUS, LIMITS, REQUESTS, SYSTEMS, TWO_STAGES, fit, make

FEW = Budget(16, "steps")
LONGEST = 12
SHARED = {"cosmos": "autoencoder", "tencdm": "decoder", "ld4lg": "decoder"}  # the key that names one
default_of_one = pytest.mark.parametrize(
    "name", ["ld4lg", *(pytest.param(name, marks=pytest.mark.slow) for name in SHARED if name != "ld4lg")]
)


@pytest.fixture(scope="module")
def shared(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A first stage by the name of its system, trained on a corpus that holds two targets of the task."""
    folder, made = tmp_path_factory.mktemp("shared"), dict[str, Path]()
    texts = [*TARGETS, *SOURCES, "Anna broke the lamp. " + " ".join(SOURCES[3].split() * 3)]
    (folder / "corpus.txt").write_text("\n".join(texts))

    def train(name: str) -> Path:
        if name in made:
            return made[name]
        out = made[name] = folder / name
        if name == "cosmos":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("cosmos.recipes.RECIPES", {"tiny": tiny_recipe(encoder_folder)})
                words = ["train-autoencoder", "--texts", str(folder / "corpus.txt"), "--out", str(out)]
                assert main([*words, "--preset", "tiny", "--budget", "30steps", "--device", "cpu"]) == 0
        else:
            system = make(name, encoder_folder, Limits(0, LONGEST))
            given: dict[str, Any] = {"preset": "tiny", "seed": 0, "device": "cpu"}
            (folder / "held_out.txt").write_text("\n".join(TARGETS[:4]))
            held_out = str(folder / "held_out.txt")
            system.train_decoder([str(folder / "corpus.txt")], held_out, Budget(30, "steps"), out, **given)
        return out

    return train


@default_of_one
def test_a_task_begins_from_it_and_pays_for_the_rest(
    name: str, shared: Callable[[str], Path], encoder_folder: Path, tmp_path: Path
) -> None:
    folder = shared(name)
    system = make(name, encoder_folder, **TWO_STAGES, **{SHARED[name]: str(folder)})
    system.locate_weights()
    assert system.external_weights(system.recipe) == (str(encoder_folder), str(folder))
    fitted = fit(system, tmp_path / "a", FEW)
    assert not set(SYSTEMS[name].stages[:1]) & fitted.notes.keys()  # the first stage was not trained here
    assert fitted.notes[SYSTEMS[name].stages[1]]["steps"] == fitted.steps == 16  # the second has the whole budget
    told = fitted.notes["first_stage"]
    assert told["spent"]["steps"] == 30 and told["corpora"][0]["texts"] >= len(TARGETS) + len(SOURCES)
    json.dumps(dict(fitted.notes))
    system.load(tmp_path / "a", device="cpu", dtype="float32")
    setting = SYSTEMS[name].settings[0]
    samples = system.generate(REQUESTS, setting)
    assert [sample.id for sample in samples] == [request.id for request in REQUESTS]

    # Its weights are those of the artifact, and do not depend on it any more.
    again = make(name, encoder_folder, **TWO_STAGES, **{SHARED[name]: str(folder)})
    again.load(tmp_path / "a", device="cpu", dtype="float32")
    assert [sample.text for sample in again.generate(REQUESTS, setting)] == [sample.text for sample in samples]
    own = make(name, encoder_folder)
    fit(own, tmp_path / "b", FEW)
    own.load(tmp_path / "b", device="cpu", dtype="float32")
    assert own.loaded_shape["vocabulary"] <= system.loaded_shape["vocabulary"]
    with pytest.raises(UserError, match="another recipe"):
        make(name, encoder_folder).load(tmp_path / "a", device="cpu", dtype="float32")


@pytest.mark.parametrize("name", list(SHARED))
def test_it_says_which_texts_stood_in_its_corpora(
    name: str, shared: Callable[[str], Path], encoder_folder: Path
) -> None:
    system = make(name, encoder_folder, **{SHARED[name]: str(shared(name))})
    long = " ".join(SOURCES[3].split() * 3)
    assert system.texts_read([long, f"the {long}", TARGETS[0]]) == (1, 2)  # that of a few words cannot be told
    assert make(name, encoder_folder).texts_read([long]) is None


@pytest.mark.parametrize("name", list(SHARED))
def test_what_does_not_fit_is_refused_in_one_sentence(
    name: str, shared: Callable[[str], Path], encoder_folder: Path, tmp_path: Path
) -> None:
    key, folder = SHARED[name], shared(name)
    other = tiny_encoder(tmp_path / "encoder", seed=1)
    cases = [
        (make(name, other, **{key: str(folder)}), "another text encoder"),
        (make(name, encoder_folder, **{key: str(tmp_path)}), "no finished first stage"),
        (
            make(name, encoder_folder, **{key: str(shared("ld4lg" if name != "ld4lg" else "tencdm"))}),
            "needs one of its",
        ),
    ]
    if name == "cosmos":
        recipe = tiny_recipe(encoder_folder)
        first = dataclasses.replace(recipe.model, encoder_layers=0)
        said = r"trained with (cosmos\.recipe\.model\.encoder_layers=none); say --set \1, or train another"
        cases.append((make(name, encoder_folder, model=first, **{key: str(folder)}), said))
        cases.append((make(name, encoder_folder, full=True, **{key: str(folder)}), "12 positions to 6 latents"))
        sizes = dataclasses.replace(recipe.model.autoencoder, latents=4)
        model = dataclasses.replace(recipe.model, autoencoder=sizes)
        cases.append((make(name, encoder_folder, model=model, **{key: str(folder)}), r"autoencoder\.latents=6"))
    else:
        cases.append((make(name, encoder_folder, decoder_layers=2, **{key: str(folder)}), "decoder_layers=1"))
        said = rf"trained with ({name}\.recipe\.encoder_layers=none); say --set \1, or train another"
        cases.append((make(name, encoder_folder, encoder_layers=0, **{key: str(folder)}), said))
    for system, message in cases:
        with pytest.raises(UserError, match=message) as caught:
            system.locate_weights()
        assert "\n" not in str(caught.value)


def test_a_first_stage_that_was_changed_is_not_begun_from(
    shared: Callable[[str], Path], encoder_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(shared("tencdm"), tmp_path / "copy")
    weights = tmp_path / "copy" / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match="was changed after it was written"):
        fit(make("tencdm", encoder_folder, decoder=str(tmp_path / "copy")), tmp_path / "fit", FEW)


def test_keys_of_its_training_have_no_effect(shared: Callable[[str], Path], encoder_folder: Path) -> None:
    for name, key in SHARED.items():
        ignored = make(name, encoder_folder, **TWO_STAGES, **{key: str(shared(name))}).ignored_keys()
        first = "autoencoder" if name == "cosmos" else "decoder"
        assert {f"{first}_training", f"{first}_share"} <= ignored.keys()
        assert not any(path.endswith(".latents") and path.startswith("model.auto") for path in ignored)
        assert f"{first}_training" not in make(name, encoder_folder).ignored_keys()


@default_of_one
def test_keys_that_its_decoder_is_adapted_by_have_one(
    name: str, shared: Callable[[str], Path], encoder_folder: Path, tmp_path: Path
) -> None:
    first = "autoencoder" if name == "cosmos" else "decoder"
    shares = {**TWO_STAGES, "adaptation_share": 0.5, SHARED[name]: str(shared(name))}
    adapted = {}
    for rate in (1e-3, 1e-2):
        training = dataclasses.replace(tiny_recipe(encoder_folder).diffusion_training, learning_rate=rate)
        system = make(name, encoder_folder, **shares, **{f"{first}_training": training})
        ignored = system.ignored_keys()
        assert f"{first}_training" not in ignored and f"{first}_share" in ignored
        # That of a Cosmos decoder is part of the artifact; an LD4LG decoder is built from the recipe.
        assert ("model.autoencoder.dropout" in ignored) == (name == "cosmos")
        assert name == "tencdm" or "autoencoder.dropout" not in ignored
        fit(system, tmp_path / str(rate), FEW)
        [weights] = (tmp_path / str(rate)).rglob("adapted.safetensors")
        adapted[rate] = weights.read_bytes()
    assert adapted[1e-3] != adapted[1e-2]


RIVALS = [name for name in SHARED if name != "cosmos"]


def two_corpora(folder: Path) -> list[Path]:
    """Of equal lengths, and not so short that an order of them has very many epochs."""
    assert len(TARGETS) == len(SOURCES)
    for number, texts in enumerate((TARGETS, SOURCES)):
        (folder / f"{number}.txt").write_text("\n".join(texts * 40))
    return [folder / "0.txt", folder / "1.txt"]


@pytest.mark.parametrize("name", RIVALS)
def test_a_training_goes_on_under_the_same_corpora_alone(name: str, encoder_folder: Path, tmp_path: Path) -> None:
    first, second = two_corpora(tmp_path)

    def train(weights: tuple[int, int], held_out: Path | None = None) -> None:
        corpora = [f"{first}={weights[0]}", f"{second}={weights[1]}"]
        given: dict[str, Any] = {"preset": "tiny", "seed": 0, "device": "cpu"}
        system, validation = make(name, encoder_folder, Limits(0, LONGEST)), held_out and str(held_out)
        system.train_decoder(corpora, validation, Budget(4, "steps"), tmp_path / "out", **given)

    train((9, 1))
    about = read_artifact(tmp_path / "out", name)
    train((9, 1))
    for weights, held_out in (((1, 9), None), ((9, 1), first)):
        with pytest.raises(UserError, match="began with other settings: made_of was"):
            train(weights, held_out)
    assert read_artifact(tmp_path / "out", name) == about and about["corpora"][0]["weight"] == 9


@pytest.mark.parametrize("name", RIVALS)
def test_corpora_are_seen_by_their_weights(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def look(stage: Any, *_: Any) -> None:
        assert isinstance(stage.data, BringsOrder)
        drawn.append(stage.data.order(0).rows(0, 1000))
        raise InterruptedError

    monkeypatch.setattr("baselines.latent_diffusion.shared_decoder.train", look)
    first, second = two_corpora(tmp_path)
    given: dict[str, Any] = {"preset": "tiny", "seed": 0, "device": "cpu"}
    with pytest.raises(InterruptedError):
        make(name, encoder_folder, Limits(0, LONGEST)).train_decoder(
            [f"{first}=9", str(second)], None, Budget(4, "steps"), tmp_path / "out", **given
        )
    assert int((drawn[0] < 40 * len(TARGETS)).sum()) == pytest.approx(900, abs=40)


class StoppedError(Exception):
    """A process that ends here."""


def stop(*_: Any) -> None:
    raise StoppedError


@default_of_one
def test_what_began_from_one_first_stage_does_not_end_with_another(
    name: str,
    shared: Callable[[str], Path],
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before a checkpoint is written, and another first stage put in the place of the one."""
    artifact = tmp_path / "artifact"
    shutil.copytree(shared(name), artifact)
    system = make(name, encoder_folder, **TWO_STAGES, **{SHARED[name]: str(artifact)})
    with monkeypatch.context() as patch:
        patch.setattr(system, "save", stop)
        with pytest.raises(StoppedError):
            fit(system, tmp_path / "fit", FEW)
    weights = max((artifact / "model").glob("*.safetensors"), key=lambda path: path.stat().st_size)
    was = weights.read_bytes()
    weights.write_bytes(was[:-4] + b"\x00\x00\x80\x3f")
    about = read_artifact(artifact, name)
    write_artifact(artifact, {key: value for key, value in about.items() if key not in ("version", "files")})
    with pytest.raises(UserError, match="began with other settings: made_of was"):
        fit(system, tmp_path / "fit", FEW)
    weights.write_bytes(was)
    write_artifact(artifact, {key: value for key, value in about.items() if key not in ("version", "files")})
    assert fit(system, tmp_path / "fit", FEW).steps == 16


def test_a_training_goes_on_with_its_own_text_encoder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder(tmp_path / "encoder")
    system = make("tencdm", encoder, **TWO_STAGES)
    with monkeypatch.context() as patch:
        patch.setattr(system, "save", stop)
        with pytest.raises(StoppedError):
            fit(system, tmp_path / "fit", FEW)
    tiny_encoder(encoder, seed=1)
    with pytest.raises(UserError, match="began with other settings: made_of was"):
        fit(system, tmp_path / "fit", FEW)


def test_cosmos_has_a_command_of_its_own(encoder_folder: Path) -> None:
    with pytest.raises(UserError, match="python -m cosmos train-autoencoder"):
        make("cosmos", encoder_folder).train_decoder([], None, None, Path("x"), preset="", seed=0, device="cpu")


def test_texts_are_no_longer_than_the_task_allows(
    shared: Callable[[str], Path], encoder_folder: Path, tmp_path: Path
) -> None:
    short = Limits(LIMITS.source_tokens, 8)
    for name in ("cosmos", "ld4lg"):
        system = make(name, encoder_folder, short, **{SHARED[name]: str(shared(name))})
        fit(system, tmp_path / name, FEW)
        system.load(tmp_path / name, device="cpu", dtype="float32")
        with torch.no_grad():
            samples = system.generate(REQUESTS, SYSTEMS[name].settings[0])
        assert read_artifact(shared(name), name)["sizes"]["max_tokens"] == LONGEST
        assert max(sample.tokens for sample in samples) <= 7
    assert CORPUS.train
