"""Any language model of Hugging Face: causal (GPT-2, GPT-Neo, Pythia, Llama and its kin) or from sequence to sequence
(T5, BART), with its own tokenizer, fine-tuned under the run's budget or used as it is.

`model` names a folder, or a model of the local Hugging Face cache; no code of it is run, and safetensors alone are
read. A prompt is a template (`prompt`) around the source: by default the source and a line break for a causal model,
the source alone for an encoder, nothing where the task has no source. A tuned model learns its end token; of one that
is not (`tuned=false`), a text ends before `stop`, a line break unless another is given.

Tokens are chosen by the library's own `generate`: prompts padded on the left, keys and values in a cache of fixed size
where the library has one for the model. Draws come from the requests' seeds, as in `baselines.autoregressive.gpt2`, so
a text does not depend on its batch mates. Beams are the library's.

What is not as with its rivals: size and tokenizer are the model's own (limits are counted in its tokens; its texts pass
the same normal form as all others before they are scored), and it has read what nobody here knows. It is ranked among
entries on weights learnt elsewhere. Learning rates are those usual for fine-tuning, not tuned here. How the model's
authors draw by default (`generation_config.json`) is left out for the settings'; a first token that it forces stays.
While a model is tuned nothing is dropped within attention, as in `baselines.autoregressive.gpt2`: fused kernels
do that, each process its own way, and what is learnt is not to depend on how many share a batch.

Axis legend: B rows (texts), S prompt positions, L positions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessorList

from baselines.autoregressive import hf_models, hf_rows
from baselines.autoregressive.beam import Beam
from baselines.autoregressive.decoding import Choice
from baselines.autoregressive.hf_generate import SampledToken
from baselines.autoregressive.hf_rows import SOURCE, Template, Tokens
from baselines.common import checkpoint
from baselines.common.system import TrainedSystem
from baselines.contract import (
    Budget,
    Corpus,
    Document,
    Likelihood,
    Limits,
    Request,
    Sample,
    TrainingResult,
    UserError,
)
from cosmos.io import safetensors
from cosmos.runtime.rng import CounterRNG
from cosmos.training import resume
from cosmos.training.config import TrainingConfig, TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingStage, train

MODEL = "model"  # folder of a checkpoint: configuration and tokenizer
_TUNING = TrainingConfig(
    batch_size=64, learning_rate=5e-5, betas=(0.9, 0.999), weight_decay=0.01, validations=20, keep="best"
)


@dataclass(frozen=True)
class HFRecipe:
    """Which model, and what becomes of it."""

    training: TrainingConfig
    budget: Budget
    model: str = "openai-community/gpt2"  # a folder, or a name in the local Hugging Face cache
    tuned: bool = True  # false: as it is, and the budget is not used
    prompt: str | None = None  # a template with {source}; \n is a line break
    stop: str = "\\n"  # what ends a text of a model that is not tuned; nothing: its end token alone
    dropout: float | None = None  # while it is tuned; none: the model's own

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UserError(f"The dropout of a language model must lie in [0, 1), not at {self.dropout:g}.")

    def ignored_keys(self) -> dict[str, str]:
        if self.tuned:
            return {"stop": "a tuned model learns to end its texts; set {}tuned=false"}
        return dict.fromkeys(("training", "budget", "dropout"), "the model is used as it is; set {}tuned=true")


@dataclass(frozen=True)
class LibraryDecoding(Choice):
    """Token after token, by the library's `generate`."""


class HFSystem(TrainedSystem):
    """A language model of Hugging Face behind the contract."""

    name: ClassVar[str] = "hf"
    presets: ClassVar[Mapping[str, Any]] = {
        "nano": HFRecipe(replace(_TUNING, batch_size=8, validations=8), Budget(3e12, "flops")),
        "small": HFRecipe(_TUNING, Budget(600, "seconds")),
        "base": HFRecipe(_TUNING, Budget(20_000, "steps")),
    }
    settings: ClassVar[Mapping[str, Any]] = {
        "greedy": LibraryDecoding(greedy=True),
        "nucleus-0.9": LibraryDecoding(top_p=0.9),
    }
    other_settings: ClassVar[Mapping[str, Any]] = {"sample": LibraryDecoding(), "beam-4": Beam(4)}

    def __init__(self, recipe: HFRecipe, limits: Limits) -> None:
        super().__init__(recipe, limits)
        given = recipe.prompt
        if given is not None and (SOURCE in given) != (limits.source_tokens > 0):
            raise UserError(
                f"hf.recipe.prompt must say where the source goes, as in '{SOURCE}\\n'."
                if limits.source_tokens > 0
                else f"The task has no source, so hf.recipe.prompt must not have {SOURCE} in it."
            )

    @staticmethod
    def external_weights(recipe: HFRecipe) -> Sequence[str]:
        return (recipe.model,)

    @staticmethod
    def own_tokenizer(recipe: HFRecipe) -> str | None:
        return recipe.model

    def locate_weights(self) -> None:
        self._found()

    def check_setting(self, setting: Choice | Beam) -> None:
        """Refuse beams where the task has no source: the most probable text is one for all."""
        if isinstance(setting, Beam) and self.limits.source_tokens == 0:
            raise UserError("Without a source a beam search finds one text for all; name another setting.")

    def template(self, encodes: bool) -> Template:
        if (given := self.recipe.prompt) is not None:
            return Template(given.replace("\\n", "\n"))
        if self.limits.source_tokens == 0:
            return Template("")
        return Template(SOURCE if encodes else f"{SOURCE}\n")

    def _tokens(self, config: Any, tokenizer: Any) -> Tokens:
        encodes = bool(config.is_encoder_decoder)
        return Tokens(tokenizer, self.template(encodes), self.limits, encodes)

    def _found(self) -> tuple[Path, Any, Any]:
        """Folder, configuration and tokenizer of the recipe's model, which can do what the task asks for; no weight is
        read.

        Raises:
            UserError: it is not here, incomplete, of another kind, or too small.
        """
        folder = hf_models.find(self.recipe.model)
        config = hf_models.with_dropout(hf_models.configuration(folder), self.recipe.dropout, folder)
        tokenizer = hf_models.tokenizer_of(folder)
        hf_models.check_vocabulary(config, tokenizer, folder)
        tokens = self._tokens(config, tokenizer)
        longest, target = tokens.longest_prompt, self.limits.target_tokens
        needed = max(longest, target) if tokens.encodes else longest + target
        hf_models.check_length(config, needed, "a text with its prompt", folder)
        for file in folder.glob("model*.safetensors"):
            safetensors.read_header(file)
        return folder, config, tokenizer

    def build(self, shape: Mapping[str, int]) -> nn.Module:
        raise NotImplementedError("a network of Hugging Face is built from its configuration")

    def untrained(self, tokens: int, *, seed: int, device: str, dtype: str) -> None:
        raise UserError("'hf' has the sizes of the model that is named, so it is not timed with random weights.")

    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        folder, config, tokenizer = self._found()
        processes = find_processes(run.device)
        if self.recipe.tuned:
            hf_models.check_parts(config, processes, folder)
        tokens, began = self._tokens(config, tokenizer), time.perf_counter()
        model = hf_models.load(folder, config)
        prompts, targets = hf_rows.pairs(corpus.train, tokens)
        begins = hf_models.beginning(model, tokenizer)
        if self.recipe.tuned:
            learnt, held_out = (
                hf_rows.training_rows(*hf_rows.pairs(part, tokens), hf_models.pad_of(tokenizer), tokens.encodes)
                for part in (corpus.train, corpus.validation)
            )
            loss = hf_rows.loss_of(begins.get(hf_models.START))
            stage = TrainingStage(self.name, model, loss, learnt, held_out if len(held_out) else None)
            trained = train(stage, self.recipe.training, budget, run)
        else:
            trained = TrainingResult(0, time.perf_counter() - began, 0.0, None, {})
        # All of it, whether it was trained or not: what generates reads this folder alone.
        model.requires_grad_(True)
        notes = {
            "model_type": config.model_type,
            "tuned": self.recipe.tuned,
            "parameters": sum(value.numel() for value in resume.trainable(model).values()),
            "cut_sources": prompts.cut,
            "cut_targets": targets.cut,
            "vocabulary": config.vocab_size,
        }
        if processes.rank == 0:
            checkpoint.save_configuration(workdir, self.configured, {"vocabulary": config.vocab_size, **begins})
            hf_models.save_description(workdir / MODEL, config, tokenizer)
            safetensors.save(workdir / checkpoint.WEIGHTS, resume.weights(model), {"system": self.name})
        return replace(trained, notes={**trained.notes, **notes})

    def check(self, checkpoint_folder: Path) -> None:
        self._checked(checkpoint_folder)

    def _checked(self, folder: Path) -> tuple[dict[str, int], Any]:
        """Numbers that a checkpoint notes, and the configuration of its model, of which the headers are right."""
        shape = checkpoint.check_finished(folder, self.configured)["shape"]
        config = hf_models.configuration(folder / MODEL)
        with torch.device("meta"):
            expected = resume.weights(hf_models.build(config))
        safetensors.check(folder / checkpoint.WEIGHTS, {name: tuple(value.shape) for name, value in expected.items()})
        return shape, config

    def load(self, checkpoint_folder: Path, *, device: str, dtype: str) -> None:
        shape, config = self._checked(checkpoint_folder)
        with torch.random.fork_rng(devices=[]):
            model: Any = hf_models.build(config)
        checkpoint.load_weights(checkpoint_folder, model)
        tokenizer = hf_models.tokenizer_of(checkpoint_folder / MODEL)
        self.tokens, self.loaded_shape = self._tokens(config, tokenizer), shape
        self.start = shape.get(hf_models.START)
        stop = "" if self.recipe.tuned else self.recipe.stop.replace("\\n", "\n")
        self.stop, self.ends = stop, hf_models.token_ends(tokenizer, stop)
        self.pad = hf_models.pad_of(tokenizer)
        # Nothing else of a model's own settings is kept (a beam, a penalty, a shortest length).
        model.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id, eos_token_id=list(self.ends), pad_token_id=self.pad, do_sample=False,
            **{name: shape[name] for name in (hf_models.START, hf_models.FORCED) if name in shape},
        )  # fmt: skip
        self.device = torch.device(device)
        self.model = model.to(self.device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]).eval()

    def networks(self) -> Mapping[str, Any]:
        """The network, called once a token and once for the prompts of a causal model, and the encoder where it has
        one, once a text."""
        if not self.tokens.encodes:
            return {self.name: self.model}
        return {self.name: self.model, "source_encoder": self.model.get_encoder()}

    @torch.inference_mode()
    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        """Exact, of the model at temperature 1 without a nucleus."""
        prompts, targets = hf_rows.pairs(documents, self.tokens)
        whole = without_limit(self.tokens).targets([document.target for document in documents])
        found = []
        rows = hf_rows.training_rows(prompts, targets, self.pad, self.tokens.encodes)
        batch = {name: value.to(self.device) for name, value in rows.batch(torch.arange(len(documents))).items()}
        nats = hf_rows.target_nll(self.model, batch, self.start)[0].double().sum(1).tolist()
        for document, kept, all_of_it, value in zip(documents, targets.ids, whole.ids, nats, strict=True):
            fits = kept == all_of_it
            reason = None if fits else f"the target is longer than the {self.tokens.longest_target} tokens it may have"
            found.append(Likelihood(document.id, value if fits else None, "exact", 0, reason))
        return found

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], setting: Choice | Beam) -> list[Sample]:
        samples: dict[int, Sample] = {}
        # What a search finds depends on where texts are cut, so texts are searched with those of the same limit.
        limits = [request.max_tokens if isinstance(setting, Beam) else 0 for request in requests]
        for limit in sorted(set(limits)):
            part = [place for place, other in enumerate(limits) if other == limit]
            asked = [requests[place] for place in part]
            steps = min(self.tokens.longest_target, max(request.max_tokens for request in asked))
            written = self.write(asked, steps, setting).tolist()
            samples |= {place: self._sample(requests[place], row) for place, row in zip(part, written, strict=True)}
        return [samples[place] for place in range(len(requests))]

    def write(self, requests: Sequence[Request], steps: int, setting: Choice | Beam) -> Tensor:
        """Up to `steps` tokens for each request, int64 [B, at most `steps`], anything after an end token."""
        prompts = self.tokens.prompts([request.source for request in requests]).ids
        tokens, lengths = hf_rows.padded(prompts, self.pad, left=not self.tokens.encodes)
        mask = hf_rows.before(lengths, tokens.shape[1]).long()
        given: dict[str, Any] = {"max_new_tokens": steps, "disable_compile": True}
        if hf_models.has_static_cache(self.model):
            given["cache_implementation"] = "static"
            # Else a cache is as long as the longest before it, and how long a text takes depends on earlier ones.
            vars(self.model).pop("_previous_max_cache_length", None)
        first = 1 if self.tokens.encodes else tokens.shape[1]
        if isinstance(setting, Beam):
            # "never" goes on until no longer text can be better, so that no text depends on when others end.
            given |= {"num_beams": setting.beams, "length_penalty": setting.length_penalty, "early_stopping": "never"}
        elif not setting.greedy:
            seeds = torch.tensor([request.seed for request in requests], device=self.device)
            drawn = SampledToken(setting, CounterRNG(seeds).uniform(steps), first)
            given["logits_processor"] = LogitsProcessorList([drawn])
        mask = mask if self.tokens.encodes else mask.flip(1)
        written: Tensor = self.model.generate(tokens.to(self.device), attention_mask=mask.to(self.device), **given)
        return written[:, first:]

    def _sample(self, request: Request, row: Sequence[int]) -> Sample:
        """A text up to its first end token, within its limit."""
        within = row[: request.max_tokens]
        end = next((place for place, token in enumerate(within) if token in self.ends), None)
        own = within if end is None else within[:end]
        # A token that ends a text may hold the last of it, before what it is stopped by.
        text = self.tokens.decode(within if end is None else within[: end + 1])
        if self.stop:
            text = text.partition(self.stop)[0].strip()
        sequence = within if end is None else within[: end + 1]
        return Sample(request.id, text, len(own), end is not None, tuple(sequence))


def without_limit(tokens: Tokens) -> Tokens:
    """The same tokens where no target is cut."""
    endless = replace(tokens.limits, target_tokens=1 << 30)
    return Tokens(tokens.tokenizer, tokens.template, endless, tokens.encodes)
