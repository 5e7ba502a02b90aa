"""Every network that is told a time, of all of its calls at once: once a generation, and each call has its own row."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.contract import Limits, Request
from baselines.embedding_diffusion import diffuseq
from baselines.latent_diffusion.ld4lg import VelocityDenoiser
from baselines.latent_diffusion.settings import LatentSamplingSetting
from baselines.token_diffusion.ddit import DDiT
from baselines.token_diffusion.duo import Revising
from baselines.token_diffusion.masked import LogLinear
from baselines.token_diffusion.sedd import Scoring
from benchmarks.speed import work
from cosmos.config import MINILM, DenoiserConfig
from cosmos.diffusion.samplers import make_grid
from cosmos.diffusion.schedule import make_schedule
from cosmos.models.blocks import TimeInputs
from cosmos.runtime.flops import measure_flops

sys.path.insert(0, str(Path(__file__).parent))
import tiny_systems

LENGTH = 12
REQUESTS = [Request(str(n), None, 7 * n, LENGTH - 1) for n in range(3)]
LATENT = LatentSamplingSetting("dpmpp_2m", 4, "log_snr", final_x0=True)


def made(name: str) -> Any:
    tiny = tiny_systems.SYSTEMS[name]
    system: Any = tiny.system(tiny.recipe(MINILM), Limits(0, LENGTH))
    system.untrained(200, seed=3, device="cpu", dtype="float32")
    return system


def of_grid(system: Any, setting: Any) -> list[float]:
    schedule = diffuseq.SCHEDULE if system.name == "diffuseq" else None
    return list(make_grid(schedule or make_schedule(system.recipe.diffusion.schedule), setting).t)


def steps(count: int) -> list[float]:
    return [1.0 - step / count for step in range(count)]


def duo_times(times: list[float]) -> list[float]:
    return (1.0 - LogLinear().alpha(torch.tensor(times, dtype=torch.float64))).tolist()


CASES: list[Any] = [
    ("tencdm", LATENT, of_grid),
    ("ld4lg", LATENT, of_grid),
    ("ld4lg", dataclasses.replace(LATENT, solver="heun"), of_grid),
    ("diffuseq", diffuseq.EmbeddingSampling("ddim", 4, end_noise=diffuseq.END_NOISE, final_x0=True), of_grid),
    ("diffuseq", diffuseq.EmbeddingSampling("ddim", 4, end_noise=diffuseq.END_NOISE), lambda *a: of_grid(*a)[:-1]),
    ("sedd", Scoring("analytic", 5), lambda *_: steps(5)),
    ("sedd_uniform", Scoring("euler", 5), lambda *_: steps(5)),
    ("duo", Revising(5), lambda *_: duo_times(steps(5))),
    ("duo", Revising(3, greedy_tail=True), lambda *_: duo_times([1.0, (1.0 + 1e-5) / 2, 1e-5])),
    ("duo", Revising(1, greedy_tail=True), lambda *_: duo_times([1.0])),
]


@pytest.mark.parametrize(("name", "setting", "times"), CASES, ids=lambda case: case if isinstance(case, str) else None)
def test_each_call_has_what_the_network_makes_of_its_own_time(name: str, setting: Any, times: Any) -> None:
    system = made(name)
    network: Any = next(iter(system.networks().values()))
    given: list[TimeInputs] = []
    asked: list[int] = []

    def before(_: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        given.extend(value for value in (*positional, *named.values()) if isinstance(value, TimeInputs))

    network.register_forward_pre_hook(before, with_kwargs=True)
    embedding = network.time if hasattr(network, "time") else network.trunk.time
    embedding.register_forward_hook(lambda module, inputs, out: asked.append(len(inputs[0])))
    system.generate(REQUESTS, setting)
    expected = times(system, setting)
    assert asked == [len(expected)]
    if getattr(setting, "solver", None) == "heun":  # two calls a step, and one more for the end
        expected = [expected[i] for i in (0, 1, 1, 2, 2, 3, 3, 4, 4)]
    assert len(given) == len(expected)
    for row, time in zip(given, expected, strict=True):
        alone = network.time_inputs(torch.tensor([time], dtype=torch.float64))
        for part, own in zip(row.parts, alone.parts, strict=True):
            assert part.shape == own.shape
            assert torch.allclose(part, own, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "setting"), [case[:2] for case in CASES])
def test_what_speed_counts_is_the_whole_generation(name: str, setting: Any) -> None:
    system = made(name)
    found = work.count(system.networks(), lambda: system.generate(REQUESTS, setting))
    assert found.elsewhere > 0
    assert found.flops == measure_flops(lambda: system.generate(REQUESTS, setting))


def test_a_network_without_a_time_is_told_none() -> None:
    system = made("mdlm")
    seen: list[Any] = []
    system.model.register_forward_pre_hook(lambda _, given, named: seen.append(named["time"]), with_kwargs=True)
    system.generate(REQUESTS, tiny_systems.SYSTEMS["mdlm"].settings[0])
    assert seen == [None] * 5


def filled(network: nn.Module) -> Any:
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network.double().eval()


def velocity() -> tuple[Any, Any]:
    network = filled(VelocityDenoiser(DenoiserConfig(3, 4, 8, 2, 2)))
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network, lambda time: network(x, time, x.flip(0))


def tokens(name: str) -> tuple[Any, Any]:
    network = filled(made(name).model)
    sequence = torch.arange(2 * LENGTH).view(2, LENGTH)[:, : LENGTH - 1]
    return network, lambda time: network(sequence, None, time)


def embeddings() -> tuple[Any, Any]:
    network = filled(made("diffuseq").model)
    x = torch.randn(2, network.length + 1, network.tokens.embedding_dim, generator=torch.Generator().manual_seed(2))
    seen = torch.ones(2, network.length + 1, dtype=torch.bool)
    return network, lambda time: network(x.double(), time, seen)


def published() -> tuple[Any, Any]:
    network = filled(DDiT(30, 7, 8, 2, 2, 6))
    return network, lambda time: network(torch.arange(14).view(2, 7), None, time)


@pytest.mark.parametrize(
    "build", [velocity, lambda: tokens("sedd"), lambda: tokens("duo"), embeddings, published],
    ids=["ld4lg", "sedd", "duo", "diffuseq", "published"],
)  # fmt: skip
def test_a_row_stands_for_its_time(build: Any) -> None:
    network, call = build()
    times = torch.tensor([0.9, 0.4, 0.1], dtype=torch.float64)
    with torch.no_grad():
        known = network.time_inputs(times)
        found = [call(known.row(i)) for i in range(3)]
        for i, time in enumerate(times):
            assert torch.allclose(found[i], call(time.expand(2)), rtol=0, atol=1e-6)
    assert not torch.allclose(found[0], found[2], atol=1e-3)


def test_the_published_network_is_told_once_that_there_is_no_noise() -> None:
    network, call = published()
    with torch.no_grad():
        known: TimeInputs = network.time_inputs(None)
        expected: Tensor = call(None)
        assert torch.equal(call(known), expected)
        assert torch.allclose(expected, call(torch.zeros(2, dtype=torch.float64)), atol=1e-9)
        assert not torch.allclose(expected, call(torch.full((2,), 0.9, dtype=torch.float64)), atol=1e-3)
