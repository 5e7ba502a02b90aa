"""What the harness knows of a contestant, and nothing more.

A system learns from documents, is loaded from its checkpoint, and turns requests into samples. It never times itself,
writes no files but its checkpoint, sets no global seed and prints nothing. Latent diffusion, token diffusion and
autoregression all fit. Nothing heavy is imported here, so the harness can plan without loading a framework.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from cosmos.io.errors import UserError as UserError
from cosmos.io.errors import unknown as unknown
from cosmos.runtime.call_count import CallCount as CallCount
from cosmos.training.budget import Budget as Budget
from cosmos.training.config import Progress as Progress
from cosmos.training.config import TrainingResult as TrainingResult
from cosmos.training.config import silent as silent


@dataclass(frozen=True, slots=True)
class Document:
    """One example: what is asked (`source`, None if the task is unconditional) and good answers to it.

    `references` always begins with `target`.
    """

    id: str
    source: str | None
    target: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """What a system may learn from: gradients from `train`, choices (checkpoint, nothing else) from `validation`.

    `passages` are texts of another corpus, for a method whose first stage learns from one how texts are represented.
    `tokenizer` is the folder or cached name of the text encoder whose tokenizer all systems of a run read and write
    with, None for the packaged one's.
    """

    train: Sequence[Document]
    validation: Sequence[Document]
    passages: Sequence[str] = ()
    tokenizer: str | None = None


@dataclass(frozen=True)
class Limits:
    """Length limits of a task in tokens of the shared tokenizer, specials included; 0 source tokens: unconditional."""

    source_tokens: int
    target_tokens: int


@dataclass(frozen=True, slots=True)
class Request:
    """One text wanted. All randomness of the text comes from `seed`, so it does not depend on its batch mates."""

    id: str
    source: str | None
    seed: int
    max_tokens: int


class Sample(NamedTuple):
    """One text made: `tokens` in the system's own tokenizer up to and without the end token; `finished` is False
    where the length limit cut it.

    `sequence` holds all token ids that the network wrote for it: to the end token and with it where it stops there or
    what follows means nothing, and the whole sequence, end tokens or padding after the end included, where it learnt to
    write that. It is a tuple of integers, or an `array` of 64-bit ones ("q"), which takes less time to make and to look
    at; it may be left out.
    """

    id: str
    text: str
    tokens: int
    finished: bool
    sequence: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a system finds the target of a document, given its source. The harness divides by the target's tokens
    in the tokenizer of the run, so that systems with tokenizers of their own are held to the same unit.

    Attributes:
        nats: -log P(target, its end | source) of the target as the system's tokenizer spells it, or None where the
            system cannot write it, with the `reason`.
        kind: whether `nats` is exact or, but for the chance of `draws`, at least -log P.
    """

    id: str
    nats: float | None
    kind: Literal["exact", "bound"]
    draws: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class NoSetting:
    """The recipe or setting of a system that has nothing to set."""


@runtime_checkable
class System(Protocol):
    """A contestant. The class is what the registry names; an instance holds one recipe.

    Class attributes:
        presets: preset name -> frozen dataclass (the recipe: sizes, training, default `budget`).
        settings: setting name -> frozen dataclass (how to generate); the first is the default, all are run by default
            (without a source, all but those that have one text for all seeds: `DeclaresOneText`).
        other_settings: the same for what is run only when it is named; may be left out.
        trained: False for systems that learn nothing worth a checkpoint (the floors).
        shares_batches: whether `fit`, called by every process of a launch, shares its batches among them and writes in
            the first, as `cosmos.training.loop.train` does; left out, the first process fits it alone.
        title: what people call it, in reports and figures; left out, its name made readable (`baselines.titles`).
        setting_titles: the same of settings, by their names.
        method: the method that the system is a variant of, such as "cosmos" of `cosmos-8`; left out, its own name.
        no_likelihood: why a text has no likelihood that could be computed (`HasLikelihood`); may be left out.

    `ValidatesSetting` and the protocols below it are optional.
    """

    presets: ClassVar[Mapping[str, Any]]
    settings: ClassVar[Mapping[str, Any]]
    trained: ClassVar[bool]

    def __init__(self, recipe: Any, limits: Limits) -> None:
        """Keep what is asked; made for every plan, so it loads nothing.

        Raises:
            UserError: the recipe cannot be of this system.
        """
        ...

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        """Names of all weights learnt elsewhere that a recipe uses, frozen or to begin with; none: trained from
        scratch. Reports rank the two apart."""
        ...

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> TrainingResult:
        """Train and leave a checkpoint in `workdir`.

        Killed and called again with the same arguments it takes up where it was and ends with the same bytes, on the
        same type of processor with the same number of threads and the same packages.
        Called after it has finished, it returns the same `TrainingResult` at once.
        """
        ...

    def check(self, checkpoint: Path) -> None:
        """Raise `UserError` if the checkpoint is missing, truncated, not safetensors or of another configuration.

        Reads headers only, loads no weight.
        """
        ...

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        """Make ready to generate. `dtype` is "float32" or "bfloat16"."""
        ...

    def networks(self) -> Mapping[str, Any]:
        """The loaded `torch.nn.Module`s by name, so that the harness counts calls and parameters itself; none: a floor.

        It is asked once, when the system is loaded and before anything is timed.

        The calls of the first are the number of function evaluations (NFE) of the system. They are counted by a forward
        hook, a `CallCount`, to which a system that replays CUDA graphs adds those of the graphs, as
        `cosmos.runtime.capture` does. Networks are frozen whose parameters do not require gradients.
        """
        ...

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        """One sample per request, in order."""
        ...


@runtime_checkable
class ValidatesSetting(Protocol):
    """Refuses a setting that the recipe or the task has nothing for."""

    def check_setting(self, setting: Any) -> None:
        """Raise `UserError` if texts could be generated with the setting, but not such as its name promises."""
        ...


@runtime_checkable
class NeedsReferences(Protocol):
    """A floor that is told the answers: the reference. Whatever trains is told nothing."""

    def answers(self, answers: Mapping[str, str]) -> None:
        """Take the targets by document id."""
        ...


@runtime_checkable
class NeedsTrueDistribution(Protocol):
    """A system that is told the law of the source: the oracle."""

    def law(self, sample: Callable[[str | None, int], str]) -> None:
        """Take `draw(source, seed)`, a target from P(target | source)."""
        ...


@runtime_checkable
class NeedsTrueProbability(Protocol):
    """A system that is told how likely the source's targets are: the oracle, so that it gives likelihoods."""

    def probability(self, log_probability: Callable[[str, str | None], float]) -> None:
        """Take `log_probability(target, source)`, in nats."""
        ...


@runtime_checkable
class DecidesTokenizer(Protocol):
    """Reads texts by a frozen text encoder, so that all systems of its run read and write with that one's tokenizer."""

    @staticmethod
    def shared_tokenizer(recipe: Any) -> str | None:
        """Folder or cached name of the encoder; None: the packaged one."""
        ...


@runtime_checkable
class BringsTokenizer(Protocol):
    """May write with a tokenizer that belongs to pretrained weights, whatever that of the run is."""

    @staticmethod
    def own_tokenizer(recipe: Any) -> str | None:
        """Folder or cached name of the model it belongs to; None: the recipe takes that of the run."""
        ...


@runtime_checkable
class LocatesWeights(Protocol):
    """Trains from weights learnt elsewhere, and can say before anything is trained whether they are here."""

    def locate_weights(self) -> None:
        """Raise `UserError` if they are not on this machine, or no such weights; loads none."""
        ...


@runtime_checkable
class TellsTextsRead(Protocol):
    """May begin from what was trained on other corpora, and can say which texts stood in those."""

    def texts_read(self, texts: Sequence[str]) -> tuple[int, int] | None:
        """How many of the texts stood there, and how many could be told; None where there are no such corpora."""
        ...


@runtime_checkable
class TrainsSharedDecoder(Protocol):
    """Can train its first stage once, for many tasks."""

    def train_decoder(
        self,
        corpora: Sequence[str],
        validation: str | None,
        budget: Budget | None,
        out: Path,
        *,
        preset: str,
        seed: int,
        device: str,
        progress: Progress = silent,
    ) -> TrainingResult:
        """Train on corpora, PATH or PATH=WEIGHT each, and leave in `out` what recipes may begin from (`decoder`).
        `validation` is a file of held-out texts.

        Texts are as long as the limits allow targets to be; no budget is the preset's share. Killed and called again,
        it goes on.

        Raises:
            UserError: a corpus cannot be read, or the system's first stage is trained by another command.
        """
        ...

    def decoder_keys(self) -> Collection[str]:
        """Keys of the recipe, and parts of it all keys of which, `train_decoder` reads; any other has no effect on it.

        Raises:
            UserError: the system's first stage is trained by another command.
        """
        ...


@runtime_checkable
class DeclaresIgnoredKeys(Protocol):
    """Says, as a system, a recipe or a part of one, or a setting, which of its keys have no effect.

    Those are what is overwritten, as a width that follows from another network, and what other values leave unread.
    Setting one is refused before anything is loaded, so that no record says what did not happen.
    """

    def ignored_keys(self) -> Mapping[str, str]:
        """Dotted key, or a part with all its keys -> why it has no effect, and what to set instead.

        A system declares keys of its recipe, the others keys of their own. `{}` in a reason stands for what comes
        before the key on the command line.
        """
        ...


@runtime_checkable
class DeclaresOneText(Protocol):
    """Says, as a setting, that the text follows from the source alone, whatever the seed, as greedy decoding has it.

    Without a source all texts are then one, so such a setting is run on an unconditional task only when it is named.
    """

    @property
    def one_text(self) -> bool: ...


@runtime_checkable
class DeclaresOwnCalls(Protocol):
    """Says, as a setting, that its network calls are of its own steps and batch: with others they read other shares of
    the positions, so what is timed or counted is not taken from them."""

    @property
    def own_calls(self) -> bool: ...


@runtime_checkable
class HasLikelihood(Protocol):
    """Gives targets a likelihood: that of the loaded model, whatever the setting by which it generates."""

    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        """One per document, in order. All randomness of an estimate comes from the document's own seed, so that it
        does not depend on the others."""
        ...


@runtime_checkable
class SupportsRandomWeights(Protocol):
    """Can be timed without a training (`python -m benchmarks speed`)."""

    def untrained(self, tokens: int, *, seed: int, device: str, dtype: str) -> None:
        """Make ready to generate, as `load` does, with random weights and a made-up vocabulary of `tokens` tokens.

        Sizes are those of the recipe and of texts as long as the limits allow, and generating costs what such texts
        cost: the end token is never chosen where it would end the work. The texts themselves mean nothing.

        Raises:
            UserError: the limits have sources, which random weights are not timed with.
        """
        ...

    def repeated(
        self, network: str, arguments: Sequence[Any], keywords: Mapping[str, Any], capture: str
    ) -> Callable[[], object]:
        """One call of one of `networks()`, as generating under `capture` makes it, to be run again and again."""
        ...


@dataclass(frozen=True)
class RandomTraining:
    """Training steps that are made to be timed.

    Attributes:
        stage: of the system's trainings, by the name that the system has for it; "" where there is one.
        steps: how many.
        rows: of made-up data.
        vocabulary: tokens.
        changes: fields of the training's configuration.
    """

    stage: str
    steps: int
    rows: int
    vocabulary: int
    changes: Mapping[str, Any]


@runtime_checkable
class SupportsRandomTraining(Protocol):
    """Can train on random rows of story-like lengths, so that steps are timed without data and without an encoder."""

    def train_on_random_rows(
        self, asked: RandomTraining, workdir: Path, *, device: str, progress: Progress = silent
    ) -> tuple[TrainingResult, int]:
        """Train fresh weights by the project's own loop, as the recipe has it, without validation.

        Returns:
            What it cost, and the rows of a batch.
        """
        ...
