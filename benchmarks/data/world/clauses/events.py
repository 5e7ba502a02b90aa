"""Clauses of the detox language that tell who did what."""

from __future__ import annotations

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Pick, Seq, Word
from benchmarks.data.world.language.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.language.phrases import (
    KNOWN,
    OWNERS,
    comment_phrase,
    comments,
    owner,
    person,
    person_phrase,
    same,
    swap,
    thing,
    when,
)


def placing() -> Frame:
    """my neighbour left the ladder in the garden again."""
    small = (*lex.TOOLS, *lex.CLOTHES, *lex.CLOTHS, *lex.PAPERS, *lex.VALUABLES, *lex.TOYS)
    things = {"small": small, "big": lex.BIG, "vehicle": lex.VEHICLES}
    actions = {
        "small": ("left", "hid", "dropped", "forgot", "put"),
        "big": ("left", "put", "dropped"),
        "vehicle": ("parked", "left", "stopped"),
    }
    places = {"small": (*lex.SPOTS, *lex.ROOMS), "big": lex.ROOMS, "vehicle": lex.STREETS}
    why = {
        "hid": ("unkind", "annoying"),
        "put": ("unwise",),
        "parked": ("unwise", "unkind"),
    }
    return Frame(
        "placing",
        14,
        (
            fixed("size", Chances({"small": 6, "big": 2, "vehicle": 3})),
            *person("who"),
            dependent("action", "size", {size: even(words) for size, words in actions.items()}),
            dependent("thing", "size", {size: even(words) for size, words in things.items()}),
            dependent("place", "size", {size: even(words) for size, words in places.items()}),
            fixed("time", when(6)),
            dependent(
                "comment",
                "action",
                {
                    word: comments(why.get(word, ("annoying", "unwise")), 5)
                    for words in actions.values()
                    for word in words
                },
            ),
        ),
        Cases(
            "size",
            {
                size: Seq(
                    person_phrase("who"),
                    Word("action", same(actions[size])),
                    "the",
                    thing("thing", things[size]),
                    Word("place", same(places[size])),
                    Word("time", same((*lex.PAST, ""))),
                    comment_phrase(),
                    ".",
                )
                for size in things
            },
        ),
        ("who", "who.owner", "action", "thing", "place", "time", "comment"),
    )


def damage() -> Frame:
    """my brother broke my phone yesterday and did not say sorry."""
    harm = {
        "broke": (*lex.FRAGILE, *lex.TOYS, "chair", "fence"),
        "ruined": (*lex.CLOTHES, *lex.CLOTHS),
        "burned": ("soup", "bread", "cake", "rice", "fish", "chicken", "pie", "stew"),
        "lost": (*lex.VALUABLES, *lex.PAPERS),
        "stole": (*lex.VALUABLES, "bike", "bicycle"),
        "sold": (*lex.INSTRUMENTS, *lex.TOYS),
        "ate": lex.FOODS,
        "drank": lex.DRINKS,
        "scratched": ("car", "table", "piano", "door", "van", "desk"),
    }
    tails = lex.phrases(
        "and did not say sorry / and did not apologize / and blamed me / and blamed us / and said nothing / "
        "and just laughed / and went to bed / and told nobody / and ran away"
    )
    opinions = ("unwise", "unkind", "annoying")
    return Frame(
        "damage",
        13,
        (
            *person("who"),
            fixed(
                "action",
                Chances({action: len(words) + (9 if action == "broke" else 3) for action, words in harm.items()}),
            ),
            dependent("thing", "action", {action: even(words) for action, words in harm.items()}),
            fixed("thing.owner", OWNERS),
            fixed("time", when(5)),
            fixed("end", Chances({"act": 3, "comment": 2})),
            dependent("after", "end", {"act": even(tails), "comment": even([""])}),
            dependent("comment", "end", {"act": even([""]), "comment": even(opinions)}),
        ),
        Seq(
            person_phrase("who"),
            Word("action", same(harm)),
            owner("thing.owner"),
            thing("thing", sorted({word for words in harm.values() for word in words})),
            Word("time", same((*lex.PAST, ""))),
            Cases(
                "end",
                {
                    "act": Seq(Word("after", same(tails)), comment_phrase("")),
                    "comment": Seq(Word("after", {"": ""}), comment_phrase(*opinions)),
                },
            ),
            ".",
        ),
        ("who", "who.owner", "action", "thing", "thing.owner", "time", "after", "comment"),
    )


def giving() -> Frame:
    """my aunt gave my brother a hat for his birthday."""
    occasions = lex.phrases(
        "for christmas / at the wedding / after the exam / last christmas / before the trip / at the picnic / "
        "at new year / after the concert / at easter"
    )
    verbs = ("gave", "sent", "bought", "offered")
    return Frame(
        "giving",
        7,
        (
            *person("who", KNOWN),
            fixed("action", even(verbs)),
            fixed(
                "receiver", Chances({"me": 3, "us": 2, "them": 1, "the children": 2, "the old man": 1, "the twins": 1})
            ),
            fixed("gift", even(lex.GIFTS)),
            fixed("occasion", even(occasions)),
            fixed("looks", Chances({"": 4, "bad": 6})),
        ),
        Seq(
            person_phrase("who"),
            Word("action", same(verbs)),
            Word("receiver", same(("me", "us", "them", "the children", "the old man", "the twins"))),
            "a",
            thing("gift", lex.GIFTS),
            Word("occasion", same(occasions)),
            Cases(
                "looks",
                {
                    "": "",
                    "bad": Seq(
                        ", and it looks",
                        swap(
                            Pick((3, "like crap"), (2, "stupid as hell"), (1, "like trash")),
                            (5, "bad"),
                            (3, "ugly"),
                            (2, "awful"),
                        ),
                    ),
                },
            ),
            ".",
        ),
        ("who", "who.owner", "action", "receiver", "gift", "occasion", "looks"),
    )
