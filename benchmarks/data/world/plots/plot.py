"""How a story is made: someone wants something, tries, meets an obstacle, resolves it or not, and feels.

A plot is a table of texts. Names in braces are parts that the five sentences share, so a hero keeps name and pronouns,
and a thing stays the same thing. Which obstacle can come depends on what was tried, how it is met on the obstacle, and
how the hero feels on how it was met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Node, Seq, Word
from benchmarks.data.world.language.lexicon import Words
from benchmarks.data.world.language.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.language.phrases import same
from benchmarks.data.world.language.templates import choices, fill

MOVES = ("wants", "tries", "meets", "resolves", "feels")
"""The sentences of a story, in order."""

_FEELINGS: Mapping[str, Words] = {
    "well": lex.GLAD,
    "badly": lex.SAD,
}


@dataclass(frozen=True)
class Plot:
    """One kind of story.

    Attributes:
        roles: what the story is about, by name; each is stated in the first or second sentence.
        wants: the first sentence; it names the hero and when.
        tries: second sentence -> the obstacles that may follow.
        meets: obstacle -> how it is resolved.
        gives_up: what may happen instead, whatever the obstacle.
        ends: "well" or "badly" -> last sentences.
    """

    name: str
    weight: int
    roles: Mapping[str, Words]
    wants: str
    tries: Mapping[str, Words]
    meets: Mapping[str, Words]
    gives_up: Words
    ends: Mapping[str, Words]

    def frame(self) -> Frame:
        """The plot as a frame whose surface is a sequence of five sentences."""
        parts = _people() | {name: Word(name, same(words)) for name, words in self.roles.items()}
        good = {answer for answers in self.meets.values() for answer in answers}
        end_of = dict.fromkeys(good, "well") | dict.fromkeys(self.gives_up, "badly")
        answers = {
            obstacle: Chances(dict.fromkeys(helpers, 3) | dict.fromkeys(self.gives_up, 1))
            for obstacle, helpers in self.meets.items()
        }
        return Frame(
            self.name,
            self.weight,
            (
                fixed("sex", even(("she", "he"))),
                dependent("hero", "sex", {"she": even(lex.WOMEN), "he": even(lex.MEN)}),
                fixed("when", even(lex.ONCE)),
                *(fixed(name, even(words)) for name, words in self.roles.items()),
                fixed("try", even(self.tries)),
                dependent("obstacle", "try", {text: even(obstacles) for text, obstacles in self.tries.items()}),
                dependent("answer", "obstacle", answers),
                fixed("kin", even(lex.FAMILIARS)),
                dependent("end", "answer", {answer: even((end,)) for answer, end in end_of.items()}),
                dependent("feeling", "end", {end: even(words) for end, words in _FEELINGS.items()}),
                dependent("closing", "end", {end: even(texts) for end, texts in self.ends.items()}),
            ),
            Seq(
                fill(self.wants, parts),
                choices("try", self.tries, parts),
                choices("obstacle", self.meets, parts),
                choices("answer", end_of, parts),
                Cases("end", {end: _closing(end, texts, parts) for end, texts in self.ends.items()}),
            ),
            ("hero", "when", *self.roles, "try", "obstacle", "answer", "kin", "feeling", "closing"),
        )


def _people() -> dict[str, Node]:
    """The parts that every plot has."""
    return {
        "hero": Cases("sex", {"she": Word("hero", same(lex.WOMEN)), "he": Word("hero", same(lex.MEN))}),
        "when": Word("when", same(lex.ONCE)),
        "he": Word("sex", {"she": "she", "he": "he"}),
        "him": Word("sex", {"she": "her", "he": "him"}),
        "his": Word("sex", {"she": "her", "he": "his"}),
        "kin": Word("kin", same(lex.FAMILIARS)),
    }


def _closing(end: str, texts: Iterable[str], parts: Mapping[str, Node]) -> Node:
    return choices("closing", texts, {**parts, "feeling": Word("feeling", same(_FEELINGS[end]))})
