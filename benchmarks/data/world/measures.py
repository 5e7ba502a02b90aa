"""How large the detox language is: the exact number of its pairs."""

from __future__ import annotations

from functools import cache

from benchmarks.data.world.detox import language
from benchmarks.data.world.language.grammar import Env, Node, Value
from benchmarks.data.world.language.meaning import Frame
from benchmarks.data.world.language.trees import assignments, deciding, flat, variables_of


@cache
def distinct_pairs() -> int:
    """The exact number of distinct (source, target) pairs.

    It is the number of derivations of pairs. No text has two derivations on a side (tests/exact proves it), so
    different derivations make different pairs.
    """
    return sum(_pairs_of(frame) for frame in language().frames)


def _pairs_of(frame: Frame) -> int:
    """Derivations of pairs of a frame: the sum over meanings of (sources with a mark) times (targets).

    The deciding variables are enumerated. Given those, each other variable has its own part of the sentence, and the
    sum of products is a product of sums.
    """
    return sum(_pairs_given(frame, env) for env in assignments(frame, deciding(frame)))


def _pairs_given(frame: Frame, env: Env) -> int:
    inner = {variable.name: variable for variable in frame.variables if variable.name not in env}
    groups: dict[str, list[Node]] = {name: [] for name in ("", *inner)}
    for part in flat(frame.surface, env):
        (name,) = (variables_of(part) - env.keys()) or {""}
        groups[name].append(part)
    everything = unmarked = 1
    for name, members in groups.items():
        values: list[Value] = list(inner[name].given(env).weights) if name else [""]
        counts = [_counts(members, {**env, name: value}) for value in values]
        everything *= sum(count for count, _ in counts)
        unmarked *= sum(count for _, count in counts)
    return everything - unmarked


def _counts(members: list[Node], env: Env) -> tuple[int, int]:
    """Derivations of pairs of these parts of one meaning: all, and those whose source has no mark."""
    everything = unmarked = 1
    for part in members:
        sources, targets = part.on_side("source").wordings(env), part.on_side("target").wordings(env)
        everything *= len(sources) * len(targets)
        unmarked *= sum(not marked for _, _, marked in sources) * len(targets)
    return everything, unmarked
