"""Clauses of the detox language that ask, wish or complain of a habit."""

from __future__ import annotations

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Mark, Pick, Seq, Sides, Word
from benchmarks.data.world.language.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.language.phrases import (
    ANYONE,
    NEAR,
    comment_phrase,
    expletive,
    person,
    person_phrase,
    same,
    swap,
    thing,
)


def order() -> Frame:
    """please clean the kitchen before the guests arrive."""
    orders = {
        "clean": ["kitchen", "bathroom", "garage", "oven", "floor", "mirror"],
        "close": ["window", "door", "gate", "curtain"],
        "wash": ["dishes", "car", "dog", "bowl", "vase"],
        "feed": ["cat", "fish", "horses", "dog"],
        "fix": ["roof", "fence", "bike", "lamp"],
        "bring back": ["ladder", "umbrella", "jar", "suitcase"],
        "move": ["van", "boat", "piano", "cart"],
        "turn off": ["radio", "tv", "music", "light"],
        "pay for": ["ticket", "meal", "taxi", "wine"],
        "water": ["plants", "lawn", "garden"],
    }
    limits = lex.phrases(
        "before the guests arrive / before i call your mother / before it gets dark / before we leave / right now / "
        "at once / while i cook / when you get home / this time"
    )
    return Frame(
        "order",
        10,
        (
            fixed("order", even(orders)),
            dependent("object", "order", {verb: even(words) for verb, words in orders.items()}),
            fixed("limit", even(limits)),
        ),
        Seq(
            swap(
                Pick((3, "shut up and"), (2, "hey , idiot ,"), (1, "damn it ,"), (2, "listen , you moron ,")),
                (5, "please"),
                (3, "so please"),
                (2, "kindly"),
            ),
            Word("order", same(orders)),
            "the",
            thing("object", sorted({word for words in orders.values() for word in words}), 3),
            Word("limit", same(limits)),
            expletive(2, ", you fool", ", you jerk", ", you clown"),
            ".",
        ),
        ("order", "object", "limit"),
    )


def question() -> Frame:
    """why did my cousin leave the ladder in the garden?"""
    things = (*lex.TOOLS, *lex.PAPERS, *lex.VALUABLES, *lex.CLOTHES)
    verbs = ("leave", "hide", "put", "drop", "forget")
    return Frame(
        "question",
        8,
        (
            *person("who", NEAR),
            fixed("action", even(verbs)),
            fixed("thing", even(things)),
            fixed("place", even((*lex.SPOTS, *lex.ROOMS))),
        ),
        Seq(
            Sides(
                source=Pick((3, Mark("why the hell")), (1, Mark("damn it , why")), (2, "why")),
                target=Pick((4, "why"), (2, "so why")),
            ),
            "did",
            person_phrase("who", 3),
            Word("action", same(verbs)),
            "the",
            thing("thing", things),
            Word("place", same((*lex.SPOTS, *lex.ROOMS))),
            "?",
        ),
        ("who", "who.owner", "action", "thing", "place"),
    )


def wish() -> Frame:
    """i wish my uncle would be quiet about politics at dinner."""
    topics = lex.phrases(
        "politics / football / the weather / the war / the future / money / horses / history / taxes / fashion / "
        "the baby / school / opera / chess / tennis / the news"
    )
    times = lex.phrases(
        "at dinner / in the morning / on the train / at work / at breakfast / in the car / at night / on the phone"
    )
    wishers = ("i wish", "we wish", "everybody wishes")
    return Frame(
        "wish",
        6,
        (
            fixed("wisher", even(wishers)),
            *person("who", NEAR),
            fixed("topic", even(topics)),
            fixed("time", Chances(dict.fromkeys(times, 1) | {"": 5})),
        ),
        Seq(
            Word("wisher", same(wishers)),
            person_phrase("who", 3),
            "would",
            swap(
                Pick((3, "shut up"), (2, "shut the hell up")),
                (5, "stop talking"),
                (3, "be quiet"),
                (2, "talk less"),
            ),
            "about",
            Word("topic", same(topics)),
            Word("time", same((*times, ""))),
            ".",
        ),
        ("wisher", "who", "who.owner", "topic", "time"),
    )


def habit() -> Frame:
    """every night my neighbour plays the drum in the attic, which is annoying."""
    often = lex.phrases(
        "every night / every morning / every day / every weekend / every evening / every sunday / every afternoon"
    )
    halls = lex.phrases("in the hall / in the garage / in the cellar / in the attic / in the studio / in the lounge")
    places = dict.fromkeys(lex.INSTRUMENTS, halls) | {
        "sings": lex.INDOORS,
        "smokes": lex.INDOORS,
        "shouts": lex.INDOORS,
        "whistles": lex.INDOORS,
        "dances": halls,
        "argues": lex.INDOORS,
        "kicks a ball": (*halls[:2], "in the yard", "in the garden"),
        "moves the chairs": halls,
        "cooks fish": ("in the kitchen", "in the yard", "in the garden"),
        "drinks beer": (*halls, "in the kitchen", "in the office"),
        "watches football": ("in the lounge", "in the kitchen", "in the office"),
        "burns old paper": ("in the yard", "in the garden", "in the cellar"),
    }
    acts = [act for act in places if act not in lex.INSTRUMENTS]
    return Frame(
        "habit",
        7,
        (
            fixed("often", even(often)),
            *person("who", ANYONE),
            fixed("kind", Chances({"plays": 1, "acts": 2})),
            dependent("activity", "kind", {"plays": even(lex.INSTRUMENTS), "acts": even(acts)}),
            dependent("place", "activity", {act: even(spots) for act, spots in places.items()}),
            fixed("comment", even(["annoying", "unkind", ""])),
        ),
        Seq(
            Word("often", same(often)),
            person_phrase("who"),
            Cases(
                "kind",
                {
                    "plays": Seq("plays the", thing("activity", lex.INSTRUMENTS)),
                    "acts": Word("activity", same(acts)),
                },
            ),
            Word("place", same((*lex.INDOORS, "in the yard", "in the garden"))),
            comment_phrase(),
            ".",
        ),
        ("often", "who", "who.owner", "activity", "place", "comment"),
    )
