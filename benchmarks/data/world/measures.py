"""How large the detox language is: its words, its lengths and the exact number of its pairs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from benchmarks.data.world.detox import language
from benchmarks.data.world.grammar import Cases, Env, Mark, Node, Pick, Say, Seq, Sides, Tokens, Value, Word
from benchmarks.data.world.meaning import Frame


def parts(tree: Node) -> Iterator[Node]:
    """A tree and everything in it."""
    yield tree
    for part in _children(tree):
        yield from parts(part)


def _children(tree: Node) -> tuple[Node, ...]:
    if isinstance(tree, Seq):
        return tree.parts
    if isinstance(tree, Pick):
        return tuple(part for _, part in tree.options)
    if isinstance(tree, Cases):
        return tuple(tree.cases.values())
    if isinstance(tree, Sides):
        return tuple(tree.sides.values())
    return (tree.part,) if isinstance(tree, Mark) else ()


def _fixed_words(tree: Node) -> Iterator[Tokens]:
    for part in parts(tree):
        if isinstance(part, Say):
            yield part.words
        elif isinstance(part, Word):
            yield from part.forms.values()


@cache
def vocabulary(side: str = "") -> frozenset[str]:
    """All words of the language, or of its "source" or "target" side, without punctuation."""
    trees = [frame.on(name) for frame in language().frames for name in ("source", "target") if side in ("", name)]
    return frozenset(word for tree in trees for words in _fixed_words(tree) for word in words if word.isalpha())


@cache
def lengths(side: str) -> tuple[int, int]:
    """Numbers of words between which every sentence of a side lies.

    The bounds hold whichever values go together, so the shortest sentence may be longer and the longest shorter.
    """
    found = [_span(frame.on(side)) for frame in language().frames]
    return min(low for low, _ in found), max(high for _, high in found)


def _span(tree: Node) -> tuple[int, int]:
    if isinstance(tree, Say):
        count = sum(word.isalpha() for word in tree.words)
        return count, count
    if isinstance(tree, Word):
        counts = [sum(word.isalpha() for word in form) for form in tree.forms.values()]
        return min(counts), max(counts)
    spans = [_span(part) for part in _children(tree)]
    if isinstance(tree, Seq):
        return sum(low for low, _ in spans), sum(high for _, high in spans)
    return min(low for low, _ in spans), max(high for _, high in spans)


@cache
def distinct_pairs() -> int:
    """The exact number of distinct (source, target) pairs.

    It is the number of derivations of pairs. No text has two derivations on a side (tests/exact proves it), so
    different derivations make different pairs.
    """
    return sum(_pairs_of(frame) for frame in language().frames)


def _pairs_of(frame: Frame) -> int:
    """Derivations of pairs of a frame: the sum over meanings of (sources with a mark) times (targets).

    Variables on which others depend, or which decide what follows, are enumerated. Given those, each other variable
    has its own part of the sentence, and the sum of products is a product of sums.
    """
    outer = {parent for variable in frame.variables for parent in variable.parents}
    outer |= {
        tree.variable
        for tree in parts(frame.surface)
        if isinstance(tree, Cases) and variables_of(tree) != {tree.variable}
    }
    return sum(_pairs_given(frame, env) for env in _assignments(frame, outer, 0, {}))


def variables_of(tree: Node) -> set[str]:
    """The variables that a tree puts into words."""
    return {part.variable for part in parts(tree) if isinstance(part, Cases | Word)}


def _assignments(frame: Frame, outer: set[str], at: int, env: Env) -> Iterator[Env]:
    while at < len(frame.variables) and frame.variables[at].name not in outer:
        at += 1
    if at == len(frame.variables):
        yield env
        return
    variable = frame.variables[at]
    for value in variable.given(env).weights:
        yield from _assignments(frame, outer, at + 1, {**env, variable.name: value})


def _pairs_given(frame: Frame, env: Env) -> int:
    inner = {variable.name: variable for variable in frame.variables if variable.name not in env}
    groups: dict[str, list[Node]] = {name: [] for name in ("", *inner)}
    for part in _flat(frame.surface, env):
        (name,) = (variables_of(part) - env.keys()) or {""}
        groups[name].append(part)
    everything = unmarked = 1
    for name, members in groups.items():
        values: list[Value] = list(inner[name].given(env).weights) if name else [""]
        counts = [_counts(members, {**env, name: value}) for value in values]
        everything *= sum(count for count, _ in counts)
        unmarked *= sum(count for _, count in counts)
    return everything - unmarked


def _flat(tree: Node, env: Env) -> Iterator[Node]:
    if isinstance(tree, Seq):
        for part in tree.parts:
            yield from _flat(part, env)
    elif isinstance(tree, Cases) and tree.variable in env:
        yield from _flat(tree.cases[env[tree.variable]], env)
    else:
        yield tree


def _counts(members: list[Node], env: Env) -> tuple[int, int]:
    """Derivations of pairs of these parts of one meaning: all, and those whose source has no mark."""
    everything = unmarked = 1
    for part in members:
        sources, targets = part.on_side("source").wordings(env), part.on_side("target").wordings(env)
        everything *= len(sources) * len(targets)
        unmarked *= sum(not marked for _, _, marked in sources) * len(targets)
    return everything, unmarked
