"""What a later stage would refuse, and is known before, is refused before the first stage is trained."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from baselines.contract import Budget, TrainingResult, UserError
from baselines.latent_diffusion import training
from cosmos.training.budget import Cost
from cosmos.training.distributed import ASKED, Processes

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import BUDGET, STUDENTS, TRAINING, TWO_STAGES, few, fit, make

FLOPS = Budget(3e8, "flops")
ALONE = dataclasses.replace(TRAINING, batch_size=1)


def trained_in(folder: Path) -> set[str]:
    """What trainings have begun."""
    return {path.name for path in (folder / "training").glob("*.jsonl")}


@pytest.mark.parametrize("name", few(["cosmos", "ld4lg"]))
@pytest.mark.parametrize(("budget", "share"), [(FLOPS, 1 - 1e-3), (Budget(20, "seconds"), 1 - 1e-9)])
def test_latents_that_the_second_stage_cannot_pay_for(
    name: str, budget: Budget, share: float, encoder_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"Computing the latents costs .* uses up the budget"):
        fit(make(name, encoder_folder, **TWO_STAGES, **first_share(name, share)), tmp_path, budget)
    assert trained_in(tmp_path) == set()


def first_share(name: str, share: float) -> dict[str, float]:
    return {"autoencoder_share" if name == "cosmos" else "decoder_share": share}


class EnoughError(Exception):
    """All has been seen."""


@pytest.mark.parametrize("name", few(["cosmos", "ld4lg"]))
@pytest.mark.parametrize("places", [{}, {"states": "loop"}, {"states": "loop", "clean_latents": "stored"}])
def test_latents_cost_the_flops_that_were_told_before(
    name: str, places: dict[str, str], encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the weights are, so nothing is trained here."""
    told: list[float] = []
    system: Any = make(name, encoder_folder, **TWO_STAGES, **places)
    price, paid = system.price_of_preparing, system.second_stage

    def first(*given: Any) -> Cost:
        told.append(price(*given).flops)
        return Cost()

    def second(*given: Any) -> Any:
        told.append(paid(*given)[1].flops)
        raise EnoughError

    system.price_of_preparing, system.second_stage = first, second
    monkeypatch.setattr(training, "train", lambda *_: TrainingResult(0, 0.0, 0.0, None, {}))
    with pytest.raises(EnoughError):
        fit(system, tmp_path, FLOPS)
    assert told[0] == told[1] > 0


@pytest.mark.parametrize(
    ("name", "changes", "stage"),
    [
        ("cosmos", {"diffusion_training": ALONE}, "diffusion"),
        ("cosmos", {"distillation": dataclasses.replace(STUDENTS, training=ALONE)}, "distillation"),
        ("tencdm", {"denoiser_training": ALONE}, "denoiser"),
    ],
)
def test_processes_that_cannot_share_the_batches_of_a_later_stage(
    name: str,
    changes: dict[str, Any],
    stage: str,
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "find_processes", two_processes)
    with pytest.raises(UserError, match=f"2 processes cannot share a batch of 1 in the training '{stage}'"):
        fit(make(name, encoder_folder, **changes), tmp_path, BUDGET)
    assert trained_in(tmp_path) == set()


def test_processes_that_would_hold_a_denoiser_together_and_call_it_unequally_often(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "find_processes", two_processes)
    monkeypatch.setenv(ASKED, "true")
    unequal = dataclasses.replace(TRAINING, batch_size=3, micro_batch_size=1)
    with pytest.raises(UserError, match="2 processes that hold a network together cannot work on 3 rows, 1 at a time"):
        fit(make("cosmos", encoder_folder, diffusion_training=unequal), tmp_path, BUDGET)
    assert trained_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("method", "further", "sizes"),
    [
        ("moments", (), [2]),
        ("progressive", ("moments",), [2, 1]),
        ("consistency", (), [1]),
    ],
)
def test_a_student_and_its_auxiliary_network_are_held_together(
    method: Any, further: Any, sizes: list[int], encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are twice as large as the denoiser, so processes may have to share them alone."""
    checked = list[tuple[str, int]]()

    def check(name: str, network: torch.nn.Module, *_: Any) -> None:
        checked.append((name, sum(parameter.numel() for parameter in network.parameters())))
        if name != "diffusion" and len([said for said, _ in checked if said == "distillation"]) == len(sizes):
            raise EnoughError

    monkeypatch.setattr(training, "check_shares", check)
    students = dataclasses.replace(STUDENTS, method=method, further_methods=further)
    with pytest.raises(EnoughError):
        fit(make("cosmos", encoder_folder, distillation=students), tmp_path, BUDGET)
    [(_, alone), *rounds] = checked
    assert rounds == [("distillation", size * alone) for size in sizes] and trained_in(tmp_path) == set()


def test_so_with_duo(encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.token_diffusion.duo.find_processes", two_processes)
    system: Any = make("duo", encoder_folder)
    distillation = dataclasses.replace(system.recipe.distillation, training=ALONE)
    with pytest.raises(UserError, match="2 processes cannot share a batch of 1 in the training 'duo-distillation_1'"):
        fit(make("duo", encoder_folder, distillation=distillation), tmp_path, BUDGET)
    assert trained_in(tmp_path) == set()


def two_processes(_: str) -> Processes:
    accelerator: Any = SimpleNamespace(num_processes=2, process_index=0)
    return Processes(accelerator, torch.device("cpu"))
