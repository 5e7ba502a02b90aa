"""One optimiser step: loss, gradients, AdamW, and the exponential moving average of the weights.

On a GPU a step can be recorded, as a CUDA graph for each shape of batch, and replayed; where processes share a batch it
is two, of the gradients and of what they move, and between them gradients are exchanged. Launched kernel by kernel, a
small network's step waits for the processor most of the time, the longer the more and the smaller its kernels are: then
equal seconds are not equal use of the GPU, and systems of many small kernels are treated worst. (Recorded, kernels are
still not fused, which costs the same systems most, but less; where the budget pays for it they are compiled besides,
`cosmos.training.preparation`.) Whatever changes from step to step (rows, noise, learning rate) therefore lies in
tensors, and nothing in a recorded step waits for the device.

Axis legend: B rows of this process's part of the global batch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cosmos.runtime import compilation
from cosmos.runtime.cuda_graphs import CudaGraphCache
from cosmos.runtime.rng import CounterRNG
from cosmos.training import resume
from cosmos.training.batches import Batch, Dataset, Rows, hashed, rows_of
from cosmos.training.buckets import RaggedDataset
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig
from cosmos.training.distributed import Objective, Processes
from cosmos.training.preparation import Preparation, prepare
from cosmos.training.shared_dropout import DropoutOfWhole
from cosmos.training.shared_gradients import SharedGradients

Groups = dict[str, dict[str, Tensor]]
"""What a resume point holds: groups of named tensors."""

GRAPHS = 64  # shapes of batch whose steps are recorded; steps of any further ones are launched as they are


def prepared_for(
    step: OptimiserStep,
    data: Dataset,
    budget: Budget,
    flops: Callable[[], float],
    known: Callable[[], Collection[int] | None],
) -> Preparation:
    """The preparation that pays best for a training on data, where one step costs so many FLOPs; `known` is asked where
    compiling is to be found out (`cosmos.training.preparation.prepare`)."""
    config, can = step.config, step.can_compile()
    options = ((False, True) if config.compile == "auto" else (True,)) if can else (False,)
    fixed = step.recorded or can or config.length_buckets > 0
    ragged = (data.lengths, data.longest) if fixed and isinstance(data, RaggedDataset) else None
    before = known() if len(options) > 1 else None
    return prepare(budget, flops, compile_options=options, ragged=ragged, buckets=config.length_buckets, known=before)


class OptimiserStep:
    """What a step reads and moves, and the step itself.

    Attributes:
        parameters: what is trained, by name. live: the same without their graph.
        average: the moving average of each, if there is one.
        is_dealt_out: whether this process has but a part of them (`cosmos.training.sharding`).
        optimizer: AdamW.
        recorded: whether steps are CUDA graphs.
        compiled: what of the model is compiled (`cosmos.runtime.compilation`), and noise and losses are with it; None:
            nothing.
        static_shapes: as `cosmos.training.batches.Batch` has it.
        preparation: seconds of steps in which something was compiled or recorded.
        running: the sum of the losses since somebody set it to zero, float64.
        bad_step: number of the first step, from 1, with a loss or gradient that was not finite; -1 while there is none.
    """

    is_dealt_out = False

    def __init__(self, model: nn.Module, config: TrainingConfig, processes: Processes, seed: int) -> None:
        self.model, self.config, self.processes, self.seed = model, config, processes, seed
        self.device = device = processes.device
        if processes.count > 1:
            for value in resume.weights(model).values():
                torch.distributed.broadcast(value, 0)
        self.parameters = resume.trainable(model)
        self.live = [parameter.data for parameter in self.parameters.values()]
        self.average = [value.clone() for value in self.live] if config.ema_decay is not None else None
        self.recorded = config.cuda_graph and device.type == "cuda" and self.can_record()
        self.compiled: compilation.Compiled | None = None
        self.static_shapes, self.preparation = self.recorded, 0.0
        self.shared: SharedGradients | None = None  # where processes record steps
        self._made: Counter[Hashable] = Counter()  # steps made of each shape
        self.optimizer = self.make_optimizer()
        self.numbers = rows_of(config.batch_size, processes.rank, processes.count)
        self.part = torch.tensor(self.numbers) if processes.count > 1 else None  # of the rows of the global batch
        self.rows = torch.arange(config.batch_size, device=device)
        self.places = torch.tensor(self.numbers, device=device)
        self.noise = torch.zeros((), dtype=torch.int64, device=device)  # where this step's streams begin
        self.progress = torch.zeros((), device=device)  # the share of the budget used
        self.gain = torch.zeros((), device=device)  # the share of the average that is made new
        self.steps = torch.zeros((), dtype=torch.int64, device=device)
        self.bad_step = torch.full((), -1, device=device)
        self.running = torch.zeros((), dtype=torch.float64, device=device)
        # Threads that pin the memory of coming batches while a step is recorded do no harm.
        self.graphs = CudaGraphCache(GRAPHS, device=device, updates_state=True, error_mode="thread_local")

    def make_optimizer(self) -> torch.optim.AdamW:
        config, rate = self.config, self.config.learning_rate
        return torch.optim.AdamW(
            self.parameters.values(),
            lr=torch.tensor(rate, device=self.device) if self.recorded else rate,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
            fused=True,
            capturable=self.recorded,
        )

    def can_record(self) -> bool:
        return True

    def restore(self, groups: Groups) -> None:
        """Take what a resume point holds beside the weights."""
        resume.restore_optimizer(self.optimizer, list(self.parameters), groups["optimizer"])
        if self.average is not None:
            self.average = self.parts_of(groups["average"])

    def state(self) -> Groups:
        """What a resume point holds of weights, averages and optimiser; every process asks at once."""
        return {
            "model": resume.weights(self.model),
            "optimizer": resume.flatten_optimizer(self.optimizer, list(self.parameters)),
            "average": self.whole_of(self.average or []),
        }

    def whole_of(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        """Tensors that lie as `live` does, by name and as a file holds them; every process asks at once."""
        return dict(zip(self.parameters, values, strict=False))

    def parts_of(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """The same the other way round."""
        return [values[name].to(self.device) for name in self.parameters]

    def keep(self, values: Sequence[Tensor]) -> None:
        """Put values of `live` into the network, to be used from now on."""
        torch._foreach_copy_(self.live, list(values))
        self.model.eval()

    @contextmanager
    def shown(self, values: Sequence[Tensor]) -> Iterator[None]:
        """The network with these values of `live`, in evaluation mode; afterwards as it was."""
        mine = [value.clone() for value in self.live]
        self.keep(values)
        try:
            yield
        finally:
            torch._foreach_copy_(self.live, mine)
            self.model.train()

    def norm(self) -> Tensor:
        """Clip gradients; the norm they had."""
        return nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip_norm, foreach=True)

    def gradients(self) -> list[Tensor]:
        return [value.grad for value in self.parameters.values() if value.grad is not None]

    def exchanging(self, now: bool) -> AbstractContextManager[Any]:
        """Whether the next backward pass sums gradients over processes."""
        waits = self.processes.count > 1 and not self.recorded and not now
        return self.objective.no_sync() if waits else nullcontext()

    def can_compile(self) -> bool:
        return self.config.compile is not False and self.device.type == "cuda" and compilation.has_compiler()

    def prepare(self, prepared: Preparation, frozen: Sequence[nn.Module]) -> None:
        """Make ready for steps that run so, as far as this machine can; `frozen` are networks besides the model."""
        self.frozen = tuple(frozen)
        if prepared.compiled and self.can_compile():
            networks = {str(number): network for number, network in enumerate((self.model, *frozen))}
            self.compiled = compilation.compile_blocks(networks, training=True)
        self.static_shapes = self.recorded or self.compiled is not None or bool(prepared.sizes)

    def notes(self, prepared: Preparation) -> dict[str, Any]:
        """How steps ran, for the record."""
        compiled, seconds = self.compiled is not None, round(self.preparation, 3)
        return {"compiled": compiled, "recorded": self.recorded, "lengths": list(prepared.sizes), "seconds": seconds}

    def begin(self, loss: Callable[..., tuple[Tensor, Tensor]], step: int, running: float) -> None:
        """Make ready for step `step` (from 0), when whatever a resume point holds is in place."""
        objective = Objective(self.model, loss)
        wrapped = self.processes.count > 1 and not self.recorded
        self.objective = self.processes.accelerator.prepare(objective) if wrapped else objective
        self.steps.fill_(step)
        self.running.fill_(running)

    def autocast(self) -> AbstractContextManager[Any]:
        precision = self.processes.precision(self.config.precision)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bfloat16")

    def __call__(self, rows: Rows, step: int, rate: float, share: float = 0.0) -> None:
        """Step `step` (from 0) at a learning rate, where a share of the budget is used, on rows that lie on the
        device or on the CPU; does not wait for the device, but where something is compiled or recorded."""
        self.progress.fill_(share)
        shapes = tuple((name, tuple(value.shape)) for name, value in rows.items())
        if self._made[shapes] < (2 if self.recorded else int(self.compiled is not None)):  # as it is, and to record it
            began = time.perf_counter()
            self._step(rows, step, rate)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.preparation += time.perf_counter() - began
        else:
            self._step(rows, step, rate)
        self._made[shapes] += 1

    def _step(self, rows: Rows, step: int, rate: float) -> None:
        self.noise.fill_(hashed(self.seed, "noise", step))
        dropout = hashed(self.seed, "dropout", step, self.processes.rank if self._drops_alone() else 0)
        torch.default_generator.manual_seed(dropout)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(dropout)
        group = self.optimizer.param_groups[0]
        if self.recorded:
            group["lr"].fill_(rate)
            self.gain.fill_(1.0 - self._decay(step))
            names = tuple(rows)
            work = self._run if self.processes.count == 1 else self._make_gradients
            self.graphs(names, lambda *tensors: work(dict(zip(names, tensors, strict=True))), *rows.values())
            if self.processes.count > 1:
                assert self.shared is not None
                self.shared.exchange()
                self.graphs("update", self._take_gradients)
            return
        group["lr"] = rate
        self._run(rows)
        if self.average is not None:
            get_ema_multi_avg_fn(self._decay(step))(self.average, self.live, step + 1)

    def _decay(self, step: int) -> float:
        return min(self.config.ema_decay or 0.0, (2 + step) / (11 + step))

    def parts(self, batch: Batch, seeds: CounterRNG) -> Iterator[tuple[Batch, CounterRNG]]:
        """The batch in as many parts as are worked on one after the other, each with its streams."""
        size = self.config.micro_batch_size or len(seeds)
        for start in range(0, len(seeds), size):
            if size >= len(seeds):
                yield batch, seeds
                return
            # Positions are those of the whole batch.
            part = {name: value[start : start + size] for name, value in batch.items() if name != "positions"}
            yield batch.having(part), seeds.part(start, min(start + size, len(seeds)))

    def _gradients(self, rows: Rows) -> Tensor:
        """Leave the gradients of the batch's loss in the parameters; returns sum and weight of that loss [2]."""
        batch = Batch(rows, self.static_shapes or self.recorded, self.progress).to(self.device)
        seeds = self._seeds()
        if (self.config.micro_batch_size or len(seeds)) >= len(seeds):
            with self.autocast():
                total, weight = self.objective(dict(batch), batch.static_shapes, batch.progress, seeds)
            sums = self.processes.total(torch.stack((total.detach(), weight)))
            weights = sums[1].clamp(min=1e-12)  # a batch with nothing to learn from has loss 0, not 0 / 0
            # Gradients are averaged over processes, hence the factor: the result is that of the global sum / weight.
            (total * (self.processes.count / weights)).backward()
            self._part_gradients()
        else:
            sums = self.processes.total(self._accumulate(list(self.parts(batch, seeds))))
            weights = sums[1].clamp(min=1e-12)
            torch._foreach_mul_(self.gradients(), self.processes.count / weights)
        return torch.stack((sums[0], weights))

    def _seeds(self) -> CounterRNG:
        """The streams of this process's rows."""
        compiled = self.compiled is not None
        whole = CounterRNG(self.rows + self.noise, compiled, fused=compiled)
        return whole if self.processes.count == 1 else whole.share(self.numbers, self.places)

    def _part_gradients(self) -> None:
        """Give every parameter a gradient of its own. Compiled code hands out one tensor as that of two, such as the
        weight and the bias of a gate; what scales gradients in place, or adds to them, would do so twice."""
        if self.compiled is None:
            return
        seen: set[int] = set()
        for parameter in self.parameters.values():
            if parameter.grad is not None:
                if parameter.grad.data_ptr() in seen:
                    parameter.grad = parameter.grad.clone()
                seen.add(parameter.grad.data_ptr())

    def _run(self, rows: Rows) -> None:
        with self._networks_as_they_run():
            total, weight = self._gradients(rows)
        self._move(total, weight)
        self.optimizer.zero_grad(set_to_none=True)

    def _networks_as_they_run(self) -> AbstractContextManager[Any]:
        if self.compiled is not None:
            return compilation.compiled(self.compiled)
        if self.processes.count == 1 or self._drops_alone():
            return nullcontext()
        own = CounterRNG((self.noise - 1 - self.processes.rank)[None])  # rows' streams begin at the noise
        return DropoutOfWhole(self.places, self.config.batch_size, own)

    def _drops_alone(self) -> bool:
        """Whether dropout is drawn by each process for itself: compiled code draws in a way of its own, and what is
        worked on in parts is not to have masks of the whole batch in memory. All processes answer the same."""
        most = -(-self.config.batch_size // self.processes.count)
        return self.compiled is not None or (self.config.micro_batch_size or most) < most

    def _make_gradients(self, rows: Rows) -> None:
        """Leave the gradients of the summed loss of this process's rows, with its sum and weight, to be exchanged."""
        if self.shared is not None:
            self.shared.buffer.zero_()
        batch = Batch(rows, True, self.progress).to(self.device)
        with self._networks_as_they_run():
            sums = self._accumulate(list(self.parts(batch, self._seeds())), shared=self.shared is not None)
        if self.shared is None:
            self.shared = SharedGradients(self.parameters, self.processes)
        self.shared.sums.copy_(sums)

    def _take_gradients(self) -> None:
        """Move the weights by exchanged gradients."""
        assert self.shared is not None
        weight = self.shared.sums[1].clamp(min=1e-12)
        torch._foreach_mul_(self.shared.gradients, 1.0 / weight)
        self._move(self.shared.sums[0], weight)

    def _move(self, total: Tensor, weight: Tensor) -> None:
        """What the gradients of a batch do, and its loss as a sum and a weight."""
        norm = self.norm()
        self.optimizer.step()
        if self.recorded and self.average is not None:
            difference = torch._foreach_sub(self.live, self.average)
            torch._foreach_mul_(difference, self.gain)
            torch._foreach_add_(self.average, difference)
        value = total / weight
        self.steps += 1
        # The norm is that of all processes' gradients: it tells each of them of a bad loss in any.
        good = torch.isfinite(value + norm) | (self.bad_step >= 0)
        self.bad_step.copy_(torch.where(good, self.bad_step, self.steps))
        self.running += value

    def _accumulate(self, parts: Sequence[tuple[Batch, CounterRNG]], shared: bool = False) -> Tensor:
        """Add up the gradients of summed losses, part by part; the sums of losses and of weights [2]. What a part
        weighs is not known before all have been worked on, so gradients are divided by the sum of weights afterwards.
        With `shared` they are added to what each parameter has already, in its place.
        """
        sums = torch.zeros(2, device=self.device)
        for number, (part, seeds) in enumerate(parts, 1):
            # Processes exchange gradients with the last part, when all are added up.
            with self.exchanging(number == len(parts)):
                with self.autocast():
                    total, weight = self.objective(dict(part), part.static_shapes, part.progress, seeds)
                total.backward()
            if not shared:
                self._part_gradients()
            sums += torch.stack((total.detach(), weight))
        return sums
