"""Tokens read a chunk at a time are those of an argmax over the logits of all positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosmos.models import token_reading
from cosmos.models.token_reading import chunk_by_chunk, most_probable
from cosmos.runtime import compilation

POSITIONS, WIDTH, ROWS = (7, 60), 8, 40


def whole_numbers(*shape: int, seed: int) -> Tensor:
    """So few values that logits, which are exact, are equal all the time."""
    return torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(seed)).float()


@pytest.fixture(params=[1, 64 * ROWS, 128 * ROWS, 1 << 22], ids=str)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(token_reading.READ_LOGITS, "cpu", request.param)
    return int(request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("vocabulary", [ROWS, 33, 1])
def test_tokens_are_those_of_all_logits_with_equals_too(
    chunk: int, dtype: torch.dtype, biased: bool, vocabulary: int
) -> None:
    states = whole_numbers(*POSITIONS, WIDTH, seed=1).to(dtype)
    table, bias = whole_numbers(ROWS, WIDTH, seed=2).to(dtype), whole_numbers(ROWS, seed=3).to(dtype)
    given = bias if biased else None
    logits = (states @ table.T + (bias if biased else 0.0))[..., :vocabulary]
    expected = logits.argmax(-1)
    top = logits == logits.amax(-1, keepdim=True)
    assert vocabulary == 1 or (top.sum(-1) > 1).any(), "nothing is equal, so nothing is tested"
    found = chunk_by_chunk(lambda part: most_probable(part, table, vocabulary, given), states, ROWS)
    assert found.shape == POSITIONS and found.dtype == torch.int64
    assert torch.equal(found, expected)
    assert torch.equal(found, top.to(torch.int8).argmax(-1))  # the first of them


def test_no_chunk_has_more_logits_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(token_reading.READ_LOGITS, "cpu", 64 * ROWS)
    sizes: list[int] = []

    def read(part: Tensor) -> Tensor:
        sizes.append(len(part))
        return part.argmax(-1)

    chunk_by_chunk(read, torch.zeros(3, 50, WIDTH), ROWS)
    assert sizes == [64, 64, 22]


@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
def test_compiled_it_reads_the_same_tokens() -> None:
    states, table = whole_numbers(90, WIDTH, seed=4), whole_numbers(ROWS, WIDTH, seed=5)
    with compilation.compiled([]):
        found = compilation.compiled_if(True, most_probable, static=True)(states, table, 37)
    assert torch.equal(found, most_probable(states, table, 37))
