"""Ways to look faster than one is, each of which was believed once; and the honest control, which passes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from simulated import HONEST, REQUESTS, SIZE, STEPS, Honest, Machine, result, text_of

from baselines.contract import Request, Sample
from benchmarks.records.validity import LATENCY, throughput
from benchmarks.timing.protocol import Protocol

AT = throughput(SIZE)
CLOSE = pytest.approx(HONEST, rel=0.01)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("rehearse", [False, True])
def test_an_honest_system_is_believed(machine: Machine, tmp_path: Path, rehearse: bool) -> None:
    found = result(Honest(machine), tmp_path, sweep=(5, 50), protocol=Protocol(rehearse=rehearse))
    assert found.said["valid"], found.said["reasons"]
    assert set(found.said["quantities"]) == {LATENCY, AT, throughput(5), throughput(50)}
    assert found.rate() == CLOSE
    assert found.said["stalled"] == []
    assert found.said["singles"] == found.said["singles_equal"] >= 10


class CachedByRequest(Honest):
    """Answers at once what it was asked before."""

    known: dict[Request, Sample]

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        self.known = getattr(self, "known", {})
        new = [request for request in requests if request not in self.known]
        if new:
            self.known |= dict(zip(new, super().generate(new, setting), strict=True))
        else:
            self.call_network()
            self.machine.work(1e-4)
        return [self.known[request] for request in requests]


@pytest.mark.parametrize("rehearse", [False, True])
def test_a_cache_by_request_gains_nothing(machine: Machine, tmp_path: Path, rehearse: bool) -> None:
    """On CUDA everything that was timed had been rehearsed with the very same requests."""
    found = result(CachedByRequest(machine), tmp_path, sweep=(50,), protocol=Protocol(rehearse=rehearse))
    assert found.rate() == CLOSE
    assert found.rate(50) < 1.3 * HONEST
    assert min(timing.seconds for timing in found.calls(LATENCY)) > 0.1


def test_no_request_is_asked_before_it_is_timed(machine: Machine, tmp_path: Path) -> None:
    """Neither warming up nor rehearsing: only single texts of a batch that then counts in no throughput."""
    system = Honest(machine)
    found = result(system, tmp_path, sweep=(50,), protocol=Protocol(rehearse=True))
    counted = {timing.ids for timing in found.calls(AT) if timing.kind == "batch"}
    seen: set[Request] = set()
    for asked in system.asked:
        if tuple(request.id for request in asked) in counted and asked[0] in REQUESTS:
            assert not seen & set(asked)
        seen |= set(asked)
    assert len(counted) == 7


class WorksAhead(Honest):
    """Has a thread make what it will be asked next, as it knows the documents and how seeds follow from them."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        self.machine.busy = 0.9  # cores, from now on
        if set(requests) <= set(REQUESTS):
            self.call_network()
            self.machine.work(1e-3)
            return [self.sample(request) for request in requests]
        return super().generate(requests, setting)


def test_a_thread_that_works_ahead_is_noticed(machine: Machine, tmp_path: Path) -> None:
    found = result(WorksAhead(machine), tmp_path)
    for quantity in (AT, LATENCY):
        assert "audit: 0.9 cores were busy while nothing was asked of the system" in found.reasons(quantity)


class WorksInNetworks(Honest):
    """Does the work of a batch when it is asked for its networks, before the clock starts."""

    prepared = False

    def networks(self) -> dict[str, Any]:
        self.machine.work(0.3)
        self.prepared = True
        return super().networks()

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        if not self.prepared:
            return super().generate(requests, setting)
        self.prepared = False
        self.call_network()
        self.machine.work(1e-3)
        return [self.sample(request) for request in requests]


def test_work_in_networks_is_not_left_out(machine: Machine, tmp_path: Path) -> None:
    assert result(WorksInNetworks(machine), tmp_path).rate() == CLOSE


class LazyTexts(Honest):
    """Works out a text when somebody looks at it."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        self.call_network()
        return [self.later(request) for request in requests]

    def later(self, request: Request) -> Any:
        machine = self.machine

        class Later:
            id, tokens, finished, sequence = request.id, 12, True, None

            @property
            def text(self) -> str:
                machine.work(0.3 / SIZE)
                return text_of(request)

        return Later()


class LazyString(str):
    """A string that is worked out when it is written."""

    machine: Machine

    def __str__(self) -> str:
        self.machine.work(0.3 / SIZE)
        return str.__str__(self)


class LazyStrings(LazyTexts):
    def later(self, request: Request) -> Any:
        text = LazyString(text_of(request))
        text.machine = self.machine
        return SimpleNamespace(id=request.id, text=text, tokens=12, finished=True, sequence=None)


@pytest.mark.parametrize("lazy", [LazyTexts, LazyStrings])
def test_a_text_that_is_made_when_it_is_looked_at_is_made_within_the_clock(
    machine: Machine, tmp_path: Path, lazy: type[Honest]
) -> None:
    found = result(lazy(machine), tmp_path)
    assert found.rate() == pytest.approx(SIZE / 0.3, rel=0.01)
    assert {type(sample.text) for sample in found.samples} == {str}


class CallsForward(Honest):
    """Calls `forward`, of which no hook knows."""

    def call_network(self) -> None:
        for _ in range(STEPS):
            self.network.forward(torch.zeros(1, 2))


def test_calls_of_forward_are_counted(machine: Machine, tmp_path: Path) -> None:
    found = result(CallsForward(machine), tmp_path)
    assert {timing.calls["network"] for timing in found.timings} == {STEPS}
    assert found.said["valid"]


class ShowsDecoy(Honest):
    """Calls a network once that it shows, and ten times one that it does not."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.hidden = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())

    def call_network(self) -> None:
        self.network(torch.zeros(1, 2))
        for _ in range(STEPS):
            self.hidden(torch.zeros(1, 2))


def test_a_decoy_is_seen_through(machine: Machine, tmp_path: Path) -> None:
    found = result(ShowsDecoy(machine), tmp_path)
    assert "audit: modules ran that its networks do not contain: Linear" in found.reasons(AT)


class CallsNothing(Honest):
    def call_network(self) -> None:
        return


def test_a_system_with_networks_that_calls_none_is_not_believed(machine: Machine, tmp_path: Path) -> None:
    found = result(CallsNothing(machine), tmp_path)
    for quantity in (AT, LATENCY):
        assert "audit: no call of a network was counted, though the system has networks" in found.reasons(quantity)


class CutsShort(Honest):
    """Writes a word in place of an answer where nobody scores it."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        if set(requests) <= set(REQUESTS):
            return super().generate(requests, setting)
        self.call_network()
        self.machine.work(0.01)
        return [Sample(request.id, "word", 2, True) for request in requests]


def test_texts_that_are_cut_short_where_they_are_not_scored(machine: Machine, tmp_path: Path) -> None:
    found = result(CutsShort(machine), tmp_path, sweep=(50,))
    assert found.reasons(throughput(50)) == [
        "audit: texts cut short: 1.0 words in texts that are only timed, 12.0 in those scored"
    ]
    assert found.rate() == CLOSE


class FasterAgain(Honest):
    """Keeps what it made of every source, whatever the seed."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        sources = {request.source for asked in self.asked for request in asked}
        known = all(request.source in sources for request in requests)
        samples = super().generate(requests, setting)
        if known:
            self.machine.wall -= 0.2
        return samples


def test_sources_that_are_faster_when_they_are_asked_again(machine: Machine, tmp_path: Path) -> None:
    system = FasterAgain(machine)
    found = result(system, tmp_path, texts=100)  # three batches count; two are made in place of those that lack
    assert any(reason.startswith("audit: asked again it is") for reason in found.reasons(AT))
