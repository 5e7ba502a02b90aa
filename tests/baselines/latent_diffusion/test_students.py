"""Students of latent diffusion: what is trained and paid for, whose weights generate, and what is refused."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.contract import Budget, Limits, TrainingResult, UserError
from baselines.latent_diffusion import distillation, training
from baselines.latent_diffusion.distillation import FOLDER, DistilledSampling
from benchmarks.planning.plan import make as make_plan
from benchmarks.planning.run_config import gather
from cosmos.adaptation import ADAPTATION
from cosmos.io import safetensors
from cosmos.models.denoiser import Denoiser
from cosmos.recipes import RECIPES
from cosmos.training import resume
from cosmos.training.loop import TrainingStage

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import FEW_LATENT_STEPS, REQUESTS, ROUNDS, STUDENTS, SYSTEMS, Trained, count_calls, few, fit, make

Train = Callable[[str], Trained]
each = pytest.mark.parametrize("name", few(("cosmos", "tencdm", "ld4lg")))


@each
def test_students_are_networks_of_the_denoisers_shape_that_learnt_something_else(name: str, trained: Train) -> None:
    system, folder = trained(name)
    system.generate(REQUESTS[:1], FEW_LATENT_STEPS)
    teacher = {key: value.clone() for key, value in resume.weights(system.model.denoiser).items()}
    before = teacher
    for calls in STUDENTS.calls:
        student = safetensors.load(folder / FOLDER / f"{calls}.safetensors")
        assert {key: value.shape for key, value in student.items()} == {k: v.shape for k, v in teacher.items()}
        assert any(not torch.equal(student[key], before[key]) for key in student)
        for key in ("normaliser.mean", "normaliser.std"):
            assert torch.equal(student[key], teacher[key])
        before = student


@each
def test_a_setting_puts_its_students_weights_in_and_another_takes_them_out(name: str, trained: Train) -> None:
    system, folder = trained(name)
    undistilled = system.generate(REQUESTS[:4], FEW_LATENT_STEPS)
    teacher = {key: value.clone() for key, value in resume.weights(system.model.denoiser).items()}
    places = {key: value.data_ptr() for key, value in resume.weights(system.model.denoiser).items()}
    for calls in (4, 1, 2, 4):
        assert count_calls(system, DistilledSampling(calls)) == calls
        stored = safetensors.load(folder / FOLDER / f"{calls}.safetensors")
        weights = resume.weights(system.model.denoiser)
        assert all(torch.equal(weights[key], stored[key]) for key in stored)
        assert {key: value.data_ptr() for key, value in weights.items()} == places  # a recording reads from there
    assert system.generate(REQUESTS[:4], FEW_LATENT_STEPS) == undistilled
    weights = resume.weights(system.model.denoiser)
    assert all(torch.equal(weights[key], teacher[key]) for key in teacher)


@each
def test_each_round_is_a_stage_that_is_paid_for(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, real = dict[str, Budget](), distillation.train

    def watched(stage: TrainingStage, config: Any, budget: Budget, run: Any) -> TrainingResult:
        parts[stage.name] = budget
        return real(stage, config, budget, run)

    monkeypatch.setattr(distillation, "train", watched)
    fitted = fit(make(name, encoder_folder, grid_share=0.0), tmp_path, Budget(1.2e9, "flops"))
    stages = {stage: fitted.notes[stage] for stage in SYSTEMS[name].stages}
    assert fitted.flops == pytest.approx(sum(s["flops"] for s in stages.values()) + fitted.notes["encoding_flops"])
    # What encoding leaves; among its notes is what the denoiser's own part has paid for latents.
    least, most = (STUDENTS.share / 3 * (1.2e9 - cost) for cost in (fitted.notes["encoding_flops"], 0.0))
    for stage in ROUNDS:
        assert parts[stage].unit == "flops" and least <= parts[stage].amount < most
        assert parts[stage].amount == pytest.approx(parts[ROUNDS[0]].amount)
        unspent = parts[stage].amount - stages[stage]["flops"]
        assert 0 <= unspent < stages[stage]["flops"] / stages[stage]["steps"]  # less than a step
        assert stages[stage]["validation_loss"] > 0
    first, second = (stages[stage]["flops"] / stages[stage]["steps"] for stage in ROUNDS[:2])
    if name == "cosmos":  # its first teacher makes 1 + 2 calls for a step, the next one 2
        assert first > second


@each
def test_without_a_share_there_is_nothing_and_the_training_is_the_same(
    name: str, encoder_folder: Path, tmp_path: Path
) -> None:
    none = make(name, encoder_folder, distillation=dataclasses.replace(STUDENTS, share=0.0))
    fitted = fit(none, tmp_path, Budget(10, "steps"))
    assert not (tmp_path / FOLDER).exists()
    assert not set(ROUNDS) & set(fitted.notes)
    assert fitted.steps == 10
    none.check(tmp_path)


@each
def test_a_student_that_is_missing_or_of_other_sizes_is_refused(
    name: str, trained: Train, encoder_folder: Path, tmp_path: Path
) -> None:
    system, folder = make(name, encoder_folder), tmp_path / "copy"
    shutil.copytree(trained(name).folder, folder)
    system.check(folder)
    student = folder / FOLDER / "2.safetensors"
    whole = student.read_bytes()
    student.unlink()
    with pytest.raises(UserError, match="Cannot read"):
        system.check(folder)
    student.write_bytes(whole[:-40])
    with pytest.raises(UserError, match="truncated"):
        system.check(folder)
    tensors = safetensors.load(folder / FOLDER / "4.safetensors")
    safetensors.save(student, dict(list(tensors.items())[1:]))
    with pytest.raises(UserError, match="another configuration: it lacks"):
        system.check(folder)


@each
def test_settings_of_students_that_are_not_there_are_refused_before_anything_is_trained(
    name: str, encoder_folder: Path
) -> None:
    plain = make(name, encoder_folder, distillation=dataclasses.replace(STUDENTS, share=0.0))
    with pytest.raises(UserError, match=r"Nothing was distilled; train with a distillation\.share above 0"):
        plain.check_setting(DistilledSampling(4))
    system = make(name, encoder_folder)
    system.check_setting(DistilledSampling(2))
    with pytest.raises(UserError, match="no student of 8 calls, but of 4, 2, 1"):
        system.check_setting(DistilledSampling(8))


def test_a_guided_teacher_needs_sources_that_were_withheld(encoder_folder: Path) -> None:
    guided = dataclasses.replace(STUDENTS, guidance=1.5)
    without = dataclasses.replace(make("tencdm", encoder_folder).recipe.diffusion, source_dropout=0.0)
    with pytest.raises(UserError, match="guided teacher needs"):
        make("tencdm", encoder_folder, distillation=guided, diffusion=without).check_setting(FEW_LATENT_STEPS)
    make("tencdm", encoder_folder, distillation=guided).check_setting(FEW_LATENT_STEPS)
    key = "tencdm.recipe.distillation.guidance=1.5"
    share = "tencdm.recipe.distillation.share=0.2"
    with pytest.raises(UserError, match="has no effect: the task has no source"):
        make_plan(gather({"task": "story", "system": ["tencdm"]}, [key, share]), "cpu")


@each
def test_a_self_guided_teacher_needs_a_denoiser_that_knows_estimates(name: str, encoder_folder: Path) -> None:
    guided = dataclasses.replace(STUDENTS, self_guidance=1.5)
    make(name, encoder_folder, distillation=guided).check_setting(FEW_LATENT_STEPS)
    diffusion = dataclasses.replace(make(name, encoder_folder).latent_recipe().diffusion, self_conditioning="off")
    recipe = make(name, encoder_folder).recipe
    if hasattr(recipe, "model"):
        changed = {"model": dataclasses.replace(recipe.model, diffusion=diffusion)}
    else:
        changed = {"diffusion": diffusion}
    with pytest.raises(UserError, match="self-guided teacher needs"):
        make(name, encoder_folder, distillation=guided, **changed).check_setting(FEW_LATENT_STEPS)


@pytest.mark.parametrize("kind", ["guidance", "self_guidance"])
def test_what_is_distilled_with_guidance_is_the_guided_model(kind: str, encoder_folder: Path, tmp_path: Path) -> None:
    plain, guided = (dataclasses.replace(STUDENTS, **{kind: weight}) for weight in (1.0, 3.0))
    costs = []
    for number, config in enumerate((plain, guided)):
        system = make("tencdm", encoder_folder, distillation=dataclasses.replace(config, method="progressive"))
        fitted = fit(system, tmp_path / str(number), Budget(20, "steps"))
        costs.append([fitted.notes[stage]["flops"] for stage in ROUNDS])
    one, other = (safetensors.load(tmp_path / n / FOLDER / "4.safetensors") for n in ("0", "1"))
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert costs[1][0] > 1.2 * costs[0][0]  # two calls for one, but for the first estimate by which others guide
    assert costs[1][1:] == costs[0][1:]  # and students have learnt the guided model, which needs one


def test_distillation_is_off_unless_asked_for() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.distillation.share == 0.0, name
    assert make("tencdm", Path(), Limits(0, 14)).recipe.distillation.share > 0  # but in these tests


@each
def test_later_stages_draw_noise_of_their_own_and_have_their_frozen_networks_compiled(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, TrainingStage] = {}
    for module in (training, distillation):
        real = module.train

        def watched(stage: TrainingStage, *given: Any, real: Any = real) -> TrainingResult:
            seen[stage.name] = stage
            return real(stage, *given)

        monkeypatch.setattr(module, "train", watched)
    system = make(name, encoder_folder)
    fit(system, tmp_path, Budget(10, "steps"))
    later = (*ROUNDS, ADAPTATION)
    assert [stage.name for stage in seen.values() if stage.stream] == list(later)
    assert len({seen[stage].stream for stage in later}) == len(later)
    [second] = [stage for stage in list(seen.values())[1:] if not stage.stream]
    for stage in later:
        *others, network = seen[stage].frozen
        assert tuple(others) == second.frozen
        assert isinstance(network, Denoiser) and network is not seen[stage].network and not network.training
    assert seen[ADAPTATION].frozen[-1] is second.network
