"""Our own recording: seeded random weights, inputs, and what this code gave for them, so that nothing drifts unseen.

`python tests/golden/test_recordings.py` writes the recording anew, after a change of numbers that is meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cosmos.config import LADDER, AutoencoderConfig, DenoiserConfig, DiffusionConfig, SamplerSetting, SolverName
from cosmos.diffusion.objective import diffusion_loss
from cosmos.diffusion.samplers import cfg, sample, with_network
from cosmos.diffusion.schedule import Tangent
from cosmos.models.autoencoder import Autoencoder, autoencoder_loss
from cosmos.models.corruption import corrupt
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG, normal_like

RECORDING = Path(__file__).with_name("cosmos_tiny.safetensors")
TOLERANCE, SAMPLER_TOLERANCE = 1e-5, 1e-4  # the latter over several steps; sums are rounded otherwise elsewhere
MODELS: dict[str, nn.Module] = {
    # Every width differs, so that every projection is there.
    "autoencoder": Autoencoder(
        AutoencoderConfig(
            text_width=10, latent_width=6, width=8, latents=3, layers=2, heads=2, max_tokens=7, vocabulary=13
        )
    ),
    "conditional": Denoiser(
        DenoiserConfig(
            latents=3, latent_width=6, width=8, layers=4, heads=2, output_norm=False, source_width=10, source_layers=2,
            max_source_tokens=5,
        )
    ),
    "release": Denoiser(DenoiserConfig(latents=3, latent_width=8, width=8, layers=2, heads=2)),
}  # fmt: skip


@torch.no_grad()
def outputs(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Everything recorded, from the weights and inputs of the file."""
    for name, model in MODELS.items():
        model.load_state_dict(
            {key.removeprefix(f"{name}."): value for key, value in given.items() if key.startswith(f"{name}.")}
        )
        model.eval()
    autoencoder, conditional, release = MODELS.values()
    states, tokens, mask = given["in.states"], given["in.tokens"], given["in.mask"].bool()
    reconstruction = autoencoder(states, mask)
    drawn = corrupt(states, mask, (3, 6), LADDER["latent"], streams())
    found = {
        "latents": reconstruction.latents,
        "hidden": reconstruction.hidden,
        "logits": reconstruction.logits,
        "corrupted.states": drawn.states,
        "corrupted.visible": drawn.visible.float(),
        "corrupted.keep": drawn.keep.float(),
        "autoencoder_loss": autoencoder_loss(autoencoder, states, tokens, mask, LADDER["latent"], streams())[0],
    }
    source = SourceStates(states[:, :5], mask[:, :5], torch.tensor([False, True, False]))
    x, t = normal_like(torch.empty(3, 3, 6), streams()), torch.tensor([0.1, 0.5, 0.9])
    condition = conditional.encode_condition(source._replace(hidden=None))
    found["conditional"] = conditional(x, t, x.flip(1), conditional.encode_condition(source))
    found["diffusion_loss"] = diffusion_loss(conditional, x, DiffusionConfig(), streams(), source)[0]
    wide = normal_like(torch.empty(3, 3, 8), streams())
    found["release"] = release(wide, t, wide.flip(1))
    schedule = Tangent(7.0)
    for solver in get_args(SolverName):
        setting = SamplerSetting(solver, 5, "log_snr", final_x0=solver.startswith("dpmpp"))
        found[f"sample.{solver}"] = sample(with_network(release), wide, setting, schedule, streams())
    denoise = cfg(
        with_network(conditional, condition),
        with_network(conditional, conditional.null_condition(3)),
        2.0,
        (1.0, 20.0),
        schedule,
    )
    found["sample.guided"] = sample(denoise, x, SamplerSetting("ddim", 6), schedule)
    return {f"out.{name}": value.clone().contiguous() for name, value in found.items()}


def streams() -> CounterRNG:
    return CounterRNG(torch.tensor([3, 14, 159]))


def record() -> None:
    generator = torch.Generator().manual_seed(26)
    given: dict[str, torch.Tensor] = {}
    for name, model in MODELS.items():
        for key, value in model.state_dict().items():
            spread = torch.randn(value.shape, generator=generator) * 0.4
            given[f"{name}.{key}"] = spread.abs() + 0.5 if key.endswith(("gain", "std")) else spread
    given["in.states"] = torch.randn(3, 7, 10, generator=generator)
    given["in.tokens"] = torch.randint(13, (3, 7), generator=generator)
    given["in.mask"] = (torch.arange(7) < torch.tensor([[7], [3], [5]])).to(torch.uint8)
    save_file({**given, **outputs(given)}, RECORDING)


@pytest.fixture(scope="module")
def recording() -> dict[str, torch.Tensor]:
    return load_file(RECORDING)


@pytest.fixture(scope="module")
def found(recording) -> dict[str, torch.Tensor]:
    return outputs({name: value for name, value in recording.items() if not name.startswith("out.")})


def test_everything_recorded_is_computed_and_nothing_else(recording, found):
    assert set(found) == {name for name in recording if name.startswith("out.")}


def test_numbers_are_those_recorded(recording, found):
    drifted = {}
    for name, value in found.items():
        tolerance = SAMPLER_TOLERANCE if name.startswith("out.sample.") else TOLERANCE
        if not torch.allclose(value, recording[name], rtol=tolerance, atol=tolerance):
            drifted[name] = float((value - recording[name]).abs().max())
    assert drifted == {}


def test_the_recording_is_small():
    assert RECORDING.stat().st_size < 200_000


if __name__ == "__main__":
    record()
