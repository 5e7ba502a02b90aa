"""Meanings: bindings of variables drawn one after the other, and frames, which put them into words.

A frame is a kind of clause: an ordered list of variables, each with a distribution that depends on earlier ones, and a
surface grammar with a `source` and a `target` side. The joint probability of a frame is

    P(meaning) * P(source wording | meaning, at least one mark) * P(target wording | meaning)

and every function here sums over all readings of a text, so ambiguity costs nothing but time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.language.grammar import Env, Node, Tokens, Value
from benchmarks.data.world.language.lexicon import canonical_value

Fact = tuple[str, str]
Facts = frozenset[Fact]


class Chances:
    """A distribution with integer weights."""

    __slots__ = ("total", "weights")

    def __init__(self, weights: Mapping[Value, int]) -> None:
        self.weights = {value: weight for value, weight in weights.items() if weight}
        self.total = sum(self.weights.values())
        assert self.total > 0, "a distribution over nothing"

    def draw(self, stream: Stream) -> Value:
        """A random value."""
        at = stream.below(self.total)
        for value, weight in self.weights.items():
            at -= weight
            if at < 0:
                return value
        raise AssertionError("weights do not add up")

    def probability(self, value: Value) -> float:
        """Zero for values that cannot occur."""
        return self.weights.get(value, 0) / self.total


def even(values: Iterable[Value]) -> Chances:
    """All values equally likely."""
    return Chances(dict.fromkeys(values, 1))


@dataclass(frozen=True)
class Variable:
    """A variable and its distribution given the values of `parents`: `chances(*values) -> Chances` (cache it there)."""

    name: str
    chances: Callable[..., Chances]
    parents: tuple[str, ...] = ()

    def given(self, env: Env) -> Chances:
        return self.chances(*(env[parent] for parent in self.parents))


def fixed(name: str, chances: Chances) -> Variable:
    """A variable that depends on nothing."""
    return Variable(name, lambda: chances)


def dependent(name: str, parent: str, table: Mapping[Value, Chances]) -> Variable:
    """A variable whose distribution is looked up by the value of its parent."""
    return Variable(name, lambda value: table[value], (parent,))


@dataclass(frozen=True)
class Frame:
    """A kind of clause.

    `stated` names the variables that are facts: a meaning states (variable, canonical value) for each of them that
    is not "". The other variables are matters of style, the same on both sides.
    """

    name: str
    weight: int
    variables: tuple[Variable, ...]
    surface: Node
    stated: tuple[str, ...]
    source: Node = field(init=False)
    target: Node = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", self.surface.on_side("source"))
        object.__setattr__(self, "target", self.surface.on_side("target"))

    def on(self, side: str) -> Node:
        """The surface grammar of the "source" or the "target" side."""
        assert side in ("source", "target"), side
        return self.source if side == "source" else self.target

    def facts(self, env: Env) -> Facts:
        """What a meaning states, synonyms mapped to one value."""
        return frozenset((name, canonical_value(env[name])) for name in self.stated if env[name] != "")

    def draw(self, stream: Stream) -> Env:
        """A random meaning."""
        env: Env = {}
        for variable in self.variables:
            env[variable.name] = variable.given(env).draw(stream)
        return env

    def probability(self, env: Env) -> float:
        """P(meaning) within the frame; 0 where a value cannot occur with the others."""
        result = 1.0
        for variable in self.variables:
            result *= variable.given(env).probability(env[variable.name])
            if not result:
                return 0.0
        return result

    def draw_source(self, env: Env, stream: Stream) -> Tokens:
        """A random source wording with at least one mark."""
        while True:
            out: list[str] = []
            if self.source.realise(env, stream, out):
                return tuple(out)

    def draw_target(self, env: Env, stream: Stream) -> Tokens:
        """A random target wording."""
        out: list[str] = []
        self.target.realise(env, stream, out)
        return tuple(out)

    def sources(self, env: Env) -> dict[Tokens, float]:
        """All source wordings of a meaning with their probabilities."""
        mass = 1.0 - self.source.unmarked(env)
        return _summed((tokens, p / mass) for tokens, p, marked in self.source.wordings(env) if marked)

    def targets(self, env: Env) -> dict[Tokens, float]:
        """All target wordings of a meaning with their probabilities."""
        return _summed((tokens, p) for tokens, p, _ in self.target.wordings(env))

    def read_source(self, tokens: Tokens) -> list[tuple[Env, float]]:
        """The meanings that `tokens` may have as a source, with P(meaning, tokens | frame)."""
        meanings = []
        for end, env, p, marked in self.source.readings(tokens, 0, {}):
            if marked and end == len(tokens) and (prior := self.probability(env)):
                meanings.append((env, prior * p / (1.0 - self.source.unmarked(env))))
        return meanings

    def read_target(self, tokens: Tokens) -> list[tuple[Env, float]]:
        """The meanings that `tokens` may have as a target, with P(meaning, tokens | frame)."""
        meanings = []
        for end, env, p, _ in self.target.readings(tokens, 0, {}):
            if end == len(tokens) and (prior := self.probability(env)):
                meanings.append((env, prior * p))
        return meanings


@dataclass(frozen=True)
class Language:
    """A mixture of frames."""

    frames: tuple[Frame, ...]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(frame.weight for frame in self.frames))

    def draw(self, stream: Stream) -> tuple[Frame, Env]:
        """A random frame and meaning."""
        at = stream.below(self.total)
        for frame in self.frames:
            at -= frame.weight
            if at < 0:
                return frame, frame.draw(stream)
        raise AssertionError("weights do not add up")

    def read_source(self, tokens: Tokens) -> list[tuple[Frame, Env, float]]:
        """All readings as a source, with joint probabilities."""
        return [
            (frame, env, p * frame.weight / self.total) for frame in self.frames for env, p in frame.read_source(tokens)
        ]

    def read_target(self, tokens: Tokens) -> list[tuple[Frame, Env, float]]:
        """All readings as a target, with joint probabilities."""
        return [
            (frame, env, p * frame.weight / self.total) for frame in self.frames for env, p in frame.read_target(tokens)
        ]

    def targets(self, source: Tokens) -> dict[Tokens, float]:
        """P(target | source) for every target that has any; empty if `source` is not a source."""
        readings = self.read_source(source)
        total = math.fsum(p for _, _, p in readings)
        return _summed(
            (tokens, p / total * q) for frame, env, p in readings for tokens, q in frame.targets(env).items()
        )


def _summed(pairs: Iterable[tuple[Tokens, float]]) -> dict[Tokens, float]:
    result: dict[Tokens, float] = {}
    for tokens, p in pairs:
        result[tokens] = result.get(tokens, 0.0) + p
    return result
