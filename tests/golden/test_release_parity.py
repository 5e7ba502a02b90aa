"""Parity with the authors' released code, number for number, through the converter.

The file comes from the environment variable COSMOS_GOLDEN, or lies in `shared/golden` beside the project; sizes are
read from it. Its widths may all be equal, so there is a second one of unequal widths, whose numbers come from
`authors_networks`: what that computes is held to the recording too.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cosmos import converted as converting
from cosmos.cli.main import main
from cosmos.config import SamplerSetting
from cosmos.diffusion.samplers import ddpm_rule, euler_sde_rule, grid_at, sample, solve, with_network
from cosmos.diffusion.schedule import BETA_LIMIT, Tangent
from cosmos.io.errors import UserError
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.pipeline import Pipeline
from cosmos.pretrained import from_pretrained, read_config
from cosmos.release import convert, convert_autoencoder, convert_denoiser
from cosmos.runtime.rng import CounterRNG, normal_like

sys.path.insert(0, str(Path(__file__).parent))
import authors_networks as authors
from authors_files import made_unequal, part, release_encoder, save_autoencoder, save_denoiser

NAMED = os.environ.get("COSMOS_GOLDEN")
GOLDEN = Path(NAMED or Path(__file__).resolve().parents[3] / "shared" / "golden" / "cosmos_release_tiny.safetensors")
needs_golden = pytest.mark.skipif(
    not NAMED and not GOLDEN.is_file(), reason=f"no recording at {GOLDEN}; set COSMOS_GOLDEN to the path of one"
)


@pytest.fixture(scope="module", params=[pytest.param("recorded", marks=needs_golden), "unequal"])
def either(request, tmp_path_factory) -> Path:
    """The file of the recording, or the one of unequal widths."""
    return GOLDEN if request.param == "recorded" else made_unequal(tmp_path_factory.mktemp("u") / "unequal.safetensors")


@pytest.fixture(scope="module")
def golden(either) -> dict[str, torch.Tensor]:
    return load_file(either)


@pytest.fixture(scope="module")
def sizes(either) -> dict[str, int]:
    with safe_open(either, "pt") as file:
        return json.loads(file.metadata()["config"])


@pytest.fixture(scope="module")
def encoder(sizes, tmp_path_factory) -> Path:
    return release_encoder(sizes, tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def converted(golden, sizes, encoder, tmp_path_factory) -> Path:
    """Files in the authors' layout, converted: one folder with an autoencoder and a denoiser, one with the same
    autoencoder and a conditional denoiser."""
    folder = tmp_path_factory.mktemp("release")
    given = {"text_encoder": str(encoder), "head_size": sizes["head_size"], "d": sizes["tan_d"]}
    save_autoencoder(golden, sizes, folder / "autoencoder.pth")
    for prefix in ("denoiser", "denoiser_cond"):
        out = folder / prefix
        save_denoiser(golden, sizes, prefix, folder / f"{prefix}.pth")
        parts = [(folder / "autoencoder.pth", out / "autoencoder"), (folder / f"{prefix}.pth", out / "denoiser")]
        for file, written in parts if prefix == "denoiser" else parts[::-1]:  # either may come first
            assert convert(file, out, **given) == [written]
    return folder


@pytest.fixture(scope="module")
def autoencoder(converted) -> Autoencoder:
    return from_pretrained(Autoencoder, converted / "denoiser" / "autoencoder")


@pytest.fixture(scope="module")
def denoiser(converted) -> Denoiser:
    return from_pretrained(Denoiser, converted / "denoiser" / "denoiser")


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return float((found - expected).detach().abs().max())


def test_compressor(golden, autoencoder):
    case = part(golden, "case.encoder.")
    assert difference(autoencoder.compress(case["token_embeddings"], case["mask"].bool()), case["latents"]) < 1e-5


def test_decompressor(golden, autoencoder, encoder):
    hidden = autoencoder.decompressor.hidden(golden["case.encoder.latents"])
    logits = autoencoder.decompress(golden["case.encoder.latents"])
    assert difference(hidden, golden["case.decoder.last_hidden"]) < 1e-5
    order = converting.whole_vocabulary(str(encoder)).to_full  # of our tokens among theirs
    assert sorted(order.tolist()) == list(range(len(order)))
    assert difference(logits, golden["case.decoder.logits"][..., order]) < 1e-5


def test_denoiser(golden, denoiser):
    case = part(golden, "case.denoiser.")
    assert difference(denoiser(case["x_t"], case["t"], case["self_cond"]), case["x_0"]) < 1e-5


def test_denoiser_with_a_condition(golden, converted):
    network, case = (
        from_pretrained(Denoiser, converted / "denoiser_cond" / "denoiser"),
        part(golden, "case.denoiser_cond."),
    )
    condition = network.encode_condition(SourceStates(case["cond"], case["cond_mask"].bool()))
    assert difference(network(case["x_t"], case["t"], case["self_cond"], condition), case["x_0"]) < 1e-5


def test_the_flag_is_what_reproduces_the_condition(golden, sizes):
    case = part(golden, "case.denoiser_cond.")
    weights, count = part(golden, "denoiser_cond."), sizes["num_latents"]
    network = convert_denoiser(weights, count, sizes["head_size"], release_condition=False)
    condition = network.encode_condition(SourceStates(case["cond"], case["cond_mask"].bool()))
    assert difference(network(case["x_t"], case["t"], case["self_cond"], condition), case["x_0"]) > 1e-2


@needs_golden
@pytest.mark.parametrize("either", ["recorded"], indirect=True)
def test_schedule(golden, sizes):
    schedule, t = Tangent(sizes["tan_d"]), golden["case.schedule.t"]
    assert difference(schedule.alpha(t), golden["case.schedule.alpha"]) < 1e-5
    assert difference(schedule.sigma(t), golden["case.schedule.sigma"]) < 1e-5
    assert difference(schedule.beta(t.clamp_max(BETA_LIMIT)), golden["case.schedule.beta"]) < 1e-5


@needs_golden
@pytest.mark.parametrize("either", ["recorded"], indirect=True)
@pytest.mark.parametrize("solver", ["euler_ode", "heun", "ddim"])
def test_samplers_over_eight_steps(golden, sizes, denoiser, solver):
    grid = grid_at(Tangent(sizes["tan_d"]), torch.linspace(1.0, 0.05, 9, dtype=torch.float64))
    with torch.no_grad():
        solved = solve(solver, with_network(denoiser), golden["case.denoiser.x_t"], grid)
    assert difference(solved.state, golden[f"case.sampler.{solver}.out"]) < 1e-4
    assert difference(solved.estimate, golden[f"case.sampler.{solver}.last_x_0"]) < 1e-4


@needs_golden
@pytest.mark.parametrize("either", ["recorded"], indirect=True)
@pytest.mark.parametrize(("name", "rule"), [("euler_sde", euler_sde_rule), ("ddpm", ddpm_rule)])
def test_stochastic_steps(golden, sizes, denoiser, name, rule):
    grid, x = (
        grid_at(Tangent(sizes["tan_d"]), torch.tensor([0.6, 0.5], dtype=torch.float64)),
        golden["case.denoiser.x_t"],
    )
    case = part(golden, f"case.step.{name}.")
    with torch.no_grad():
        weights = rule(grid, 0)
        mean = weights.state * x + weights.estimate * with_network(denoiser)(x, 0.6, None)
    assert difference(mean, case["x_mean"]) < 1e-5
    assert difference(mean + weights.noise * case["noise"], case["x"]) < 1e-5
    solver = {"euler_sde": "release"}.get(name, name)
    solved = solve(solver, with_network(denoiser), x, grid, torch.Generator().manual_seed(0))
    assert difference(solved.mean, case["x_mean"]) < 1e-5


@needs_golden
@pytest.mark.parametrize("either", ["recorded"], indirect=True)
def test_the_plain_functions_compute_what_the_authors_code_does(golden, sizes):
    """So those of unequal widths are right too."""
    case = part(golden, "case.encoder.")
    latents = authors.compress(golden, sizes, case["token_embeddings"], case["mask"].bool())
    assert difference(latents, case["latents"]) < 1e-5
    logits, hidden = authors.decompress(golden, sizes, case["latents"])
    assert difference(logits, golden["case.decoder.logits"]) < 1e-5
    assert difference(hidden, golden["case.decoder.last_hidden"]) < 1e-5
    for prefix in ("denoiser", "denoiser_cond"):
        case = part(golden, f"case.{prefix}.")
        source = (case["cond"], case["cond_mask"].bool()) if prefix == "denoiser_cond" else None
        weights = part(golden, f"{prefix}.")
        found = authors.denoise(weights, sizes, case["x_t"], case["t"], case["self_cond"], source)
        assert difference(found, case["x_0"]) < 1e-5


def test_statistics_and_extras_are_kept(converted, denoiser, sizes):
    assert denoiser.normaliser.mean.unique() == 2 and denoiser.normaliser.std.unique() == 3
    assert read_config(converted / "denoiser" / "denoiser")[2] == {"schedule": {"name": "tan", "d": sizes["tan_d"]}}
    statistics = load_file(converted / "denoiser" / "standardiser.safetensors")
    width = sizes["text_dim"]
    assert torch.equal(statistics["mean"], torch.arange(float(width))) and bool((statistics["std"] == 1).all())


def test_texts_come_from_the_converted_folder_as_from_the_authors_networks(golden, sizes, converted, encoder):
    """Whole ways, text in and text out: compared is what their functions give for the same states and noise."""
    pipeline = Pipeline.load(converted / "denoiser")
    vocabulary, texts = pipeline.vocabulary, ["w8 w9 w10", "w20 w21 w22 w23"]
    assert pipeline.encoder.folder == encoder
    states = pipeline.encoder.encode(texts, sizes["max_length"])
    raw = states.states - torch.arange(float(sizes["text_dim"]))  # the statistics of the file
    latents = authors.compress(golden, sizes, raw * states.mask[..., None], states.mask)
    best = authors.decompress(golden, sizes, latents)[0].argmax(-1)[:, 1:]
    expected = [decoded.text for decoded in vocabulary.decode(vocabulary.to_compact[best])]
    assert [written.text for written in pipeline.reconstruct(texts).written] == expected
    # Sampled: their denoiser and decoder in the same solver, on the same noise.
    setting = SamplerSetting("euler_ode", 4)
    weights = part(golden, "denoiser.")

    def theirs(x, t, estimate):
        t = torch.full((len(x),), float(t))
        return authors.denoise(weights, sizes, x, t, torch.zeros_like(x) if estimate is None else estimate)

    noise = normal_like(torch.empty(2, sizes["num_latents"], sizes["latent_dim"]), CounterRNG(torch.tensor([3, 4])))
    with torch.no_grad():
        drawn = sample(theirs, noise, setting, Tangent(sizes["tan_d"]))
        logits = authors.decompress(golden, sizes, drawn * 3.0 + 2.0)[0]
    best = logits.argmax(-1)[:, 1:]
    expected = [decoded.text for decoded in vocabulary.decode(vocabulary.to_compact[best])]
    assert [written.text for written in pipeline.sample(None, [3, 4], setting)] == expected


def test_the_command_line_samples_from_what_it_converted(golden, sizes, encoder, tmp_path, capsys):
    save_autoencoder(golden, sizes, tmp_path / "a.pth")
    save_denoiser(golden, sizes, "denoiser", tmp_path / "d.pth")
    out, head = str(tmp_path / "model"), str(sizes["head_size"])
    options = ["--text-encoder", str(encoder), "--head-size", head]
    for file in ("a.pth", "d.pth"):
        assert main(["convert", str(tmp_path / file), out, *options]) == 0
    assert main(["sample", out, "--count", "3", "--solver", "release", "--steps", "4"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["seed"] for line in lines] == [0, 1, 2]


def test_stages_that_do_not_belong_together_are_refused(golden, sizes, encoder, tmp_path):
    given = {"text_encoder": str(encoder), "head_size": sizes["head_size"]}
    save_autoencoder(golden, sizes, tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "out", **given)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    save_denoiser(golden, sizes, "denoiser", tmp_path / "d.pth", latents=sizes["num_latents"] + 1)
    with pytest.raises(UserError, match="convert two that belong together"):
        convert(tmp_path / "d.pth", tmp_path / "out", **given)
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    other = release_encoder({**sizes, "vocab_size": sizes["vocab_size"] + 1}, tmp_path / "other")
    with pytest.raises(UserError, match="name the encoder it was trained on"):
        convert(tmp_path / "a.pth", tmp_path / "out", text_encoder=str(other), head_size=sizes["head_size"])
    with pytest.raises(UserError, match="neither a folder nor in the local"):
        convert(tmp_path / "a.pth", tmp_path / "out", text_encoder="no/such-encoder")


def test_safetensors_in_place_of_a_pickle(golden, sizes, tmp_path):
    tensors = {f"score_estimator.{name}": tensor for name, tensor in part(golden, "denoiser.").items()}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="has no 'latent_mean', the statistics of its latents"):
        convert(tmp_path / "a.safetensors", tmp_path)
    latents = (sizes["num_latents"], sizes["latent_dim"])
    statistics = {"latent_mean": torch.zeros(latents), "latent_std": torch.ones(latents)}
    save_file({**tensors, **statistics}, tmp_path / "a.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path, head_size=sizes["head_size"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "denoiser"]
    network, case = from_pretrained(Denoiser, tmp_path / "denoiser"), part(golden, "case.denoiser.")
    assert difference(network(case["x_t"], case["t"], case["self_cond"]), case["x_0"]) < 1e-5


def test_a_tensor_too_few_or_too_many_is_refused(golden, sizes):
    weights, count = part(golden, "denoiser."), sizes["num_latents"]
    with pytest.raises(UserError, match="which this model does not"):
        convert_denoiser({**weights, "encoder.surprise": torch.zeros(1)}, count, sizes["head_size"])
    with pytest.raises(UserError, match="sizes contradict each other"):
        convert_denoiser({**weights, "encoder.output_norm.gamma": torch.ones(6)}, count, sizes["head_size"])
    with pytest.raises(UserError, match="Heads of size 5 do not add up"):
        convert_denoiser(weights, count, 5)
    del weights["encoder.self_cond_layers.2.bias"]
    with pytest.raises(UserError, match=r"lacks 'encoder.self_cond_layers.2.bias'"):
        convert_denoiser(weights, count, sizes["head_size"])
    short = {name: tensor for name, tensor in golden.items() if name != "decoder.layers.1.ffn_scale.scale_mlp.bias"}
    with pytest.raises(UserError, match=r"lacks 'layers.1.ffn_scale.scale_mlp.bias'"):
        convert_autoencoder(short, sizes["mask_token_id"])
