"""The kinds of clauses of the detox language, first half: things that happened.

Each function gives one frame: who does what to what, where and when, and how it is worded rudely and neutrally.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.data.world import lexicon as lex
from benchmarks.data.world.grammar import Cases, Pick, Seq, Value, Word
from benchmarks.data.world.meaning import Chances, Facts, Frame, dependent, even, fixed
from benchmarks.data.world.phrases import (
    KNOWN,
    comment,
    comment_facts,
    comment_phrase,
    person,
    person_facts,
    person_phrase,
    pronoun,
    same,
    slur,
    swap,
    thing_slur,
)

SMALL = (*lex.TOOLS, *lex.CLOTHES, *lex.PAPERS, *lex.VALUABLES, *lex.TOYS)


def said(env: Mapping[str, Value], *names: str) -> set[tuple[str, str]]:
    """Facts that are the canonical values of variables; an empty value states nothing."""
    return {(name, lex.canonical_value(str(env[name]))) for name in names if env[name]}


def time(optional: int = 6) -> Chances:
    """Times of the past, and none with weight `optional` in ten."""
    return Chances(dict.fromkeys(lex.TIMES, 10 - optional) | {"": optional * len(lex.TIMES)} if optional else dict.fromkeys(lex.TIMES, 1))


def placing() -> Frame:
    """my neighbour left the ladder in the garden again."""
    verbs = {"small": ("left", "hid", "dropped", "forgot", "found", "put"), "big": ("left", "put", "dropped", "found")}
    size = fixed("size", Chances({"small": 7, "big": 3}))

    def facts(env: Mapping[str, Value]) -> Facts:
        return frozenset(
            person_facts(env, "who") | said(env, "action", "thing", "place", "time") | comment_facts(env)
        )

    return Frame(
        "placing",
        16,
        (
            size,
            *person("who"),
            dependent("action", "size", {key: even(words) for key, words in verbs.items()}),
            dependent("thing", "size", {"small": even(SMALL), "big": even(lex.BIG)}),
            dependent("place", "size", {"small": even((*lex.SPOTS, *lex.ROOMS)), "big": even(lex.ROOMS)}),
            fixed("time", time(5)),
            comment(),
        ),
        Cases(
            "size",
            {
                key: Seq(
                    person_phrase("who"),
                    Word("action", same(verbs[key])),
                    "the",
                    thing_slur(),
                    Word("thing", same(SMALL if key == "small" else lex.BIG)),
                    Word("place", same((*lex.SPOTS, *lex.ROOMS))),
                    Word("time", same((*lex.TIMES, ""))),
                    comment_phrase(),
                    ".",
                )
                for key in verbs
            },
        ),
        facts,
    )


DAMAGES = {
    "broke": lex.FRAGILE,
    "ruined": lex.CLOTHES,
    "burned": (*lex.FOODS[:9], "toast"),
    "lost": (*lex.VALUABLES, *lex.PAPERS),
    "stole": (*lex.VALUABLES, "bike", "bicycle"),
    "sold": (*lex.TOYS, *lex.VALUABLES[:3]),
    "ate": lex.FOODS,
    "drank": lex.DRINKS,
    "scratched": ("car", "table", "piano", "door"),
}
TAILS = (
    "and did not say sorry",
    "and blamed me",
    "and blamed the dog",
    "and then left",
    "and said nothing",
    "and just laughed",
    "and went to bed",
    "and told nobody",
)


def damage() -> Frame:
    """my brother broke my phone yesterday and did not say sorry."""
    things = sorted({thing for words in DAMAGES.values() for thing in words})

    def facts(env: Mapping[str, Value]) -> Facts:
        return frozenset(
            person_facts(env, "who") | said(env, "action", "thing", "thing.owner", "time", "tail") | comment_facts(env)
        )

    return Frame(
        "damage",
        14,
        (
            *person("who"),
            fixed("action", Chances({action: len(words) for action, words in DAMAGES.items()})),
            dependent("thing", "action", {action: even(words) for action, words in DAMAGES.items()}),
            fixed("thing.owner", Chances({"my": 4, "our": 3, "your": 2, "": 3})),
            fixed("time", time(5)),
            fixed("tail", Chances(dict.fromkeys(TAILS, 1) | {"": 4})),
            comment(),
        ),
        Seq(
            person_phrase("who"),
            Word("action", same(DAMAGES)),
            Cases("thing.owner", {"my": "my", "our": "our", "your": "your", "": "the"}),
            thing_slur(),
            Word("thing", same(things)),
            Word("time", same((*lex.TIMES, ""))),
            Word("tail", same((*TAILS, ""))),
            comment_phrase(),
            ".",
        ),
        facts,
    )


OPINIONS = {
    "food": (
        (*lex.FOODS, *lex.DRINKS),
        ("nobody wants it", "we threw it away", "the dog can have it", "i am still hungry", "i gave it back"),
    ),
    "device": (
        lex.DEVICES,
        ("i want a new one", "we need another one", "i took it back to the shop", "nobody uses it", "i want my money back"),
    ),
    "show": (
        lex.SHOWS,
        ("half the people left", "i fell asleep", "we went home early", "nobody clapped", "i cannot remember the end"),
    ),
    "stay": (
        lex.STAYS,
        ("we will not come back", "nobody goes there", "we left after one night", "i want my money back"),
    ),
}
WHY = sorted({text for _, texts in OPINIONS.values() for text in texts})


def thing_opinion() -> Frame:
    """this soup tastes bad, so nobody wants it."""
    bad = swap(
        Pick((2, "is total crap"), (2, "is damn awful"), (2, "sucks"), (1, "is complete rubbish"), (1, "is a piece of trash")),
        (4, "is bad"),
        (3, "is not good"),
        (2, "is poor"),
    )
    tastes = Seq(
        "tastes",
        swap(Pick((3, "like crap"), (2, "like garbage"), (1, "like hell")), (4, "bad"), (2, "awful"), (2, "strange")),
    )
    things = sorted({thing for words, _ in OPINIONS.values() for thing in words})

    def facts(env: Mapping[str, Value]) -> Facts:
        return frozenset(said(env, "thing", "effect") | {("opinion", "bad")})

    def clause(kind: str) -> Seq:
        return Seq(
            Cases("pointer", {"this": "this", "that": "that", "the": "the"}),
            thing_slur(2),
            Word("thing", same(OPINIONS[kind][0])),
            Pick((1, bad), (1, tastes)) if kind == "never" else (tastes if kind == "food" else bad),
        )

    return Frame(
        "thing opinion",
        12,
        (
            fixed("kind", Chances({"food": 4, "device": 4, "show": 3, "stay": 2})),
            dependent("thing", "kind", {kind: even(words) for kind, (words, _) in OPINIONS.items()}),
            dependent("effect", "kind", {kind: even(texts) for kind, (_, texts) in OPINIONS.items()}),
            fixed("pointer", Chances({"this": 3, "that": 1, "the": 2})),
            fixed("order", Chances({"so": 3, "because": 2})),
        ),
        Cases(
            "kind",
            {
                kind: Cases(
                    "order",
                    {
                        "so": Seq(clause(kind), ", so", Word("effect", same(texts)), "."),
                        "because": Seq(Word("effect", same(texts)), "because", clause(kind), "."),
                    },
                )
                for kind, (_, texts) in OPINIONS.items()
            },
        ),
        facts,
    )


REASONS = (
    "never listens to me",
    "forgot my birthday",
    "never answers the phone",
    "left the door open",
    "sold the car",
    "lost all the money",
    "sleeps all day",
    "believes every story",
    "drives without a light",
    "shouts at the children",
    "always comes late",
    "never washes the dishes",
)


def person_opinion() -> Frame:
    """my boss is not very clever because he never listens to me."""

    def facts(env: Mapping[str, Value]) -> Facts:
        return frozenset(person_facts(env, "who") | said(env, "who.pronoun", "opinion", "reason"))

    clever = Seq(
        "is",
        swap(
            Pick((3, "an idiot"), (2, "a complete moron"), (2, "a damn fool"), (1, "dumb as hell")),
            (4, "not very clever"),
            (3, "not wise"),
            (2, "foolish"),
        ),
    )
    kind = Seq(
        "is",
        swap(
            Pick((3, "a jerk"), (2, "a real creep"), (2, "a bloody bastard"), (1, "a total jerk")),
            (4, "not very kind"),
            (3, "not nice"),
            (2, "unfriendly"),
        ),
    )
    return Frame(
        "person opinion",
        10,
        (
            *person("who", KNOWN),
            pronoun("who"),
            fixed("opinion", even(["foolish", "unkind"])),
            fixed("reason", even(REASONS)),
        ),
        Seq(
            person_phrase("who", 2),
            Cases("opinion", {"foolish": clever, "unkind": kind}),
            "because",
            Word("who.pronoun", same(["he", "she"])),
            Word("reason", same(REASONS)),
            ".",
        ),
        facts,
    )


DURATIONS = ("ten minutes", "an hour", "two hours", "half an hour", "all morning", "forty minutes", "three hours")
WEATHER = ("in the rain", "in the snow", "in the cold", "in the dark", "in the sun", "in the wind")
ADJECTIVES = ("cold", "hot", "crowded", "dirty", "expensive", "loud", "late", "slow")


def waiting() -> Frame:
    """we waited two hours for the bus in the rain, and it was very late."""

    def facts(env: Mapping[str, Value]) -> Facts:
        return frozenset(said(env, "who", "duration", "vehicle", "weather", "quality"))

    quality = ("crowded", "dirty", "expensive", "loud", "slow", "full", "cold")
    return Frame(
        "waiting",
        6,
        (
            fixed("who", even(["i", "we", "they"])),
            fixed("duration", even(DURATIONS)),
            fixed("vehicle", even(lex.VEHICLES)),
            fixed("weather", Chances(dict.fromkeys(WEATHER, 1) | {"": 3})),
            fixed("quality", Chances(dict.fromkeys(quality, 2) | {"": 4})),
        ),
        Seq(
            Word("who", same(["i", "we", "they"])),
            "waited",
            Word("duration", same(DURATIONS)),
            "for the",
            thing_slur(6),
            Word("vehicle", same(lex.VEHICLES)),
            Word("weather", same((*WEATHER, ""))),
            Cases(
                "quality",
                {"": ""}
                | {
                    word: Seq(
                        ", and it was",
                        swap(Pick((2, "damn"), (2, "bloody"), (1, "so damn")), (4, "very"), (3, "really"), (2, "quite")),
                        word,
                    )
                    for word in quality
                },
            ),
            ".",
        ),
        facts,
    )


ORDERS = (
    "give me the keys",
    "turn down the music",
    "clean the kitchen",
    "close the window",
    "take your shoes off the table",
    "wash the dishes",
    "bring back my umbrella",
    "help your sister with the boxes",
    "get your dog off my sofa",
    "move your car away from my gate",
    "stop calling me at work",
    "stop singing in the bath",
    "read the letter from the bank",
    "feed the cat",
)
BEFORE = (
    "before the guests arrive",
    "before i call your mother",
    "before it gets dark",
    "before we leave",
    "and go to bed",
    "and come with me",
    "right now",
    "at once",
)


def order() -> Frame:
    """please clean the kitchen before the guests arrive."""

    def facts(env: Mapping[str, Value]) -> Facts:
        return frozenset(said(env, "order", "before"))

    return Frame(
        "order",
        7,
        (fixed("order", even(ORDERS)), fixed("before", even(BEFORE))),
        Seq(
            swap(
                Pick((2, "shut up and"), (2, "hey , idiot ,"), (1, "damn it ,"), (1, "listen , you moron ,")),
                (4, "please"),
                (2, "could you please"),
                (1, "kindly"),
            ),
            Word("order", same(ORDERS)),
            Word("before", same(BEFORE)),
            slur(2, ", you fool", ", you jerk", ", you clown"),
            ".",
        ),
        facts,
    )
