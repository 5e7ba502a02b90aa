"""Clauses of the detox language that remark on things, people, prices and rooms."""

from __future__ import annotations

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Pick, Seq, Word
from benchmarks.data.world.language.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.language.phrases import (
    KNOWN,
    person,
    person_phrase,
    pronoun,
    pronoun_word,
    same,
    swap,
    thing,
    very,
)


def reported() -> Frame:
    """anna said the printer in the office was broken."""
    verbs = ("said", "told me", "wrote", "thought", "complained", "told us")
    cooking = ("oven", "fridge", "stove")
    rooms = lex.phrases("in the kitchen / in the cellar / in the garage / in the basement")
    states = {
        "printer": ("loud", "slow", "old"),
        "radio": ("loud", "old", "dusty"),
        "television": ("loud", "heavy", "dusty"),
        "computer": ("slow", "old", "loud"),
        "fan": ("loud", "dusty", "old"),
        "clock": ("slow", "old", "loud"),
        "lamp": ("hot", "dusty", "heavy"),
        "oven": ("hot", "slow", "old"),
        "fridge": ("loud", "heavy", "old"),
        "stove": ("hot", "dusty", "heavy"),
    }
    qualities = sorted({word for words in states.values() for word in words})
    broken = swap(
        Pick((3, "was total crap"), (2, "was a piece of crap"), (2, "was screwed up")),
        (5, "was broken"),
        (3, "did not work"),
        (2, "was out of order"),
    )
    places = {machine: rooms if machine in cooking else lex.INDOORS for machine in states}
    return Frame(
        "reported",
        7,
        (
            *person("who"),
            fixed("speech", even(verbs)),
            fixed("thing", even(states)),
            dependent(
                "place",
                "thing",
                {
                    machine: Chances(dict.fromkeys(spots, 1) | {"": len(spots) // 2})
                    for machine, spots in places.items()
                },
            ),
            dependent(
                "state",
                "thing",
                {machine: Chances(dict.fromkeys(words, 1) | {"broken": 3}) for machine, words in states.items()},
            ),
        ),
        Seq(
            person_phrase("who", 2),
            Word("speech", same(verbs)),
            "the",
            thing("thing", states, 3),
            Word("place", same((*lex.INDOORS, *rooms, ""))),
            Cases("state", {"broken": broken} | {word: Seq("was", very(), word) for word in qualities}),
            ".",
        ),
        ("who", "who.owner", "speech", "thing", "place", "state"),
    )


def refusal() -> Frame:
    """i am not going to the party with my cousin because he is very loud."""
    events = [
        "party",
        "wedding",
        "concert",
        "picnic",
        "dinner",
        "dance",
        "festival",
        "museum",
        "beach",
        "zoo",
        "opera",
        "lake",
        "circus",
        "parade",
    ]
    faults = [
        "loud",
        "boring",
        "slow",
        "noisy",
        "strict",
        "drunk",
        "selfish",
        "nervous",
        "proud",
        "strange",
        "messy",
        "shy",
        "sad",
        "jealous",
    ]
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
    numbers = lex.phrases(
        "ten / twenty / thirty / forty / fifty / sixty / seventy / eighty / ninety / a hundred / two hundred"
    )
    goods = [
        "room",
        "ticket",
        "table",
        "meal",
        "taxi",
        "bottle",
        "repair",
        "haircut",
        "painting",
        "sofa",
        "chair",
        "cabin",
        "tour",
        "lesson",
        "plate",
    ]
    return Frame(
        "price",
        6,
        (
            fixed("buyer", even(buyers)),
            fixed("number", even(numbers)),
            fixed("money", even(["dollars", "pounds", "euros"])),
            fixed("pointer", Chances({"this": 3, "that": 1})),
            fixed("goods", even(goods)),
            fixed("price", even(["high"])),
        ),
        Seq(
            Word("buyer", same(buyers)),
            Word("number", same(numbers)),
            Word("money", same(("dollars", "pounds", "euros"))),
            "for",
            Word("pointer", same(("this", "that"))),
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
        ("buyer", "number", "money", "pointer", "goods", "price"),
    )


def weather() -> Frame:
    """it is very cold in this kitchen, so i need a coat."""
    effects = {
        "cold": "i need a coat / we need a blanket / nobody wants to stay",
        "hot": "i need some water / the candle melted / we sleep outside",
        "dark": "i need a candle / nobody can read / we lost the key",
        "loud": "nobody can sleep / i cannot think / the baby woke up",
        "dirty": "we must clean the floor / i keep my shoes on / nobody wants to stay",
        "crowded": "we eat outside / i cannot move / nobody wants to stay",
    }
    homes = lex.phrases("kitchen / cabin / tent / bedroom / lounge / attic")
    works = lex.phrases("office / library / classroom / studio / workshop / cellar")
    asleep = ("nobody can sleep", "the baby woke up", "we sleep outside", "we eat outside")
    rooms = (*homes, *works)
    texts = {quality: lex.phrases(text) for quality, text in effects.items()}
    return Frame(
        "weather",
        6,
        (
            fixed("quality", even(effects)),
            fixed("pointer", Chances({"this": 3, "that": 1})),
            dependent("effect", "quality", {quality: even(effect_texts) for quality, effect_texts in texts.items()}),
            dependent(
                "room",
                "effect",
                {
                    text: even(homes if text in asleep else rooms)
                    for effect_texts in texts.values()
                    for text in effect_texts
                },
            ),
        ),
        Seq(
            "it is",
            very(),
            Word("quality", same(effects)),
            "in",
            Word("pointer", same(("this", "that"))),
            thing("room", rooms, 3),
            ", so",
            Word("effect", same(text for effect_texts in texts.values() for text in effect_texts)),
            ".",
        ),
        ("quality", "pointer", "room", "effect"),
    )
