"""Clauses of the detox language that tell what went wrong."""

from __future__ import annotations

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Node, Pick, Seq, Word
from benchmarks.data.world.language.meaning import Chances, Frame, dependent, even, fixed
from benchmarks.data.world.language.phrases import (
    KNOWN,
    LIKE_CRAP,
    expletive,
    person,
    person_phrase,
    pronoun,
    pronoun_word,
    same,
    swap,
    thing,
    very,
    when,
)


def waiting() -> Frame:
    """we waited two hours for the bus in the rain, and it was very late."""
    who = ("i", "we", "they")
    spans = lex.phrases(
        "ten minutes / an hour / two hours / half an hour / all morning / forty minutes / three hours / all evening"
    )
    weather = lex.phrases(
        "in the rain / in the snow / in the cold / in the dark / in the sun / in the wind / in the fog"
    )
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


def arriving() -> Frame:
    """when my sister came to the station, the train was already gone, and she was very upset."""
    scenes = {
        "station": ("train", "tram", "bus"),
        "harbour": ("ferry", "boat"),
        "airport": ("plane", "gate", "desk"),
        "bank": ("machine", "counter"),
        "cinema": ("film", "movie"),
        "stadium": ("game", "match"),
        "school": ("lesson", "test", "meeting"),
        "restaurant": ("kitchen",),
        "market": ("gate", "machine"),
        "post office": ("counter", "machine"),
    }
    leaves = dict.fromkeys((*scenes["station"], *scenes["harbour"], "plane"), ("gone", "full", "late"))
    ends = dict.fromkeys((*scenes["cinema"], *scenes["stadium"], *scenes["school"]), ("over", "half over"))
    shuts = dict.fromkeys(("gate", "desk", "counter", "kitchen"), ("closed", "crowded"))
    states = leaves | ends | shuts | {"machine": ("broken", "empty")}
    angry = swap(
        Pick((3, "mad as hell"), (2, "damn angry"), (1, "bloody mad")),
        (5, "very upset"),
        (3, "angry"),
        (2, "not happy"),
    )
    return Frame(
        "arriving",
        6,
        (
            *person("who", KNOWN),
            fixed("end", even(["mood", ""])),
            dependent("mood", "end", {"mood": even(["angry"]), "": even([""])}),
            pronoun("who", "end"),
            fixed("place", even(scenes)),
            dependent("thing", "place", {place: even(things) for place, things in scenes.items()}),
            dependent("state", "thing", {thing: even(conditions) for thing, conditions in states.items()}),
        ),
        Seq(
            "when",
            person_phrase("who", 3),
            "came to the",
            Word("place", same(scenes)),
            ", the",
            thing("thing", states),
            "was",
            Word("state", same(word for conditions in states.values() for word in conditions)),
            Cases(
                "end",
                {
                    "": Seq(Word("mood", {"": ""}), Word("who.pronoun", {"": ""})),
                    "mood": Seq(", and", pronoun_word("who"), "was", Cases("mood", {"angry": angry})),
                },
            ),
            ".",
        ),
        ("who", "who.owner", "mood", "who.pronoun", "place", "thing", "state"),
    )


def mishap() -> Frame:
    """our clerk made a mistake with the report again, so we must start again."""
    tasks = [
        "report",
        "exam",
        "interview",
        "bill",
        "recipe",
        "plan",
        "test",
        "speech",
        "budget",
        "contract",
        "calendar",
        "translation",
        "experiment",
    ]
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
            fixed("time", when(6)),
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


def performance() -> Frame:
    """our team played badly in the final, so the manager was angry."""
    players = {
        "sport": ("team", "captain", "goalkeeper", "striker"),
        "music": ("band", "orchestra", "pianist", "drummer"),
    }
    sides = {"our": "our", "your": "your", "their": "their", "": "the"}
    stages = {
        "sport": "in the final / in the first half / in the second half / on saturday / on sunday / at the stadium",
        "music": "at the concert / at the festival / at the wedding / on saturday / on sunday / last night",
    }
    effects = {
        "sport": "so the manager was angry / and the fans were sad / so we lost the cup / and nobody was surprised",
        "music": "so the crowd went home / and we left early / and the guests laughed / and nobody was surprised",
    }
    badly = swap(Seq("played", LIKE_CRAP), (5, "played badly"), (3, "played poorly"), (2, "did not play well"))

    def clause(kind: str) -> Node:
        return Seq(
            Word("player", same(players[kind])),
            Cases("quality", {"bad": badly}),
            Word("stage", same(lex.phrases(stages[kind]))),
            ",",
            Word("effect", same(lex.phrases(effects[kind]))),
            ".",
        )

    return Frame(
        "performance",
        5,
        (
            fixed("side", even(sides)),
            fixed("kind", even(players)),
            dependent("player", "kind", {kind: even(words) for kind, words in players.items()}),
            fixed("quality", even(["bad"])),
            dependent("stage", "kind", {kind: even(lex.phrases(text)) for kind, text in stages.items()}),
            dependent("effect", "kind", {kind: even(lex.phrases(text)) for kind, text in effects.items()}),
        ),
        Seq(
            Word("side", sides),
            expletive(3, *lex.PERSON_ADJECTIVES),
            Cases("kind", {kind: clause(kind) for kind in players}),
        ),
        ("side", "player", "quality", "stage", "effect"),
    )
