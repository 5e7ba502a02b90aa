"""Time grids of a checkpoint: what choosing them costs and is paid from, which setting uses them, what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from baselines.contract import Budget, UserError
from baselines.latent_diffusion import distillation, time_grids, training
from baselines.latent_diffusion.settings import LatentSamplingSetting, OptimisedSampling
from cosmos.diffusion import samplers
from cosmos.diffusion.grids import MOST_CALLS, NODES
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import (
    ADAPTATION_SHARE,
    CORPUS,
    FEW_LATENT_STEPS,
    REQUESTS,
    ROUNDS,
    STUDENTS,
    TWO_STAGES,
    Trained,
    count_calls,
    few,
    fit,
    make,
)

Train = Callable[[str], Trained]
each = pytest.mark.parametrize("name", few(("cosmos", "tencdm", "ld4lg")))


@each
def test_a_checkpoint_holds_a_grid_for_every_number_of_calls(name: str, trained: Train) -> None:
    noises = time_grids.load(trained(name).folder)
    assert sorted(noises) == list(range(1, MOST_CALLS + 1))
    stored = json.loads((trained(name).folder / "grids.json").read_text())
    assert stored["documents"] == len(CORPUS.validation)
    assert "cost" not in stored  # which a clock decides
    noted = json.loads((trained(name).folder / "fit.json").read_text())["fitted"]["notes"]
    assert noted["grid_flops"] > 0 and noted["grid_seconds"] > 0


@each
@pytest.mark.parametrize("solver", ["dpmpp_2m", "dpmpp_2m_sde"])
def test_a_setting_calls_the_denoiser_at_the_times_of_its_grid(
    name: str, solver: str, trained: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, folder = trained(name)
    solve, grids = samplers.solve, []
    monkeypatch.setattr(samplers, "solve", lambda *given: grids.append(given[3]) or solve(*given))
    assert count_calls(system, OptimisedSampling(solver, 5)) == 5
    ratios = [sigma / alpha for sigma, alpha in zip(grids[0].sigma, grids[0].alpha, strict=True)]
    assert ratios == pytest.approx([*time_grids.load(folder)[5], 0.0])


def test_choosing_is_paid_from_its_share(encoder_folder: Path, tmp_path: Path) -> None:
    alone = {**TWO_STAGES}
    spent = {}
    for share in (0.0, 0.35):
        system = make("cosmos", encoder_folder, **alone | {"grid_share": share})
        fitted = fit(system, tmp_path / str(share), Budget(6e8, "flops"))
        stages = {stage: fitted.notes[stage]["flops"] for stage in ("autoencoder", "diffusion")}
        paid = fitted.notes["encoding_flops"] + fitted.notes["grid_flops"]
        assert fitted.flops == pytest.approx(sum(stages.values()) + paid)
        spent[share] = (sum(stages.values()) + fitted.notes["encoding_flops"], fitted.notes["grid_flops"])
    assert spent[0.0][1] == 0.0
    assert spent[0.35][0] == pytest.approx(0.65 * spent[0.0][0], rel=0.15)
    assert 0 < spent[0.35][1] < 0.35 * 6e8


@each
@pytest.mark.parametrize(("budget", "share"), [(Budget(6e8, "flops"), 1e-4), (Budget(50, "seconds"), 1e-7)])
def test_a_share_too_small_is_refused_before_anything_is_trained(
    name: str, budget: Budget, share: float, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "train", lambda stage, *_: pytest.fail(f"{stage.name} was trained"))
    leaves = rf"^A grid_share of {share:g} leaves .* {budget.unit} for choosing time grids, which takes .* at least; "
    with pytest.raises(UserError, match=leaves + r"set it to 0\.\d+ or more, or to 0, or give a larger budget\.$"):
        fit(make(name, encoder_folder, **TWO_STAGES | {"grid_share": share}), tmp_path, budget)


def test_a_share_that_was_enough_stays_so_when_the_machine_is_slower_afterwards(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused one is not held against the next attempt."""
    prices, begun = [Cost(40.0, 1.0), Cost(4.0, 1.0), Cost(40.0, 1.0)], list[str]()
    monkeypatch.setattr(time_grids, "_price", lambda *_: prices.pop(0))

    def stop(stage: Any, *_: Any) -> None:
        begun.append(stage.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stop)
    for ending in (UserError, KeyboardInterrupt, KeyboardInterrupt):
        with pytest.raises(ending):
            fit(make("cosmos", encoder_folder, **TWO_STAGES | {"grid_share": 0.5}), tmp_path, Budget(100, "seconds"))
    assert len(begun) == 2 and len(prices) == 1


@pytest.mark.slow
@each
def test_a_share_that_pays_for_one_text_is_enough(name: str, encoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set it to 0") as raised:
        fit(make(name, encoder_folder, **TWO_STAGES | {"grid_share": 1e-4}), tmp_path / "small", Budget(2e9, "flops"))
    needed = float(str(raised.value).split("set it to ")[1].split()[0])
    system = make(name, encoder_folder, **TWO_STAGES | {"grid_share": needed})
    fitted = fit(system, tmp_path / "enough", Budget(2e9, "flops"))
    assert fitted.notes["grid_flops"] > 0
    assert 1 <= json.loads((tmp_path / "enough" / "grids.json").read_text())["documents"] <= len(CORPUS.validation)


@pytest.mark.slow
def test_more_documents_are_looked_at_where_the_share_pays_for_them(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_grids, "AT_ONCE", 1)
    many = dataclasses.replace(CORPUS, validation=CORPUS.validation * 5)
    seen = []
    for share in (0.1, 0.35):
        alone = {**TWO_STAGES, "grid_share": share}
        fitted = fit(make("cosmos", encoder_folder, **alone), tmp_path / str(share), Budget(6e8, "flops"), corpus=many)
        seen.append(json.loads((tmp_path / str(share) / "grids.json").read_text())["documents"])
        assert fitted.notes["grid_flops"] <= share * 6e8
    assert 1 <= seen[0] < seen[1] <= 20


def test_without_validation_documents_or_without_a_share_none_are_chosen(encoder_folder: Path, tmp_path: Path) -> None:
    unseen = dataclasses.replace(CORPUS, validation=[])
    with pytest.raises(UserError, match="chosen on validation documents"):
        fit(make("cosmos", encoder_folder), tmp_path / "unseen", Budget(8, "steps"), corpus=unseen)
    plain = make("cosmos", encoder_folder, grid_share=0.0)
    with pytest.raises(UserError, match="No time grids were chosen; train with a grid_share above 0"):
        plain.check_setting(OptimisedSampling("dpmpp_2m", 8))
    system = make("cosmos", encoder_folder)
    system.check_setting(OptimisedSampling("dpmpp_2m", MOST_CALLS))
    with pytest.raises(UserError, match="for 32 calls at most, not for 33"):
        system.check_setting(OptimisedSampling("dpmpp_2m", MOST_CALLS + 1))
    with pytest.raises(UserError, match="heun has no last step"):
        OptimisedSampling("heun", 8)
    with pytest.raises(UserError, match="leave nothing of the budget"):
        make("cosmos", encoder_folder, grid_share=0.8)  # which distillation leaves nothing of
    assert MOST_CALLS <= NODES


@pytest.mark.parametrize("content", [None, "{", '{"noises": {"2": [5.0, 9.0]}, "documents": 3}', '{"noises": 7}'])
def test_grids_that_are_missing_or_damaged_are_refused(
    content: str | None, trained: Train, encoder_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained("tencdm").folder, folder)
    (folder / "grids.json").unlink()
    if content is not None:
        (folder / "grids.json").write_text(content)
    with pytest.raises(UserError, match=r"grids\.json") as caught:
        make("tencdm", encoder_folder).check(folder)
    assert "\n" not in str(caught.value)


@each
def test_estimates_are_withheld_where_a_setting_says_so(name: str, trained: Train, encoder_folder: Path) -> None:
    system, _ = trained(name)
    given: list[bool] = []

    def noted(_: object, inputs: tuple[Any, ...]) -> None:
        given.append(inputs[2] is not None and bool(inputs[2].any()))

    hook = system.model.denoiser.register_forward_pre_hook(noted)
    for setting, wanted in (
        (FEW_LATENT_STEPS, [False, True, True, True]),
        (dataclasses.replace(FEW_LATENT_STEPS, self_conditioned=False), [False] * 4),
    ):
        given.clear()
        system.generate(REQUESTS[:1], setting)
        assert given == wanted
    hook.remove()
    without = LatentSamplingSetting("dpmpp_2m", 3, "log_snr", final_x0=True, self_conditioned=False, self_guidance=2.0)
    with pytest.raises(UserError, match="Self-guidance needs"):
        system.check_setting(without)


def test_what_was_chosen_before_is_read_back_unless_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"noises": {"1": [5.0]}, "documents": 3, "cost": {"seconds": 1.0, "flops": 2.0}}
    monkeypatch.setattr(time_grids, "_chosen", lambda *_: chosen)
    run = TrainingRun(tmp_path, 0, "cpu")
    of: Any = (SimpleNamespace(validation=[0]), None, None, Budget(8.0, "flops"), run, Cost())
    assert time_grids.choose(*of)["cost"] == Cost(1.0, 2.0)
    monkeypatch.setattr(time_grids, "_chosen", lambda *_: pytest.fail("chosen again"))
    assert time_grids.choose(*of)["noises"] == {"1": [5.0]}
    path = tmp_path / "grids.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"noises": {"1": [6.0]}}))
    with pytest.raises(UserError, match="was changed after it was written; delete it, and run again"):
        time_grids.choose(*of)
    path.write_text(json.dumps(chosen))
    with pytest.raises(UserError, match="has lost its seal"):
        time_grids.choose(*of)


def test_what_grids_leave_of_their_share_goes_to_the_stages_after_them(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, float] = {}
    for module in (training, distillation):
        real = module.train

        def watched(stage: Any, config: Any, budget: Budget, run: Any, real: Any = real) -> Any:
            given[stage.name] = budget.amount
            return real(stage, config, Budget(2, "steps"), run)  # so much is enough to see what each was given

        monkeypatch.setattr(module, "train", watched)
    choose = time_grids.choose

    def choosing(*of: Any) -> Any:
        given["grids"] = of[3].amount
        return choose(*of)

    monkeypatch.setattr(time_grids, "choose", choosing)
    fitted = fit(make("cosmos", encoder_folder, grid_share=0.3), tmp_path, Budget(3e9, "flops"))
    left, unspent = given["grids"] / 0.3, given["grids"] - fitted.notes["grid_flops"]
    assert unspent > 0.01 * left
    rounds = [given[name] for name in ROUNDS]
    share, others = STUDENTS.share, ADAPTATION_SHARE
    assert sum(rounds) == pytest.approx(share * left + unspent * share / (share + others))
    assert given["adaptation"] == pytest.approx(others * left + unspent * others / (share + others))
    assert time_grids.unspent(Budget(2.0, "seconds"), Cost(0.5, 9.0)) == 1.5
    assert time_grids.unspent(Budget(2.0, "seconds"), Cost(2.5, 9.0)) == 0.0  # the last of them took longer
    assert time_grids.unspent(Budget(2.0, "steps"), Cost(0.5, 9.0)) == 0.0  # for which nothing is set aside
