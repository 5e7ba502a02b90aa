"""What reports tell: salient events, what came of them, and the small news around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Node, Word
from benchmarks.data.world.language.lexicon import Words, phrases, words
from benchmarks.data.world.language.phrases import same
from benchmarks.data.world.language.templates import fill

WEATHER = words("cold warm mild rainy windy snowy sunny cloudy grey dry")
DAYS = words("monday tuesday wednesday thursday friday saturday sunday")
CLOCK = words("six seven eight nine ten eleven noon midnight")
MINOR = {
    "first": phrases(
        "the market opened at {hour} . / the library closed at {hour} . / the concert began at {hour} . / "
        "the football game started at {hour} . / the shops were full at {hour} . / the choir sang at {hour} ."
    ),
    "second": phrases(
        "the train to {other} was late again . / a bus from {other} came early . / "
        "guests from {other} visited the museum . / the team plays in {other} next week . / "
        "a singer from {other} gave a concert . / the road to {other} is open again ."
    ),
}
"""News of no weight: each names an hour or another city."""


@dataclass(frozen=True)
class Event:
    """A kind of event.

    Attributes:
        name: its verb, as every telling of it says it.
        tells: the event without place and time; names in braces are the roles, {event} is the verb.
        roles: who and what, with their values.
        after: what came of it; in a report it follows at once.
    """

    name: str
    tells: str
    roles: Mapping[str, Words]
    after: Words

    def telling(self) -> Node:
        """The event as a clause."""
        parts: dict[str, Node] = {role: Word(role, same(values)) for role, values in self.roles.items()}
        return fill(self.tells, {**parts, "event": Word("event", {self.name: self.name})})


@cache
def events() -> tuple[Event, ...]:
    """All kinds of events."""
    return (*_disasters(), *_deeds(), *_changes())


def _disasters() -> tuple[Event, ...]:
    return (
        Event(
            "destroyed",
            "a fire {event} the {thing}",
            {"thing": words("bakery factory castle theater school library hotel barn museum mill")},
            phrases(
                "it began in the kitchen . / the smoke could be seen for miles . / forty people lost their work . / "
                "nobody was hurt ."
            ),
        ),
        Event(
            "damaged",
            "a storm {event} the {thing}",
            {"thing": words("harbor stadium church station tower bridge airport market roof dam")},
            phrases(
                "many trees fell . / the wind lasted all night . / the repair will take months . / nobody was hurt ."
            ),
        ),
        Event(
            "hit",
            "a {vehicle} {event} the {thing}",
            {
                "vehicle": words("truck bus taxi van car tram tractor motorcycle"),
                "thing": words("fence gate wall hospital church bank statue fountain"),
            },
            phrases(
                "the brakes did not work . / the driver fell asleep . / two people were hurt . / "
                "the street stayed closed all day ."
            ),
        ),
        Event(
            "robbed",
            "thieves {event} the {thing} and took {loot}",
            {
                "thing": words("bank casino gallery pharmacy hotel palace museum church"),
                "loot": phrases("the gold / a famous painting / all the money / old coins / a silver cup / the jewels"),
            },
            phrases(
                "they came through the roof . / the guard was asleep . / the police found their car . / "
                "nobody saw them leave ."
            ),
        ),
    )


def _deeds() -> tuple[Event, ...]:
    return (
        Event(
            "saved",
            "a {who} {event} a {victim} from the {danger}",
            {
                "who": words("doctor nurse driver teacher cook guard gardener farmer student pilot"),
                "victim": words("boy girl dog child horse sailor baby tourist"),
                "danger": words("river lake sea fire flood well mud ice"),
            },
            phrases("both are well . / many people watched . / the family cried with joy . / it took almost an hour ."),
        ),
        Event(
            "won",
            "the {group} {event} the {cup}",
            {
                "group": words("girls boys students teachers nurses farmers sailors soldiers"),
                "cup": phrases("chess cup / football cup / tennis cup / golf cup / boat race / dance contest / quiz"),
            },
            phrases(
                "the last minute decided it . / they danced in the streets . / it was their first victory . / "
                "the crowd sang for hours ."
            ),
        ),
        Event(
            "found",
            "{group} {event} {treasure} under the {thing}",
            {
                "group": words("workers children students farmers divers soldiers"),
                "treasure": phrases("roman coins / a bomb / a golden ring / old bones / a stone head / a lost letter"),
                "thing": words("school station bridge church theater garden barn road"),
            },
            phrases(
                "experts came at once . / it is very old . / the place is now closed . / nobody knows whose it was ."
            ),
        ),
        Event(
            "gave",
            "an old {who} {event} {gift} to the {thing}",
            {
                "who": words("farmer teacher singer doctor sailor painter judge widow"),
                "gift": phrases("a house / ten horses / a ship / a million dollars / a forest / a rare violin"),
                "thing": words("hospital school library church museum zoo"),
            },
            phrases(
                "nobody knew how rich he was . / there was no letter . / the town was glad . / it came as a surprise ."
            ),
        ),
    )


def _changes() -> tuple[Event, ...]:
    return (
        Event(
            "stopped",
            "the {group} {event} work because of {reason}",
            {
                "group": words("drivers teachers nurses pilots miners sailors cooks guards"),
                "reason": phrases("low pay / long hours / new rules / bad food / the heat / the cold"),
            },
            phrases(
                "the talks begin next week . / it may last long . / most people understood . / the streets were empty ."
            ),
        ),
        Event(
            "opened",
            "the {who} {event} a new {thing}",
            {
                "who": words("mayor king queen president bishop minister"),
                "thing": words("school hospital bridge pool park library airport tunnel zoo theater"),
            },
            phrases(
                "it cost nine million dollars . / it took six years to build . / children sang for the guests . / "
                "many had doubted the plan ."
            ),
        ),
        Event(
            "escaped",
            "a {animal} {event} from the {place}",
            {
                "animal": words("tiger bear wolf lion monkey elephant zebra snake parrot camel"),
                "place": words("zoo circus farm ship train castle"),
            },
            phrases(
                "the door had no lock . / a child saw it first . / it slept under a tree . / people must stay at home ."
            ),
        ),
        Event(
            "elected",
            "the people {event} a {who} as {office}",
            {
                "who": words("farmer nurse teacher singer baker pilot barber student poet"),
                "office": words("mayor judge sheriff governor"),
            },
            phrases(
                "the vote was very close . / the result surprised everyone . / the old one lost badly . / "
                "half of them stayed at home ."
            ),
        ),
    )


def minor(which: str) -> tuple[Words, dict[str, Node]]:
    """The texts of a piece of small news, and the parts they name."""
    parts: dict[str, Node] = {"hour": Word("hour", same(CLOCK)), "other": Word("other", same(lex.CITIES))}
    return MINOR[which], parts
