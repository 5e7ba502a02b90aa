"""Probabilities of a language of (source, target) pairs, asked for by text."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from functools import lru_cache

from baselines.contract import UserError
from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.language.grammar import Env, Tokens
from benchmarks.data.world.language.meaning import Frame, Language
from benchmarks.data.world.language.texts import plain, tokens_of

_PARTS = 1 << 53  # of 1, as fine as floats are


class LanguagePairs:
    """What the grammar knows of the pairs of one language, built when first asked."""

    def __init__(self, language: Callable[[], Language], what: str) -> None:
        self.what = what
        self._language = language
        self._targets = lru_cache(maxsize=1 << 12)(lambda source: language().targets(source))
        self._read = lru_cache(maxsize=1 << 12)(lambda source: tuple(language().read_source(source)))

    def meaning(self, source: str) -> tuple[Frame, Env]:
        """The meaning of a source.

        Raises:
            UserError: the text is no source of the language.
        """
        frame, env, _ = max(self._readings(source), key=lambda reading: reading[2])
        return frame, env

    def _readings(self, source: str) -> tuple[tuple[Frame, Env, float], ...]:
        readings = self._read(tokens_of(source))
        if not readings:
            raise UserError(f"'{source}' is no {self.what} of the world, so nothing can be judged against it.")
        return readings

    def draw_target(self, source: str | None, stream: Stream) -> str:
        """A target from P(target | source).

        Raises:
            UserError: the text is no source of the language.
        """
        readings = self._readings(source or "")
        sums = list(itertools.accumulate(p for _, _, p in readings))
        at = stream.below(_PARTS) / _PARTS * sums[-1]
        frame, env, _ = readings[min(bisect.bisect_right(sums, at), len(sums) - 1)]
        return plain(frame.draw_target(env, stream))

    def meanings(self, source: str) -> int:
        """How many meanings a source has; one for every source that this project makes."""
        return len(self._read(tokens_of(source)))

    def log_prob_source(self, text: str) -> float:
        """log P(source) in nats, over all meanings of all splits; -inf for what is no source."""
        total = math.fsum(p for _, _, p in self._read(tokens_of(text)))
        return math.log(total) if total else -math.inf

    def log_prob_target(self, target: str, source: str) -> float:
        """log P(target | source) in nats; -inf if the target is no target of this source."""
        chances: dict[Tokens, float] = self._targets(tokens_of(source))
        p = chances.get(tokens_of(target), 0.0)
        return math.log(p) if p else -math.inf

    def target_entropy(self, source: str) -> float:
        """The entropy of the target given this source in nats, the least mean loss of any model on it.

        Raises:
            UserError: the text is no source of the language.
        """
        chances: dict[Tokens, float] = self._targets(tokens_of(source))
        if not chances:
            raise UserError(f"'{source}' is no {self.what} of the world, so it has no targets.")
        return math.fsum(-p * math.log(p) for p in chances.values())
