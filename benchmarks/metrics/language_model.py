"""What a causal language model makes of texts: how likely it finds them, and where they end up in it.

One pass gives both, and both are kept by the hash of text and weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.metrics.core.metric import MetricInput
from benchmarks.metrics.core.model_loading import in_batches, load, padded

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

TOKENS = 1024  # the longest text read, as in MAUVE; the rest is cut
_LOGITS = {"cpu": 1 << 26, "cuda": 1 << 29}  # numbers in the logits of one batch: 256 MB, 2 GB


def likelihoods_and_states(
    batch: MetricInput, role: str, texts: Sequence[str], *, start: bool = True, end: bool = False, most: int = TOKENS
) -> Array:
    """Summed negative log-likelihood in nats, number of tokens, and the last hidden state at the last token.

    The sum is over the tokens of the text, each given those before it; an end token is not among them unless asked for.

    Args:
        start: put the model's start token first, so that the first token is predicted too and an empty text has a
            state. Without it the first token has no likelihood, and an empty text is not allowed.
        end: put the model's end token last, which is then one of the text's.
        most: the tokens read, start and end among them; the rest is cut.

    Returns:
        Shape (n, 2 + d).
    """
    model = batch.models[role]

    def make(missing: list[str]) -> Iterable[tuple[list[str], Array]]:
        tokenizer, network = load(model.folder, "AutoModelForCausalLM", batch.device)
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        assert not start or first is not None, f"{model.name} has no token to start with"
        last = tokenizer.eos_token_id
        assert not end or last is not None, f"{model.name} has no token to end with"
        limit = min(most, int(getattr(network.config, "max_position_embeddings", most)))
        plain = tokenizer(missing, add_special_tokens=False, verbose=False)["input_ids"]
        ids = [([first] * start + those + [last] * end)[:limit] for those in plain]
        budget = max(1, _LOGITS["cuda" if batch.device.startswith("cuda") else "cpu"] // network.config.vocab_size)
        return in_batches(missing, ids, budget, lambda places: _run(network, [ids[i] for i in places], batch.device))

    name = f"causal lm|{model.state}|start {start}|tokens {most}|float32" + "|end" * end
    return batch.vectors.of(name, texts, make)


def _run(network: Any, ids: Sequence[Sequence[int]], device: str) -> Array:
    """The vectors of one batch, shape (batch, 2 + d); what follows a text's end cannot reach it."""
    import torch

    assert all(ids), "an empty text needs a start token"
    tokens, mask = padded(ids, 0, device)  # (B, L) both
    with torch.inference_mode():
        out = network(input_ids=tokens, attention_mask=mask, output_hidden_states=True, use_cache=False)
        logits = out.logits[:, :-1].float().transpose(1, 2)  # (B, V, L - 1)
        losses = torch.nn.functional.cross_entropy(logits, tokens[:, 1:], reduction="none")  # (B, L - 1)
        counted = mask[:, 1:]
        last = mask.sum(dim=1) - 1  # (B,)
        states = out.hidden_states[-1][torch.arange(len(ids), device=tokens.device), last]  # (B, d)
        sums = torch.stack([(losses * counted).sum(dim=1), counted.sum(dim=1).float()], dim=1)  # (B, 2)
        vectors: Array = torch.cat([sums, states.float()], dim=1).cpu().numpy()
    return vectors
