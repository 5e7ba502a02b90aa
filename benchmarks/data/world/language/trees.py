"""What can be said of a surface grammar without drawing from it: its parts, size and entropy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from benchmarks.data.world.language.grammar import Cases, Env, Mark, Node, Pick, Say, Seq, Sides, Value, Word
from benchmarks.data.world.language.meaning import Chances, Frame


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


def variables_of(tree: Node) -> set[str]:
    """The variables that a tree puts into words."""
    return {part.variable for part in parts(tree) if isinstance(part, Cases | Word)}


def deciding(frame: Frame) -> set[str]:
    """Variables on which others depend, or which decide what follows. Given those, all others are independent."""
    parents = {parent for variable in frame.variables for parent in variable.parents}
    return parents | {
        tree.variable
        for tree in parts(frame.surface)
        if isinstance(tree, Cases) and variables_of(tree) != {tree.variable}
    }


def assignments(frame: Frame, names: set[str]) -> Iterator[Env]:
    """All values that some variables may have together; `names` holds the parents of each of them."""
    return _assignments(frame, names, 0, {})


def _assignments(frame: Frame, names: set[str], at: int, env: Env) -> Iterator[Env]:
    while at < len(frame.variables) and frame.variables[at].name not in names:
        at += 1
    if at == len(frame.variables):
        yield env
        return
    variable = frame.variables[at]
    for value in variable.given(env).weights:
        yield from _assignments(frame, names, at + 1, {**env, variable.name: value})


def flat(tree: Node, env: Env) -> Iterator[Node]:
    """The parts of a tree one after the other, with what `env` decides decided."""
    if isinstance(tree, Seq):
        for part in tree.parts:
            yield from flat(part, env)
    elif isinstance(tree, Cases) and tree.variable in env:
        yield from flat(tree.cases[env[tree.variable]], env)
    else:
        yield tree


def count_targets(frame: Frame) -> int:
    """The exact number of derivations of a frame's target side; of texts, where no text has two derivations."""
    names, total = deciding(frame), 0
    for env in assignments(frame, names):
        free = math.prod(len(v.given(env).weights) for v in frame.variables if v.name not in env)
        total += free * _count(frame.target, env)
    return total


def _count(tree: Node, env: Env) -> int:
    result = 1
    for part in flat(tree, env):
        if isinstance(part, Pick):
            result *= sum(_count(option, env) for _, option in part.options)
        else:
            assert isinstance(part, Say | Word), "a variable that is not given decides the number of wordings"
    return result


def target_entropy(frame: Frame) -> float:
    """The exact entropy in nats of a derivation of a frame's target side; of the text, where no text has two.

    It is the entropy of the deciding variables, plus the expected one of all others, plus that of the wording.
    """
    names = deciding(frame)
    terms = []
    for env in assignments(frame, names):
        decided = [v.given(env).probability(env[v.name]) for v in frame.variables if v.name in env]
        others = {v.name: v.given(env) for v in frame.variables if v.name not in env}
        inner = -math.fsum(map(math.log, decided))
        inner += math.fsum(entropy_of(chances) for chances in others.values())
        inner += _wording_entropy(frame.target, env, others)
        terms.append(math.prod(decided) * inner)
    return math.fsum(terms)


def entropy_of(chances: Chances) -> float:
    """The entropy of a distribution in nats."""
    return _entropy(chances.weights.values(), chances.total)


def _entropy(weights: Iterable[int], total: int) -> float:
    return math.fsum(-weight / total * math.log(weight / total) for weight in weights)


def _wording_entropy(tree: Node, env: Env, others: dict[str, Chances]) -> float:
    """The mean, over the variables in `others`, of the entropy of the wording of a tree."""
    terms = []
    for part in flat(tree, env):
        if isinstance(part, Pick):
            terms.append(_entropy((weight for weight, _ in part.options), part.total))
            terms += [w / part.total * _wording_entropy(option, env, others) for w, option in part.options]
        elif isinstance(part, Cases):
            chances = others[part.variable]
            terms += [
                chances.probability(value) * _wording_entropy(part.cases[value], {**env, part.variable: value}, others)
                for value in _values(chances)
            ]
    return math.fsum(terms)


def _values(chances: Chances) -> list[Value]:
    return list(chances.weights)
