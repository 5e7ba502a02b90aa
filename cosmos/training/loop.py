"""The one training loop, for every network of the project.

AdamW, warm-up and cosine decay over the share of the budget used, gradient clipping, an exponential moving average of
the weights, validation under that average, and resume points. Processes, their gradients and their sums are
accelerate's.

Repeatable by construction: the rows of step s are places s*B ... (s+1)*B - 1 of the permutations of the data, one per
(seed, epoch), or of these sorted in pools (`cosmos.training.buckets`); noise is one `CounterRNG` stream per row from
(seed, step, place in the global batch); dropout is seeded from (seed, step), where the seed is the run's, or
is made of it and the stage's stream (`cosmos.training.stage.TrainingStage.stream`). Nothing else is random, so a run
that was killed and called again ends with the same bytes on the CPU when its budget is in steps or FLOPs; on one type
of processor, with one number of threads and processes and the same packages, for sums round otherwise on another.

However many processes share a batch, its rows, their noise and what dropout takes of them are those of one, and a loss
is a sum and a weight over all rows, so curves differ by rounding alone; but where each draws dropout of its own: in
compiled blocks, with `micro_batch_size`, and of some rows of a batch alone (`cosmos.training.shared_dropout`). One
process writes, and what it leaves is gone on with by any other number.

Axis legend: B rows of the global batch.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from cosmos.io.errors import UserError
from cosmos.io.files import make_folder
from cosmos.io.terminal import tell
from cosmos.io.typed_json import AnyFloat, AnyJson, read_as
from cosmos.training import resume
from cosmos.training.batches import Batch, BringsOrder, Dataset, EpochSampler, Prefetcher, Rows, hashed, row_seeds
from cosmos.training.buckets import Batches
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingResult, TrainingRun, learning_rate, total_steps
from cosmos.training.distributed import Processes, find_processes
from cosmos.training.pricing import flops_per_step, step_flops
from cosmos.training.sharding import check_turns, step_of
from cosmos.training.stage import Loss, Prepare, TrainingStage
from cosmos.training.step import Preparation, prepared_for
from cosmos.training.uploads import Uploaded, Uploads

__all__ = ["Batch", "Dataset", "Loss", "Prepare", "Rows", "TrainingConfig", "TrainingStage", "check_shares", "train"]

AHEAD, THREADS = 4, 2  # steps whose batches are put together while a GPU is busy, and how many at a time
LOG_EVERY = 20  # steps between lines of the log; also how often the device is waited for
CHECKPOINT_SHARE = 0.02  # the most of the time that resume points may cost


def train(stage: TrainingStage, config: TrainingConfig, budget: Budget, run: TrainingRun) -> TrainingResult:
    """Train a network until the budget is used; on return it holds the weights to keep, in evaluation mode.

    Killed and called again with the same arguments (and a network initialised the same way) it continues from its last
    resume point in the run's folder; called after it has finished, it loads the weights it kept and returns at once.
    Under `torchrun` or `accelerate launch` the processes share each batch.

    Raises:
        UserError: nothing to train on, a device that is not there, other arguments than the run began with, a loss that
            is not finite, a disk that is full.
    """
    stage = stage.preparing()
    if len(stage.data) == 0:
        raise UserError(f"There is nothing to train '{stage.name}' on; give at least one text.")
    if stage.validation is not None and len(stage.validation) == 0:
        stage = replace(stage, validation=None)
    processes = find_processes(run.device)
    processes.once(lambda: make_folder(run.workdir))
    arguments = _arguments(stage, replace(config, precision=processes.precision(config.precision)), budget, run)
    done = processes.told(resume.finished(run.workdir, stage.name, arguments) if processes.rank == 0 else None)
    if done is not None:
        resume.load_finished(run.workdir, stage.name, stage.network.to(processes.device).eval())
        return done

    trainer = _Trainer(stage, config, budget, run, processes, arguments)
    on_gpu = trainer.device.type == "cuda"
    forked = torch.random.fork_rng(devices=[trainer.device] if on_gpu else [])
    on_device = torch.cuda.device(trainer.device) if on_gpu else nullcontext()
    with on_device, forked, trainer.ahead:
        _loop(trainer)
    trained = trainer.finish()
    processes.wait()
    del trainer
    if on_gpu:
        gc.collect()  # recordings and averages, which refer to each other, give their memory to the next stage
    return trained


def check_shares(name: str, network: nn.Module, config: TrainingConfig, processes: Processes) -> None:
    """Raise `UserError` where so many processes cannot share the batches of a training; of a later stage this can be
    asked before the first is trained."""
    if config.batch_size < processes.count:
        raise UserError(
            f"{processes.count} processes cannot share a batch of {config.batch_size} in the training "
            f"'{name}'; launch no more processes than it has rows, or give it a larger batch_size."
        )
    check_turns(network, config, processes)


def _arguments(stage: TrainingStage, config: TrainingConfig, budget: Budget, run: TrainingRun) -> dict[str, Any]:
    """What must be the same where a training is taken up again."""
    return {
        **asdict(config),
        "seed": stage.seed(run.seed),
        "made_of": run.made_of,
        "budget": str(budget),
        "data_length": len(stage.data),
        "validation_length": None if stage.validation is None else len(stage.validation),
        "model": _shape_of(stage.network),
    }


def _shape_of(network: nn.Module) -> str:
    """A hash of the names and shapes of its weights."""
    return f"{hashed({name: list(value.shape) for name, value in resume.weights(network).items()}):016x}"


def _loop(trainer: _Trainer) -> None:
    counters = trainer.counters
    trainer.model.train()
    rate = 0.0
    while True:
        share = trainer.share()
        trainer.run.progress(trainer.stage.name, share, counters.loss)
        if counters.step and (share >= 1.0 or counters.step % LOG_EVERY == 0):
            trainer.interval(share, rate)
        if trainer.validations_due(share) > counters.validations:
            trainer.validate(share)
            counters.validations = trainer.validations_due(share)
        if share >= 1.0:
            return
        if counters.step and trainer.save_due():
            trainer.save()
        rate = trainer.advance(share)


@dataclass
class _Counters:
    """What a resume point remembers besides tensors."""

    step: int = 0
    seconds: float = 0.0
    flops_per_step: float = 0.0  # counted once
    prepared: Preparation = field(default_factory=Preparation)
    preparation_seconds: float = 0.0
    log_bytes: int = 0
    loss: AnyFloat | None = None  # mean of the last interval
    running: AnyFloat = 0.0  # sum of losses of the interval begun
    running_steps: int = 0
    validations: int = 0  # how many places of the budget's grid have been passed
    best_share: float | None = None
    history: list[tuple[int, AnyFloat]] = field(default_factory=list)


class _StoredPoint(TypedDict):
    """What is noted beside the tensors of a resume point."""

    arguments: AnyJson
    counters: _Counters


class _Trainer:
    """One stage being trained: its state, and a method for each thing that happens to it."""

    def __init__(
        self,
        stage: TrainingStage,
        config: TrainingConfig,
        budget: Budget,
        run: TrainingRun,
        processes: Processes,
        arguments: dict[str, Any],
    ) -> None:
        check_shares(stage.name, stage.network, config, processes)
        self.stage, self.config, self.budget, self.run, self.arguments = stage, config, budget, run, arguments
        self.model, self.processes, self.device = stage.network.to(processes.device), processes, processes.device
        self.seed = stage.seed(run.seed)
        self.step = step_of(self.model, config, processes, self.seed)
        self.best: list[Tensor] | None = None
        self.stored_best: Mapping[str, Tensor] | None = None
        brings = isinstance(stage.data, BringsOrder)
        self.order = stage.data.order(self.seed) if brings else EpochSampler(len(stage.data), self.seed)
        self.points = resume.ResumePoints(run.workdir, stage.name)
        began = time.perf_counter()
        self.counters = self._restored()
        self.batches = self._prepare()
        if self.counters.flops_per_step == 0:
            epoch = -(-len(stage.data) // config.batch_size)
            whole = self._batches(self.counters.prepared.sizes, self.step.static_shapes, whole=True)
            self.counters.flops_per_step = flops_per_step(self.step, stage.loss, whole, budget, epoch)
        self.steps = total_steps(budget, self.counters.flops_per_step)  # None where the budget is in seconds
        self.step.begin(stage.loss, self.counters.step, self.counters.running)
        if self.stored_best:
            self.best = self.step.parts_of(self.stored_best)
        self.uploads = Uploads(self.device)
        self.ahead = Prefetcher(self._rows, self.counters.step, AHEAD if self.device.type == "cuda" else 0, THREADS)
        self._same_everywhere()
        log = run.workdir / f"{stage.name}.jsonl"
        self.log = resume.Log(log, self.counters.log_bytes) if processes.rank == 0 else None
        self.started = began - self.counters.seconds
        self.next_save = self.counters.seconds + config.checkpoint_seconds

    def _same_everywhere(self) -> None:
        """See that all processes go on from one step, and that nobody writes before everyone has read."""
        if self.processes.told(self.counters.step) != self.counters.step:
            raise UserError(
                f"Processes of this launch do not see the same files in {self.run.workdir}; use a folder that all "
                "machines share."
            )
        self.processes.wait()

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def share(self) -> float:
        """Share of the budget used, at most 1; the same in every process."""
        if self.steps is not None:
            return min(1.0, self.counters.step / self.steps)
        return min(1.0, self.processes.agreed(self.seconds()) / self.budget.amount)

    def validations_due(self, share: float) -> int:
        """How many places of the validation grid lie behind."""
        if self.stage.validation is None:
            return 0
        if self.steps is not None:
            return self.counters.step * self.config.validations // self.steps
        return int(share * self.config.validations)

    def _prepare(self) -> Batches:
        """Decide how steps run, the first time, and make ready for it; what gives the batches of steps."""
        counters, step, stage = self.counters, self.step, self.stage
        if counters.flops_per_step == 0:
            counters.prepared = prepared_for(step, stage.data, self.budget, self._price_of_one, self._compiled_lengths)
        prepared, step.preparation = counters.prepared, counters.preparation_seconds
        step.prepare(prepared, stage.frozen)
        return self._batches(prepared.sizes, step.static_shapes)

    def _batches(self, sizes: Sequence[int], static_shapes: bool, *, whole: bool = False) -> Batches:
        data, scored, size = self.stage.data, self.stage.scored, self.config.batch_size
        part = None if whole else self.step.part
        return Batches(data, self.order, sizes, size, part, self.seed, scored, static_shapes)

    def _price_of_one(self) -> float:
        """FLOPs of one step, about; the same in each process."""
        return step_flops(self.step, self.stage.loss, self._batches((), static_shapes=False, whole=True)(0), 0)

    def _compiled_lengths(self) -> set[int] | None:
        """Lengths that earlier stages of the run have compiled; the same in each process."""
        like = self.arguments | {"model": _shape_of(self.stage.compiled_like or self.stage.network)}
        first = self.processes.rank == 0
        return self.processes.told(resume.compiled_lengths(self.run.workdir, like) if first else None)

    def _rows(self, step: int) -> Uploaded:
        """This process's part of the batch of a step, on its way to the device."""
        return self.uploads.begin(self.batches(step))

    def advance(self, share: float) -> float:
        """One optimiser step; returns its learning rate. Does not wait for the device."""
        step = self.counters.step
        # In the middle of the step, so that neither the first nor the last has a rate of zero.
        share = self._trained_share(share) if self.steps is None else (step + 0.5) / self.steps
        rate = learning_rate(self.config, step, share)
        self.step(self.ahead.take().wait(), step, rate, share)
        self.counters.running_steps += 1
        self.counters.step += 1
        return rate

    def _trained_share(self, share: float) -> float:
        """The share of a budget in seconds that is used, but for preparation: compiling for a while must not use up the
        warm-up of the rate."""
        prepared, whole = self.processes.agreed(self.step.preparation), self.budget.amount
        return min(1.0, max(0.0, share * whole - prepared) / (whole - prepared)) if prepared < whole else share

    def _diverged(self, what: str, step: int) -> UserError:
        return UserError(
            f"The {what} of '{self.stage.name}' was not finite at step {step}; the last good checkpoint is kept: "
            "train with a lower learning rate in another folder."
        )

    def check(self) -> None:
        """Raise if a loss or gradient has not been finite; waits for the device."""
        if (bad := int(self.step.bad_step)) >= 0:
            raise self._diverged("loss", bad)

    def interval(self, share: float, rate: float) -> None:
        self.check()
        if self.counters.running_steps == 0:  # just resumed
            return
        self.counters.loss = float(self.step.running) / self.counters.running_steps
        self.step.running.zero_()
        self.counters.running_steps = 0
        self._write(share, loss=self.counters.loss, lr=rate)

    def _write(self, share: float, **values: float) -> None:
        if self.log is not None:
            seconds = round(self.seconds(), 3)
            self.log.write(step=self.counters.step, share=round(share, 6), **values, seconds=seconds)

    def validate(self, share: float) -> None:
        """Measure the validation loss of the averaged weights; remember them where they are the best so far."""
        data, size = self.stage.validation, self.config.batch_size
        assert data is not None
        loss_of = self.stage.validation_loss or self.stage.loss
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        with self.step.shown(self.step.average or self.step.live), torch.no_grad(), self.step.autocast():
            for start in range(0, len(data), size)[self.processes.rank :: self.processes.count]:
                stop = min(start + size, len(data))
                # The same noise at every validation, so that two of them can be compared.
                base = hashed(self.seed, "validation")
                seeds = row_seeds(base, start, stop, self.device)
                batch = Batch(self.uploads.begin(data.batch(torch.arange(start, stop))).wait())
                for part, streams in self.step.parts(batch, seeds):
                    total, weight = loss_of(self.model, part, streams)
                    sums += torch.stack((total.double(), weight.double()))
            also = {} if self.stage.measure is None or self.log is None else self.stage.measure()
        loss, weight = self.processes.total(sums).tolist()
        if not math.isfinite(loss) or weight <= 0:
            raise self._diverged("validation loss", self.counters.step)
        best = min((value for _, value in self.counters.history), default=math.inf)
        self.counters.history.append((self.counters.step, loss / weight))
        if loss / weight < best:
            self.counters.best_share = share
            if self.config.keep == "best":
                self.best = [value.clone() for value in self.step.average or self.step.live]
        self._write(share, validation_loss=loss / weight, **also)

    def save_due(self) -> bool:
        """Whether it is time for a resume point; who holds a part of the weights writes it with all others."""
        due = self.seconds() >= self.next_save
        return self.processes.told(due) if self.step.is_dealt_out else due

    def save(self) -> None:
        """Write a resume point, and put the next off so far that they cost no more than their share of the time."""
        begun = self.seconds()
        self.check()
        if self.log is not None or self.step.is_dealt_out:
            groups = {**self.step.state(), "best": self.step.whole_of(self.best or [])}
        if self.log is not None:
            counters = replace(
                self.counters,
                seconds=begun,
                running=float(self.step.running),
                log_bytes=self.log.length(),
                preparation_seconds=self.step.preparation,
            )
            self.points.save(groups, {"arguments": self.arguments, "counters": asdict(counters)})
        now = self.seconds()
        self.next_save = now + max(self.config.checkpoint_seconds, (now - begun) / CHECKPOINT_SHARE)

    def _restored(self) -> _Counters:
        point = self.points.load()
        if point is None:
            return _Counters()
        groups, header = point
        if self.points.passed_over is not None and self.processes.rank == 0:
            said = str(self.points.passed_over).partition(";")[0].rstrip(".")
            tell(f"{said}; going on from the point before, {self.points.previous.name}.")
        stored = read_as(_StoredPoint, header, str(self.points.current), "delete its folder, and run again")
        resume.check_arguments(self.stage.name, self.run.workdir, stored["arguments"], self.arguments)
        resume.load_weights(self.model, groups["model"])
        self.step.restore(groups)
        self.stored_best = groups.get("best")
        return stored["counters"]

    def finish(self) -> TrainingResult:
        """Put the weights to keep into the model and leave them on disk."""
        keep, counters = self.config.keep, self.counters
        weights = (self.best if keep == "best" else None) or self.step.average or self.step.live
        self.step.keep(weights)
        losses = [loss for _, loss in counters.history]
        kept_loss = (min(losses) if keep == "best" else losses[-1]) if losses else None
        notes: dict[str, Any] = {
            "best_share": counters.best_share,
            "validation_losses": [list(pair) for pair in counters.history],
        }
        if self.step.static_shapes:
            notes["preparation"] = self.step.notes(counters.prepared)
        flops = counters.step * counters.flops_per_step
        trained = TrainingResult(counters.step, self.seconds(), flops, kept_loss, notes)
        if self.log is not None:
            self.log.close()
            resume.finish(self.run.workdir, self.stage.name, resume.weights(self.model), self.arguments, trained)
            self.points.remove()
        return trained
