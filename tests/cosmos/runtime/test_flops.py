"""FLOPs as they are counted, against products worked out by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cosmos.runtime.flops import measure_flops


def test_flops_of_products_and_attention_on_the_cpu_are_counted() -> None:
    batch, heads, length, width = 2, 3, 32, 16
    x = torch.randn(batch * length, width)
    linear = nn.Linear(width, 24)
    assert measure_flops(lambda: linear(x)) == 2 * x.shape[0] * width * 24
    q, k, v = (torch.randn(batch, heads, length, width, requires_grad=True) for _ in range(3))
    product = 2 * batch * heads * length * length * width
    attention = nn.functional.scaled_dot_product_attention
    assert measure_flops(lambda: attention(q, k, v)) == 2 * product
    # Backward: the scores again, and the gradients of values, probabilities, queries and keys.
    assert measure_flops(lambda: attention(q, k, v).sum().backward()) == (2 + 5) * product


def test_the_total_is_that_of_torchs_own_counter() -> None:
    network = nn.Sequential(nn.Conv1d(3, 4, 2), nn.Linear(7, 5), nn.Flatten(), nn.Linear(20, 2))
    x = torch.randn(6, 3, 8)

    def train() -> None:
        network(x).square().mean().backward()

    def infer() -> None:  # where products such as `einsum` reach the counter whole
        with torch.inference_mode():
            torch.einsum("bij,bkj->bik", network[0](x), network[0](x)) @ torch.ones(4, 3)

    for run in (train, infer):
        with FlopCounterMode(display=False) as counter:
            run()
        assert measure_flops(run) == counter.get_total_flops() > 0
