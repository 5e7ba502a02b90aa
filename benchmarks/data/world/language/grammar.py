"""Surface grammars: how a meaning, given as bindings of variables, is put into words, and read back.

A grammar is a tree of nodes. A node puts tokens out left to right; where it depends on a variable it agrees with its
binding, and binds the variable when a text is read. The same tree may hold several *sides* (a rude and
a neutral wording of one meaning); `on_side` takes one of them, so what the sides share is written once and stays
aligned. Every node gives, for the same probabilities:

    realise   one random wording            readings  all ways to read tokens, with the probability of the wording
    wordings  all wordings of a meaning     unmarked  probability that no `Mark` is met

The language of a tree is finite: nodes do not recur.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from benchmarks.data.world.language.draws import Stream

Value = str
Env = dict[str, Value]
Tokens = tuple[str, ...]
Reading = tuple[int, Env, float, bool]
"""Where reading stopped, the bindings, the probability of the wording given them, and whether a mark was met."""


class Node(ABC):
    """One part of a surface grammar. Nodes are immutable once built."""

    __slots__ = ("first", "nullable")

    first: frozenset[str]
    """Tokens with which a wording may begin."""
    nullable: bool
    """Whether the wording may be empty."""

    @abstractmethod
    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        """Append a random wording of `env` to `out`; True if a mark was met."""

    @abstractmethod
    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        """All readings of a wording that begins at `start`, given the bindings so far."""

    @abstractmethod
    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        """All wordings of `env`, with probability and mark; equal wordings may come twice."""

    @abstractmethod
    def unmarked(self, env: Env) -> float:
        """The probability that a wording of `env` meets no mark."""

    @abstractmethod
    def on_side(self, side: str) -> Node:
        """This tree with only that side of each `Sides` node."""

    def readings(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        """`read`, at once empty where the next token cannot begin this node."""
        if self.nullable or (start < len(tokens) and tokens[start] in self.first):
            return self.parse(tokens, start, env)
        return []


class Say(Node):
    """Fixed words."""

    __slots__ = ("words",)

    def __init__(self, text: str) -> None:
        self.words: Tokens = tuple(text.split())
        self.first = frozenset(self.words[:1])
        self.nullable = not self.words

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        out.extend(self.words)
        return False

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        end = start + len(self.words)
        return [(end, env, 1.0, False)] if tokens[start:end] == self.words else []

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        return [(self.words, 1.0, False)]

    def unmarked(self, env: Env) -> float:
        return 1.0

    def on_side(self, side: str) -> Node:
        return self


class Seq(Node):
    """One part after the other."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Node | str) -> None:
        self.parts = tuple(node(part) for part in parts)
        first: set[str] = set()
        self.nullable = True
        for part in self.parts:
            first |= part.first
            if not part.nullable:
                self.nullable = False
                break
        self.first = frozenset(first)

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        marked = False
        for part in self.parts:
            marked |= part.realise(env, stream, out)
        return marked

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        partial: list[Reading] = [(start, env, 1.0, False)]
        for part in self.parts:
            partial = [
                (end, bound, p * q, marked or mark)
                for at, bound_before, p, marked in partial
                for end, bound, q, mark in part.readings(tokens, at, bound_before)
            ]
            if not partial:
                break
        return partial

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        partial: list[tuple[Tokens, float, bool]] = [((), 1.0, False)]
        for part in self.parts:
            tails = part.wordings(env)
            partial = [(h + t, p * q, m or n) for h, p, m in partial for t, q, n in tails]
        return partial

    def unmarked(self, env: Env) -> float:
        result = 1.0
        for part in self.parts:
            result *= part.unmarked(env)
        return result

    def on_side(self, side: str) -> Node:
        return Seq(*(part.on_side(side) for part in self.parts))


class Pick(Node):
    """One of several wordings of the same meaning, with integer weights: `Pick((3, "sofa"), (1, "couch"))`."""

    __slots__ = ("options", "total")

    def __init__(self, *options: tuple[int, Node | str]) -> None:
        self.options = tuple((weight, node(part)) for weight, part in options)
        self.total = sum(weight for weight, _ in self.options)
        self.first = frozenset().union(*(part.first for _, part in self.options))
        self.nullable = any(part.nullable for _, part in self.options)

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        at = stream.below(self.total)
        for weight, part in self.options:
            at -= weight
            if at < 0:
                return part.realise(env, stream, out)
        raise AssertionError("weights of a Pick do not add up")

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        return [
            (end, bound, p * weight / self.total, mark)
            for weight, part in self.options
            for end, bound, p, mark in part.readings(tokens, start, env)
        ]

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        return [(t, p * weight / self.total, m) for weight, part in self.options for t, p, m in part.wordings(env)]

    def unmarked(self, env: Env) -> float:
        return sum(weight * part.unmarked(env) for weight, part in self.options) / self.total

    def on_side(self, side: str) -> Node:
        return Pick(*((weight, part.on_side(side)) for weight, part in self.options))


class Cases(Node):
    """What the value of a variable decides: `Cases("order", {"so": ..., "because": ...})`."""

    __slots__ = ("cases", "variable")

    def __init__(self, variable: str, cases: Mapping[Value, Node | str]) -> None:
        self.variable = variable
        self.cases: dict[Value, Node] = {value: node(part) for value, part in cases.items()}
        self.first = frozenset().union(*(part.first for part in self.cases.values()))
        self.nullable = any(part.nullable for part in self.cases.values())

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        return self.cases[env[self.variable]].realise(env, stream, out)

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        if self.variable in env:
            part = self.cases.get(env[self.variable])
            return part.readings(tokens, start, env) if part else []
        readings: list[Reading] = []
        for value, part in self.cases.items():
            if part.nullable or (start < len(tokens) and tokens[start] in part.first):
                readings += part.parse(tokens, start, {**env, self.variable: value})
        return readings

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        return self.cases[env[self.variable]].wordings(env)

    def unmarked(self, env: Env) -> float:
        return self.cases[env[self.variable]].unmarked(env)

    def on_side(self, side: str) -> Node:
        return Cases(self.variable, {value: part.on_side(side) for value, part in self.cases.items()})


class Word(Node):
    """The form of the value of a variable: `Word("tool", {"ladder": "the ladder", "saw": "the saw"})`.

    The same as `Cases` of fixed words, but found by the first token, so a large lexicon is read as fast as a small one.
    """

    __slots__ = ("forms", "index", "variable")

    def __init__(self, variable: str, forms: Mapping[Value, str]) -> None:
        self.variable = variable
        self.forms: dict[Value, Tokens] = {value: tuple(form.split()) for value, form in forms.items()}
        self.index: dict[str, list[tuple[Value, Tokens]]] = {}
        for value, form in self.forms.items():
            self.index.setdefault(form[0] if form else "", []).append((value, form))
        self.first = frozenset(self.index) - {""}
        self.nullable = "" in self.index

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        out.extend(self.forms[env[self.variable]])
        return False

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        if self.variable in env:
            form = self.forms.get(env[self.variable])
            if form is None or tokens[start : start + len(form)] != form:
                return []
            return [(start + len(form), env, 1.0, False)]
        near = list(self.index.get("", ()))
        if start < len(tokens):
            near += self.index.get(tokens[start], ())
        return [
            (start + len(form), {**env, self.variable: value}, 1.0, False)
            for value, form in near
            if tokens[start : start + len(form)] == form
        ]

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        return [(self.forms[env[self.variable]], 1.0, False)]

    def unmarked(self, env: Env) -> float:
        return 1.0

    def on_side(self, side: str) -> Node:
        return self


class Mark(Node):
    """A part that counts: a text is kept only if it has at least one mark (see `meaning.Frame`)."""

    __slots__ = ("part",)

    def __init__(self, part: Node | str) -> None:
        self.part = node(part)
        self.first, self.nullable = self.part.first, self.part.nullable

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        self.part.realise(env, stream, out)
        return True

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        return [(end, bound, p, True) for end, bound, p, _ in self.part.parse(tokens, start, env)]

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        return [(t, p, True) for t, p, _ in self.part.wordings(env)]

    def unmarked(self, env: Env) -> float:
        return 0.0

    def on_side(self, side: str) -> Node:
        return Mark(self.part.on_side(side))


class Sides(Node):
    """Different wordings on different sides: `Sides(source=Mark("damn"), target="")`. Take a side before use."""

    __slots__ = ("sides",)

    def __init__(self, **sides: Node | str) -> None:
        self.sides = {name: node(part) for name, part in sides.items()}
        self.first, self.nullable = frozenset(), True

    def realise(self, env: Env, stream: Stream, out: list[str]) -> bool:
        raise AssertionError("take a side first")

    def parse(self, tokens: Tokens, start: int, env: Env) -> list[Reading]:
        raise AssertionError("take a side first")

    def wordings(self, env: Env) -> list[tuple[Tokens, float, bool]]:
        raise AssertionError("take a side first")

    def unmarked(self, env: Env) -> float:
        raise AssertionError("take a side first")

    def on_side(self, side: str) -> Node:
        return self.sides[side].on_side(side)


def node(part: Node | str) -> Node:
    """A string stands for its words."""
    return Say(part) if isinstance(part, str) else part


def maybe(weight: int, part: Node | str, of: int = 10) -> Node:
    """`part` with probability `weight / of`, else nothing."""
    return Pick((weight, part), (of - weight, ""))


def one_of(*texts: str) -> Node:
    """Equally likely wordings."""
    return Pick(*((1, text) for text in texts))
