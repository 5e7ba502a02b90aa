"""The chunked token head: values and gradients of the plain loss, and logits of no more than a chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from cosmos.models import token_head
from cosmos.models.token_head import chunk_rows, chunked_loss, summed_nll
from cosmos.runtime import compilation
from cosmos.runtime.flops import measure_flops

POSITIONS, WIDTH, VOCABULARY = 200, 12, 40


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 positions, so that there are four, the last a small one."""
    monkeypatch.setattr(token_head, "CHUNK_LOGITS", {"cpu": 1})


def problem(dtype: torch.dtype) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    weights = torch.rand(POSITIONS, generator=random, dtype=torch.float64)
    return {
        "states": torch.randn(POSITIONS, WIDTH, generator=random, dtype=torch.float64).to(dtype).requires_grad_(),
        "table": torch.randn(VOCABULARY, WIDTH, generator=random, dtype=torch.float64).to(dtype).requires_grad_(),
        "bias": torch.randn(VOCABULARY, generator=random, dtype=torch.float64).to(dtype).requires_grad_(),
        "tokens": torch.randint(VOCABULARY, (POSITIONS,), generator=random),
        "weights": (weights * (weights > 0.3)).to(dtype),
    }


def plain(states: Tensor, table: Tensor, bias: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    logits = functional.linear(states, table, bias)
    return (functional.cross_entropy(logits, tokens, reduction="none") * weights).sum()


def results(loss: Callable[..., Tensor], given: dict[str, Tensor]) -> list[Tensor]:
    """Value and gradients of 3 * loss."""
    for value in given.values():
        value.grad = None
    value = 3.0 * loss(**given)
    value.backward()
    return [value.detach(), *(given[name].grad for name in ("states", "table", "bias"))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_plain_cross_entropy(dtype: torch.dtype) -> None:
    given, exact = problem(dtype), problem(torch.float64)
    tolerance = {torch.float32: 2e-6, torch.float64: 1e-14}[dtype]
    for found, wanted in zip(results(summed_nll, given), results(plain, exact), strict=True):
        assert found.dtype == dtype
        assert (found.double() - wanted).norm() <= tolerance * wanted.norm()
    without = summed_nll(given["states"], given["table"], given["tokens"], given["weights"])
    zero = plain(
        given["states"], given["table"], torch.zeros(VOCABULARY, dtype=dtype), given["tokens"], given["weights"]
    )
    torch.testing.assert_close(without, zero)


def test_gradients_are_those_of_finite_differences() -> None:
    given = problem(torch.float64)

    def loss(states: Tensor, table: Tensor, bias: Tensor) -> Tensor:
        return summed_nll(states, table, given["tokens"], given["weights"], bias)

    assert torch.autograd.gradcheck(loss, (given["states"], given["table"], given["bias"]), fast_mode=True)


def test_what_needs_no_gradient_gets_none() -> None:
    given = problem(torch.float32)
    given["table"].requires_grad_(False)
    total = summed_nll(given["states"], given["table"], given["tokens"], given["weights"])
    total.backward()
    assert given["table"].grad is None and given["states"].grad is not None
    with torch.no_grad():
        alone = summed_nll(given["states"], given["table"], given["tokens"], given["weights"])
    assert not alone.requires_grad and torch.equal(alone, total.detach())


class Sizes(TorchDispatchMode):
    """Notes the largest tensor that any operation makes, and the largest in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.largest, self.largest_wide = 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, Tensor):
                self.largest = max(self.largest, value.numel())
                if value.dtype == torch.float32:
                    self.largest_wide = max(self.largest_wide, value.numel())
        return result


def test_logits_are_never_larger_than_a_chunk() -> None:
    """The vocabulary is so large beside all else that whatever is larger than a chunk of logits is more than that."""
    vocabulary = 1000
    states = torch.randn(1000, 4, requires_grad=True)
    table = torch.randn(vocabulary, 4, requires_grad=True)
    tokens, weights = torch.randint(vocabulary, (1000,)), torch.ones(1000)
    with Sizes() as whole:
        functional.cross_entropy(states @ table.T, tokens, reduction="sum").backward()
    assert whole.largest == 1000 * vocabulary
    with Sizes() as chunked, torch.autocast("cpu", torch.bfloat16):
        summed_nll(states, table, tokens, weights).backward()
    assert chunk_rows(states.device, vocabulary) == 64
    assert chunked.largest == 64 * vocabulary
    assert 0 < chunked.largest_wide <= 64 * vocabulary


def test_under_autocast_products_are_narrow_and_gradients_are_of_the_weights_dtype() -> None:
    given, exact = problem(torch.float32), problem(torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        found = results(summed_nll, given)
    for one, wanted in zip(found, results(plain, exact), strict=True):
        assert one.dtype == torch.float32
        assert 1e-5 < (one.double() - wanted).norm() / wanted.norm() < 0.02


def test_operations_are_counted_as_those_of_the_plain_loss() -> None:
    given = problem(torch.float32)
    counted = [measure_flops(lambda loss=loss: loss(**given).backward()) for loss in (summed_nll, plain)]
    assert counted[0] == counted[1] == 3 * 2 * POSITIONS * WIDTH * VOCABULARY
    with torch.no_grad():
        assert measure_flops(lambda: summed_nll(**given)) == 2 * POSITIONS * WIDTH * VOCABULARY


def squares(logits: Tensor, aims: Tensor) -> Tensor:
    return (logits - aims).square().sum()


def test_any_loss_of_rows_can_be_read_off() -> None:
    given, aims = problem(torch.float64), torch.randn(POSITIONS, VOCABULARY, dtype=torch.float64)
    found = results(lambda **g: chunked_loss(squares, g["states"], g["table"], (aims,), g["bias"]), given)
    wanted = results(lambda **g: squares(functional.linear(g["states"], g["table"], g["bias"]), aims), given)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_no_positions_cost_nothing() -> None:
    given = problem(torch.float32)
    total = summed_nll(given["states"][:0], given["table"], given["tokens"][:0], given["weights"][:0])
    total.backward()
    assert total == 0 and given["table"].grad is not None and not given["table"].grad.any()


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
def test_a_compiled_loss_is_the_same() -> None:
    given = problem(torch.float32)
    wanted = results(summed_nll, given)
    with compilation.compiled([]):
        found = results(lambda **g: summed_nll(**g, compiled=True), given)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
