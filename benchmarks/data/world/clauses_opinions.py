"""Clauses of the detox language that judge people, things and places."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.data.world import lexicon as lex
from benchmarks.data.world.grammar import Cases, Node, Pick, Seq, Word
from benchmarks.data.world.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.phrases import (
    KNOWN,
    expletive,
    person,
    person_phrase,
    pronoun,
    pronoun_word,
    same,
    swap,
    thing,
    very,
)

_LIKE_CRAP = Pick((3, "like crap"), (2, "like garbage"), (1, "like hell"))
_IS_CRAP = Pick((2, "is total crap"), (2, "is damn awful"), (2, "sucks"), (1, "is a piece of trash"))
_IS_BAD = swap(_IS_CRAP, (5, "is bad"), (3, "is not good"), (2, "is poor"))
_WORKS = swap(
    Pick((3, "works like crap"), (2, "is a piece of crap"), (1, "sucks")),
    (5, "works badly"),
    (3, "does not work well"),
    (2, "works poorly"),
)


def _sense(verb: str) -> Node:
    return Seq(verb, swap(_LIKE_CRAP, (5, "bad"), (3, "terrible"), (2, "awful")))


_KINDS: Mapping[str, tuple[int, tuple[str, ...], Node, str]] = {
    "food": (
        4,
        lex.FOODS,
        _sense("tastes"),
        "nobody wants it / we threw it away / the dog can have it / i am still hungry / i sent it back",
    ),
    "drink": (3, lex.DRINKS, _sense("tastes"), "nobody drinks it / we poured it away / i asked for water"),
    "clothes": (3, lex.CLOTHES, _sense("looks"), "i will never wear it / nobody wears it / it stays in the box"),
    "machine": (
        3,
        lex.MACHINES,
        _WORKS,
        "i want a new one / we need another one / i took it back to the shop / nobody uses it",
    ),
    "played": (3, lex.PLAYED, _sense("sounds"), "nobody danced / we turned it off / i covered my ears"),
    "shown": (3, lex.SHOWN[:4], _IS_BAD, "half the people left / i fell asleep / we went home early"),
    "stay": (3, lex.STAYS, _IS_BAD, "we will not come back / we left after one night / nobody stays there"),
    "room": (
        3,
        ("kitchen", "cellar", "bathroom", "garage", "fridge", "attic"),
        _sense("smells"),
        "we opened the windows / nobody goes in / i held my breath / we must clean it",
    ),
}


def thing_opinion() -> Frame:
    """this soup tastes bad, so nobody wants it."""
    effects = {kind: lex.phrases(texts) for kind, (_, _, _, texts) in _KINDS.items()}
    pointers = ("this", "that", "the")

    def clause(kind: str) -> Node:
        _, words, verdict, _ = _KINDS[kind]
        # The verdict is the same for a whole kind, so it is a fact with one value.
        return Seq(Word("pointer", same(pointers)), thing("thing", words, 2), Cases("opinion", {"bad": verdict}))

    return Frame(
        "thing opinion",
        10,
        (
            fixed("kind", Chances({kind: weight for kind, (weight, _, _, _) in _KINDS.items()})),
            dependent("thing", "kind", {kind: even(words) for kind, (_, words, _, _) in _KINDS.items()}),
            dependent("effect", "kind", {kind: even(texts) for kind, texts in effects.items()}),
            fixed("opinion", even(["bad"])),
            fixed("pointer", Chances({"this": 3, "that": 1, "the": 2})),
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
        ("thing", "opinion", "effect"),
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
            "sleeps all day / never washes the dishes / always comes late / never helps us / watches television all day / "
            "never finishes anything"
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


def reported() -> Frame:
    """anna said that the printer in the office was broken."""
    verbs = ("said", "told me", "wrote", "thought", "complained", "told us")
    qualities = ("loud", "slow", "old", "hot", "heavy", "dusty")
    machines = ("printer", "radio", "television", "computer", "oven", "fridge", "fan", "clock", "stove", "lamp")
    broken = swap(
        Pick((3, "was total crap"), (2, "was a piece of crap"), (2, "was screwed up")),
        (5, "was broken"),
        (3, "did not work"),
        (2, "was out of order"),
    )
    return Frame(
        "reported",
        7,
        (
            *person("who"),
            fixed("speech", even(verbs)),
            fixed("thing", even(machines)),
            fixed("place", Chances(dict.fromkeys(lex.INDOORS, 3) | {"": 10})),
            fixed("state", Chances(dict.fromkeys(qualities, 1) | {"broken": 6})),
        ),
        Seq(
            person_phrase("who", 2),
            Word("speech", same(verbs)),
            "that the",
            thing("thing", machines, 3),
            Word("place", same((*lex.INDOORS, ""))),
            Cases("state", {"broken": broken} | {word: Seq("was", very(), word) for word in qualities}),
            ".",
        ),
        ("who", "who.owner", "speech", "thing", "place", "state"),
    )


def refusal() -> Frame:
    """i am not going to the party with my cousin because he is very loud."""
    events = "party wedding concert picnic dinner dance festival museum beach zoo opera lake circus parade".split()
    faults = "loud boring slow noisy strict drunk selfish nervous proud rude messy shy sad jealous".split()
    return Frame(
        "refusal",
        6,
        (
            fixed("speaker", Chances({"i am": 3, "we are": 2})),
            fixed("event", even(events)),
            *person("who", KNOWN),
            pronoun("who"),
            fixed("fault", even(faults)),
        ),
        Seq(
            Word("speaker", same(("i am", "we are"))),
            "not going to the",
            thing("event", events, 3),
            "with",
            person_phrase("who", 2),
            "because",
            pronoun_word("who"),
            "is",
            very(),
            Word("fault", same(faults)),
            ".",
        ),
        ("speaker", "event", "who", "who.owner", "who.pronoun", "fault"),
    )


def price() -> Frame:
    """they want ninety dollars for this room, which is too much."""
    buyers = lex.phrases("they want / we paid / i paid / she paid / he wants")
    numbers = lex.phrases("ten / twenty / thirty / forty / fifty / sixty / seventy / eighty / ninety / a hundred / two hundred")
    goods = "room ticket table meal taxi bottle repair haircut painting sofa chair cabin tour lesson plate".split()
    return Frame(
        "price",
        6,
        (
            fixed("buyer", even(buyers)),
            fixed("number", even(numbers)),
            fixed("money", even(["dollars", "pounds", "euros"])),
            fixed("goods", even(goods)),
            fixed("price", even(["high"])),
        ),
        Seq(
            Word("buyer", same(buyers)),
            Word("number", same(numbers)),
            Word("money", same(("dollars", "pounds", "euros"))),
            "for this",
            thing("goods", goods, 5),
            Cases(
                "price",
                {
                    "high": Seq(
                        ", which is",
                        swap(
                            Pick((2, "a damn joke"), (2, "bloody robbery"), (1, "total crap")),
                            (5, "too much"),
                            (3, "not fair"),
                            (2, "very expensive"),
                        ),
                    )
                },
            ),
            ".",
        ),
        ("buyer", "number", "money", "goods", "price"),
    )


def weather() -> Frame:
    """it is very cold in this kitchen, so i need a coat."""
    effects = {
        "cold": "i need a coat / we lit the fire / the plants died",
        "hot": "i need some water / we sleep outside / the butter melted",
        "dark": "i need a candle / nobody can read / we lost the key",
        "loud": "nobody can sleep / i cannot think / the baby woke up",
        "dirty": "we must clean the floor / i keep my shoes on / nobody wants to stay",
        "small": "we eat outside / the desk must go",
    }
    rooms = "kitchen office cellar attic studio lounge cabin tent bedroom library classroom workshop".split()
    texts = {quality: lex.phrases(text) for quality, text in effects.items()}
    return Frame(
        "weather",
        5,
        (
            fixed("quality", even(effects)),
            fixed("room", even(rooms)),
            dependent("effect", "quality", {quality: even(found) for quality, found in texts.items()}),
        ),
        Seq(
            "it is",
            very(),
            Word("quality", same(effects)),
            "in this",
            thing("room", rooms, 3),
            ", so",
            Word("effect", same(text for found in texts.values() for text in found)),
            ".",
        ),
        ("quality", "room", "effect"),
    )


def performance() -> Frame:
    """our team played badly in the final, so the coach was angry."""
    players = "team captain goalkeeper band orchestra pianist striker drummer".split()
    sides = ("our", "your", "the", "their")
    stages = lex.phrases(
        "in the final / on saturday / on sunday / in the first half / in the second half / last night / last week / "
        "at the festival / at the stadium / in the rain"
    )
    effects = lex.phrases(
        "so the crowd went home / so the manager was angry / and nobody was surprised / and the fans were sad / "
        "so they lost the prize / and i felt sorry"
    )
    return Frame(
        "performance",
        5,
        (
            fixed("side", even(sides)),
            fixed("player", even(players)),
            fixed("quality", even(["bad"])),
            fixed("stage", even(stages)),
            fixed("effect", even(effects)),
        ),
        Seq(
            Word("side", same(sides)),
            expletive(3, *lex.PERSON_ADJECTIVES),
            Word("player", same(players)),
            Cases("quality", {"bad": Seq(swap(Seq("played", _LIKE_CRAP), (5, "played badly"), (3, "played poorly"), (2, "did not play well")))}),
            Word("stage", same(stages)),
            ",",
            Word("effect", same(effects)),
            ".",
        ),
        ("side", "player", "quality", "stage", "effect"),
    )
