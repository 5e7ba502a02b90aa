"""FLOPs as they are counted, against products worked out by hand."""

from __future__ import annotations

import torch
from torch import nn

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
