"""Systems that seem faster than they are, each in its own way, and an honest one; by a clock that only they move.

A call of a network takes ten milliseconds and one for each text; nothing else takes time but what a system says does.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from baselines.contract import Request, Sample
from benchmarks.timing.clock import Clock

STEPS, WIDTH = 10, 16
WORDS = tuple(f"word{number}" for number in range(50))


class Time:
    """What time it is."""

    now = 100.0
    cpu = 50.0

    @classmethod
    def work(cls, seconds: float) -> None:
        cls.now += seconds
        cls.cpu += seconds


class FakeClock(Clock):
    """Reads `Time`."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__("cpu")

    def now(self) -> float:
        return Time.now

    def cpu(self) -> float:
        return Time.cpu

    def busy_outside(self, settle: float = 0.0, window: float = 0.0) -> float:
        """Nobody's time goes on between calls, so nothing is waited for."""
        return 0.0


class Network(nn.Module):
    """Two layers, whose calls take time."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.second = (
            nn.Parameter(torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64) / WIDTH) for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Time.work(0.01 + 0.001 * len(x))
        return torch.tanh(x @ self.first) @ self.second + x


@dataclass(frozen=True)
class Setting:
    steps: int = STEPS


class Honest:
    """Ten calls of its network for each batch; a text follows from its request's seed."""

    steps = STEPS

    def __init__(self) -> None:
        self.network = Network()

    def networks(self) -> Mapping[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        return self.make(requests)

    def make(self, requests: Sequence[Request]) -> list[Sample]:
        x = torch.tensor([[((r.seed >> place) % 7) / 7 for place in range(WIDTH)] for r in requests]).double()
        with torch.inference_mode():
            for _ in range(self.steps):
                x = self.call(x)
        return [self.sample(request, row) for request, row in zip(requests, x.tolist(), strict=True)]

    def call(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.network(x)
        return made

    def sample(self, request: Request, row: list[float]) -> Sample:
        count = 6 + request.seed % 6
        words = [WORDS[(request.seed + int(abs(round(value, 3)) * 100)) % len(WORDS)] for value in row[:count]]
        return Sample(request.id, " ".join(words), count, True)

    def close(self) -> None:
        """End what lives on."""


class CachesRequests(Honest):
    """Keeps what it made, by request."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str | None, int], Sample] = {}

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        new = [request for request in requests if (request.source, request.seed) not in self.kept]
        made = zip(new, self.make(new) if new else (), strict=True)
        self.kept.update(((request.source, request.seed), sample) for request, sample in made)
        return [self.kept[request.source, request.seed] for request in requests]


class WorksAhead(CachesRequests):
    """A thread makes the texts that will be asked for, which it can guess; it waits for more when they are made."""

    def __init__(self, guessed: Sequence[Request]) -> None:
        super().__init__()
        self.done, self.stop = threading.Event(), threading.Event()
        threading.Thread(target=self.work, args=(guessed,), name="ahead", daemon=True).start()
        self.done.wait()

    def work(self, guessed: Sequence[Request]) -> None:
        before = Time.now, Time.cpu
        super().generate(guessed, Setting())
        Time.now, Time.cpu = before  # while nobody looked at the clock
        self.done.set()
        self.stop.wait()

    def close(self) -> None:
        self.stop.set()


class WorksWhenAskedForNetworks(CachesRequests):
    """Makes the texts that will be asked for when its networks are asked for, before the clock starts."""

    def __init__(self, guessed: Sequence[Request]) -> None:
        super().__init__()
        self.guessed = guessed

    def networks(self) -> Mapping[str, Any]:
        self.kept.clear()
        super().generate(self.guessed, Setting())
        return super().networks()


class LaterSample:
    """A sample whose text is made when it is looked at."""

    sequence = None

    def __init__(self, system: Honest, request: Request) -> None:
        self.id, self.tokens, self.finished = request.id, 6 + request.seed % 6, True
        self._system, self._request = system, request

    @property
    def text(self) -> str:
        return self._system.make([self._request])[0].text


class Lazy(Honest):
    """Hands out samples at once, whose texts are made later."""

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Any]:
        return [LaterSample(self, request) for request in requests]


class CallsForward(Honest):
    """Calls its network's `forward`, which hooks do not see."""

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.forward(x)


class ShowsDecoy(Honest):
    """Shows a small network that it calls once, and works with another."""

    def __init__(self) -> None:
        super().__init__()
        self.decoy = nn.Linear(2, 2)

    def networks(self) -> Mapping[str, Any]:
        return {"network": self.decoy}

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        self.decoy(torch.zeros(1, 2))
        return super().generate(requests, setting)


class CutsWhenTimed(Honest):
    """Cuts its work, and its texts, short while somebody counts its calls."""

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        counted = bool(self.network._forward_hooks)
        self.steps = STEPS // 2 if counted else STEPS
        return [cut(sample) if counted else sample for sample in super().generate(requests, setting)]


def cut(sample: Sample) -> Sample:
    """The first three words, and no more claimed."""
    return Sample(sample.id, " ".join(sample.text.split()[:3]), 3, True)


class ClaimsWholeTexts(Honest):
    """Cuts its texts short, and claims the tokens they would have had."""

    def sample(self, request: Request, row: list[float]) -> Sample:
        whole = super().sample(request, row)
        return Sample(whole.id, " ".join(whole.text.split()[:2]), whole.tokens, True)


class Stalls(Honest):
    """Stands still for twenty seconds in one of eight batches, as a machine does that sleeps."""

    batches = 0

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        if len(requests) > 1:
            self.batches += 1
            Time.now += 20.0 if self.batches % 8 == 6 else 0.0
        return super().generate(requests, setting)


class QuickAlone(Honest):
    """Makes less of a text when it is asked for one alone."""

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        alone = len(requests) == 1
        self.steps = STEPS // 2 if alone else STEPS
        return [cut(sample) if alone else sample for sample in super().generate(requests, setting)]


class FewSteps(Honest):
    """Honest, in two steps from noise of `torch.tensor`, most of whose products read something it did not compute."""

    steps = 2


class NoiseOfNumpy(FewSteps):
    """Honest likewise, with noise of numpy; and it compares texts with each other, as one that takes the best does."""

    def make(self, requests: Sequence[Request]) -> list[Sample]:
        noise = [np.random.default_rng(r.seed).standard_normal(WIDTH) for r in requests]
        x = torch.from_numpy(np.stack(noise))
        with torch.inference_mode():
            weights = torch.softmax(x @ x.T, dim=-1)
            for _ in range(self.steps):
                x = self.call(x)
            x = x + 0.0 * weights.sum()
        return [self.sample(request, row) for request, row in zip(requests, x.tolist(), strict=True)]


class HiddenWeightsOfNumpy(Honest):
    """Works with weights that are numbers of numpy, and no network's."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = np.eye(WIDTH)

    def call(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = x @ torch.from_numpy(self.hidden)
        return super().call(x)


class StopsByItself(Honest):
    """Honest; how many calls a text takes depends on the text, and a batch goes on until its last text is done."""

    def make(self, requests: Sequence[Request]) -> list[Sample]:
        self.steps = max(2 + (r.seed >> 3) % 9 for r in requests)
        return super().make(requests)

    def sample(self, request: Request, row: list[float]) -> Sample:
        return super().sample(request, [(request.seed >> place) % 5 / 5 for place in range(WIDTH)])


class ChoosesAmongSome(Honest):
    """Honest; two networks, one of which is called once for two texts, and the better of two candidates is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = Network()

    def networks(self) -> Mapping[str, Any]:
        return {"network": self.network, "judge": self.judge}

    def call(self, x: torch.Tensor) -> torch.Tensor:
        first, second = super().call(x), super().call(x)
        worth = torch.cat([self.judge(rows) for rows in x.split(2)])
        return torch.where(worth.sum(1, keepdim=True) > 0, first, second)


class LessForStandIns(Honest):
    """Half of the work for requests of other seeds than those that are scored, which it knows."""

    def __init__(self, scored: Sequence[Request]) -> None:
        super().__init__()
        self.scored = {(request.id, request.seed) for request in scored}

    def make(self, requests: Sequence[Request]) -> list[Sample]:
        known = all((request.id, request.seed) in self.scored for request in requests)
        self.steps = STEPS if known else STEPS // 2
        return super().make(requests)


class QuickLarge(Honest):
    """A fifth of the work where more texts are asked for at once than the scored ones are."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def make(self, requests: Sequence[Request]) -> list[Sample]:
        self.steps = STEPS // 5 if len(requests) > self.size else STEPS
        return super().make(requests)


class Head(Honest):
    """Makes four of ten steps of the texts that will be asked for while it is loaded."""

    def __init__(self, guessed: Sequence[Request]) -> None:
        super().__init__()
        before = Time.now, Time.cpu
        self.steps, self.half = 4, dict[tuple[str, int], torch.Tensor]()
        for request in guessed:
            self.half[request.id, request.seed] = self.steps_from(self.start([request]), 4)
        Time.now, Time.cpu = before  # while nobody looked at the clock

    def start(self, requests: Sequence[Request]) -> torch.Tensor:
        return torch.tensor([[((r.seed >> place) % 7) / 7 for place in range(WIDTH)] for r in requests]).double()

    def steps_from(self, x: torch.Tensor, steps: int) -> torch.Tensor:
        with torch.inference_mode():
            for _ in range(steps):
                x = self.call(x)
        return x

    def make(self, requests: Sequence[Request]) -> list[Sample]:
        keys = [(request.id, request.seed) for request in requests]
        known = all(key in self.half for key in keys)
        x = torch.cat([self.half[key] for key in keys]) if known else self.start(requests)
        x = self.steps_from(x, STEPS - 4 if known else STEPS)
        return [self.sample(request, row) for request, row in zip(requests, x.tolist(), strict=True)]


class ThreadDecoy(ShowsDecoy):
    """Shows a decoy, and has a thread call the network that works, for which it waits."""

    def call(self, x: torch.Tensor) -> torch.Tensor:
        made: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: made.append(self.network.forward(x)))
        thread.start()
        thread.join()
        return made[0]
