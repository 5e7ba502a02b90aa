"""Time grids of a checkpoint, chosen on validation documents once its denoiser is trained (`cosmos.diffusion.grids`).

`grids.json` in a checkpoint holds, for every number of calls, the noises sigma/alpha at which to make them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from baselines.contract import Budget, UserError
from baselines.latent_diffusion.distillation import Clean
from cosmos.config import RELEASE_END_NOISE, DiffusionConfig
from cosmos.data.encoding import EncodedTexts
from cosmos.diffusion.grids import MOST_CALLS, Products, fine_noises, joined, optimised_grids, products
from cosmos.diffusion.samplers import START_NOISE, Grid, call_grid, inputs_of_times, noises_between, with_network
from cosmos.diffusion.schedule import make_schedule
from cosmos.io import seals
from cosmos.io.files import make_folder, read_json, write_json
from cosmos.io.typed_json import read_as
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.flops import measure_flops
from cosmos.training.batches import Batch, hashed, row_seeds
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import first_process_first
from cosmos.training.loop import TrainingStage

FILE = "grids.json"
PRICE = "grid_price.json"  # what `price_of_text` was, beside what a training leaves
REMEDY = "delete it, and run again"
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


def price_of_text(
    denoiser: Denoiser,
    validation: EncodedTexts | None,
    diffusion: DiffusionConfig,
    left: Budget,
    share: float,
    run: TrainingRun,
) -> Cost:
    """What it costs to follow one text through a trajectory, whatever the weights are, before anything is trained: what
    it did the first time, however often resumed, so that nothing is refused once a share was enough.

    Args:
        validation: whose longest source is taken for that of the text.
        left: what all trainings have together, of which choosing grids has a share.

    Returns:
        The cost; none where the budget is in steps, which pays for training alone.

    Raises:
        UserError: there are no validation documents, or the share does not pay for looking at a single one.
    """
    if validation is None or len(validation.targets) == 0:
        raise UserError(
            "Time grids are chosen on validation documents, of which none are given or encoding_share pays for none; "
            "give some, raise it, or set grid_share=0."
        )
    if left.unit == "steps":
        return Cost()
    path = run.workdir / PRICE
    with first_process_first(run.device):
        if not path.exists():
            # The first call of a process takes longer; of FLOPs it has no more than others.
            price = _price(denoiser, validation, diffusion, 2 if left.unit == "seconds" else 1)
            _check_share(price, left, share)
            make_folder(run.workdir)
            seals.write_sealed(path, asdict(price))
    return read_as(Cost, seals.read_sealed(path, REMEDY), str(path), REMEDY)


def _price(denoiser: Denoiser, validation: EncodedTexts, diffusion: DiffusionConfig, times: int) -> Cost:
    device = next(denoiser.parameters()).device
    source = None
    if validation.sources is not None and denoiser.config.source_width is not None:
        length = int(validation.sources.lengths.max())
        states = torch.zeros(1, length, denoiser.config.source_width, device=device)
        source = SourceStates(states, torch.ones(1, length, dtype=torch.bool, device=device))
    x = torch.zeros(1, denoiser.config.latents, denoiser.config.latent_width, device=device)
    costs = []
    for _ in range(times):
        began = time.perf_counter()
        flops = measure_flops(lambda: _followed(denoiser, diffusion, source, x))
        costs.append(Cost(time.perf_counter() - began, flops))
    return min(costs, key=lambda cost: cost.seconds)


def _check_share(price: Cost, left: Budget, share: float) -> None:
    """Raise `UserError` where a share does not pay for the price and for one text."""
    least = 2 * _paid(left, price)  # once now and once then
    if least > left.amount * share:
        needed = math.ceil(100 * least / left.amount) / 100
        larger = f"set it to {needed:g} or more, or to 0, or give" if needed < 1 else "set it to 0, or give"
        raise UserError(
            f"A grid_share of {share:g} leaves {left.amount * share:.3g} {left.unit} for choosing time grids, which "
            f"takes {least:.3g} at least; {larger} a larger budget."
        )


def choose(
    stage: TrainingStage,
    clean: Clean,
    diffusion: DiffusionConfig,
    budget: Budget,
    run: TrainingRun,
    text: Cost,
) -> ChosenGrids:
    """Look at trajectories of the trained denoiser, given the sources of as many validation documents as the budget
    pays for, one at least, and choose; what was chosen before a fit was killed is read back.

    Args:
        budget: this stage's own; one in steps pays for training alone, and then it does not limit anything here.
        text: what `price_of_text` gave, which is paid from it too.

    Raises:
        UserError: what was chosen before has been changed since.
    """
    path = run.workdir / FILE
    with first_process_first(run.device):
        if not path.exists():
            make_folder(run.workdir)
            seals.write_sealed(path, _chosen(stage, clean, diffusion, budget, run, text))
    return read_as(ChosenGrids, seals.read_sealed(path, REMEDY), str(path), REMEDY)


def unspent(budget: Budget, cost: Cost) -> float:
    """What choosing has left of its budget; nothing of one in steps, which sets nothing aside for it."""
    return 0.0 if budget.unit == "steps" else max(0.0, budget.amount - _paid(budget, cost))


def _chosen(
    stage: TrainingStage, clean: Clean, diffusion: DiffusionConfig, budget: Budget, run: TrainingRun, text: Cost
) -> Mapping[str, object]:
    count, size = min(TEXTS, len(stage.validation or ())), _texts_at_once(budget, text)
    found: list[Products] = []
    costs: list[Cost] = []
    for start in range(0, count, size):
        spent = Cost.total([text, *costs])
        most = max(costs, key=lambda cost: cost.flops, default=Cost())
        if costs and _paid(budget, Cost.total([spent, most])) >= budget.amount:
            break
        began = time.perf_counter()
        flops = measure_flops(
            lambda start=start: found.append(_looked_at(stage, clean, diffusion, start, min(count, start + size), run))
        )
        costs.append(Cost(time.perf_counter() - began, flops))
    cost = Cost.total([text, *costs])
    whole = joined(found)
    chosen = optimised_grids(whole, make_schedule(diffusion.schedule))
    noises = {str(calls): list(values) for calls, values in chosen.items()}
    return {"noises": noises, "cost": {"seconds": cost.seconds, "flops": cost.flops}, "documents": whole.count}


def _texts_at_once(budget: Budget, text: Cost) -> int:
    """As many as there is memory for, or fewer where the budget does not pay for these; a fifth of it is kept, since
    what a text takes besides the denoiser is not in its price."""
    price = _paid(budget, text)
    return AT_ONCE if price == 0 else min(AT_ONCE, max(1, int(0.8 * budget.amount / price) - 1))


def _paid(budget: Budget, cost: Cost) -> float:
    """What of a cost a budget pays, in its own unit."""
    return {"steps": 0.0, "seconds": cost.seconds, "flops": cost.flops}[budget.unit]


@torch.no_grad()
def _looked_at(
    stage: TrainingStage, clean: Clean, diffusion: DiffusionConfig, start: int, stop: int, run: TrainingRun
) -> Products:
    denoiser, data = stage.network.eval(), stage.validation
    assert isinstance(denoiser, Denoiser) and data is not None
    device = next(denoiser.parameters()).device
    batch = Batch(data.batch(torch.arange(start, stop))).to(device)
    _, source = clean(batch if stage.prepare is None else stage.prepare(batch))
    noise = row_seeds(hashed(run.seed, "grids"), start, stop, device)
    x = noise.normal(denoiser.config.latents, denoiser.config.latent_width)
    return _followed(denoiser, diffusion, source, x)


@torch.no_grad()
def _followed(denoiser: Denoiser, diffusion: DiffusionConfig, source: SourceStates | None, x: Tensor) -> Products:
    """Trajectories from noise x [B, N, C]."""
    condition = None if source is None else denoiser.encode_condition(source)
    grid = call_grid(make_schedule(diffusion.schedule), fine_noises())
    known = inputs_of_times(denoiser, grid.t[:-1], x.device)
    denoise = with_network(denoiser, condition, self_conditioned=diffusion.self_conditioned, known=known)
    return products(denoise, x, grid)


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
