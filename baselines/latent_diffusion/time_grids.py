"""Time grids of a checkpoint, chosen on validation documents once its denoiser is trained (`cosmos.diffusion.grids`).

`grids.json` in a checkpoint holds, for every number of calls, the noises sigma/alpha at which to make them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import torch

from baselines.contract import Budget, UserError
from baselines.latent_diffusion.distillation import Clean
from cosmos.config import RELEASE_END_NOISE, DiffusionConfig
from cosmos.diffusion.grids import MOST_CALLS, Products, fine_noises, joined, optimised_grids, products
from cosmos.diffusion.samplers import START_NOISE, Grid, call_grid, noises_between, with_network
from cosmos.diffusion.schedule import make_schedule
from cosmos.io import seals
from cosmos.io.files import make_folder, read_json, write_json
from cosmos.io.typed_json import read_as
from cosmos.models.denoiser import Denoiser
from cosmos.runtime.flops import measure_flops
from cosmos.training.batches import Batch, hashed, row_seeds
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import first_process_first
from cosmos.training.loop import TrainingStage

FILE = "grids.json"
TEXTS, AT_ONCE = 128, 32  # validation documents that are looked at, at most, and together
_AGAIN = "delete its folder and fit it again"

Noises = Mapping[int, tuple[float, ...]]


class StoredGrids(TypedDict):
    """What grids.json says."""

    noises: dict[str, list[float]]
    documents: int


class ChosenGrids(StoredGrids):
    """The same with what choosing cost, as a training keeps it."""

    cost: Cost


def check_calls(share: float, calls: int) -> None:
    """Raise `UserError` where no grid of so many calls is chosen."""
    if share == 0:
        raise UserError("No time grids were chosen; train with a grid_share above 0.")
    if calls > MOST_CALLS:
        raise UserError(f"Grids are chosen for {MOST_CALLS} calls at most, not for {calls}; use another setting.")


def choose(
    stage: TrainingStage, clean: Clean, diffusion: DiffusionConfig, budget: Budget, run: TrainingRun
) -> ChosenGrids:
    """Look at trajectories of the trained denoiser, given the sources of as many validation documents as the budget
    pays for, and choose; what was chosen before a fit was killed is read back.

    Args:
        budget: this stage's own; one in steps pays for training alone, and then it does not limit anything here.

    Raises:
        UserError: no validation documents, a budget too small for the first of them, or what was chosen before has
            been changed since.
    """
    path = run.workdir / FILE
    with first_process_first(run.device):
        if not path.exists():
            if stage.validation is None or len(stage.validation) == 0:
                raise UserError("Time grids are chosen on validation documents; give some, or set grid_share=0.")
            make_folder(run.workdir)
            seals.write_sealed(path, _chosen(stage, clean, diffusion, budget, run))
    remedy = "delete it, and run again"
    return read_as(ChosenGrids, seals.read_sealed(path, remedy), str(path), remedy)


def unspent(budget: Budget, cost: Cost) -> float:
    """What choosing has left of its budget; nothing of one in steps, which sets nothing aside for it."""
    spent = {"steps": budget.amount, "seconds": cost.seconds, "flops": cost.flops}[budget.unit]
    return max(0.0, budget.amount - spent)


def _chosen(
    stage: TrainingStage, clean: Clean, diffusion: DiffusionConfig, budget: Budget, run: TrainingRun
) -> Mapping[str, object]:
    count = min(TEXTS, len(stage.validation or ()))
    found: list[Products] = []
    costs: list[Cost] = []
    for start in range(0, count, AT_ONCE):
        spent = Cost.total(costs)
        if costs and not _affords(budget, Cost.total([spent, max(costs, key=lambda cost: cost.flops)])):
            break
        began = time.perf_counter()
        flops = measure_flops(
            lambda start=start: found.append(
                _looked_at(stage, clean, diffusion, start, min(count, start + AT_ONCE), run)
            )
        )
        costs.append(Cost(time.perf_counter() - began, flops))
    cost = Cost.total(costs)
    budget.after(costs[0], "Choosing time grids on the first validation documents")
    whole = joined(found)
    chosen = optimised_grids(whole, make_schedule(diffusion.schedule))
    noises = {str(calls): list(values) for calls, values in chosen.items()}
    return {"noises": noises, "cost": {"seconds": cost.seconds, "flops": cost.flops}, "documents": whole.count}


def _affords(budget: Budget, cost: Cost) -> bool:
    return {"steps": 0.0, "seconds": cost.seconds, "flops": cost.flops}[budget.unit] < budget.amount


@torch.no_grad()
def _looked_at(
    stage: TrainingStage, clean: Clean, diffusion: DiffusionConfig, start: int, stop: int, run: TrainingRun
) -> Products:
    denoiser, data = stage.network.eval(), stage.validation
    assert isinstance(denoiser, Denoiser) and data is not None
    device = next(denoiser.parameters()).device
    batch = Batch(data.batch(torch.arange(start, stop))).to(device)
    _, source = clean(batch if stage.prepare is None else stage.prepare(batch))
    condition = None if source is None else denoiser.encode_condition(source)
    denoise = with_network(denoiser, condition, self_conditioned=diffusion.self_conditioned)
    noise = row_seeds(hashed(run.seed, "grids"), start, stop, device)
    x = noise.normal(denoiser.config.latents, denoiser.config.latent_width)
    return products(denoise, x, call_grid(make_schedule(diffusion.schedule), fine_noises()))


def save(folder: Path, chosen: StoredGrids) -> None:
    write_json(folder / FILE, {name: chosen[name] for name in StoredGrids.__annotations__})


def load(folder: Path) -> Noises:
    """The noises of every grid by its number of calls.

    Raises:
        UserError: missing, damaged, or no grids at all.
    """
    path = folder / FILE
    stored = read_as(StoredGrids, read_json(path), str(path), _AGAIN)
    noises = {int(calls): tuple(values) for calls, values in stored["noises"].items() if calls.isdecimal()}
    for calls, values in noises.items():
        falling = sorted(values, reverse=True)
        if len(values) != calls or list(values) != falling or not values or not 0 < values[-1] <= values[0] < 1e6:
            raise UserError(f"{path} is damaged: a grid of {calls} calls needs as many falling noises; {_AGAIN}.")
    return noises


def grid_of(noises: Noises | None, diffusion: DiffusionConfig, calls: int) -> Grid:
    """The grid of so many calls; without any that were chosen, as for random weights, one that is even in log-SNR.

    Raises:
        UserError: none of so many calls was chosen.
    """
    chosen = noises_between(START_NOISE, RELEASE_END_NOISE, calls) if noises is None else noises.get(calls)
    if chosen is None:
        raise UserError(f"The checkpoint has no time grid of {calls} calls; use another setting.")
    return call_grid(make_schedule(diffusion.schedule), chosen)
