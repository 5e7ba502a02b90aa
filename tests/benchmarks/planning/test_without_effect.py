"""Keys and settings without an effect are refused, with the one that works where there is one."""

from __future__ import annotations

from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.plan import make
from benchmarks.planning.run_config import gather


@pytest.mark.parametrize(
    ("flags", "changes", "said"),
    [
        ({"system": ["cosmos"], "setting": ["guided-20"]}, [], "trained with some of its sources withheld"),
        ({"system": ["tencdm"], "setting": ["euler-guided-50"]}, [], "trained with some of its sources withheld"),
        (
            {"task": "story", "system": ["cosmos"], "preset": "small", "setting": ["guided-20"]},
            [],
            "towards a source, and this task has none",
        ),
        ({"system": ["diffuseq"]}, ["diffuseq.setting.guidance=2"], "'diffuseq' has no guidance"),
        (
            {"system": ["diffuseq"]},
            ["diffuseq.setting.grid=time"],
            "where this solver is not defined; set grid=log_snr",
        ),
        ({"system": ["diffuseq"]}, ["diffuseq.setting.end_noise=0.01"], "least noise is 0.1"),
        ({"system": ["sedd"], "setting": ["euler-32"]}, [], "an Euler step is the analytic one"),
        ({"system": ["sedd"]}, ["sedd.recipe.trunk.time_width=0"], "'sedd' needs a trunk with a time input"),
        ({"system": ["mdlm"]}, ["mdlm.recipe.trunk.time_width=8"], "'mdlm' needs a trunk without a time input"),
    ],
)
def test_what_a_system_has_nothing_for_is_refused(flags: dict[str, Any], changes: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make(gather({"task": "detox", **flags}, changes), "cpu")


@pytest.mark.parametrize(
    ("system", "changes", "said"),
    [
        ("cosmos", ["model.denoiser.latents=8"], "the autoencoder's; set cosmos.recipe.model.autoencoder.latents."),
        ("cosmos", ["model.corruption.drop_share=0", "model.corruption.drop_rate=0.2"],
         "no text is corrupted so; set cosmos.recipe.model.corruption.drop_share above 0."),
        ("cosmos", ["model.diffusion.schedule.name=linear", "model.diffusion.schedule.d=3"], "schedule.name=tan"),
        ("cosmos", ["model.diffusion.self_conditioning=off", "model.diffusion.self_condition_share=0.1"],
         "there is no self-conditioning"),
        ("cosmos", ["budget=10steps", "encoding_share=0.1"], "a budget in steps pays for no encoding"),
        ("cosmos", ["model.autoencoder.latent_width=128", "start_linear=true"], "no room for a linear start"),
        ("cosmos-full", ["model.autoencoder.latents=8"], "set cosmos-full.recipe.full=false."),
        ("cosmos-joint", ["model.joint.adaptive_times=false", "model.joint.time_bins=9"],
         "times are not adapted; set cosmos-joint.recipe.model.joint.adaptive_times=true."),
        ("cosmos-joint", ["model.denoiser.latents=8"], "set cosmos-joint.recipe.model.autoencoder.latents."),
        ("ld4lg", ["autoencoder.vocabulary=9"], "that of the training texts"),
        ("tencdm", ["denoiser.latent_width=9"], "set tencdm.recipe.text_encoder."),
        ("tencdm", ["distillation.share=0", "distillation.further_methods=moments"],
         "nothing is distilled; set tencdm.recipe.distillation.share above 0."),
        ("cosmos", ["distillation.share=0.2", "distillation.moments_rate=2"],
         "no method matches moments; set cosmos.recipe.distillation.method=moments."),
        ("tencdm", ["distillation.share=0.2", "distillation.method=moments", "distillation.training.keep=best"],
         "the last weights are kept; set tencdm.recipe.distillation.method=progressive."),
        ("mdlm", ["training.warmup_steps=5", "training.warmup_share=0.1"], "mdlm.recipe.training.warmup_steps"),
        ("mdlm", ["training.validations=0", "training.keep=best"], "set mdlm.recipe.training.validations above 0."),
        ("duo", ["distillation.share=0", "distillation.training.eps=1e-3"], "duo.recipe.distillation.share above 0."),
        ("duo", ["curriculum_share=0", "temperature=0.1"], "set duo.recipe.curriculum_share above 0."),
        ("gpt2", ["pretrained=mine", "width=192"], "sizes are those of the pretrained mine"),
    ],
)  # fmt: skip
def test_a_key_that_has_no_effect_is_refused_with_the_one_that_works(
    system: str, changes: list[str], said: str
) -> None:
    words = [f"{system}.recipe.{change}" for change in changes]
    with pytest.raises(UserError, match=f"{words[-1].partition('=')[0]} has no effect: .*{said}"):
        make(gather({"task": "detox", "system": [system]}, words), "cpu")
    if len(words) > 1:  # each by itself is fine
        assert make(gather({"task": "detox", "system": [system]}, words[:1]), "cpu").cells


@pytest.mark.parametrize("key", ["method", "further_methods"])
def test_the_rate_of_matching_moments_counts_wherever_they_are_matched(key: str) -> None:
    words = [f"ld4lg.recipe.distillation.{word}" for word in ("share=0.2", f"{key}=moments", "moments_rate=2")]
    [cell, *_] = make(gather({"task": "detox", "system": ["ld4lg"]}, words), "cpu").cells
    assert cell.contestant.recipe.distillation.moments_rate == 2.0


def test_a_key_changes_the_settings_in_which_it_has_an_effect(toys: None) -> None:
    def made(*words: str, **flags: list[str]) -> dict[str, Any]:
        plan = make(gather({"task": "detox", "system": ["gpt2"], **flags}, [f"gpt2.{word}" for word in words]), "cpu")
        return {p.cell.setting: p.setting for p in plan.cells if p.cell.system == "gpt2"}

    assert {name: s.temperature for name, s in made("setting.temperature=0.5").items()} == {
        "greedy": 1.0, "sample": 0.5, "nucleus-0.9": 0.5,
    }  # fmt: skip
    with pytest.raises(UserError, match=r"settings.greedy.top_p has no effect: .*gpt2.settings.greedy.greedy=false"):
        made("settings.greedy.top_p=0.5")
    with pytest.raises(UserError, match=r"gpt2.setting.top_p has no effect: .* set gpt2.setting.greedy=false"):
        made("setting.greedy=true", "setting.top_p=0.5")
    assert made("settings.nucleus-0.9.top_p=0.5")["nucleus-0.9"].top_p == 0.5
    assert made("settings.greedy.top_p=0.5", "settings.greedy.greedy=false")["greedy"].top_p == 0.5


def test_steps_are_said_once_and_decide_what_has_an_effect() -> None:
    def made(*words: str, steps: str) -> list[Any]:
        flags = {"task": "detox", "system": ["duo"], "setting": ["greedy_tail-4"], "steps": [steps]}
        plan = make(gather(flags, [f"duo.setting.{word}" for word in words]), "cpu")
        return [p.setting for p in plan.cells if p.cell.system == "duo"]

    assert [setting.top_p for setting in made("top_p=0.5", steps="1,2")] == [0.5, 0.5]
    with pytest.raises(UserError, match="the only step takes the most probable tokens"):
        made("top_p=0.5", steps="1")
    with pytest.raises(UserError, match=r"duo\.setting\.steps has no effect: --steps says how many"):
        made("steps=3", steps="1,2")


def test_a_key_that_has_no_effect_is_not_suggested() -> None:
    with pytest.raises(UserError) as caught:
        make(gather({"task": "detox", "system": ["cosmos"]}, ["cosmos.recipe.model.denoiser=3"]), "cpu")
    assert "cosmos.recipe.model.denoiser.heads" in str(caught.value)
    assert "denoiser.latent_width" not in str(caught.value)
    with pytest.raises(UserError) as caught:
        make(gather({"task": "detox", "system": ["cosmos"]}, ["cosmos.recipe.model.denoiser.latent_widht=3"]), "cpu")
    assert "denoiser.latent_width" not in str(caught.value)
