"""The one training loop, for every network of the project.

AdamW, warm-up and cosine decay over the share of the budget used, gradient clipping, an exponential moving average of the
weights, validation under that average, and resume points. Processes, their gradients and their sums are accelerate's.

Repeatable by construction: the rows of step s are places s*B ... (s+1)*B - 1 of the concatenated permutations of the data,
one per (seed, epoch); noise is one `Seeds` stream per row from (seed, step, place in the batch); dropout is seeded from
(seed, step, process). Nothing else is random, so a run that was killed and called again ends with the same bytes on the
CPU when its budget is in steps or FLOPs.

Axis legend: B rows of a batch.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cosmos import resume
from cosmos.budget import Budget
from cosmos.errors import UserError
from cosmos.files import make_folder
from cosmos.flops import measure_flops
from cosmos.randomness import Seeds

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = [
    "Batch",
    "Batches",
    "Loss",
    "Progress",
    "TensorBatches",
    "Trained",
    "TrainingConfig",
    "measure_flops",
    "silent",
    "train",
]

Batch = dict[str, Tensor]
Loss = Callable[[nn.Module, Batch, Seeds], tuple[Tensor, Tensor]]
"""`loss(model, batch, seeds)` -> (summed loss, its weight), two scalars; what is minimised is sum / weight over the whole
global batch, so rows with more tokens count for more where the weight counts tokens."""

Progress = Callable[[str, float, float | None], None]
"""`progress(stage, share of the budget used in [0, 1], loss or None)`; called at every step, must return at once."""

LOG_EVERY = 20  # steps between lines of the log; also how often the device is waited for
CHECKPOINT_SHARE = 0.02  # the most of the time that resume points may cost


def silent(stage: str, share: float, loss: float | None) -> None:
    """A `Progress` that shows nothing."""


class Batches(Protocol):
    """A data set that can be indexed; gives tensors on the CPU, which may lie in memory-mapped files."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch:
        """The rows at `index`, int64 [B], as tensors whose first axis is B."""
        ...


class TensorBatches:
    """Tensors with one row per example, all of the same length.

    Args:
        tensors: name -> tensor [n, ...].
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        assert tensors and len(set(lengths.values())) == 1, f"tensors of unequal length: {lengths}"
        self.tensors = dict(tensors)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, index: Tensor) -> Batch:
        return {name: tensor[index] for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. Sizes and rates are those of the whole (global) batch."""

    batch_size: int = 64  # over all processes together
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0  # at the end of the budget (cosine); equal to learning_rate: constant
    warmup_share: float = 0.05  # of the budget, where warmup_steps is None
    warmup_steps: int | None = None
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0  # on all parameters, as the release has it
    clip_norm: float = 1.0
    ema_decay: float | None = 0.999  # ramped as min(decay, (1 + n) / (10 + n)); None: no average
    validations: int = 8  # how often validation loss is measured over the budget
    keep: Literal["last", "best"] = "last"  # which weights are returned, by validation loss
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint_seconds: float = 20.0  # longest wait between resume points


@dataclass(frozen=True)
class Trained:
    """What training cost and reached.

    Seconds are those of the loop, validation and resume points included, over all attempts (of an attempt that was
    killed, up to its last resume point). `validation_loss` is that of the weights returned and `best_share` the share of
    the budget where it was lowest; `history` holds (step, validation loss).
    """

    steps: int
    seconds: float
    flops: float
    validation_loss: float | None
    best_share: float | None
    history: tuple[tuple[int, float], ...]


def learning_rate(config: TrainingConfig, step: int, share: float) -> float:
    """The rate of step `step` (from 0), when `share` of the budget is used: linear warm-up, then half a cosine."""
    if config.warmup_steps is not None:
        warm, start = (step + 1) / max(1, config.warmup_steps), 0.0
    else:
        warm, start = share / config.warmup_share if config.warmup_share > 0 else 1.0, config.warmup_share
    decayed = min(1.0, max(0.0, share - start) / max(1e-12, 1.0 - start))
    cosine = 0.5 * (1.0 + math.cos(math.pi * decayed))
    return min(1.0, warm) * (config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine)


def hashed(*parts: object) -> int:
    """A non-negative 63-bit integer that depends on all parts, the same on every machine."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big") >> 1


class Order:
    """The order of the data: an endless row of permutations, one per (seed, epoch)."""

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed = length, seed
        self._epochs: dict[int, Tensor] = {}

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(hashed(self.seed, "order", epoch))
            kept = {k: v for k, v in self._epochs.items() if k == epoch - 1}
            self._epochs = {**kept, epoch: torch.randperm(self.length, generator=generator)}
        return self._epochs[epoch]

    def rows(self, start: int, stop: int) -> Tensor:
        """Data indices at places start ... stop - 1, int64 [stop - start]."""
        pieces = []
        while start < stop:
            epoch, place = divmod(start, self.length)
            taken = min(stop - start, self.length - place)
            pieces.append(self._epoch(epoch)[place : place + taken])
            start += taken
        return torch.cat(pieces)


def row_seeds(base: int, start: int, stop: int, device: torch.device) -> Seeds:
    """The streams of rows start ... stop - 1 under a hashed base."""
    return Seeds(torch.arange(start, stop, device=device) + (base >> 1))


class _Objective(nn.Module):
    """Model and loss as one module, so that a loss may call any method of the model and gradients still synchronise."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
        total, weight = self.loss(self.model, batch, seeds)
        return total.float(), weight.detach().float()


@dataclass
class _Counters:
    """What a resume point remembers besides tensors."""

    step: int = 0
    seconds: float = 0.0
    log_bytes: int = 0
    loss: float | None = None  # of the last interval
    running: tuple[float, int] = (0.0, 0)  # sum of losses and steps of the interval begun
    validations: int = 0  # how many places of the budget's grid have been passed
    best_share: float | None = None
    history: list[tuple[int, float]] = field(default_factory=list)


class _Run:
    """One stage being trained: the state, and one method for each thing that happens to it."""

    def __init__(
        self, model: nn.Module, loss: Loss, data: Batches, config: TrainingConfig, budget: Budget, workdir: Path,
        seed: int, device: str, flops_per_step: float, stage: str, validation: Batches | None, validation_loss: Loss,
        arguments: dict[str, Any],
    ) -> None:  # fmt: skip
        self.accelerator, self.device = _place(device)
        self.world, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        if len(data) == 0:
            raise UserError(f"There is nothing to train '{stage}' on; give at least one text.")
        if config.batch_size % self.world:
            raise UserError(
                f"A batch of {config.batch_size} cannot be shared by {self.world} processes; use a multiple."
            )
        self.model, self.data, self.config, self.budget, self.stage, self.seed = (
            model,
            data,
            config,
            budget,
            stage,
            seed,
        )
        self.validation, self.validation_loss, self.arguments = validation, validation_loss, arguments
        self.workdir = workdir
        self.steps = None if budget.unit == "seconds" else total_steps(budget, flops_per_step)
        self.precision = _precision(config, self.device)

        model.to(self.device)
        self.parameters = resume.trainable(model)
        self.names, self.values = list(self.parameters), list(self.parameters.values())
        # As views of the data, so that the average and exchanges of weights need no graph.
        self.live = [parameter.data for parameter in self.values]
        self.average = [value.clone() for value in self.live] if config.ema_decay is not None else None
        self.best: list[Tensor] | None = None
        self.optimizer = torch.optim.AdamW(
            self.values, lr=config.learning_rate, betas=config.betas, eps=config.eps,
            weight_decay=config.weight_decay, fused=True,
        )  # fmt: skip
        objective = _Objective(model, loss)
        self.objective = self.accelerator.prepare(objective) if self.world > 1 else objective
        self.order = Order(len(data), seed)
        self.counters = _Counters()
        self.points = resume.ResumePoints(workdir, stage)
        self._restore()
        self.running = torch.tensor(self.counters.running[0], dtype=torch.float64, device=self.device)
        self.running_steps = self.counters.running[1]
        self.bad_step = torch.full((), -1, dtype=torch.int64, device=self.device)
        self.accelerator.wait_for_everyone()  # nobody writes before everyone has read
        self.log = resume.Log(workdir / f"{stage}.jsonl", self.counters.log_bytes) if self.rank == 0 else None
        self.started = time.perf_counter() - self.counters.seconds
        self.next_save = self.counters.seconds + config.checkpoint_seconds

    # -- time -----------------------------------------------------------------------------------------------------------

    def seconds(self) -> float:
        """Seconds of the loop so far, over all attempts."""
        return time.perf_counter() - self.started

    def share(self) -> float:
        """Share of the budget used, at most 1; the same in every process."""
        if self.steps is not None:
            return min(1.0, self.counters.step / self.steps)
        seconds = self.seconds()
        if self.world > 1:
            from accelerate.utils import broadcast

            seconds = float(broadcast(torch.tensor(seconds, dtype=torch.float64, device=self.device), from_process=0))
        return min(1.0, seconds / self.budget.amount)

    def validations_due(self, share: float) -> int:
        """How many validations should have been made by now."""
        if self.validation is None:
            return 0
        if self.steps is not None:
            return self.counters.step * self.config.validations // self.steps
        return int(share * self.config.validations)

    # -- one step -------------------------------------------------------------------------------------------------------

    def _move(self, batch: Batch) -> Batch:
        if self.device.type == "cuda":
            return {name: value.pin_memory().to(self.device, non_blocking=True) for name, value in batch.items()}
        return {name: value.to(self.device) for name, value in batch.items()}

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 autocast or nothing. Not accelerate's: that is fixed once per process, and stages may differ."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def advance(self, share: float) -> float:
        """One optimiser step; returns its learning rate. Does not wait for the device."""
        config, step = self.config, self.counters.step
        # In the middle of the step, so that neither the first nor the last step has a rate of zero.
        rate = learning_rate(config, step, share if self.steps is None else (step + 0.5) / self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        part = config.batch_size // self.world
        first = self.rank * part
        start = step * config.batch_size + first
        batch = self._move(self.data.batch(self.order.rows(start, start + part)))
        seeds = row_seeds(hashed(self.seed, "noise", step), first, first + part, self.device)
        _seed_dropout(hashed(self.seed, "dropout", step, self.rank), self.device)

        with self.autocast():
            total, weight = self.objective(batch, seeds)
        sums = torch.stack((total.detach(), weight))
        if self.world > 1:
            sums = self.accelerator.reduce(sums, "sum")
        sums[1].clamp_(min=1e-12)  # a batch with nothing to learn from has loss 0, not 0 / 0
        # Gradients are averaged over processes, hence the factor: the result is that of the global sum over its weight.
        (total * (self.world / sums[1])).backward()
        norm = nn.utils.clip_grad_norm_(self.values, config.clip_norm, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None and config.ema_decay is not None:
            count = step + 1
            decay = min(config.ema_decay, (1 + count) / (10 + count))
            get_ema_multi_avg_fn(decay)(self.average, self.live, count)

        value = sums[0] / sums[1]
        # The norm is that of all processes' gradients: it tells each of them of a bad loss in any.
        fine = torch.isfinite(value + norm)
        self.bad_step = torch.where(fine | (self.bad_step >= 0), self.bad_step, step + 1)
        self.running += value
        self.running_steps += 1
        self.counters.step += 1
        return rate

    # -- now and then ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise if a loss or gradient was not finite since training began."""
        bad = int(self.bad_step)
        if bad >= 0:
            raise UserError(
                f"The loss of '{self.stage}' was not finite at step {bad}; the last good checkpoint is kept: "
                "use a lower learning rate in another folder."
            )

    def interval(self, share: float, rate: float) -> None:
        """End an interval: look at the losses, write a line."""
        self.check()
        if self.running_steps == 0:
            return
        self.counters.loss = float(self.running) / self.running_steps
        self.running.zero_()
        self.running_steps = 0
        if self.log is not None:
            self.log.write(
                step=self.counters.step, share=round(share, 6), loss=self.counters.loss, lr=rate,
                seconds=round(self.seconds(), 3),
            )  # fmt: skip

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with the averaged weights, in evaluation mode; afterwards as it was."""
        mine = [value.clone() for value in self.live] if self.average is not None else None
        if self.average is not None:
            torch._foreach_copy_(self.live, self.average)
        self.model.eval()
        try:
            yield
        finally:
            self.model.train()
            if mine is not None:
                torch._foreach_copy_(self.live, mine)

    def validate(self, share: float) -> None:
        """Measure the validation loss of the averaged weights; remember them if they are the best so far."""
        assert self.validation is not None
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        size, length = self.config.batch_size, len(self.validation)
        with self.averaged(), torch.no_grad(), self.autocast():
            for number, start in enumerate(range(0, length, size)):
                if number % self.world == self.rank:
                    stop = min(start + size, length)
                    batch = self._move(self.validation.batch(torch.arange(start, stop)))
                    # The same noise at every validation, so that two of them can be compared.
                    seeds = row_seeds(hashed(self.seed, "validation"), start, stop, self.device)
                    total, weight = self.validation_loss(self.model, batch, seeds)
                    sums += torch.stack((total.double(), weight.double()))
        if self.world > 1:
            sums = self.accelerator.reduce(sums, "sum")
        value = float(sums[0] / sums[1])
        if not math.isfinite(value):
            raise UserError(
                f"The validation loss of '{self.stage}' was not finite at step {self.counters.step}; the last good "
                "checkpoint is kept: use a lower learning rate in another folder."
            )
        best = min((loss for _, loss in self.counters.history), default=math.inf)
        self.counters.history.append((self.counters.step, value))
        if value < best:
            self.counters.best_share = share
            if self.config.keep == "best":
                self.best = [value.clone() for value in self.average or self.live]
        if self.log is not None:
            self.log.write(
                step=self.counters.step, share=round(share, 6), validation_loss=value, seconds=round(self.seconds(), 3)
            )

    # -- on disk --------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a resume point, and put the next one off so far that they cost no more than their share of the time."""
        self.check()
        if self.log is None:
            return
        begun = self.seconds()
        counters = copy.copy(self.counters)
        counters.running, counters.log_bytes = (float(self.running), self.running_steps), self.log.length()
        tensors = {f"model/{name}": value for name, value in resume.weights(self.model).items()}
        tensors |= {f"optimizer/{k}": v for k, v in resume.flatten_optimizer(self.optimizer, self.names).items()}
        for kind, values in (("average", self.average), ("best", self.best)):
            tensors |= {f"{kind}/{name}": value for name, value in zip(self.names, values or [], strict=False)}
        counters.seconds = self.seconds()
        self.points.save(tensors, {"arguments": self.arguments, "counters": asdict(counters)})
        now = self.seconds()
        self.next_save = now + max(self.config.checkpoint_seconds, (now - begun) / CHECKPOINT_SHARE)

    def _restore(self) -> None:
        """Take up the newest resume point, where there is one."""
        point = self.points.load()
        if point is None:
            return
        tensors, header = point
        resume.check_arguments(self.stage, self.workdir, header["arguments"], self.arguments)
        counters = header["counters"]
        kinds: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "average": {}, "best": {}}
        for path, value in tensors.items():
            kind, name = path.split("/", 1)
            kinds[kind][name] = value.to(self.device)
        resume.load_weights(self.model, kinds["model"])
        resume.restore_optimizer(self.optimizer, self.names, kinds["optimizer"])
        if self.average is not None:
            self.average = [kinds["average"][name] for name in self.names]
        if kinds["best"]:
            self.best = [kinds["best"][name] for name in self.names]
        counters["running"], counters["history"] = tuple(counters["running"]), list(map(tuple, counters["history"]))
        self.counters = _Counters(**counters)

    def keep(self) -> None:
        """Put the weights to keep into the model."""
        chosen = self.best if self.config.keep == "best" else self.average
        if chosen is not None:
            torch._foreach_copy_(self.live, chosen)
        self.model.eval()


def total_steps(budget: Budget, flops_per_step: float) -> int:
    """Steps a budget in steps or FLOPs buys; at least one."""
    assert budget.unit != "seconds"
    return max(1, round(budget.amount) if budget.unit == "steps" else int(budget.amount // flops_per_step))


def _place(device: str) -> tuple[Accelerator, torch.device]:
    """The processes of this run, and this process's device.

    Raises:
        UserError: the device is not there.
    """
    # Imported here, because it takes a second and configs are read where nothing is trained.
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    wanted = torch.device(device)
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"The device '{device}' is not there; use cpu.")
    accelerator = Accelerator(
        cpu=launched and wanted.type == "cpu", mixed_precision="no", device_placement=False,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )  # fmt: skip
    return accelerator, accelerator.device if accelerator.num_processes > 1 else wanted


def _precision(config: TrainingConfig, device: torch.device) -> str:
    if config.precision != "auto":
        return config.precision
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def _seed_dropout(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def train(
    model: nn.Module,
    loss: Loss,
    data: Batches,
    *,
    config: TrainingConfig,
    budget: Budget,
    workdir: Path,
    seed: int,
    device: str,
    flops_per_step: float,
    stage: str,
    validation: Batches | None = None,
    validation_loss: Loss | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train `model` in place until the budget is used; on return it holds the weights to keep, in evaluation mode.

    Killed and called again with the same arguments (and a model initialised the same way) it continues from its last
    resume point in `workdir`; called after it has finished, it loads the weights it kept and returns at once. Under
    `accelerate launch` the processes share each batch.

    Args:
        loss: see `Loss`; it is given the rows of one process and `Seeds` with one stream per row.
        flops_per_step: of forward and backward over one global batch (`measure_flops`).
        validation: measured with `validation_loss` (default: `loss`) in evaluation mode, under the averaged weights.
        stage: name of the files left in `workdir`, such as "autoencoder".

    Raises:
        UserError: nothing to train on, a device that is not there, other arguments than the run began with, a loss that
            is not finite, a disk that is full.
    """
    assert config.keep == "last" or (validation is not None and config.validations > 0), "'best' needs validation"
    make_folder(workdir)
    arguments = {
        **asdict(config), "seed": seed, "budget": str(budget), "data_length": len(data),
        "validation_length": len(validation) if validation is not None else None,
        "weights": f"{hashed({name: list(value.shape) for name, value in resume.weights(model).items()}):016x}",
        **({"flops_per_step": flops_per_step} if budget.unit == "flops" else {}),
    }  # fmt: skip
    marker = resume.finished(workdir, stage)
    if marker is not None:
        resume.check_arguments(stage, workdir, marker["arguments"], arguments)
        resume.load_finished(workdir, stage, model.to(torch.device(device)))
        model.eval()
        values = marker["trained"]
        return Trained(**{**values, "history": tuple(map(tuple, values["history"]))})

    run = _Run(
        model, loss, data, config, budget, workdir, seed, device, flops_per_step, stage, validation,
        validation_loss or loss, arguments,
    )  # fmt: skip
    cuda = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        _loop(run, progress)
    run.keep()
    trained = Trained(
        steps=run.counters.step,
        seconds=run.seconds(),
        flops=run.counters.step * flops_per_step,
        validation_loss=_kept_loss(config, run.counters.history),
        best_share=run.counters.best_share,
        history=tuple(run.counters.history),
    )
    if run.log is not None:
        run.log.close()
        resume.finish(workdir, stage, resume.weights(model), {"arguments": arguments, "trained": asdict(trained)})
        run.points.remove()
    run.accelerator.wait_for_everyone()
    return trained


def _kept_loss(config: TrainingConfig, history: list[tuple[int, float]]) -> float | None:
    losses = [value for _, value in history]
    return (min(losses) if config.keep == "best" else losses[-1]) if losses else None


def _loop(run: _Run, progress: Progress) -> None:
    """Steps, validations and resume points until the budget is used."""
    run.model.train()
    rate = 0.0
    while True:
        share = run.share()
        if run.rank == 0:
            progress(run.stage, share, run.counters.loss)
        done = share >= 1.0
        due = run.validations_due(share)
        if run.counters.step and (done or run.counters.step % LOG_EVERY == 0):
            run.interval(share, rate)
        if due > run.counters.validations:
            run.validate(share)
            run.counters.validations = due
        if done:
            return
        if run.seconds() >= run.next_save and run.counters.step:
            run.save()
        rate = run.advance(share)
