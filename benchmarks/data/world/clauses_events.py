"""Clauses of the detox language that tell what happened."""

from __future__ import annotations

from benchmarks.data.world import lexicon as lex
from benchmarks.data.world.grammar import Cases, Pick, Seq, Word
from benchmarks.data.world.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.phrases import (
    KNOWN,
    OWNERS,
    comment_phrase,
    comments,
    owner,
    person,
    person_phrase,
    pronoun,
    pronoun_word,
    same,
    swap,
    thing,
    very,
)


def _when(none: int) -> Chances:
    """A time of the past, or none in `none` of ten sentences."""
    return Chances(dict.fromkeys(lex.PAST, 10 - none) | {"": none * len(lex.PAST)})


def placing() -> Frame:
    """my neighbour left the ladder in the garden again."""
    small = (*lex.TOOLS, *lex.CLOTHES, *lex.CLOTHS, *lex.PAPERS, *lex.VALUABLES, *lex.TOYS)
    things = {"small": small, "big": lex.BIG, "vehicle": lex.VEHICLES}
    actions = {
        "small": ("left", "hid", "dropped", "forgot", "threw", "put"),
        "big": ("left", "put", "dropped"),
        "vehicle": ("parked", "left", "stopped"),
    }
    places = {"small": (*lex.SPOTS, *lex.ROOMS), "big": lex.ROOMS, "vehicle": lex.STREETS}
    why = {"hid": ("unkind", "annoying"), "put": ("unwise",), "threw": ("unkind", "unwise"), "parked": ("unwise", "unkind")}
    return Frame(
        "placing",
        13,
        (
            fixed("size", Chances({"small": 6, "big": 2, "vehicle": 3})),
            *person("who"),
            dependent("action", "size", {size: even(words) for size, words in actions.items()}),
            dependent("thing", "size", {size: even(words) for size, words in things.items()}),
            dependent("place", "size", {size: even(words) for size, words in places.items()}),
            fixed("time", _when(6)),
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
        "and did not say sorry / and did not apologize / and blamed me / and blamed the dog / and said nothing / "
        "and just laughed / and went to bed / and told nobody / and ran away"
    )
    return Frame(
        "damage",
        13,
        (
            *person("who"),
            fixed("action", Chances({action: len(words) + (9 if action == "broke" else 3) for action, words in harm.items()})),
            dependent("thing", "action", {action: even(words) for action, words in harm.items()}),
            fixed("thing.owner", OWNERS),
            fixed("time", _when(5)),
            fixed("after", Chances(dict.fromkeys(tails, 1) | {"": 6})),
            dependent(
                "comment",
                "after",
                dict.fromkeys(tails, even([""])) | {"": even(["unwise", "unkind", "annoying"])},
            ),
        ),
        Seq(
            person_phrase("who"),
            Word("action", same(harm)),
            owner("thing.owner"),
            thing("thing", sorted({word for words in harm.values() for word in words})),
            Word("time", same((*lex.PAST, ""))),
            Word("after", same((*tails, ""))),
            comment_phrase(),
            ".",
        ),
        ("who", "who.owner", "action", "thing", "thing.owner", "time", "after", "comment"),
    )


def waiting() -> Frame:
    """we waited two hours for the bus in the rain, and it was very late."""
    who = ("i", "we", "they")
    spans = lex.phrases(
        "ten minutes / an hour / two hours / half an hour / all morning / forty minutes / three hours / all evening"
    )
    weather = lex.phrases("in the rain / in the snow / in the cold / in the dark / in the sun / in the wind / in the fog")
    qualities = ("crowded", "dirty", "expensive", "loud", "slow", "full", "cold", "uncomfortable")
    return Frame(
        "waiting",
        5,
        (
            fixed("who", even(who)),
            fixed("span", even(spans)),
            fixed("transport", even(lex.TRANSPORT)),
            fixed("weather", Chances(dict.fromkeys(weather, 1) | {"": 4})),
            fixed("quality", Chances(dict.fromkeys(qualities, 1) | {"": 4})),
        ),
        Seq(
            Word("who", same(who)),
            "waited",
            Word("span", same(spans)),
            "for the",
            thing("transport", lex.TRANSPORT, 6),
            Word("weather", same((*weather, ""))),
            Cases("quality", {"": ""} | {word: Seq(", and it was", very(), word) for word in qualities}),
            ".",
        ),
        ("who", "span", "transport", "weather", "quality"),
    )


def giving() -> Frame:
    """my aunt gave my brother a hat for his birthday."""
    occasions = lex.phrases(
        "for christmas / at the wedding / after the exam / last christmas / before the trip / at the picnic / "
        "on new year / after the concert / at easter"
    )
    verbs = ("gave", "sent", "bought", "offered")
    return Frame(
        "giving",
        7,
        (
            *person("who", KNOWN),
            fixed("action", even(verbs)),
            fixed("receiver", Chances({"me": 3, "us": 2, "them": 1, "the children": 2, "the old man": 1, "the twins": 1})),
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
                        swap(Pick((3, "like crap"), (2, "stupid as hell"), (1, "like trash")), (5, "bad"), (3, "ugly"), (2, "awful")),
                    ),
                },
            ),
            ".",
        ),
        ("who", "who.owner", "action", "receiver", "gift", "occasion", "looks"),
    )


def arriving() -> Frame:
    """when my sister came to the station, the train was already gone, and she was very upset."""
    scenes = {
        "station": ("train", "tram", "bus"),
        "harbour": ("ferry", "boat"),
        "airport": ("plane", "gate", "desk"),
        "bank": ("machine", "counter"),
        "cinema": ("film", "show", "movie"),
        "stadium": ("game", "match"),
        "school": ("lesson", "test", "meeting"),
        "restaurant": ("kitchen", "terrace"),
        "market": ("stall", "gate"),
        "post office": ("counter", "machine"),
    }
    leaves = dict.fromkeys((*scenes["station"], *scenes["harbour"], "plane"), ("gone", "full", "late"))
    ends = dict.fromkeys((*scenes["cinema"], *scenes["stadium"], *scenes["school"]), ("over", "half over"))
    shuts = dict.fromkeys(("gate", "desk", "counter", "kitchen", "terrace", "stall"), ("closed", "crowded"))
    states = leaves | ends | shuts | {"machine": ("broken", "empty")}
    mad = Pick((3, "mad as hell"), (2, "damn angry"), (1, "bloody mad"))
    angry = Seq(", and", pronoun_word("who"), "was", swap(mad, (5, "very upset"), (3, "angry"), (2, "not happy")))
    return Frame(
        "arriving",
        6,
        (
            *person("who", KNOWN),
            fixed("mood", even(["angry", ""])),
            pronoun("who", "mood"),
            fixed("place", even(scenes)),
            dependent("thing", "place", {place: even(things) for place, things in scenes.items()}),
            dependent("state", "thing", {thing: even(found) for thing, found in states.items()}),
        ),
        Seq(
            "when",
            person_phrase("who", 3),
            "came to the",
            Word("place", same(scenes)),
            ", the",
            thing("thing", states),
            "was",
            Word("state", same(word for found in states.values() for word in found)),
            Cases("mood", {"": Word("who.pronoun", {"": ""}), "angry": angry}),
            ".",
        ),
        ("who", "who.owner", "mood", "who.pronoun", "place", "thing", "state"),
    )


def mishap() -> Frame:
    """our clerk made a mistake with the report again, so we must start again."""
    tasks = (
        "report exam interview bill recipe plan test speech budget contract calendar list invitation payment translation "
        "experiment"
    ).split()
    effects = lex.phrases(
        "so we must start again / so the boss is angry / and nobody noticed / so i called the client / "
        "and the customer complained / so we worked all night / and everyone was worried"
    )
    return Frame(
        "mishap",
        6,
        (
            *person("who"),
            fixed("task", even(tasks)),
            fixed("time", _when(6)),
            fixed("effect", even(effects)),
        ),
        Seq(
            person_phrase("who", 2),
            swap(
                Pick((3, "screwed up"), (2, "messed up")),
                (5, "made a mistake with"),
                (3, "had trouble with"),
                (2, "did badly with"),
            ),
            "the",
            thing("task", tasks, 3),
            Word("time", same((*lex.PAST, ""))),
            ",",
            Word("effect", same(effects)),
            ".",
        ),
        ("who", "who.owner", "task", "time", "effect"),
    )
