"""Compiled and recorded training steps with batches of several lengths: the weights of plain ones, but for rounding."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from baselines import registry
from baselines.contract import Budget, Corpus, Limits, RandomTraining
from benchmarks.data import world
from benchmarks.speed import step_lines, step_table, timed_steps
from cosmos.config import LADDER
from cosmos.models.corruption import corrupt
from cosmos.models.token_head import chunk_rows, summed_nll
from cosmos.runtime import compilation
from cosmos.runtime.dropout import is_kept
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines"))
from tiny_systems import with_training

pytestmark = pytest.mark.gpu

SYSTEMS = ("cosmos", "gpt2", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq")
STEPS = 40


@pytest.mark.parametrize("name", SYSTEMS)
def test_compiled_and_recorded_steps_train_the_same_weights(name: str, device: str, tmp_path: Path) -> None:
    kind: Any = registry.find(name)
    corpus = Corpus(world.detox("train", 200), world.detox("validation", 20))
    found = []
    for fast in (False, True):
        folder = tmp_path / str(fast)
        ways = {"compile": fast, "cuda_graph": fast, "length_buckets": 2}
        recipe = with_training(kind.presets["nano"], **ways, precision="float32", learning_rate=1e-4)
        if hasattr(recipe, "start_linear"):  # its eigenvectors have other signs in every run on a GPU
            recipe = replace(recipe, start_linear=False)
        kind(recipe, Limits(24, 24)).fit(corpus, Budget(STEPS, "steps"), folder, seed=1, device=device)
        found.append({k: v for path in sorted(folder.rglob("*.safetensors")) for k, v in load_file(path).items()})
    plain, compiled = found
    assert plain and plain.keys() == compiled.keys()
    for key, value in plain.items():
        distance = (compiled[key].double() - value.double()).norm() / value.double().norm().clamp(min=1e-9)
        assert distance < 5e-3, key


@pytest.mark.parametrize("name", ["autoencoder-16", "gpt2"])
def test_a_training_on_texts_of_many_lengths_survives_its_own_compiler(name: str, device: str) -> None:
    """With a symbolic length, Inductor's backward pass of the second length failed."""
    line = step_lines.lines_named((name,))[0]
    ways = {"compile": True, "cuda_graph": True, "length_buckets": 4, "batch_size": 64}
    asked = RandomTraining(line.stage, 150, 2048, 8000, ways)
    trained, _ = timed_steps.train(step_lines.system_of(line, {}), asked, device, lambda step: None)
    notes = trained.notes["preparation"]
    assert notes["compiled"] and notes["recorded"] and len(notes["lengths"]) == 4
    assert trained.steps == 150  # and a loss that is not finite would have been an error


def test_fused_noise_is_the_same_noise(device: str) -> None:
    def draws(fused: bool) -> list[torch.Tensor]:
        seeds = CounterRNG(torch.arange(256, device=device), fused, fused)
        return [seeds.uniform(88), seeds.normal(88, 384), seeds.normal(16, 384), seeds.uniform()]

    plain = draws(fused=False)
    with compilation.compiled([]):
        fused = draws(fused=True)
    assert torch.equal(plain[0], fused[0]) and torch.equal(plain[3], fused[3])
    for one, other in ((plain[1], fused[1]), (plain[2], fused[2])):
        assert (one != other).double().mean() < 1e-6
        torch.testing.assert_close(one, other, rtol=2e-7, atol=1e-12)


def test_fused_corruption_is_the_same_corruption(device: str) -> None:
    states = torch.randn(64, 40, 384, device=device)
    mask = torch.arange(40, device=device) < torch.randint(2, 41, (64, 1), device=device)
    found = []
    for fused in (False, True):
        seeds = CounterRNG(torch.arange(64, device=device), fused, fused)
        with compilation.compiled([]):
            found.append(corrupt(states, mask, (16, 384), LADDER["latent"], seeds))
    assert torch.equal(found[0].visible, found[1].visible)
    assert found[0].keep is not None and found[1].keep is not None and torch.equal(found[0].keep, found[1].keep)
    torch.testing.assert_close(found[0].states, found[1].states, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_token_head_takes_memory_for_a_chunk(compiled: bool, device: str) -> None:
    positions, width, vocabulary = 32_768, 384, 16_000
    random = torch.Generator(device).manual_seed(0)
    states = torch.randn(positions, width, device=device, generator=random).requires_grad_()
    table = torch.randn(vocabulary, width, device=device, generator=random).mul_(width**-0.5).requires_grad_()
    tokens = torch.randint(vocabulary, (positions,), device=device, generator=random)
    weights = (torch.rand(positions, device=device, generator=random) > 0.2).float()

    def run() -> list[torch.Tensor]:
        states.grad = table.grad = None
        with compilation.compiled([]), torch.autocast("cuda", torch.bfloat16):
            total = summed_nll(states, table, tokens, weights, compiled=compiled)
        total.backward()
        assert states.grad is not None and table.grad is not None
        return [total.detach(), states.grad.clone(), table.grad.clone()]

    run()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    found = run()
    chunk = chunk_rows(states.device, vocabulary) * vocabulary
    grads = 4 * 4 * (states.numel() + table.numel())
    wide = (
        6 * chunk if compiled else 16 * chunk
    )  # logits and their gradient in bfloat16, and without a compiler float32
    assert torch.cuda.max_memory_allocated(device) - before < wide + grads
    logits = states.double() @ table.double().T
    exact = (functional.cross_entropy(logits, tokens, reduction="none") * weights).sum()
    wanted = [exact.detach(), *torch.autograd.grad(exact, (states, table))]
    for one, other in zip(found, wanted, strict=True):
        assert (one.double() - other.double()).norm() / other.double().norm() < 0.02


def test_the_table_of_training_steps_runs_in_every_way(device: str) -> None:
    options = step_table.TableOptions(device, 512, 2000, profiled=True, training={"batch_size": 32})
    said: list[str] = []
    found = step_table.table(step_lines.lines_named(("autoencoder-16",)), options, said.append)
    assert [part["mode"] for part in found["steps"]] == [mode.name for mode in step_table.MODES]
    assert all(part["reason"] == "" and part["seconds"] > 0 for part in found["steps"])
    launched, graph, compiled = (part["seconds"] for part in found["steps"][:3])
    assert compiled < graph < launched
    assert found["kernels"]["autoencoder-16"]


def test_compiled_code_drops_by_the_same_hash_as_a_processor(device: str) -> None:
    places, seed = torch.arange(100_000, dtype=torch.int32), torch.tensor([12345], dtype=torch.int32)
    kept = torch.compile(is_kept, fullgraph=True, dynamic=False)(places.to(device), seed.to(device), 0.1)
    assert torch.equal(kept.cpu(), is_kept(places, seed, 0.1))


def test_a_compiled_layer_drops_as_often_as_asked_and_scales_its_gradient(device: str) -> None:
    layers = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.Dropout(0.1))]).to(device)
    x = torch.ones(512, 1024, device=device, dtype=torch.bfloat16).requires_grad_()
    with compilation.compiled(compilation.compile_blocks({"": layers}, training=True)):
        found = layers[0](x)
        found.float().sum().backward()
    assert x.grad is not None and torch.equal(x.grad == 0, found == 0)
    assert abs(float((found == 0).float().mean()) - 0.1) < 0.002
    assert float(found.max()) == float(torch.tensor(1 / 0.9, dtype=torch.bfloat16))
