"""The autoregressive rival: GPT-2 (Radford et al., 2019), Hugging Face's network, from scratch or fine-tuned.

p(target | source) is the product of p(token | source, tokens before it); a row is "source [SEP] target [SEP]" and only
the target counts in the loss, which is the exact negative log-likelihood. Network: learned positions, GELU, norms
before each layer, tied embeddings.

Generation: greedy, or draws at a temperature from the nucleus (Holtzman et al., 2020), served from a preallocated cache
(`baselines.autoregressive.decoding`); Hugging Face's own `generate`, because papers compare with that; beam search with
a length penalty (Wu et al., 2016, without their coverage term). "sample" alone gives unbiased samples of the model.

Departures from the paper, and why: sizes and the tokenizer are those of the comparison, and the width inside the
feed-forward layers is set so that networks compared have as many parameters; weight decay is on all parameters, as for
every system here; attention's own weights are not dropped, for no fast kernel of a CPU could. No pretraining, unless
the recipe names a pretrained GPT-2 to fine-tune: then sizes and byte-pair tokenizer are that one's, limits are counted
in its tokens, and a row is not to be ranked with systems that learnt from the task alone. On small corpora an
autoregressive model overfits long before its budget is used, so there is dropout, and the best weights are kept.
At nano and small, weights are averaged as those of all systems are; at base they are not, as usual for GPT-2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from baselines.autoregressive import hf_generate
from baselines.autoregressive import pretrained as gpt2_pretrained
from baselines.autoregressive.beam import Beam, search
from baselines.autoregressive.cached_network import CachedGPT2
from baselines.autoregressive.decoding import Decoding, KVCacheDecoder
from baselines.autoregressive.hf_generate import PlainGenerate
from baselines.common.likelihood import target_likelihoods
from baselines.common.system import TokenSystem
from baselines.common.token_rows import TokenDataset, TokenPairs, encode_sources, join, lengths, samples_from_tokens
from baselines.contract import Budget, Document, Likelihood, Request, Sample, UserError
from cosmos.config import MOST_WIDE, check_layers
from cosmos.io.errors import check_range
from cosmos.models.token_head import choose, summed_nll, take
from cosmos.recipes import NANO, SMALL
from cosmos.runtime.call_count import add_calls
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import SEP, Vocabulary
from cosmos.training.loop import Batch, Dataset, Loss, Rows, TrainingConfig


@dataclass(frozen=True)
class GPT2Recipe:
    """Sizes and training of one preset; `inner` is the width inside the feed-forward layers."""

    width: int
    layers: int
    heads: int
    inner: int
    dropout: float
    training: TrainingConfig
    budget: Budget
    pretrained: str | None = None  # folder or cached name of a GPT-2 to fine-tune, whose sizes replace those above

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "inner"):
            if (value := getattr(self, name)) < 1:
                raise UserError(f"The {name} of GPT-2 must be at least 1, not {value}.")
        check_layers(layers=self.layers)
        check_range("width", self.width, 1, MOST_WIDE)
        check_range("inner", self.inner, 1, 16 * MOST_WIDE)
        if self.width % self.heads:
            raise UserError(f"{self.heads} heads do not split a width of {self.width} into equal parts.")
        if not 0 <= self.dropout < 1:
            raise UserError(f"The dropout of GPT-2 must lie in [0, 1), not at {self.dropout:g}.")

    def ignored_keys(self) -> dict[str, str]:
        why = f"sizes are those of the pretrained {self.pretrained}; set {{}}pretrained=none"
        return {} if self.pretrained is None else dict.fromkeys(("width", "layers", "heads", "inner"), why)


def hidden_states(model: GPT2LMHeadModel, tokens: Tensor) -> Tensor:
    """Of all positions, under a causal mask: int64 [B, L] -> [B, L, W].

    Block by block, for called as a whole the network looks at the positions first, and a GPU would be waited for.
    """
    assert model.config._attn_implementation == "sdpa", "other attention of transformers is causal by a mask alone"
    network = model.transformer
    states = network.drop(network.wte(tokens) + network.wpe(torch.arange(tokens.shape[1], device=tokens.device)))
    for block in network.h:
        output = block(states)
        states = output if isinstance(output, Tensor) else output[0]  # by the version of transformers
    return network.ln_f(states)


def predicts_target(tokens: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Which positions of joined rows [B, L] predict a token of a target, bool [B, L - 1]; arguments of `target_nll`."""
    positions = torch.arange(1, tokens.shape[1], device=tokens.device)
    return (positions >= starts[:, None]) & (positions < ends[:, None])


def target_nll(model: GPT2LMHeadModel, tokens: Tensor, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood in nats of token 1, 2, ... of each row, and where targets are, both [B, L - 1].

    It is zero outside targets, and in float32 or the network's dtype if that is wider.

    Args:
        tokens: joined rows, int64 [B, L], padded on the right, which a causal network does not see.
        starts, ends: where targets begin, and the position after their last token, int64 [B].
    """
    states = hidden_states(model, tokens[:, :-1])  # [B, L - 1, W]
    counts = predicts_target(tokens, starts, ends)
    logits = model.lm_head(states[counts])  # [targets, V]: nothing is spent on the source's predictions
    wide = torch.promote_types(logits.dtype, torch.float32)
    nll = functional.cross_entropy(logits.to(wide), tokens[:, 1:][counts], reduction="none")
    return nll.new_zeros(counts.shape).masked_scatter(counts, nll), counts


def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """The summed negative log-likelihood of the targets and their number of tokens (`cosmos.training.loop.Loss`)."""
    tokens, scored = batch["tokens"], predicting(batch)
    index, counts = choose(scored, batch.get("positions"))
    states = take(hidden_states(model, tokens[:, :-1]).flatten(0, 1), index, counts)  # [M, W]: no source is predicted
    targets, weights = tokens[:, 1:].flatten()[index], counts.to(torch.float32)
    return summed_nll(states, model.lm_head.weight, targets, weights, compiled=seeds.fused), scored.sum()


def predicting(rows: Rows) -> Tensor:
    """`predicts_target` of a batch."""
    return predicts_target(rows["tokens"], rows["starts"], rows["ends"])


class GPT2System(TokenSystem):
    """GPT-2 behind the contract."""

    name: ClassVar[str] = "gpt2"
    presets: ClassVar[Mapping[str, Any]] = {
        "nano": GPT2Recipe(
            width=96, layers=4, heads=6, inner=704, dropout=0.0, budget=Budget(3e12, "flops"),
            training=replace(NANO, learning_rate=2e-3, batch_size=8),
        ),
        "small": GPT2Recipe(
            width=384, layers=12, heads=6, inner=2688, dropout=0.1, budget=Budget(600, "seconds"),
            training=replace(SMALL, betas=(0.9, 0.95), weight_decay=0.1),
        ),
        "base": GPT2Recipe(
            width=768, layers=12, heads=12, inner=5504, dropout=0.1, budget=Budget(300_000, "steps"),
            training=TrainingConfig(
                compile=True, batch_size=512, learning_rate=6e-4, final_learning_rate=6e-5, warmup_steps=2000,
                betas=(0.9, 0.95), weight_decay=0.1, ema_decay=None, validations=50, keep="best",
            ),
        ),
        "pretrained": GPT2Recipe(
            width=768, layers=12, heads=12, inner=3072, dropout=0.1, budget=Budget(600, "seconds"),
            training=TrainingConfig(
                batch_size=64, learning_rate=5e-5, betas=(0.9, 0.999), weight_decay=0.01, validations=20, keep="best"
            ),
            pretrained="openai-community/gpt2",
        ),
    }  # fmt: skip
    settings: ClassVar[Mapping[str, Any]] = {
        "greedy": Decoding(greedy=True),
        "sample": Decoding(),
        "nucleus-0.9": Decoding(top_p=0.9),
    }
    other_settings: ClassVar[Mapping[str, Any]] = {
        "beam-4": Beam(4),
        "generate-greedy": PlainGenerate(greedy=True),
        "generate-sample": PlainGenerate(),
    }
    kv_decoder: KVCacheDecoder | None = None
    scored = staticmethod(predicting)

    @staticmethod
    def external_weights(recipe: GPT2Recipe) -> Sequence[str]:
        return () if recipe.pretrained is None else (recipe.pretrained,)

    @staticmethod
    def own_tokenizer(recipe: GPT2Recipe) -> str | None:
        return recipe.pretrained

    def locate_weights(self) -> None:
        if self.recipe.pretrained is not None:
            gpt2_pretrained.find(self.recipe.pretrained)

    def vocabulary_of(self, texts: Iterable[str], tokenizer: str | None = None) -> Vocabulary:
        pretrained = self.recipe.pretrained
        if pretrained is None:
            return super().vocabulary_of(texts, tokenizer)
        return gpt2_pretrained.tokenizer_of(pretrained)

    def read_vocabulary(self, path: Path) -> Vocabulary:
        return super().read_vocabulary(path) if self.recipe.pretrained is None else gpt2_pretrained.BytePairs.load(path)

    def positions(self) -> int:
        return max(1, self.limits.source_tokens) + self.limits.target_tokens

    def shape(self, train: TokenPairs) -> dict[str, int]:
        if (name := self.recipe.pretrained) is None:
            return {}
        sizes = gpt2_pretrained.sizes(name)
        if sizes["positions"] < self.positions():
            raise UserError(
                f"The GPT-2 '{name}' has {sizes['positions']} positions and the task needs {self.positions()}; "
                "give another model, or a task with shorter limits."
            )
        return sizes

    def build(self, shape: Mapping[str, int]) -> GPT2LMHeadModel:
        own = {name: getattr(self.recipe, name) for name in ("width", "layers", "heads", "inner")}
        sizes = own | {"positions": self.positions()} | shape
        config = GPT2Config(
            vocab_size=sizes["vocabulary"], n_positions=sizes["positions"], n_embd=sizes["width"],
            n_layer=sizes["layers"], n_head=sizes["heads"], n_inner=sizes["inner"],
            resid_pdrop=self.recipe.dropout, embd_pdrop=self.recipe.dropout, attn_pdrop=0.0,
            activation_function="gelu_pytorch_tanh",  # "gelu_new" in one kernel
            bos_token_id=SEP, eos_token_id=SEP,
        )  # fmt: skip
        return GPT2LMHeadModel(config)

    def begin(self, model: nn.Module, vocabulary: Vocabulary) -> None:
        if self.recipe.pretrained is not None:
            gpt2_pretrained.copy_weights(self.recipe.pretrained, model, vocabulary)

    def never_end(self, model: nn.Module) -> None:
        """The first number of the last hidden state is the same at every position, and the end token alone reads it."""
        table, norm = model.transformer.wte.weight, model.transformer.ln_f
        norm.weight[0], norm.bias[0] = 0.0, 100.0
        table[:, 0], table[SEP] = 0.0, 0.0
        table[SEP, 0] = -10.0  # a logit of -1000

    def batches(self, pairs: TokenPairs, shape: Mapping[str, int]) -> Dataset:
        tokens, starts, ends = join(pairs.sources, pairs.targets)
        return TokenDataset({"tokens": tokens, "starts": starts, "ends": ends}, "tokens", self.positions())

    def losses(self) -> tuple[Loss, Loss]:
        return loss, loss

    def ready(
        self, shape: Mapping[str, int], vocabulary: Vocabulary, model: nn.Module, *, device: str, dtype: str
    ) -> None:
        super().ready(shape, vocabulary, model, device=device, dtype=dtype)
        self.network, self.kv_decoder = CachedGPT2(self.model), None

    def networks(self) -> Mapping[str, Any]:
        """The one network, as it is served: one call for prompts of more than one token, and one per token."""
        return {self.name: self.network}

    @torch.inference_mode()
    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        """Exact, of the model at temperature 1 without a nucleus."""

        def nats(pairs: TokenPairs, places: list[int]) -> Tensor:
            rows = (tensor.to(self.device) for tensor in join(pairs.sources, pairs.targets))
            return target_nll(self.model, *rows)[0].double().sum(1)

        return target_likelihoods(documents, self.vocabulary, self.limits, nats)

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], setting: Decoding | PlainGenerate | Beam) -> list[Sample]:
        if not requests:
            return []
        prompts, _ = encode_sources([request.source for request in requests], self.vocabulary, self.limits)
        seeds = torch.from_numpy(np.array([request.seed for request in requests], dtype=np.int64))
        # What a search finds depends on where texts are cut, so texts are searched with those of the same limit.
        limits = [request.max_tokens if isinstance(setting, Beam) else 0 for request in requests]
        samples: dict[int, Sample] = {}
        for limit in sorted(set(limits)):
            part = [i for i, other in enumerate(limits) if other == limit]
            asked = [requests[i] for i in part]
            steps = min(self.limits.target_tokens, max(request.max_tokens for request in asked))
            written = self.write(prompts[part], seeds[part], steps, setting)
            samples |= zip(part, samples_from_tokens(asked, written, self.vocabulary), strict=True)
        return [samples[i] for i in range(len(requests))]

    def write(self, prompts: Tensor, seeds: Tensor, steps: int, setting: Decoding | PlainGenerate | Beam) -> Tensor:
        """Continue prompts int64 [B, S], padded on the right, by up to `steps` tokens: int64 [B, at most `steps`]."""
        ends = lengths(prompts) - 1  # where the last tokens are
        furthest, count = int(ends.max()), len(prompts)
        prompts, ends, streams = prompts.to(self.device), ends.to(self.device), CounterRNG(seeds.to(self.device))
        if isinstance(setting, PlainGenerate):
            # What `generate` calls has the weights of the network whose calls are counted.
            hook = self.model.register_forward_hook(lambda *_: add_calls(self.network, 1))
            try:
                return hf_generate.generate(self.model, prompts, steps, setting, streams)
            finally:
                hook.remove()
        rows, positions = count * (setting.beams if isinstance(setting, Beam) else 1), self.model.config.n_positions
        self.kv_decoder = kv_decoder = KVCacheDecoder.of(self.kv_decoder, self.name, self.network, rows, positions)
        if isinstance(setting, Decoding):
            kv_decoder.prepare(setting, count)
        if furthest > 0:
            self.network(prompts[:, :furthest], kv_decoder.of_rows(count))
        last = prompts.gather(1, ends[:, None])[:, 0]
        if isinstance(setting, Beam):
            return search(kv_decoder, last, ends, furthest, steps, setting)
        return kv_decoder.decode(last, ends, furthest, steps, setting, streams)
