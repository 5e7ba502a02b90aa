"""SEDD and Duo behind the contract, and Duo's stages."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines import registry
from baselines.common.system import TokenSystem
from baselines.common.transformer import SourceKV, TrunkConfig
from baselines.contract import Budget, Corpus, Limits, System, UserError
from baselines.token_diffusion.duo import Distillation, DuoRecipe, DuoSystem, Revising
from baselines.token_diffusion.duo_losses import bound, consistency, curriculum_loss, distillation_loss
from baselines.token_diffusion.gaussian_duality import gaussian_tokens, signal_to_alpha
from baselines.token_diffusion.mdlm import MDLMSystem
from baselines.token_diffusion.sedd import Scoring, SEDDRecipe, SEDDSystem
from baselines.token_diffusion.system import TokenDenoiser, TokenDiffusionRecipe
from cosmos.runtime import compilation
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import CORPUS, LIMITS, REQUESTS, TRAINING, all_named, count_calls

BUDGET = Budget(40, "steps")
TRUNK = TrunkConfig(32, 2, 2, 64, time_width=8)
SEDD = SEDDRecipe(TRUNK, 1, TRAINING, BUDGET)
DISTILLATION = Distillation(0.25, 2, 8, dataclasses.replace(TRAINING, learning_rate=1e-3))
RIVALS: dict[str, tuple[type[TokenSystem], Any]] = {
    "sedd": (SEDDSystem, SEDD),
    "sedd_uniform": (SEDDSystem, dataclasses.replace(SEDD, transition="uniform")),
    "duo": (DuoSystem, DuoRecipe(TRUNK, 1, TRAINING, BUDGET, DISTILLATION)),
}
SETTINGS = [
    ("sedd", Scoring("analytic", 5)),
    ("sedd", Scoring("euler", 4)),
    ("sedd_uniform", Scoring("analytic", 5)),
    ("sedd_uniform", Scoring("euler", 4)),
    ("duo", Revising(5)),
    ("duo", Revising(4, greedy_tail=True, top_p=0.9)),
]


NAMED = [(name, setting) for name, (kind, _) in RIVALS.items() for setting in all_named(kind)]
each = pytest.mark.parametrize("name", list(RIVALS))
each_system = pytest.mark.parametrize("name", ["sedd", "duo"])  # for what does not depend on the transition


def make(name: str, **changes: Any) -> TokenSystem:
    kind, recipe = RIVALS[name]
    return kind(dataclasses.replace(recipe, **changes), LIMITS)


def fit(system: TokenSystem, folder: Path, budget: Budget = BUDGET, **given: Any) -> Any:
    return system.fit(given.pop("corpus", CORPUS), budget, folder, seed=given.pop("seed", 1), device="cpu", **given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[TokenSystem, Path]]:
    """All rivals after a few steps, loaded, with their checkpoints."""
    found = {}
    for name in RIVALS:
        before = torch.random.get_rng_state()
        folder, system = tmp_path_factory.mktemp(name), make(name)
        fit(system, folder)
        system.load(folder, device="cpu", dtype="float32")
        assert torch.equal(before, torch.random.get_rng_state()), f"training {name} changes global randomness"
        found[name] = (system, folder)
    return found


@each
def test_a_rival_meets_the_contract(name: str, trained: dict[str, tuple[TokenSystem, Path]]) -> None:
    system, folder = trained[name]
    assert isinstance(system, System)
    assert registry.find(system.name) is type(system)
    known = json.loads((folder / "fit.json").read_text())["fitted"]
    assert known["steps"] == 40
    assert known["flops"] > 0 and known["validation_loss"] > 0
    parameters = sum(p.numel() for p in next(iter(system.networks().values())).parameters())
    assert known["notes"]["parameters"] == parameters
    names = [*system.settings, *type(system).other_settings]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)


@each
def test_training_learns(name: str, trained: dict[str, tuple[TokenSystem, Path]], tmp_path: Path) -> None:
    known = json.loads((trained[name][1] / "fit.json").read_text())["fitted"]
    assert known["validation_loss"] < 0.8 * fit(make(name), tmp_path, Budget(3, "steps")).validation_loss


def stop_at(calls: int) -> Callable[[str, float, float | None], None]:
    left = calls

    def progress(stage: str, now: float, loss: float | None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise InterruptedError

    return progress


@each_system
def test_a_fit_that_was_stopped_in_any_stage_ends_with_the_same_bytes(
    name: str, trained: dict[str, tuple[TokenSystem, Path]], tmp_path: Path
) -> None:
    for calls in (9, 12, 14, 8, 4):  # for duo: twice in the curriculum, then the bound, then the distillation
        with pytest.raises(InterruptedError):
            fit(make(name), tmp_path, progress=stop_at(calls))
        with pytest.raises(UserError, match="no finished checkpoint"):
            make(name).check(tmp_path)
    fitted = fit(make(name), tmp_path)
    undisturbed = trained[name][1]
    for file in ("weights.safetensors", "vocabulary.json", "config.json"):
        assert (tmp_path / file).read_bytes() == (undisturbed / file).read_bytes(), file
    known = json.loads((undisturbed / "fit.json").read_text())["fitted"]
    assert {**dataclasses.asdict(fitted), "seconds": 0} == {**known, "seconds": 0}
    assert fit(make(name), tmp_path) == fitted


@each
def test_global_randomness_is_untouched(name: str, trained: dict[str, tuple[TokenSystem, Path]]) -> None:
    """By generating; that training leaves it alone is seen where it is done."""
    before, system = torch.random.get_rng_state(), trained[name][0]
    for setting in system.settings.values():
        system.generate(REQUESTS[:2], setting)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("name", "setting"), [*SETTINGS, *NAMED])
def test_a_text_does_not_depend_on_its_batch_mates(
    name: str, setting: Any, trained: dict[str, tuple[TokenSystem, Path]]
) -> None:
    system, _ = trained[name]
    together = system.generate(REQUESTS, setting)
    assert [sample.id for sample in together] == [request.id for request in REQUESTS]
    assert system.generate(REQUESTS[::-1], setting) == together[::-1]
    for request, sample in zip(REQUESTS[::7], together[::7], strict=True):
        assert system.generate([request], setting) == [sample]
    shuffled = torch.randperm(len(REQUESTS), generator=torch.Generator().manual_seed(1)).tolist()
    assert system.generate([REQUESTS[i] for i in shuffled], setting) == [together[i] for i in shuffled]
    assert len({sample.text for sample in together}) > 1
    assert system.generate([], setting) == []


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_the_network_is_called_once_per_step(
    name: str, setting: Any, trained: dict[str, tuple[TokenSystem, Path]]
) -> None:
    assert count_calls(trained[name][0], setting) == setting.steps


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_the_limit_of_a_request_holds(name: str, setting: Any, trained: dict[str, tuple[TokenSystem, Path]]) -> None:
    system, _ = trained[name]
    for sample in system.generate([dataclasses.replace(request, max_tokens=2) for request in REQUESTS], setting):
        assert sample.tokens <= 2 - sample.finished


@each
def test_a_captured_loop_given_sources_writes_the_same(
    name: str, trained: dict[str, tuple[TokenSystem, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")  # traced whole, so nothing in it waits; not made faster
    system, plain = trained[name][0], next(setting for of, setting in SETTINGS if of == name)
    captured = dataclasses.replace(plain, capture="compile")
    assert system.generate(REQUESTS, captured) == system.generate(REQUESTS, plain)
    assert count_calls(system, captured) == count_calls(system, plain)


@each_system
def test_half_precision_generates(name: str, trained: dict[str, tuple[TokenSystem, Path]]) -> None:
    system = make(name)
    system.load(trained[name][1], device="cpu", dtype="bfloat16")
    for setting in system.settings.values():
        assert len(system.generate(REQUESTS[:3], setting)) == 3


@each_system
def test_an_unconditional_task_works(name: str, tmp_path: Path) -> None:
    parts = (CORPUS.train, CORPUS.validation)
    corpus = Corpus(*([dataclasses.replace(d, source=None) for d in part] for part in parts))
    system = type(make(name))(RIVALS[name][1], Limits(0, 14))
    fit(system, tmp_path, Budget(4, "steps"), corpus=corpus)
    system.load(tmp_path, device="cpu", dtype="float32")
    for setting in system.settings.values():
        assert len(system.generate([dataclasses.replace(r, source=None) for r in REQUESTS], setting)) == len(REQUESTS)


@each_system
def test_a_checkpoint_of_another_recipe_is_refused(
    name: str, trained: dict[str, tuple[TokenSystem, Path]], tmp_path: Path
) -> None:
    _, folder = trained[name]
    make(name).check(folder)
    with pytest.raises(UserError, match="another recipe"):
        make(name, source_layers=2).check(folder)
    with pytest.raises(UserError, match="other seed"):
        fit(make(name), folder, seed=2)


def test_recipes_and_settings_out_of_range_are_refused() -> None:
    for bad in (
        lambda: Scoring("analytic", 0),
        lambda: Scoring("tweedie", 3),  # type: ignore[arg-type]
        lambda: Revising(0),
        lambda: Revising(3, top_p=1.5),
        lambda: dataclasses.replace(SEDD, transition="mask"),  # type: ignore[arg-type]
        lambda: dataclasses.replace(DISTILLATION, share=1.0),
        lambda: dataclasses.replace(DISTILLATION, rounds=4),
        lambda: make("duo", curriculum_share=1.0),
        lambda: make("duo", temperature=0.0),
    ):
        with pytest.raises(UserError):
            bad()


def tiny(seed: int) -> TokenDenoiser:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TokenDenoiser(
            TrunkConfig(16, 2, 2, 32, time_width=8), vocabulary=12, length=5, source=4, source_layers=1
        )
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
    return model


BATCH = {
    "sequence": torch.randint(0, 12, (6, 5), generator=torch.Generator().manual_seed(1)),
    "source": torch.full((6, 4), 7),
}


def test_a_trunk_that_misses_the_time_or_is_told_it_in_vain_is_refused() -> None:
    without = dataclasses.replace(TRUNK, time_width=0)
    for system, recipe in (kind for name, kind in RIVALS.items() if name != "sedd_uniform"):
        with pytest.raises(UserError, match="needs a trunk with a time input"):
            system(dataclasses.replace(recipe, trunk=without), LIMITS)
    with pytest.raises(UserError, match="'mdlm' needs a trunk without a time input"):
        MDLMSystem(TokenDiffusionRecipe(TRUNK, 1, TRAINING, BUDGET), LIMITS)


def test_time_and_mixtures_reach_the_network() -> None:
    model, sequence = tiny(0), BATCH["sequence"]
    source = model.encode(BATCH["source"])
    early, late = (model(sequence, source, torch.full((6,), t)) for t in (0.1, 0.9))
    assert (early - late).abs().max() > 1e-2
    mixed = model(nn.functional.one_hot(sequence, 12).float(), source, torch.full((6,), 0.1))
    assert (early - mixed).abs().max() < 1e-5


def pair_of_gammas(cleaner: float, noisier: float) -> tuple[Tensor, Tensor]:
    return torch.full((6,), noisier, dtype=torch.float64), torch.full((6,), cleaner, dtype=torch.float64)


def test_distillation_aims_at_the_teachers_prediction_at_the_cleaner_text() -> None:
    """One sub-step: the target is what the teacher says there, and a student that says it has no loss."""
    teacher, noise = tiny(0), torch.randn(6, 5, 12, generator=torch.Generator().manual_seed(2))
    noisier, cleaner = pair_of_gammas(-3.0, -0.5)
    assert consistency(teacher, teacher, BATCH, cleaner, cleaner, noise).abs().max() < 1e-6
    tokens = gaussian_tokens(BATCH["sequence"], cleaner, noise).argmax(-1)
    target = teacher(tokens, teacher.encode(BATCH["source"]), 1 - signal_to_alpha(cleaner, 12)[0]).log_softmax(-1)

    class Says(TokenDenoiser):
        def forward(self, sequence: Tensor, source_kv: SourceKV | None, time: Tensor | None = None) -> Tensor:
            assert time is not None
            assert float(time[0]) == pytest.approx(1 - float(signal_to_alpha(noisier, 12)[0][0]))
            assert torch.equal(sequence, gaussian_tokens(BATCH["sequence"], noisier, noise).argmax(-1))
            return target

    assert consistency(Says(TRUNK, 12, 5, 4, 1), teacher, BATCH, noisier, cleaner, noise).abs().max() < 1e-6
    assert consistency(tiny(3), teacher, BATCH, noisier, cleaner, noise).min() > 0


def test_the_two_texts_of_a_path_differ_more_the_further_they_are_apart() -> None:
    sequence = BATCH["sequence"].repeat(200, 1)
    noise = torch.randn(1200, 5, 12, generator=torch.Generator().manual_seed(2))

    def tokens(gamma: float) -> Tensor:
        return gaussian_tokens(sequence, torch.full((1200,), gamma), noise).argmax(-1)

    changed = [float((tokens(-3.0) != tokens(-3.0 + step)).double().mean()) for step in (0.0, 0.5, 1.5, 3.0)]
    assert changed[0] == 0.0 and changed == sorted(changed) and changed[-1] > 0.2
    kept = tokens(-0.5) == sequence
    assert bool((tokens(-3.0) == sequence)[kept].all())  # the clean token, once the largest, stays so as noise falls


def test_distillation_draws_the_student_to_the_teacher_and_leaves_the_teacher() -> None:
    teacher, student = tiny(0).requires_grad_(False), tiny(0)
    before = [value.clone() for value in teacher.parameters()]
    loss = distillation_loss(teacher, 0.5, -4.0, -0.5)
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    values = []
    for _ in range(30):
        total, weight = loss(student, BATCH, CounterRNG(torch.arange(6)))
        optimiser.zero_grad()
        (total / weight).backward()
        optimiser.step()
        values.append(float((total / weight).detach()))
    assert values[-1] < 0.5 * values[0]
    assert all(torch.equal(*pair) for pair in zip(before, teacher.parameters(), strict=True))


def test_the_curriculum_at_a_low_temperature_is_the_bound_on_its_range() -> None:
    """Both estimate the integral of the same integrand over alpha; the curriculum over a part of it."""
    model, count = tiny(0), 4000
    batch = {"sequence": BATCH["sequence"][:1].expand(count, 5), "source": BATCH["source"][:1].expand(count, 4)}
    low, high = -3.0, 0.5
    high_alpha, low_alpha = (float(signal_to_alpha(torch.tensor(g), 12)[0]) for g in (low, high))
    with torch.no_grad():
        soft = curriculum_loss(1e-4, low, high)(model, batch, CounterRNG(torch.arange(count)))[0] / count
        t = (1 - high_alpha) + (high_alpha - low_alpha) * (torch.arange(count).double() + 0.5) / count
        hard = bound(model, batch, t / (1 - 1e-3), CounterRNG(count + torch.arange(count)))[0] / count
    assert float(soft) == pytest.approx(float(hard) * (high_alpha - low_alpha) / (1 - 1e-3), rel=0.08)
