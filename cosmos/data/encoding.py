"""Texts with their frozen states: encoded once and stored, or in the training loop, as values that say what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from cosmos.config import Place
from cosmos.data.datasets import LoopTextDataset, TargetDataset, TextDataset, TextStates
from cosmos.data.loop_states import LoopStates, with_states
from cosmos.data.state_cache import CachedStates, cache_states, states_key
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.budget import Budget, Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import Prepare

SAMPLE = 2048
"""Texts whose states are stored also where others' are computed in the loop: the first ones, for the statistics of all
states and for a linear start, and validation texts, which are looked at again and again, if there are no more."""


@dataclass(frozen=True)
class EncodedTexts:
    """States and tokens of targets, and the states of their sources, where they have any."""

    targets: TargetDataset
    key: str  # a hash of the targets, their limit and the encoder
    sources: TextStates | None

    @property
    def cost(self) -> Cost:
        return Cost.total(states.cost for states in (self.targets.states, self.sources) if states is not None)


@dataclass(frozen=True)
class EncodedCorpus:
    """What is learnt from, what is validated on, and texts of another corpus for the first stage alone.

    Attributes:
        sample: the first targets, whose states are stored in any case; all of them where all are.
        prepare: what a step makes of its batch; None where all states are stored.
        frozen: networks that `prepare` calls.
        once: whether the budget can have all targets encoded once before training, as storing their latents takes.
        second: what the second stage has of the budget, from which stored latents are paid; None where nobody said.
    """

    train: EncodedTexts
    validation: EncodedTexts | None
    sample: TextDataset
    passages: EncodedTexts | None = None
    prepare: Prepare | None = None
    once: bool = True
    second: Budget | None = None
    frozen: tuple[nn.Module, ...] = ()

    @property
    def cost(self) -> Cost:
        """What a budget pays for before training."""
        learnt = [texts.cost for texts in (self.train, self.passages) if texts is not None]
        if self.sample is not self.train.targets:
            learnt.append(self.sample.states.cost)
        return Cost.total(learnt if self.validation is None else [*learnt, self.validation.cost.of_validation()])


@dataclass(frozen=True)
class Encoding:
    """How texts are encoded: with what, up to how many tokens, and when.

    Stored states lie in `run.workdir/states`, in a folder named after a hash of the texts. Called again after a kill,
    encoding goes on where it was, and texts that are there already cost what they cost the first time.
    """

    encoder: TextEncoder
    vocabulary: Vocabulary
    max_tokens: int
    max_source_tokens: int
    run: TrainingRun
    place: Place = "stored"

    def corpus(
        self, train: Texts, validation: Texts, passages: Sequence[str] = (), sample: int | None = None
    ) -> EncodedCorpus:
        """All texts of a training; validation texts and passages may be none. `sample` is how many of the first targets
        are stored where others are not (`SAMPLE`)."""
        if self.place == "loop":
            learnt = self.encoded(train, "loop")
            first = self.encoded(Texts(train.targets[: sample or SAMPLE], None), "stored").targets
        else:
            learnt = self.encoded(train, "stored")
            first = learnt.targets
        assert isinstance(first, TextDataset)
        held_out: Place = "stored" if len(validation.targets) <= SAMPLE else self.place
        return EncodedCorpus(
            learnt,
            self.encoded(validation, held_out) if validation.targets else None,
            first,
            self.encoded(Texts(list(passages), None), self.place) if passages else None,
            partial(with_states, self.encoder) if self.place == "loop" else None,
            frozen=(self.encoder.network,) if self.place == "loop" else (),
        )

    def encoded(self, texts: Texts, place: Place) -> EncodedTexts:
        key = states_key(self.encoder, texts.targets, self.max_tokens)
        targets: TargetDataset
        if place == "loop":
            loop_states = LoopStates.of(self.encoder, texts.targets, self.max_tokens)
            targets = LoopTextDataset(loop_states, self.vocabulary)
        else:
            stored = self._stored(texts.targets, self.max_tokens, key)
            targets = TextDataset(stored, texts.targets, self.vocabulary, self.max_tokens)
        return EncodedTexts(targets, key, self._sources(texts.sources, place))

    def _sources(self, texts: Sequence[str] | None, place: Place) -> TextStates | None:
        if texts is None:
            return None
        if place == "loop":
            return LoopStates.of(self.encoder, texts, self.max_source_tokens)
        return self._stored(texts, self.max_source_tokens, states_key(self.encoder, texts, self.max_source_tokens))

    def _stored(self, texts: Sequence[str], max_tokens: int, key: str) -> CachedStates:
        folder = self.run.workdir / "states" / key[:16]
        return cache_states(self.encoder, texts, folder, max_tokens, self.run.encoded, find_processes(self.run.device))
