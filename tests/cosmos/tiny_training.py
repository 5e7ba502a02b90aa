"""A tiny network for tests of the training loop; as a program, trains it in processes of their own.

    python tiny_training.py WORKDIR STEPS [--processes COUNT] [--kill MOMENT ...]

With `--processes` so many train together, as `torchrun` launches them, but forked, so that torch is imported once.

With `--kill`, each moment is an attempt in a process of its own that is killed then (SIGKILL), and one more runs to the
end. A moment is `step:N`, or `rename:N` for the N-th file that is about to get its name.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from cosmos.runtime.rng import CounterRNG
from cosmos.training import loop
from cosmos.training.batches import Batch, Rows
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingResult, TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingStage, train
from cosmos.training.resume import ResumePoints

ROWS, WIDTH = 50, 6
# A large eps, because AdamW alone would hide a wrong scale of the gradient.
CONFIG = TrainingConfig(batch_size=8, learning_rate=0.01, eps=0.01, validations=5, checkpoint_seconds=0.0)


# Two products forward; their weights' gradients, and those of what lies between, backward. Each has 8 rows.
STEP_FLOPS = 5 * 2 * CONFIG.batch_size * WIDTH * 32


class TensorDataset:
    """Tensors [n, ...] by name, with one row per example."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        assert len(set(lengths.values())) == 1, f"tensors of unequal length: {lengths}"
        self.tensors = dict(tensors)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, index: Tensor) -> Rows:
        return {name: tensor[index] for name, tensor in self.tensors.items()}


IMPORTED = ("accelerate", "torch._dynamo", "torch.distributed.fsdp")  # once, before processes part


class Tiny(nn.Module):
    """A regression with dropout and a buffer."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)
        self.unused = nn.Linear(2, 2)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("scale", torch.full((WIDTH,), 0.5))

    def predict(self, x: Tensor) -> Tensor:
        return self(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.dropout(torch.tanh(self.inner(x)))) * self.scale


def tiny(dropout: float = 0.2) -> Tiny:
    """The network with the same first weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tiny(dropout)


def data(rows: int = ROWS) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, WIDTH, generator=generator)
    return TensorDataset({"x": x, "y": x.flip(1), "weight": torch.rand(rows, generator=generator) + 0.5})


def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """Weighted squared error under noise, calling a method that is not `forward`."""
    noisy = batch["x"] + 0.1 * seeds.normal(WIDTH)
    error = (model.predict(noisy) - batch["y"]).square().mean(1)  # type: ignore[operator]
    return (error * batch["weight"]).sum(), batch["weight"].sum()


def run(workdir: Path, steps: float, *, model: nn.Module | None = None, **changes: object) -> TrainingResult:
    """Train the network as these tests do; `changes` replace arguments, or fields of the stage or of the run."""
    stage = TrainingStage("tiny", model or tiny(), loss, data(), validation=data(20))
    arguments = {"config": CONFIG, "budget": Budget(steps, "steps"), "run": TrainingRun(workdir, 3, "cpu")}
    for name, value in changes.items():
        if name in arguments:
            arguments[name] = value
        elif name in {field.name for field in dataclasses.fields(TrainingRun)}:
            arguments["run"] = dataclasses.replace(arguments["run"], **{name: value})  # type: ignore[type-var]
        else:
            stage = dataclasses.replace(stage, **{name: value})  # type: ignore[arg-type]
    return train(stage, **arguments)  # type: ignore[arg-type]


class Ticking:
    """A clock that goes a hundredth of a second further each time it is looked at, whatever else the machine does."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.01
        return self.seconds


def digest(workdir: Path) -> str:
    """Hash of the weights that were kept."""
    return hashlib.sha256((workdir / "tiny.trained.safetensors").read_bytes()).hexdigest()


def _arm(moment: str) -> dict[str, object]:
    """Make this process kill itself at a moment; returns what to change in the arguments."""
    kind, number = moment.split(":")
    if kind == "step":
        calls = iter(range(10**6))
        return {"progress": lambda *_: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == int(number) else None}
    renames, rename = iter(range(10**6)), os.replace

    def deadly(source: object, target: object) -> None:
        if next(renames) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)  # type: ignore[arg-type]

    os.replace = deadly  # type: ignore[assignment]
    return {}


def train_in_process(options: argparse.Namespace) -> None:
    run(options.workdir, options.steps, model=tiny(options.dropout))
    # One string is one write, also where output is not buffered: lines of two processes do not mix.
    print(f"processes {find_processes('cpu').count}\n", end="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir", type=Path)
    parser.add_argument("steps", type=int)
    # Trainings one after the other, each in a folder of its own: `3` of three processes; `2-parts` of two that hold a
    # part of the weights each.
    parser.add_argument("--processes", nargs="*", default=[])
    parser.add_argument("--kill", nargs="*", default=[])
    parser.add_argument("--dropout", type=float, default=0.2)
    options = parser.parse_args()
    for name in IMPORTED if options.processes else ():
        importlib.import_module(name)
    for word in options.processes:
        count, _, kind = word.partition("-")
        os.environ["ACCELERATE_USE_FSDP"] = str(kind == "parts").lower()
        # A port that is free is chosen when the processes meet.
        here = LaunchConfig(
            1, 1, int(count), run_id="tiny", rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="fork"
        )
        elastic_launch(here, train_in_process)(
            argparse.Namespace(**{**vars(options), "workdir": options.workdir / word})
        )
    if options.processes:
        return
    if options.kill:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), 1)  # imports everything once, before processes part
    # A resume point every few steps: writing one takes a tick, and there is at least one tick a step.
    loop.CHECKPOINT_SHARE, time.perf_counter = 0.2, Ticking()

    for moment in options.kill:
        point = ResumePoints(options.workdir, "tiny").load()
        child = os.fork()
        if child == 0:
            run(options.workdir, options.steps, model=tiny(options.dropout), **_arm(moment))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        outcome = "killed" if os.WIFSIGNALED(status) else "ended"
        print(outcome, moment, "from", point[1]["counters"]["step"] if point else 0, flush=True)
    train_in_process(options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
