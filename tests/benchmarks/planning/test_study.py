"""A study is a run of contestants whose names say their sizes."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.cli import run as run_verb
from benchmarks.cli import study as study_verb
from benchmarks.cli.flags import BenchmarksParser, parse
from benchmarks.planning import plan, plan_file, study
from benchmarks.planning.run_config import Choices, gather

NAMES = ("cosmos-8x32", "cosmos-fullx32", "cosmos-8x64", "cosmos-fullx64")


def chosen(*words: str, **flags: Any) -> Choices:
    return study.choose(gather({"task": "detox", **flags}, words), NAMES)


def test_every_combination_is_a_contestant() -> None:
    assert study.contestants("8,full", "32,64") == NAMES
    assert study.contestants(" 8, 16 ,8,full") == ("cosmos-8", "cosmos-16", "cosmos-full")
    assert study.contestants("08") == ("cosmos-8",)


@pytest.mark.parametrize(("latents", "widths", "said"), [
    ("8,x", None, "each of --latents must be a whole number, not 'x'"),
    ("8,0", None, "--latents must lie between 1 and 65536, not at 0"),
    ("8", "full", "each of --latent-width must be a whole number, not 'full'"),
    ("8", "-4", "--latent-width must lie between 1 and 65536, not at -4"),
    ("8", "70000", "--latent-width must lie between 1 and 65536"),
    (",", None, "--latents names no number"),
])  # fmt: skip
def test_what_is_no_size_is_refused(latents: str, widths: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        study.contestants(latents, widths)


def test_a_study_is_a_run_with_one_plan() -> None:
    choices = chosen("budget=5steps", "cosmos.recipe.autoencoder_share=0.4", "cosmos-8x64.recipe.autoencoder_share=0.3")
    made = plan.make(choices, "cpu")
    trained = {p.cell.system: p.contestant for p in made.cells if p.contestant.system.trained}
    assert tuple(trained) == NAMES
    assert {c.method for c in trained.values()} == {"cosmos"}
    shares = {name: contestant.recipe.autoencoder_share for name, contestant in trained.items()}
    assert shares == {**dict.fromkeys(NAMES, 0.4), "cosmos-8x64": 0.3}
    assert {c.recipe.model.autoencoder.latent_width for c in trained.values()} == {32, 64}
    assert len({p.cell.checkpoint_id for p in made.cells if p.contestant.system.trained}) == len(NAMES)
    assert str(made.folder) == "runs/detox-world-nano-study"
    # The command that is kept makes the same cells again, and so does that of each.
    command = plan_file.describe(made)["commands"][0]
    assert command.startswith("python -m benchmarks run --task detox --system cosmos-8x32,cosmos-fullx32,")
    [cell] = [p.cell for p in made.cells if (p.cell.system, p.cell.setting) == ("cosmos-8x64", "dpmpp_2m-20")]
    words = plan_file.command_of_cell(made, cell).split()
    assert "cosmos-8x64.recipe.autoencoder_share=0.3" in words
    assert not [word for word in words if word.startswith("cosmos-8x32.")]


def test_identity_is_that_of_the_same_contestant_in_any_run() -> None:
    in_study = {
        p.cell.system: p.cell.checkpoint_id for p in plan.make(chosen("cosmos.recipe.start_linear=true"), "cpu").cells
    }
    alone = plan.make(gather({"task": "detox", "system": ["cosmos-8x64"]}), "cpu").cells[0].cell
    assert in_study["cosmos-8x64"] == alone.checkpoint_id


def test_settings_and_rivals_come_along() -> None:
    choices = chosen("cosmos.setting.steps=7", system=["tencdm"], setting=["cosmos:dpmpp_2m-20", "tencdm:euler-50"])
    cells = plan.make(choices, "cpu").cells
    settings = {(p.cell.system, p.cell.setting) for p in cells if p.contestant.system.trained}
    assert settings == {*((name, "dpmpp_2m-7") for name in NAMES), ("tencdm", "euler-50")}


def test_cosmos_beside_its_sizes_keeps_its_own_keys() -> None:
    choices = chosen("cosmos.recipe.autoencoder_share=0.4", system=["cosmos"])
    shares = {p.cell.system: p.cell.recipe.get("autoencoder_share") for p in plan.make(choices, "cpu").cells}
    assert shares["cosmos"] == 0.4 and shares["cosmos-8x32"] == pytest.approx(1 / 3)
    said = " ".join((study_verb.__doc__ or "").split())
    assert "meant for each of them, unless `--system` names `cosmos` itself: then they are its own" in said


@pytest.mark.parametrize(("key", "flag"), [
    ("cosmos.recipe.model.autoencoder.latents", "--latents"),
    ("cosmos-8x32.recipe.full", "--latents"),
    ("cosmos.recipe.model.denoiser.latent_width", "--latent-width"),
])  # fmt: skip
def test_keys_that_flags_say_are_refused(key: str, flag: str) -> None:
    with pytest.raises(UserError, match=f"A study takes no --set {key}: {flag} says which"):
        chosen(f"{key}=3")


def test_more_latents_than_positions_are_refused_before_anything_is_loaded() -> None:
    choices = study.choose(gather({"task": "detox"}), study.contestants("8,41"))
    with pytest.raises(UserError, match="41 latents of 'cosmos-41' are more than the 40 positions"):
        plan.make(choices, "cpu")


def test_the_verb_carries_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(run_verb, "carry_out", lambda *given, **more: seen.append((given, more)) or 0)
    parser = BenchmarksParser("study", study_verb.__doc__ or "")
    study_verb.add_arguments(parser)
    words = ["--task", "story", "--latents", "8,full", "--latent-width", "32", "--seeds", "2", "--fresh"]
    arguments: argparse.Namespace = parse(parser, words)
    assert study_verb.main(arguments) == 0
    [((choices, stages, given), more)] = seen
    assert choices.system == ("cosmos-8x32", "cosmos-fullx32") and choices.seeds == 2
    assert stages == ("fit", "generate", "score") and more == {}
    assert (given.fresh, given.track, given.engine) == (True, None, "local")
    with pytest.raises(UserError, match="The following arguments are required: --latents"):
        parse(parser, ["--task", "story"])
