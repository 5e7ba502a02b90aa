"""The pipeline: texts that depend on nothing but their seed and source, read-out, the folder, and the switch."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from cosmos.config import SamplerSetting
from cosmos.converted import describe
from cosmos.diffusion.schedule import make_schedule
from cosmos.io.errors import UserError
from cosmos.pipeline import Pipeline, check, read_about
from cosmos.runtime import compilation
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import PAD, SEP

sys.path.insert(0, str(Path(__file__).parent))
from claimed_calls import network_calls
from tiny_cosmos import SOURCES, TARGETS, tiny_autoencoder, tiny_diffusion, tiny_encoder

SETTINGS = {
    "dpmpp_2m": SamplerSetting("dpmpp_2m", 4, "log_snr", final_x0=True),
    "release": SamplerSetting(steps=6),
    "guided": SamplerSetting("ddim", 4, "log_snr", guidance=2.0, guidance_window=(2.0, 9.0)),
    "self_guided": SamplerSetting("ddim", 4, guidance=2.0, guidance_window=(2.0, 9.0), self_guidance=1.5),
}
each = pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture(scope="module")
def pipeline(encoder: TextEncoder, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("trained")
    return tiny_diffusion(tiny_autoencoder(encoder, folder)[0], folder)[0]


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    pipeline.save(path)
    return path


@each
def test_a_text_depends_on_its_seed_and_source_alone(pipeline: Pipeline, setting: SamplerSetting) -> None:
    seeds = list(range(50, 50 + len(SOURCES)))
    together = pipeline.sample(SOURCES, seeds, setting)
    assert pipeline.sample(SOURCES[::-1], seeds[::-1], setting) == together[::-1]
    for place in (0, 7):
        assert pipeline.sample([SOURCES[place]], [seeds[place]], setting) == [together[place]]
    many = torch.tensor(seeds)
    inputs = pipeline.encode(SOURCES, 16, static=True)
    latents = pipeline.latents(setting, many, *inputs)
    alone = pipeline.latents(setting, many[3:4], *(part[3:4] for part in inputs))
    torch.testing.assert_close(alone, latents[3:4], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(latents[0], latents[1], atol=1e-2)


def test_the_source_matters(pipeline: Pipeline) -> None:
    setting, seeds = SETTINGS["dpmpp_2m"], torch.zeros(2, dtype=torch.int64)
    inputs = pipeline.encode([SOURCES[0], SOURCES[4]], 16)
    first, second = pipeline.latents(setting, seeds, *inputs)
    assert (first - second).abs().max() > 1e-3


@each
def test_network_calls_are_those_claimed(pipeline: Pipeline, setting: SamplerSetting) -> None:
    calls = {"denoiser": 0, "condition_encoder": 0, "decompressor": 0, "text_encoder": 0}
    hooks = [
        network.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
        for name, network in pipeline.networks().items()
    ]
    pipeline.sample(SOURCES[:3], [1, 2, 3], setting)
    for hook in hooks:
        hook.remove()
    assert next(iter(pipeline.networks())) == "denoiser"
    expected = network_calls(setting, make_schedule(pipeline.diffusion.schedule))
    assert calls["denoiser"] == expected
    assert calls["condition_encoder"] == 1  # the source is encoded once per text
    assert calls["decompressor"] == calls["text_encoder"] == 1


def test_read_out_cuts_at_the_first_end_token_and_says_what_never_ended(pipeline: Pipeline) -> None:
    names = {piece: i for i, piece in enumerate(pipeline.vocabulary.pieces)}
    anna, broke, dot = names["anna"], names["broke"], names["."]
    rows = torch.tensor([[anna, broke, dot, SEP, anna, SEP], [anna] * 6, [SEP, anna, broke, PAD, PAD, PAD]])
    written = pipeline.detokenise(rows)
    assert [tuple(w) for w in written] == [("anna broke.", 3, True), (" ".join(["anna"] * 6), 6, False), ("", 0, True)]


def test_texts_over_the_limit_are_cut_and_counted(pipeline: Pipeline) -> None:
    long = "anna broke the lamp " * 9
    result = pipeline.reconstruct([TARGETS[0], long, long])
    assert result.cut == 2
    assert len(pipeline.plain([long])[0].split()) == pipeline.autoencoder.config.max_tokens - 2


def test_a_saved_model_is_the_same_model(pipeline: Pipeline, folder: Path) -> None:
    loaded = Pipeline.load(folder)
    for setting in SETTINGS.values():
        assert loaded.sample(SOURCES[:4], [1, 2, 3, 4], setting) == pipeline.sample(SOURCES[:4], [1, 2, 3, 4], setting)
    assert loaded.reconstruct(TARGETS[:4]) == pipeline.reconstruct(TARGETS[:4])
    assert not any(path.suffix in (".pt", ".pth", ".pkl", ".bin") for path in folder.rglob("*"))
    half = Pipeline.load(folder, dtype=torch.bfloat16)
    assert len(half.sample(SOURCES[:2], [1, 2], SETTINGS["dpmpp_2m"])) == 2
    assert half.denoiser.normaliser.mean.dtype == torch.float32


def test_compiled_networks_give_the_same_texts(
    pipeline: Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def trace(graph: torch.fx.GraphModule, _: object) -> object:  # the compiler itself is torch's, and takes long here
        compiled.append(str(graph.graph))
        return graph.forward

    monkeypatch.setattr(compilation, "BACKEND", trace)
    loaded, setting = Pipeline.load(folder), SETTINGS["dpmpp_2m"]
    expected = loaded.sample(SOURCES, list(range(24)), setting)
    for _ in range(2):
        assert loaded.sample(SOURCES, list(range(24)), setting, capture="compile") == expected
    # Blocks of the denoiser (with and without a skip and an estimate) and of its source encoder, layers of the
    # decompressor, what lies before the blocks, times, seeds and noise: never one for every layer or every step.
    assert 6 <= len(compiled) <= 13
    with pytest.raises(UserError, match="needs a CUDA device"):
        loaded.sample(SOURCES[:1], [0], setting, capture="graph")
    with pytest.raises(UserError, match="did you mean compile"):
        loaded.sample(SOURCES[:1], [0], setting, capture="compiled")


def test_nothing_in_generation_waits_for_the_device(pipeline: Pipeline) -> None:
    """On the meta device there is no data, so any branch or copy that needs a value raises."""
    meta = torch.device("meta")
    networks = (pipeline.denoiser, pipeline.autoencoder)
    kept = [{name: value.clone() for name, value in network.state_dict().items()} for network in networks]
    shadow = dataclasses.replace(
        pipeline,
        denoiser=type(networks[0])(networks[0].config).to(meta),
        autoencoder=type(networks[1])(networks[1].config).to(meta),
    )
    source = (torch.zeros(3, 9, 24, device=meta), torch.ones(3, 9, dtype=torch.bool, device=meta))
    for setting in SETTINGS.values():
        with torch.inference_mode():
            tokens = shadow._tokens(setting, False, torch.zeros(3, dtype=torch.int64, device=meta), *source)
        assert tokens.shape == (3, pipeline.autoencoder.config.max_tokens - 1)
    assert all(
        torch.equal(value, network.state_dict()[name])
        for part, network in zip(kept, networks, strict=True)
        for name, value in part.items()
    )


def test_what_is_missing_is_said(encoder: TextEncoder, pipeline: Pipeline, folder: Path, tmp_path: Path) -> None:
    setting = SETTINGS["dpmpp_2m"]
    with pytest.raises(UserError, match="no denoiser"):
        dataclasses.replace(pipeline, denoiser=None).sample(None, [1], setting)
    with pytest.raises(UserError, match="needs a source"):
        pipeline.sample(None, [1], setting)
    with pytest.raises(UserError, match="text encoder"):
        Pipeline.load(folder, with_encoder=False).sample(SOURCES[:1], [1], setting)
    blind = dataclasses.replace(pipeline.diffusion, self_conditioning="off")
    with pytest.raises(UserError, match="trained with self-conditioning"):
        dataclasses.replace(pipeline, diffusion=blind).sample(SOURCES[:1], [1], SETTINGS["self_guided"])
    other = tiny_encoder(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "note": "changed"}))
    with pytest.raises(UserError, match="another text encoder"):
        Pipeline.load(folder, encoder=str(other))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("pipeline.json", lambda content: content[:20], "is damaged"),
        ("pipeline.json", lambda content: b"{}", "lacks the field diffusion"),
        ("pipeline.json", lambda content: content.replace(b'"version": 1', b'"version": 9'), "newer version"),
        ("vocabulary.json", None, "Cannot read"),
        ("standardiser.safetensors", lambda content: content[:-8], "truncated"),
        ("autoencoder/model.safetensors", lambda content: content[:-40], "truncated"),
        ("denoiser/model.safetensors", lambda content: b"\x80\x04 a pickle", "not a safetensors file"),
        (
            "denoiser/config.json",
            lambda content: content.replace(b'"layers": 2', b'"layers": 4'),
            "another configuration",
        ),
    ],
)
def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path, file: str, change: object, message: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    check(copy)
    content = (copy / file).read_bytes()
    (copy / file).unlink()
    if change is not None:
        assert change(content) != content
        (copy / file).write_bytes(change(content))
    with pytest.raises(UserError, match=message) as caught:
        check(copy)
    assert "\n" not in str(caught.value)


def test_a_folder_says_how_many_layers_of_the_encoder_are_read(
    pipeline: Pipeline, folder: Path, tmp_path: Path
) -> None:
    first = TextEncoder(str(pipeline.encoder.folder), layers=0)
    kept = dataclasses.replace(pipeline, encoder=first)
    kept.save(tmp_path / "kept")
    loaded = Pipeline.load(tmp_path / "kept")
    assert loaded.encoder.layers == 0 and loaded.adapted is None
    states, mask = loaded.encode(SOURCES[:2], 16)
    expected = kept.encode(SOURCES[:2], 16)
    assert torch.equal(states, expected[0]) and torch.equal(mask, expected[1])
    dataclasses.replace(kept, adapted=kept.autoencoder.decompressor).save(tmp_path / "adapted")
    assert Pipeline.load(tmp_path / "adapted").adapted is not None
    with pytest.raises(UserError, match="with layers=None of its text encoder, and the one given has layers=0; give"):
        Pipeline.load(folder, encoder=first)
    with pytest.raises(UserError, match="with layers=0 of its text encoder, and the one given has layers=None; give"):
        Pipeline.load(tmp_path / "kept", encoder=pipeline.encoder)
    dataclasses.replace(kept, denoiser=None).save(tmp_path / "first")
    describe(tmp_path / "first", None)  # as `convert` does where a first stage is there
    assert read_about(tmp_path / "first")["encoder_layers"] == 0
    about = json.loads((folder / "pipeline.json").read_text())
    assert about["version"] == 1 and "encoder_layers" not in about
