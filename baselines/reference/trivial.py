"""Systems that are no models: what a score is worth only shows beside them.

Their tokens are words. All accept every preset: the one recipe is under "any", and a caller takes
`presets.get(name, presets["any"])`. What a floor learns is written to the work directory as JSON.
"""

from __future__ import annotations

import bisect
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import torch

from baselines.contract import Budget, Corpus, Limits, NoSetting, Progress, Request, Sample, TrainingResult, UserError
from baselines.reference import disliked
from baselines.reference.tf_idf import TfIdfIndex
from cosmos.io.files import WriteError, make_folder, read_json, replacing
from cosmos.io.typed_json import read_as
from cosmos.runtime.rng import CounterRNG
from cosmos.training.config import silent

_LEARNT = "floor.json"
_AGAIN = "delete its folder and run again"
_ENDS = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s)")
_AT_ONCE = 10_000  # texts that are spelt together
_TITLES = frozenset(("mr", "mrs", "ms", "dr", "st", "prof", "rev", "gen", "sgt", "lt", "col", "capt"))


class Floor:
    """What all floors share: one recipe, one setting, no network."""

    presets: ClassVar[Mapping[str, Any]] = {"any": NoSetting()}
    settings: ClassVar[Mapping[str, Any]] = {"default": NoSetting()}
    trained: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False
    learns: ClassVar[Any] = None  # the annotation of what it keeps of the training documents
    no_likelihood: ClassVar[str] = "a floor is no model of the texts"

    def __init__(self, recipe: NoSetting, limits: Limits) -> None:
        self.limits = limits
        if self.needs_source and limits.source_tokens == 0:
            raise UserError(f"The system '{_name(self)}' needs a source, and this task has none; leave it out.")

    @staticmethod
    def external_weights(recipe: NoSetting) -> Sequence[str]:
        return ()

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> TrainingResult:
        """Write what the floor learns of the training documents; costs no budget."""
        if (workdir / _LEARNT).exists():
            stored = self._stored(workdir)
        else:
            started = time.monotonic()
            learnt = self.learn(corpus)
            make_folder(workdir)
            stored = {"system": _name(self), "learnt": learnt, "seconds": time.monotonic() - started}
            with replacing(workdir / _LEARNT, WriteError) as fresh, fresh.open("w", encoding="ascii") as file:
                file.writelines(itertools.chain(_spelt(stored), ["\n"]))
        progress("fit", 1.0, None)
        notes = self.notes(stored["learnt"])
        return TrainingResult(steps=0, seconds=stored["seconds"], flops=0.0, validation_loss=None, notes=notes)

    def check(self, checkpoint: Path) -> None:
        self._stored(checkpoint)

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        self.use(self._stored(checkpoint)["learnt"])

    def networks(self) -> Mapping[str, Any]:
        return {}

    def generate(self, requests: Sequence[Request], setting: NoSetting) -> list[Sample]:
        """One text per request, cut after `max_tokens` words."""
        samples = []
        for request in requests:
            text = self.text(request)
            words = text.split()
            written = words[: request.max_tokens]
            finished = len(written) == len(words)
            samples.append(Sample(request.id, text if finished else " ".join(written), len(written), finished))
        return samples

    def learn(self, corpus: Corpus) -> Any:
        """What to keep of the training documents, as JSON."""
        return None

    def notes(self, learnt: Any) -> dict[str, Any]:
        """What the record should say of what was learnt."""
        return {}

    def use(self, learnt: Any) -> None:
        """Make ready to generate from what was learnt."""

    def text(self, request: Request) -> str:
        """The answer to one request."""
        raise NotImplementedError

    def _stored(self, folder: Path) -> dict[str, Any]:
        path = folder / _LEARNT
        stored = read_json(path, _AGAIN)
        if stored.get("system") != _name(self) or "learnt" not in stored:
            raise UserError(f"{path} was not written by the system '{_name(self)}'; fit it again elsewhere.")
        if self.learns is not None:
            read_as(self.learns, stored["learnt"], str(path), _AGAIN)
        read_as(float, stored.get("seconds"), str(path), _AGAIN)
        return stored


class CopySystem(Floor):
    """The source, unchanged."""

    needs_source: ClassVar[bool] = True

    def text(self, request: Request) -> str:
        return str(request.source)


class DislikedWords(TypedDict):
    """The words to delete, and who was asked besides the training pairs."""

    judge: str | None
    words: list[str]


class DeleteSystem(Floor):
    """The source without its rude words: the baseline Delete of ParaDetox (Logacheva et al. 2022, section 5).

    Rude are the words that alt-profanity-check dislikes, where it is installed, and those that the training pairs drop:
    in at least `LEAST` sources, and in `SHARE` of them in no reference. Which judge was asked is noted. Words stand
    between spaces, and case and the marks around a word count nothing.
    """

    needs_source: ClassVar[bool] = True
    learns: ClassVar[Any] = DislikedWords
    LEAST: ClassVar[int] = 2
    SHARE: ClassVar[float] = 0.8

    def learn(self, corpus: Corpus) -> dict[str, Any]:
        there: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        for document in corpus.train:
            asked = _bare_words(str(document.source))
            answered = set().union(*map(_bare_words, document.references))
            there.update(asked)
            dropped.update(asked - answered)
        learnt = {w for w, n in dropped.items() if n >= self.LEAST and n >= self.SHARE * there[w]}
        judge = disliked.judge()
        judged = disliked.disliked(tuple(sorted(there))) if judge else ()
        return {"judge": judge, "words": sorted(learnt.union(judged))}

    def notes(self, learnt: Any) -> dict[str, Any]:
        return {"judge": learnt["judge"], "words_dropped": len(learnt["words"])}

    def use(self, learnt: Any) -> None:
        self.words = frozenset(learnt["words"])

    def text(self, request: Request) -> str:
        return " ".join(word for word in str(request.source).split() if _bare(word) not in self.words)


class LeadSystem(Floor):
    """The first sentence of the source, a floor of summaries that is hard to beat on news."""

    needs_source: ClassVar[bool] = True

    def text(self, request: Request) -> str:
        return first_sentence(str(request.source))


class NullSystem(Floor):
    """Nothing, at once. Run it to measure the harness, not to compare."""

    def text(self, request: Request) -> str:
        return ""


class WordCounts(TypedDict):
    """Each word, and each number of words in a target, with how often it comes."""

    words: list[tuple[str, int]]
    lengths: list[tuple[int, int]]


class LearntPairs(TypedDict):
    """The training documents."""

    sources: list[str]
    targets: list[str]


class UnigramSystem(Floor):
    """Words drawn one by one from the words of all training targets, as many as a random training target has."""

    learns: ClassVar[Any] = WordCounts

    def learn(self, corpus: Corpus) -> dict[str, list[list[Any]]]:
        words = Counter(itertools.chain.from_iterable(document.target.split() for document in corpus.train))
        lengths = Counter(len(document.target.split()) for document in corpus.train)
        return {"words": [[w, words[w]] for w in sorted(words)], "lengths": [[n, lengths[n]] for n in sorted(lengths)]}

    def use(self, learnt: Any) -> None:
        self.tables: dict[str, tuple[list[Any], list[int]]] = {
            name: ([value for value, _ in counts], list(itertools.accumulate(count for _, count in counts)))
            for name, counts in learnt.items()
        }

    def text(self, request: Request) -> str:
        noise = CounterRNG(torch.tensor([request.seed]))
        length = self._drawn("lengths", float(noise.uniform(1)))
        return " ".join(self._drawn("words", u) for u in noise.uniform(length)[0].tolist())

    def _drawn(self, table: str, uniform: float) -> Any:
        """The value at which the running sums of its table pass `uniform` times the total."""
        values, sums = self.tables[table]
        return values[min(bisect.bisect_right(sums, uniform * sums[-1]), len(sums) - 1)]


class RetrievalSystem(Floor):
    """The target of the training source that is nearest by TF-IDF; the lowest index wins among equals."""

    needs_source: ClassVar[bool] = True
    learns: ClassVar[Any] = LearntPairs

    def learn(self, corpus: Corpus) -> dict[str, list[str]]:
        return {"sources": [str(d.source) for d in corpus.train], "targets": [d.target for d in corpus.train]}

    def use(self, learnt: Any) -> None:
        self.targets: list[str] = learnt["targets"]
        self.index = TfIdfIndex(_handed_over(learnt.pop("sources")))

    def text(self, request: Request) -> str:
        return self.targets[self.index.nearest(str(request.source))]


class ReferenceSystem(Floor):
    """The test document's own target: the best any system can do. Never cut."""

    def answers(self, answers: Mapping[str, str]) -> None:
        """Take the targets by document id; the harness calls this before `generate`."""
        self.targets = answers

    def generate(self, requests: Sequence[Request], setting: NoSetting) -> list[Sample]:
        texts = [(request.id, self.targets[request.id]) for request in requests]
        return [Sample(number, text, len(text.split()), True) for number, text in texts]


def first_sentence(text: str) -> str:
    """Up to the first full stop, question or exclamation mark that a space follows, with its closing quotes.

    A full stop after a title or a single letter ends no sentence (`Dr. Ames`, `the U.S. army`). The whole text if there
    is no such mark.
    """
    for mark in _ENDS.finditer(text):
        word = re.split(r"[\s.]", text[: mark.start()])[-1]
        if mark.group()[0] != "." or ((len(word) > 1 or word.isdigit()) and word.lower() not in _TITLES):
            return text[: mark.end()].strip()
    return text.strip()


def _spelt(value: Any) -> Iterator[str]:
    """JSON as `json.dumps` spells it with sorted keys, on one line and in ASCII, in pieces: of a large set's texts, few
    at a time are held a second time."""
    if isinstance(value, dict):
        for place, key in enumerate(sorted(value)):
            yield f"{', ' if place else '{'}{json.dumps(key)}: "
            yield from _spelt(value[key])
        yield "}" if value else "{}"
    elif isinstance(value, list) and value:
        for start in range(0, len(value), _AT_ONCE):
            some = json.dumps(value[start : start + _AT_ONCE], sort_keys=True)
            yield f"{', ' if start else '['}{some[1:-1]}"
        yield "]"
    else:
        yield json.dumps(value, sort_keys=True)


def _handed_over(texts: list[str]) -> Iterator[str]:
    """The texts in their order, each gone from the list once the next is asked for."""
    texts.reverse()
    while texts:
        yield texts.pop()


def _name(floor: Floor) -> str:
    return type(floor).__name__.removesuffix("System").lower()


def _bare(word: str) -> str:
    """A word without case and without the marks around it; what is all marks stays as it is."""
    return re.sub(r"^\W+|\W+$", "", word.casefold()) or word


def _bare_words(text: str) -> set[str]:
    return set(map(_bare, text.split()))
