"""Clauses of the detox language that judge a thing or a person and say why."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Node, Pick, Seq, Word
from benchmarks.data.world.language.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.language.phrases import (
    KNOWN,
    LIKE_CRAP,
    person,
    person_phrase,
    pronoun,
    pronoun_word,
    same,
    swap,
    thing,
)

_IS_CRAP = Pick((2, "is total crap"), (2, "is damn awful"), (2, "sucks"), (1, "is a piece of trash"))
_IS_BAD = swap(_IS_CRAP, (5, "is bad"), (3, "is not good"), (2, "is poor"))
_WORKS = swap(
    Pick((3, "works like crap"), (2, "is a piece of crap"), (1, "sucks")),
    (5, "works badly"),
    (3, "does not work well"),
    (2, "works poorly"),
)


def _sense(verb: str) -> Node:
    return Seq(verb, swap(LIKE_CRAP, (5, "bad"), (3, "terrible"), (2, "awful")))


_KINDS: Mapping[str, tuple[int, tuple[str, ...], Node, str]] = {
    "food": (
        6,
        lex.FOODS,
        _sense("tastes"),
        "nobody wants it / we threw it away / the dog can have it / i am still hungry / i sent it back",
    ),
    "drink": (3, lex.DRINKS, _sense("tastes"), "nobody drinks it / we poured it away / i want some water"),
    "clothes": (2, lex.CLOTHES, _sense("looks"), "i will never wear it / it stays in the box"),
    "machine": (
        3,
        lex.MACHINES,
        _WORKS,
        "i want a new one / we need another one / i took it back to the shop / nobody wants it",
    ),
    "played": (3, lex.PLAYED, _sense("sounds"), "nobody danced / we turned it off / i covered my ears"),
    "shown": (3, lex.SHOWN, _IS_BAD, "half the people left / i fell asleep / we went home early"),
    "stay": (3, lex.STAYS, _IS_BAD, "we will not come back / we left after one night / nobody stays there"),
    "room": (
        3,
        ("kitchen", "cellar", "bathroom", "garage", "hall", "attic"),
        _sense("smells"),
        "we opened the windows / nobody wants to go in / i held my breath / we must clean it",
    ),
}


def thing_opinion() -> Frame:
    """this soup tastes bad, so nobody wants it."""
    effects = {kind: lex.phrases(texts) for kind, (_, _, _, texts) in _KINDS.items()}
    pointers = {"this": "this", "that": "that", "my": "my", "our": "our", "your": "your", "": "the"}

    def clause(kind: str) -> Node:
        _, words, verdict, _ = _KINDS[kind]
        return Seq(Word("pointer", pointers), thing("thing", words, 2), Cases("opinion", {"bad": verdict}))

    return Frame(
        "thing opinion",
        14,
        (
            fixed("kind", Chances({kind: weight for kind, (weight, _, _, _) in _KINDS.items()})),
            dependent("thing", "kind", {kind: even(words) for kind, (_, words, _, _) in _KINDS.items()}),
            dependent("effect", "kind", {kind: even(texts) for kind, texts in effects.items()}),
            fixed("opinion", even(["bad"])),
            fixed("pointer", Chances({"this": 3, "that": 1, "my": 2, "our": 2, "your": 1, "": 2})),
            fixed("order", Chances({"so": 3, "because": 2})),
        ),
        Cases(
            "kind",
            {
                kind: Cases(
                    "order",
                    {
                        "so": Seq(clause(kind), ", so", Word("effect", same(effects[kind])), "."),
                        "because": Seq("because", clause(kind), ",", Word("effect", same(effects[kind])), "."),
                    },
                )
                for kind in _KINDS
            },
        ),
        ("pointer", "thing", "opinion", "effect"),
    )


def person_opinion() -> Frame:
    """my boss is not very clever because he believes every story."""
    reasons = {
        "foolish": lex.phrases(
            "believes every story / left the door open / lost all the money / drives without a light / "
            "put salt in the coffee / forgot the tickets / painted the windows shut"
        ),
        "mean": lex.phrases(
            "never listens to me / shouts at the children / laughed at my hair / never says hello / hid my shoes / "
            "kicked the cat / told everyone my secret"
        ),
        "lazy": lex.phrases(
            "sleeps all day / never washes the dishes / always comes late / never helps us / "
            "watches television all day / never finishes anything"
        ),
    }
    verdicts = {
        "foolish": swap(
            Pick((3, "an idiot"), (2, "a complete moron"), (2, "a damn fool"), (1, "dumb as hell")),
            (5, "not very clever"),
            (3, "not wise"),
            (2, "foolish"),
        ),
        "mean": swap(
            Pick((3, "a jerk"), (2, "a real creep"), (2, "a bloody jerk"), (1, "a total clown")),
            (5, "not very kind"),
            (3, "not nice"),
            (2, "not friendly"),
        ),
        "lazy": swap(
            Pick((3, "a useless bum"), (2, "a damn loser"), (2, "a total loser")),
            (5, "a bit lazy"),
            (3, "rather lazy"),
            (2, "not a hard worker"),
        ),
    }
    return Frame(
        "person opinion",
        9,
        (
            *person("who", KNOWN),
            pronoun("who"),
            fixed("opinion", even(verdicts)),
            dependent("reason", "opinion", {opinion: even(texts) for opinion, texts in reasons.items()}),
        ),
        Seq(
            person_phrase("who", 2),
            "is",
            Cases("opinion", verdicts),
            "because",
            pronoun_word("who"),
            Word("reason", same(text for texts in reasons.values() for text in texts)),
            ".",
        ),
        ("who", "who.owner", "who.pronoun", "opinion", "reason"),
    )
