"""Every text of the world has one derivation: proven on a finite automaton of each side of the language.

The automaton accepts a superset: it forgets which values go together. If no text has two paths in the superset, no text
has two derivations in the language. The proof is the standard one, reachability in the automaton's product with itself.
"""

from __future__ import annotations

from collections import deque

import pytest

from benchmarks.data.world import question, story, summary
from benchmarks.data.world.detox import language
from benchmarks.data.world.language.grammar import Cases, Mark, Node, Pick, Say, Seq, Tokens, Word, one_of
from benchmarks.data.world.language.lexicon import NAMES
from benchmarks.data.world.passages import WHO, kinds


class Automaton:
    """A nondeterministic automaton without cycles whose paths are the derivations of some trees, one to one."""

    def __init__(self, trees: list[Node]) -> None:
        self.arcs: list[list[tuple[str, int]]] = []
        self.silent: list[list[int]] = []
        self.start, self.end = self.state(), self.state()
        for tree in trees:
            self.silent[self.add(tree, self.fork(self.start))].append(self.end)
        self.moves = [self.moves_from(state) for state in range(len(self.arcs))]
        self.stops = [self.reached(state).count(self.end) for state in range(len(self.arcs))]

    def state(self) -> int:
        self.arcs.append([])
        self.silent.append([])
        return len(self.arcs) - 1

    def fork(self, start: int) -> int:
        self.silent[start].append(self.state())
        return self.silent[start][-1]

    def chain(self, words: Tokens, start: int, end: int) -> None:
        for word in words[:-1]:
            self.arcs[start].append((word, self.state()))
            start = self.arcs[start][-1][1]
        if words:
            self.arcs[start].append((words[-1], end))
        else:
            self.silent[start].append(end)

    def add(self, tree: Node, start: int) -> int:
        """Add the paths of a tree from `start`; its one end."""
        if isinstance(tree, Mark):
            return self.add(tree.part, start)
        if isinstance(tree, Seq):
            for part in tree.parts:
                start = self.add(part, start)
            return start
        end = self.state()
        if isinstance(tree, Say):
            self.chain(tree.words, start, end)
        elif isinstance(tree, Word):
            for form in tree.forms.values():
                self.chain(form, start, end)
        else:
            assert isinstance(tree, Pick | Cases)
            parts = [part for _, part in tree.options] if isinstance(tree, Pick) else list(tree.cases.values())
            for part in parts:
                self.silent[self.add(part, self.fork(start))].append(end)
        return end

    def reached(self, state: int) -> list[int]:
        """States reached without a word, once per path."""
        found, stack = [], [state]
        while stack:
            at = stack.pop()
            found.append(at)
            stack += self.silent[at]
        return found

    def moves_from(self, state: int) -> dict[str, list[int]]:
        result: dict[str, list[int]] = {}
        for at in self.reached(state):
            for word, after in self.arcs[at]:
                result.setdefault(word, []).append(after)
        return result

    def ambiguous(self) -> str | None:
        """A text with two paths, or None if there is none."""
        first = (self.start, self.start, False)
        cause: dict[tuple[int, int, bool], tuple[tuple[int, int, bool], str] | None] = {first: None}
        queue = deque([first])
        while queue:
            pair = queue.popleft()
            one, two, differ = pair
            if (differ and self.stops[one] and self.stops[two]) or self.stops[one] > 1:
                return self.spell(pair, cause)
            for word in self.moves[one].keys() & self.moves[two].keys():
                for i, p in enumerate(self.moves[one][word]):
                    for j, q in enumerate(self.moves[two][word]):
                        after = (min(p, q), max(p, q), differ or i != j)
                        if after not in cause:
                            cause[after] = (pair, word)
                            queue.append(after)
        return None

    @staticmethod
    def spell(pair: tuple[int, int, bool], cause: dict) -> str:
        words = []
        while cause[pair] is not None:
            pair, word = cause[pair]
            words.append(word)
        return " ".join(reversed(words))


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_text_has_two_derivations(side: str) -> None:
    automaton = Automaton([getattr(frame, side) for frame in language().frames])
    assert len(automaton.arcs) > 1000
    assert automaton.ambiguous() is None


def test_no_story_has_two_derivations() -> None:
    automaton = Automaton([frame.target for frame in story.language().frames])
    assert len(automaton.arcs) > 3000
    assert automaton.ambiguous() is None


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_report_and_no_summary_has_two_derivations(side: str) -> None:
    assert Automaton([getattr(frame, side) for frame in summary.language().frames]).ambiguous() is None


def test_no_passage_and_no_question_as_such_has_two_derivations() -> None:
    passages = []
    for frame in question.language().frames:
        assert isinstance(frame.source, Mark)
        assert isinstance(frame.source.part, Seq)
        passages.append(frame.source.part.parts[-1])
    assert Automaton(passages).ambiguous() is None
    assert Automaton([tree for tree, _ in question._questions()]).ambiguous() is None


def test_no_two_answers_of_one_passage_can_be_equal() -> None:
    """Kinds, and subjects, do not come twice in a passage; so it is enough that no two roles share a value."""
    seen = set(NAMES)
    for kind in kinds().values():
        for values in kind.roles.values():
            assert len(set(values)) == len(values)
            assert not seen & set(values), (kind.past, seen & set(values))
            seen |= set(values)
        assert set(kind.asks) == {WHO, *kind.roles}


def test_the_proof_finds_ambiguity_where_there_is_some() -> None:
    assert Automaton([one_of("a b", "a")]).ambiguous() is None
    assert Automaton([Seq(one_of("a b", "a"), one_of("c", "b c"))]).ambiguous() == "a b c"
    assert Automaton([Pick((1, "a"), (1, "a"))]).ambiguous() == "a"
    assert Automaton([Word("x", {1: "a", 2: "a"})]).ambiguous() == "a"
    assert Automaton([Say("a"), Cases("x", {1: "b", 2: Seq("", "a")})]).ambiguous() == "a"
