"""Texts with their frozen states, encoded once into a value that says what this cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from cosmos.data.datasets import TextDataset
from cosmos.data.state_cache import CachedStates, cache_states, states_key
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes


def first_process_first(device: str) -> AbstractContextManager[None]:
    """A block that the first process of a machine runs before the others, which then find the files it has made."""
    return find_processes(device).accelerator.local_main_process_first()


@dataclass(frozen=True)
class EncodedTexts:
    """States and tokens of targets, and the states of their sources, where they have any."""

    targets: TextDataset
    key: str  # a hash of the targets, their limit and the encoder
    sources: CachedStates | None

    @property
    def cost(self) -> Cost:
        return Cost.total(states.cost for states in (self.targets.states, self.sources) if states is not None)


@dataclass(frozen=True)
class EncodedCorpus:
    """What is learnt from, what is validated on, and texts of another corpus for the first stage alone."""

    train: EncodedTexts
    validation: EncodedTexts | None
    passages: EncodedTexts | None = None

    @property
    def cost(self) -> Cost:
        """What a budget pays for."""
        learnt = [texts.cost for texts in (self.train, self.passages) if texts is not None]
        return Cost.total(learnt if self.validation is None else [*learnt, self.validation.cost.of_validation()])


@dataclass(frozen=True)
class Encoding:
    """How texts are encoded: with what, and up to how many tokens.

    States lie in `run.workdir/states`, in a folder named after a hash of the texts. Called again after a kill, encoding
    goes on where it was, and texts that are there already cost what they cost the first time.
    """

    encoder: TextEncoder
    vocabulary: Vocabulary
    max_tokens: int
    max_source_tokens: int
    run: TrainingRun

    def corpus(self, train: Texts, validation: Texts, passages: Sequence[str] = ()) -> EncodedCorpus:
        """All texts of a training, encoded; validation texts and passages may be none."""
        return EncodedCorpus(
            self.encoded(train),
            self.encoded(validation) if validation.targets else None,
            self.encoded(Texts(list(passages), None)) if passages else None,
        )

    def encoded(self, texts: Texts) -> EncodedTexts:
        states, key = self._states(texts.targets, self.max_tokens)
        rows = TextDataset(states, texts.targets, self.vocabulary, self.max_tokens)
        sources = None if texts.sources is None else self._states(texts.sources, self.max_source_tokens)[0]
        return EncodedTexts(rows, key, sources)

    def _states(self, texts: Sequence[str], max_tokens: int) -> tuple[CachedStates, str]:
        key = states_key(self.encoder, texts, max_tokens)
        folder = self.run.workdir / "states" / key[:16]
        with first_process_first(self.run.device):
            return cache_states(self.encoder, texts, folder, max_tokens, self.run.encoded), key
