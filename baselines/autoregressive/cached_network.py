"""GPT-2 with keys and values in a preallocated cache, as `baselines.autoregressive.decoding` serves it.

A view of a `GPT2LMHeadModel`, whose parameters it shares: the same function with fewer and larger kernels (one matrix
for queries, keys and values that are stored as they come; the fused GELU; no mask made anew in every layer).

Axis legend: B rows (texts), S prompt positions, P positions of the cache, W width, H heads, D head size, V tokens.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2LMHeadModel

from baselines.autoregressive.decoding import attend, locate


class AfterAttention(nn.Module):
    """What stands between the attention of one layer and that of the next.

    Compiled as a whole where capturing compiles: it depends on the number of rows alone, not on what is attended to.
    """

    def __init__(self, block: nn.Module, next_norm: nn.Module, next_map: nn.Module) -> None:
        super().__init__()
        self.out, self.norm = block.attn.c_proj, block.ln_2
        self.inner, self.outer = block.mlp.c_fc, block.mlp.c_proj
        self.next_norm, self.next_map = next_norm, next_map

    def forward(self, x: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """The stream and what was attended to [..., W] -> the stream, and the next layer's map of it (or logits)."""
        x = x + self.out(attended)
        x = x + self.outer(functional.gelu(self.inner(self.norm(x)), approximate="tanh"))
        return x, self.next_map(self.next_norm(x))


class CachedGPT2(nn.Module):
    """A network as `baselines.autoregressive.decoding.CachedNetwork` is called."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        super().__init__()
        parts, config = model.transformer, model.config
        self.heads, self.width = config.n_head, config.n_embd
        self.tokens, self.position_embedding = parts.wte, parts.wpe
        self.first_norm, self.first_map = parts.h[0].ln_1, parts.h[0].attn.c_attn
        after = [(block.ln_1, block.attn.c_attn) for block in parts.h[1:]] + [(parts.ln_f, model.lm_head)]
        self.blocks = nn.ModuleList(AfterAttention(block, *maps) for block, maps in zip(parts.h, after, strict=True))

    def kv_cache(self, rows: int, positions: int) -> list[Tensor]:
        """Keys and values of every layer, [rows, positions, 2, H, D]."""
        shape = (rows, positions, 2, self.heads, self.width // self.heads)
        return [self.tokens.weight.new_zeros(shape) for _ in self.blocks]

    def forward(
        self, tokens: Tensor, kv_cache: list[Tensor], positions: Tensor | None = None, attended_length: int = 0
    ) -> Tensor | None:
        """One further token per row, or the prompts that come before it.

        Args:
            tokens: int64 [B] at `positions`: returns logits [B, V] of what follows. Or, without positions, prompts
                [B, S] from position 0 on, which only fill the cache; their padding is written over later.
        """
        if positions is None:
            return self._read(tokens, kv_cache)
        at = locate(positions, attended_length, self.tokens.weight.dtype)
        x = self.tokens(tokens) + self.position_embedding(positions)  # [B, W]
        mapped = self.first_map(self.first_norm(x))
        for block, layer_cache in zip(self.blocks, kv_cache, strict=True):
            parts = self._heads(mapped)  # [B, 3, H, D]
            x, mapped = block(x, attend(parts[:, 0], parts[:, 1:], layer_cache, at))
        return mapped

    def _read(self, prompts: Tensor, kv_cache: list[Tensor]) -> None:
        length = prompts.shape[1]
        x = self.tokens(prompts) + self.position_embedding.weight[:length]  # [B, S, W]
        mapped = self.first_map(self.first_norm(x))
        for layer, (block, layer_cache) in enumerate(zip(self.blocks, kv_cache, strict=True), start=1):
            parts = self._heads(mapped)  # [B, S, 3, H, D]
            layer_cache[:, :length] = parts[:, :, 1:]
            if layer < len(kv_cache):  # what follows a prompt's earlier tokens is known
                query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [B, H, S, D]
                attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
                x, mapped = block(x, attended.transpose(1, 2).flatten(2))

    def _heads(self, mapped: Tensor) -> Tensor:
        """[..., 3 * W] -> queries, keys and values [..., 3, H, D]."""
        return mapped.unflatten(-1, (3, self.heads, self.width // self.heads))
