"""The training loop: exact resumption, budgets, averages, order, errors, several processes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import cosmos
from cosmos.io.errors import UserError
from cosmos.training import loop
from cosmos.training.batches import EpochSampler, hashed, row_seeds
from cosmos.training.budget import Budget
from cosmos.training.config import total_steps
from cosmos.training.resume import ResumePoints, load_weights, weights

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_training
from tiny_training import CONFIG, STEP_FLOPS, Ticking, data, digest, loss, run, tiny

PROGRAM = Path(tiny_training.__file__)


def launch(*words: object) -> str:
    """Run the tiny training as a program of its own."""
    environment = {
        **os.environ, "PYTHONPATH": str(Path(cosmos.__file__).parent.parent), "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    command = [sys.executable, str(PROGRAM), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(workdir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (workdir / "tiny.jsonl").read_text().splitlines()]


def test_killed_and_resumed_gives_the_same_bytes_and_no_line_twice(tmp_path: Path) -> None:
    run(tmp_path / "calm", 150)
    moments = ["step:3", "step:60", "rename:1", "rename:2", "rename:3", "step:40", "rename:4"]
    output = launch(tmp_path / "killed", 150, "--kill", *moments)
    assert output.count("killed") == len(moments)
    resumed = [int(line.split()[-1]) for line in output.splitlines() if line.startswith("killed")]
    assert resumed[0] == 0 and resumed[-1] > 0  # later attempts did begin at a resume point
    assert digest(tmp_path / "killed") == digest(tmp_path / "calm")
    for one, other in zip(lines(tmp_path / "calm"), lines(tmp_path / "killed"), strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "tiny.jsonl", "tiny.trained.json", "tiny.trained.safetensors",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Trainings of several processes, started by one program, beside that of one; and what was said."""
    folder = tmp_path_factory.mktemp("shared")
    run(folder / "one", 40)
    return folder, launch(folder, 40, "--processes", "3", "2-parts")


@pytest.mark.parametrize("name", ["3", "2-parts"])
def test_processes_give_the_curve_of_one(name: str, shared: tuple[Path, str]) -> None:
    """With dropout; where three cannot share eight rows evenly, and where two hold parts of the weights."""
    folder, output = shared
    assert output.count(f"processes {name[0]}") == int(name[0])
    for one, two in zip(lines(folder / "one"), lines(folder / name), strict=True):
        assert one["step"] == two["step"]
        for key in {"loss", "validation_loss", "lr"} & one.keys():
            assert two[key] == pytest.approx(one[key], rel=1e-5)
    one, two = (load_file(folder / made / "tiny.trained.safetensors") for made in ("one", name))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=0, atol=1e-5)
    one, two = (json.loads((folder / made / "tiny.trained.json").read_text()) for made in ("one", name))
    assert one["trained"]["flops"] == two["trained"]["flops"] == 40 * STEP_FLOPS


def test_a_finished_stage_returns_at_once_with_the_kept_weights(tmp_path: Path) -> None:
    model = tiny()
    first = run(tmp_path, 30, model=model)
    again = tiny()
    assert run(tmp_path, 30, model=again, progress=lambda *_: pytest.fail("trained again")) == first
    assert not again.training
    for one, other in zip(weights(model).values(), weights(again).values(), strict=True):
        assert torch.equal(one, other)


class StopTrainingError(Exception):
    """Ends training from outside."""


def interrupt(workdir: Path, step: int, steps: float = 100, **changes: object) -> None:
    """Train and stop at a step, leaving resume points."""

    def stop(stage: str, share: float, loss: float | None) -> None:
        if share >= step / steps:
            raise StopTrainingError

    with pytest.raises(StopTrainingError):
        run(workdir, steps, progress=stop, **changes)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    """A clock of the tests' own, which a busy machine or a slow disk does not change."""
    clock = Ticking()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@pytest.fixture
def eager(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume points every few steps: writing one takes a tick, and there is at least one tick a step."""
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.2)


@pytest.mark.usefixtures("eager")
def test_other_arguments_are_refused_and_named(tmp_path: Path) -> None:
    interrupt(tmp_path / "begun", 50)
    run(tmp_path / "done", 100)
    changes: list[tuple[dict[str, object], str]] = [
        ({"config": dataclasses.replace(CONFIG, learning_rate=0.02)}, "learning_rate was 0.01 and is now 0.02"),
        ({"seed": 4}, "seed was 3 and is now 4"),
        ({"budget": Budget(200, "steps")}, "budget was 100steps and is now 200steps"),
        ({"validation": None}, "validation_length was 20 and is now None"),
        ({"model": nn.Sequential(nn.Linear(2, 2))}, "model was"),
    ]
    for folder in ("begun", "done"):
        before = {path: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for change, said in changes:
            with pytest.raises(UserError, match=said):
                run(tmp_path / folder, 100, **change)
            assert before == {path: path.read_bytes() for path in (tmp_path / folder).iterdir()}


@pytest.mark.usefixtures("eager")
def test_other_data_are_refused(tmp_path: Path) -> None:
    interrupt(tmp_path, 50)
    with pytest.raises(UserError, match="data_length was 50 and is now 49"):
        run(tmp_path, 100, data=data(49))


@pytest.mark.usefixtures("eager")
def test_a_damaged_resume_point_falls_back_to_the_one_before(tmp_path: Path) -> None:
    run(tmp_path / "calm", 100)
    interrupt(tmp_path / "cut", 50)
    points = ResumePoints(tmp_path / "cut", "tiny")
    whole = points.current.read_bytes()
    points.current.write_bytes(whole[: len(whole) // 2])
    run(tmp_path / "cut", 100)
    assert digest(tmp_path / "cut") == digest(tmp_path / "calm")
    interrupt(tmp_path / "lost", 50)
    for path in (tmp_path / "lost").glob("*.safetensors"):
        path.write_bytes(b"no tensors")
    with pytest.raises(UserError, match="not a safetensors file"):
        run(tmp_path / "lost", 100)


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_good_point(tmp_path: Path) -> None:
    noise = row_seeds(hashed(3, "noise", 26), 0, 8, torch.device("cpu")).keys  # of step 27, from 1

    def bad(model: nn.Module, batch: loop.Batch, seeds: loop.CounterRNG) -> tuple[torch.Tensor, torch.Tensor]:
        total, weight = loss(model, batch, seeds)
        return total * (math.inf if torch.equal(seeds.keys, noise) else 1.0), weight

    with pytest.raises(UserError, match="not finite at step 27;"):
        run(tmp_path, 60, loss=bad, validation=None)
    groups, header = ResumePoints(tmp_path, "tiny").load()  # type: ignore[misc]
    assert 1 <= header["counters"]["step"] < 27
    assert all(bool(value.isfinite().all()) for group in groups.values() for value in group.values())


@pytest.mark.usefixtures("eager")
def test_a_full_disk_is_a_user_error_and_loses_nothing(tmp_path: Path) -> None:
    run(tmp_path / "calm", 100)
    interrupt(tmp_path / "full", 50)
    point = ResumePoints(tmp_path / "full", "tiny").current
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (point.stat().st_size // 2, before[1]))
    try:
        with pytest.raises(UserError, match="Cannot write"):
            run(tmp_path / "full", 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ResumePoints(tmp_path / "full", "tiny").load() is not None
    assert not list((tmp_path / "full").glob("*.partial"))
    run(tmp_path / "full", 100)
    assert digest(tmp_path / "full") == digest(tmp_path / "calm")


def test_bad_places_and_no_data_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        run(tmp_path / "file", 5)
    with pytest.raises(UserError, match="nothing to train 'tiny' on"):
        run(tmp_path, 5, data=data(0))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="'cuda' is not there"):
            run(tmp_path, 5, device="cuda")


def test_resume_points_cost_no_more_than_their_share(
    tmp_path: Path, ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = []

    def slow(self: ResumePoints, *arguments: object) -> None:
        saves.append(ticking.seconds)
        ticking.seconds += 0.02

    monkeypatch.setattr(ResumePoints, "save", slow)
    run(tmp_path, 1, budget=Budget(8, "seconds"), validation=None)
    assert len(saves) >= 4
    apart = [later - earlier for earlier, later in itertools.pairwise(saves)]
    assert min(apart) >= 0.02 / loop.CHECKPOINT_SHARE
    assert max(apart) < 0.05 / loop.CHECKPOINT_SHARE  # and are written as often as that allows


def test_dropout_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    run(tmp_path, 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_optimiser_the_average_and_clipping_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    config = dataclasses.replace(
        CONFIG, clip_norm=0.3, weight_decay=0.1, ema_decay=0.8, warmup_share=0.3, validations=0
    )
    trained, plain = tiny(0.0), tiny(0.0)
    run(tmp_path, 12, model=trained, config=config)

    optimizer = torch.optim.AdamW(
        plain.parameters(), betas=config.betas, eps=config.eps, weight_decay=0.1, foreach=False
    )
    average = {name: value.clone() for name, value in plain.named_parameters()}
    order, rows = EpochSampler(tiny_training.ROWS, 3), data()
    for step in range(12):
        batch = rows.batch(order.rows(8 * step, 8 * step + 8))
        total, weight = loss(plain, batch, row_seeds(hashed(3, "noise", step), 0, 8, torch.device("cpu")))
        optimizer.zero_grad()
        (total / weight).backward()
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in plain.parameters() if p.grad is not None))
        for parameter in plain.parameters():
            if parameter.grad is not None:
                parameter.grad *= min(1.0, config.clip_norm / norm)
        share = (step + 0.5) / 12
        cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, share - 0.3) / 0.7))
        optimizer.param_groups[0]["lr"] = 0.01 * min(1.0, share / 0.3) * cosine
        optimizer.step()
        decay = min(0.8, (2 + step) / (11 + step))
        for name, parameter in plain.named_parameters():
            average[name] = decay * average[name] + (1 - decay) * parameter.detach()
    for name, parameter in trained.named_parameters():
        torch.testing.assert_close(parameter, average[name], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("eager")
def test_bfloat16_is_used_where_asked_for_and_resumes_exactly(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, precision="bfloat16")
    run(tmp_path / "full", 60)
    run(tmp_path / "half", 60, config=config)
    interrupt(tmp_path / "cut", 30, 60, config=config)
    run(tmp_path / "cut", 60, config=config)
    assert digest(tmp_path / "cut") == digest(tmp_path / "half") != digest(tmp_path / "full")
    assert load_file(tmp_path / "half/tiny.trained.safetensors")["inner.weight"].dtype == torch.float32
    with pytest.raises(UserError, match="precision was bfloat16 and is now float32"):
        run(tmp_path / "half", 60)


def test_budgets(tmp_path: Path) -> None:
    assert total_steps(Budget(100, "steps").part(0.3), 1.0) == 30
    assert total_steps(Budget(1e6, "flops"), 3e5) == 3
    assert total_steps(Budget(1, "flops"), 3e5) == 1
    flops = run(tmp_path / "flops", 1, budget=Budget(7.5 * STEP_FLOPS, "flops"))
    assert (flops.steps, flops.flops) == (7, 7 * STEP_FLOPS)


def test_a_budget_in_seconds_is_used_up_and_no_more(tmp_path: Path, ticking: Ticking) -> None:
    shares: list[float] = []
    seconds = run(tmp_path, 1, budget=Budget(1, "seconds"), progress=lambda stage, share, loss: shares.append(share))
    assert 1.0 <= seconds.seconds < 1.1 and seconds.steps == len(shares) - 1 >= 10
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert len(seconds.notes["validation_losses"]) == CONFIG.validations


def test_seconds_go_on_where_they_were(tmp_path: Path, ticking: Ticking) -> None:
    budget = Budget(3.0, "seconds")
    config = dataclasses.replace(CONFIG, checkpoint_seconds=0.3)
    whole = run(tmp_path / "whole", 1, budget=budget, config=config)
    interrupt(tmp_path / "cut", 60, budget=budget, config=config)
    begun = ticking.seconds
    trained = run(tmp_path / "cut", 1, budget=budget, config=config)
    assert 3.0 <= trained.seconds < 3.1
    assert ticking.seconds - begun < 0.8 * trained.seconds
    assert trained.steps == pytest.approx(whole.steps, rel=0.1)


def test_validation_is_even_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    script = iter([3.0, 1.0, 2.0, 4.0])

    def scripted(model: nn.Module, batch: loop.Batch, seeds: object) -> tuple[torch.Tensor, torch.Tensor]:
        assert not model.training
        seen.append(model.inner.weight.detach().clone())  # type: ignore[union-attr, operator]
        return torch.tensor(next(script) * 20), torch.tensor(20.0)

    model = tiny()
    config = dataclasses.replace(CONFIG, validations=4, keep="best", batch_size=25)
    trained = run(tmp_path, 40, model=model, config=config, validation_loss=scripted)
    assert trained.notes["validation_losses"] == [[10, 3.0], [20, 1.0], [30, 2.0], [40, 4.0]]
    assert (trained.validation_loss, trained.notes["best_share"]) == (1.0, 0.5)
    assert torch.equal(model.inner.weight, seen[1])


def test_validation_does_not_change_training(tmp_path: Path) -> None:
    run(tmp_path / "with", 30)
    run(tmp_path / "without", 30, validation=None)
    assert digest(tmp_path / "with") == digest(tmp_path / "without")


def test_frozen_parameters_are_neither_moved_nor_stored(tmp_path: Path) -> None:
    model = tiny()
    model.outer.requires_grad_(False)
    before = model.outer.weight.clone()
    run(tmp_path, 10, model=model)
    assert torch.equal(model.outer.weight, before)
    stored = load_file(tmp_path / "tiny.trained.safetensors")
    assert "outer.weight" not in stored and "scale" in stored
    other = tiny()
    load_weights(other.requires_grad_(True), {**weights(other), **stored})
    assert torch.equal(other.inner.weight, model.inner.weight)


def test_no_network_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    assert run(tmp_path, 2).steps == 2
