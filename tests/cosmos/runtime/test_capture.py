"""The switch: compiled blocks, recordings, and that calls are counted the same under any."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos.io.errors import UserError
from cosmos.runtime import capture, compilation, cuda_graphs
from cosmos.runtime.call_count import CallCount, add_calls, uncounted
from cosmos.runtime.capture import CapturedCalls, captured
from cosmos.runtime.cuda_graphs import CudaGraphCache


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.linear(x)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(Block() for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


class Owner:
    """Two networks; one is called `calls` times as often as the other."""

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.captured_calls = torch.device(device), CapturedCalls()
        self.loop, self.end = Network(), nn.Linear(4, 4)
        self.ran = 0

    def networks(self) -> dict[str, nn.Module]:
        return {"loop": self.loop, "end": self.end}

    def tokens(self, calls: int, x: Tensor) -> Tensor:
        self.ran += 1
        for _ in range(calls):
            x = self.loop(x)
        return self.end(x)

    def doubled(self, calls: int, x: Tensor) -> Tensor:
        return 2 * self.tokens(calls, x)


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Owner:
    """An owner as if on an accelerator, whose recordings are made and replayed by running the function again."""

    def record(run: Any, inputs: tuple[Tensor, ...], *_: Any) -> tuple[Callable[[], None], Tensor, str]:
        output = run(*inputs).clone()

        def replay() -> None:
            with uncounted(made.networks().values()):  # a graph's replay runs no Python
                output.copy_(run(*inputs))

        return replay, output, "pool"

    monkeypatch.setattr(compilation, "BACKEND", "eager")
    monkeypatch.setattr(cuda_graphs, "warm_up", lambda run, inputs: run(*inputs))
    monkeypatch.setattr(cuda_graphs, "record", record)
    made = Owner("cuda")
    return made


def counters(owner: Owner) -> dict[str, CallCount]:
    """One registered with each network."""
    made = {name: CallCount() for name in owner.networks()}
    for name, network in owner.networks().items():
        network.register_forward_hook(made[name])
    return made


def numbers(counters: dict[str, CallCount]) -> dict[str, int]:
    return {name: counter.calls for name, counter in counters.items()}


@pytest.mark.parametrize("how", ["off", "compile", "graph"])
def test_results_and_counted_calls_are_the_same_under_any_switch(owner: Owner, how: capture.Capture) -> None:
    inputs = [torch.randn(3, 4), torch.randn(3, 4), torch.randn(2, 4)]
    all_expected = [owner.tokens(5, x) for x in inputs]
    calls = counters(owner)
    for number, (x, expected) in enumerate(zip(inputs, all_expected, strict=True), 1):
        torch.testing.assert_close(captured(owner, owner.tokens, how, 5)(x), expected)
        assert numbers(calls) == {"loop": 5 * number, "end": number}


def test_a_recording_is_made_once_for_a_shape_a_constant_and_a_function(owner: Owner) -> None:
    def ran(function: Any, calls: int, x: Tensor) -> int:
        before = owner.ran
        captured(owner, function, "graph", calls)(x)
        return owner.ran - before

    warm_up_record_replay, replay = 3, 1
    assert ran(owner.tokens, 2, torch.zeros(3, 4)) == warm_up_record_replay
    assert ran(owner.tokens, 2, torch.ones(3, 4)) == replay
    for function, calls, x in (
        (owner.tokens, 2, torch.zeros(4, 4)),
        (owner.tokens, 2, torch.zeros(3, 4, dtype=torch.float64).float()[:2]),
        (owner.tokens, 1, torch.zeros(3, 4)),
        (owner.doubled, 2, torch.zeros(3, 4)),
    ):
        assert ran(function, calls, x) == warm_up_record_replay
        assert ran(function, calls, x) == replay


@pytest.mark.parametrize("to_host", [False, True])
def test_an_output_stays_when_the_recording_is_replayed(owner: Owner, to_host: bool) -> None:
    run = captured(owner, owner.tokens, "graph", 1, to_host=to_host)
    first = run(torch.zeros(3, 4))
    kept = first.clone()
    second = run(torch.ones(3, 4))
    assert torch.equal(first, kept) and not torch.equal(second, kept)
    torch.testing.assert_close(second, owner.tokens(1, torch.ones(3, 4)))


class Buffer:
    """In place of a tensor on a device that a recording fills: what is copied, and where to."""

    device = torch.device("cuda")

    def __init__(self) -> None:
        self.copied: list[tuple[torch.device, bool]] = []

    def to(self, device: torch.device, *, copy: bool) -> str:
        self.copied.append((device, copy))
        return "copied"


@pytest.mark.parametrize("to_host", [False, True])
def test_an_output_is_copied_once_to_where_it_is_read(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, to_host: bool
) -> None:
    one, other = Buffer(), Buffer()
    monkeypatch.setattr(cuda_graphs, "record", lambda *_: (lambda: None, (one, other), "pool"))
    made: Any = captured(owner, owner.tokens, "graph", 1, to_host=to_host)(torch.zeros(3, 4))
    assert made == ("copied", "copied")
    assert one.copied == other.copied == [(torch.device("cpu" if to_host else "cuda"), True)]


@pytest.mark.parametrize("how", ["off", "compile"])
def test_without_a_recording_outputs_are_those_of_the_function(owner: Owner, how: capture.Capture) -> None:
    """On the device that they are made on, wherever they are read."""
    owner.loop.to("meta"), owner.end.to("meta")
    made = captured(owner, owner.tokens, how, 1, to_host=True)(torch.zeros(3, 4, device="meta"))
    assert made.device.type == "meta"


def test_only_so_many_recordings_are_kept_the_last_used_ones(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "GRAPHS", 2)

    def ran(calls: int) -> int:
        before = owner.ran
        captured(owner, owner.tokens, "graph", calls)(torch.zeros(3, 4))
        return owner.ran - before

    assert [ran(calls) for calls in (1, 2, 1, 3, 1, 2)] == [3, 3, 1, 3, 1, 3]


def test_other_networks_are_recorded_anew_and_nothing_outlives_its_owner(owner: Owner) -> None:
    x = torch.randn(3, 4)
    before = captured(owner, owner.tokens, "graph", 1)(x)
    owner.loop = Network()
    after = captured(owner, owner.tokens, "graph", 1)(x)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, owner.tokens(1, x))
    passing = Owner("cuda")
    captured(passing, passing.tokens, "compile", 1)(x)
    calls = weakref.ref(passing.captured_calls)
    del passing
    gc.collect()
    assert calls() is None


def test_equal_blocks_are_compiled_once_for_a_shape_and_never_fall_back(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(compilation, "BACKEND", backend)
    run = captured(owner, owner.tokens, "compile", 2)
    shapes = 12  # more than torch's own limit, past which it would run uncompiled
    for batch in range(2, 2 + shapes):
        run(torch.zeros(batch, 4))
        run(torch.zeros(batch, 4))
    assert len(graphs) == 2 * shapes  # the block of the loop, and the network that has none
    owner.tokens(2, torch.zeros(20, 4))
    captured(owner, owner.tokens, "off", 2)(torch.zeros(21, 4))
    assert len(graphs) == 2 * shapes, "outside the switch nothing is compiled"


def test_a_graph_break_is_an_error(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Block, "forward", lambda self, x: x if bool(x.sum() > 0) else -x)
    with pytest.raises((torch._dynamo.exc.Unsupported, torch._dynamo.exc.UserError)):
        captured(owner, owner.tokens, "compile", 1)(torch.zeros(3, 4))


def test_blocks_are_the_repeated_parts_each_once() -> None:
    network, plain = Network(), nn.Linear(4, 4)
    assert compilation.blocks({"a": network, "part": network.blocks[0].linear}) == [
        *network.blocks,
        network.blocks[0].linear,
    ]
    assert compilation.blocks({"a": nn.Sequential(network, plain), "b": network, "c": plain}) == [
        *network.blocks,
        plain,
    ]


def test_networks_are_as_they_were_when_something_fails(owner: Owner) -> None:
    calls = counters(owner)
    for how in ("compile", "graph"):
        with pytest.raises(RuntimeError):
            captured(owner, owner.tokens, how, 1)(torch.zeros(3, 5))
    owner.tokens(1, torch.zeros(3, 4))
    assert numbers(calls) == {"loop": 1, "end": 1}
    assert all(len(network._forward_hooks) == 1 for network in owner.networks().values())
    assert not any("forward" in vars(module) for module in owner.loop.modules())


def test_a_network_with_two_names_is_counted_once_a_call(owner: Owner) -> None:
    owner.end = owner.loop
    calls = counters(owner)
    for number in (1, 2):  # the recording, and a replay
        captured(owner, owner.tokens, "graph", 3)(torch.zeros(3, 4))
        assert numbers(calls) == {"loop": 4 * number, "end": 4 * number}


def test_only_what_is_asked_for_is_counted() -> None:
    network, counter, heard = nn.Linear(2, 2), CallCount(), []
    network.register_forward_hook(counter)
    network.register_forward_hook(lambda *_: heard.append(1))

    def fail() -> None:
        with uncounted([network]):
            network(torch.zeros(1, 2))
            add_calls(network, 5)
            network(torch.zeros(1, 3))

    with pytest.raises(RuntimeError):
        fail()
    assert (counter.calls, len(heard)) == (0, 1), "hooks of another kind are left alone"
    add_calls(network, 5)
    network(torch.zeros(1, 2))
    assert counter.calls == 6


def test_a_function_that_updates_state_is_called_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call of a shape is made as it is, the second recorded; beyond the capacity all are made as they are."""
    state, ran, recorded = torch.zeros(()), [], []

    def update(x: Tensor) -> None:
        ran.append(len(x))
        state.add_(x.sum())

    def record(run: Any, inputs: tuple[Tensor, ...], *_: Any) -> tuple[Callable[[], None], None, str]:
        recorded.append(len(inputs[0]))  # recording runs nothing
        return lambda: run(*inputs), None, "pool"

    monkeypatch.setattr(cuda_graphs, "record", record)
    cache, total = CudaGraphCache(2, updates_state=True), 0.0
    for call, size in enumerate((1, 2, 1, 3, 3, 2, 1, 2, 3), 1):
        cache("update", update, torch.full((size,), float(call)))
        total += size * call
        assert (len(ran), float(state)) == (call, total)
    assert recorded == [1, 3]


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Owner()
    with pytest.raises(UserError, match="needs a CUDA device"):
        captured(plain, plain.tokens, "graph", 1)
    with pytest.raises(UserError, match="did you mean compile"):
        captured(plain, plain.tokens, "compiled", 1)  # type: ignore[arg-type]
    monkeypatch.setattr(compilation, "has_compiler", lambda: False)
    with pytest.raises(UserError, match="C\\+\\+ compiler"):
        captured(plain, plain.tokens, "compile", 1)


def test_without_a_compiler_a_recording_is_made_of_plain_calls(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "has_compiler", lambda: False)
    x = torch.randn(3, 4)
    with pytest.warns(UserWarning, match="no C"):
        result = captured(owner, owner.tokens, "graph", 1)(x)
    torch.testing.assert_close(result, owner.tokens(1, x))


def test_networks_that_were_moved_are_recorded_where_they_are(owner: Owner) -> None:
    """Inputs of a recording come from the host, so the recording has to know where its networks are."""
    before = owner.captured_calls.of(owner.networks()).graphs
    assert before.device == torch.device("cpu")
    assert owner.captured_calls.of(owner.networks()).graphs is before
    owner.loop.to("meta"), owner.end.to("meta")
    assert owner.captured_calls.of(owner.networks()).graphs.device == torch.device("meta")


def test_where_networks_are_is_where_their_first_parameter_is() -> None:
    plain, deep = (
        nn.Sequential(nn.ReLU(), nn.LayerNorm(2, elementwise_affine=False)),
        nn.Sequential(nn.ReLU(), nn.ReLU()),
    )
    deep[1].register_parameter("none", None)
    deep.append(nn.Sequential(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2)))
    deep.append(nn.Linear(2, 2))
    calls = CapturedCalls()
    assert calls.of({"plain": plain}).graphs.device is None
    assert calls.of({"plain": plain, "deep": deep, "last": nn.Linear(2, 2)}).graphs.device == torch.device("meta")
    assert calls.of({"last": nn.Linear(2, 2), "deep": deep}).graphs.device == torch.device("cpu")


@pytest.mark.parametrize("outside", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_recording_is_made_and_replayed_without_gradients_whatever_the_mode_of_its_caller(
    owner: Owner, outside: Any
) -> None:
    x, modes = torch.zeros(3, 4), []
    owner.loop.register_forward_hook(lambda *_: modes.append(torch.is_inference_mode_enabled()))
    for _ in range(2):
        with outside():
            within = torch.is_inference_mode_enabled()
            made = captured(owner, owner.tokens, "graph", 1)(x)
            assert torch.is_inference_mode_enabled() == within
        assert made.is_inference() and not made.requires_grad
    assert modes == [True] * 4
