"""What passages tell: kinds of facts, how they are said, and how they are asked for.

A fact has a subject and two further roles. Within a passage no kind comes twice, no value of one kind is one of
another, and no two facts name the same subject, so an answer stands at one place only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Node, Pick, Seq, Word
from benchmarks.data.world.language.lexicon import Words, phrases, words
from benchmarks.data.world.language.phrases import same
from benchmarks.data.world.language.templates import fill

WHO = "who"


@dataclass(frozen=True)
class Kind:
    """A kind of fact.

    Attributes:
        past, base: the verb.
        says: what is said of the subject; names in braces are the roles.
        roles: the two roles, with their values.
        asks: role -> (question word, the rest of the question); what stands in brackets may be left out.
    """

    past: str
    base: str
    says: str
    roles: Mapping[str, Words]
    asks: Mapping[str, tuple[str, str]]

    def statement(self, named: Callable[[str], str]) -> Node:
        """What a passage says of the subject; `named(role)` is the variable of a role."""
        return fill(f"{self.past} {self.says} .", {role: Word(named(role), same(v)) for role, v in self.roles.items()})

    def question(self, asked: str, who: Node, named: Callable[[str], str], kind: str) -> Node:
        """The question for one role.

        Args:
            who: the subject.
            named: gives the variable of a role, of WHO and of "asked".
            kind: the variable that has the name of this kind as its value.
        """
        words, rest = self.asks[asked]
        parts: dict[str, Node] = {role: Word(named(role), same(values)) for role, values in self.roles.items()}
        parts |= {WHO: who, "past": Word(kind, {self.past: self.past}), "base": Word(kind, {self.past: self.base})}
        opening = Word(named("asked"), {asked: words})
        if "[" not in rest:
            return Seq(opening, fill(rest, parts))
        before, inside, after = rest.replace("]", "[").split("[")
        full, short = f"{before}{inside}{after}", f"{before}{after}"
        return Seq(opening, Pick((3, fill(full, parts)), (2, fill(short, parts))))

    def needed(self, asked: str) -> frozenset[str]:
        """The roles that every question for a role states, the subject among them."""
        rest = self.asks[asked][1]
        short = rest.partition("[")[0] + rest.partition("]")[2]
        return frozenset(role for role in (WHO, *self.roles) if f"{{{role}}}" in short)


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds of facts by their past tense."""
    every = (*_possessions(), *_doings(), *_journeys())
    return {kind.past: kind for kind in every}


def _possessions() -> tuple[Kind, ...]:
    return (
        Kind(
            "bought",
            "buy",
            "a {thing} {day}",
            {"thing": lex.GIFTS, "day": phrases("on monday / on tuesday / on wednesday / on thursday / on friday")},
            {
                WHO: ("who", "{past} a {thing} [{day}] ?"),
                "thing": ("what", "did {who} {base} [{day}] ?"),
                "day": ("when", "did {who} {base} the {thing} ?"),
            },
        ),
        Kind(
            "hid",
            "hide",
            "the {thing} {spot}",
            {
                "thing": words("phone laptop camera wallet ring passport key purse letter map"),
                "spot": lex.SPOTS,
            },
            {
                WHO: ("who", "{past} the {thing} [{spot}] ?"),
                "thing": ("what", "did {who} {base} [{spot}] ?"),
                "spot": ("where", "did {who} {base} the {thing} ?"),
            },
        ),
        Kind(
            "lost",
            "lose",
            "a {thing} {place}",
            {
                "thing": words("coat jacket shirt sweater dress skirt tie suit"),
                "place": phrases(
                    "in the park / on the beach / near the church / behind the school / in the forest / on the bus / "
                    "near the bridge / in the market / on the train"
                ),
            },
            {
                WHO: ("who", "{past} a {thing} [{place}] ?"),
                "thing": ("what", "did {who} {base} [{place}] ?"),
                "place": ("where", "did {who} {base} the {thing} ?"),
            },
        ),
        Kind(
            "sold",
            "sell",
            "the {thing} for {price}",
            {
                "thing": words("van truck bike tractor motorcycle wagon horse cow piano"),
                "price": phrases(
                    "ten dollars / fifty dollars / ninety dollars / forty dollars / six dollars / nothing"
                ),
            },
            {
                WHO: ("who", "{past} the {thing} [for {price}] ?"),
                "thing": ("what", "did {who} {base} [for {price}] ?"),
                "price": ("for how much", "did {who} {base} the {thing} ?"),
            },
        ),
        Kind(
            "wrote",
            "write",
            "a {text} to {receiver}",
            {
                "text": words("poem song report note speech novel"),
                "receiver": phrases("the mayor / the king / the queen / the bank / the president / the church"),
            },
            {
                WHO: ("who", "{past} a {text} [to {receiver}] ?"),
                "text": ("what", "did {who} {base} [to {receiver}] ?"),
                "receiver": ("to whom", "did {who} {base} the {text} ?"),
            },
        ),
    )


def _doings() -> tuple[Kind, ...]:
    return (
        Kind(
            "painted",
            "paint",
            "the {thing} {color}",
            {
                "thing": words("fence door gate wall roof boat table chair bench"),
                "color": words("red blue green yellow white black brown grey purple pink"),
            },
            {
                WHO: ("who", "{past} the {thing} [{color}] ?"),
                "thing": ("what", "did {who} {base} [{color}] ?"),
                "color": ("what color", "did {who} {base} the {thing} ?"),
            },
        ),
        Kind(
            "cooked",
            "cook",
            "{dish} for {guests}",
            {
                "dish": words("soup rice fish chicken stew pasta beef lamb corn cabbage"),
                "guests": phrases("the neighbours / the children / the team / the class / the family / the twins"),
            },
            {
                WHO: ("who", "{past} {dish} [for {guests}] ?"),
                "dish": ("what", "did {who} {base} [for {guests}] ?"),
                "guests": ("for whom", "did {who} {base} {dish} ?"),
            },
        ),
        Kind(
            "played",
            "play",
            "the {instrument} {hour}",
            {
                "instrument": words("guitar violin flute drum trumpet organ harp"),
                "hour": phrases("at noon / at midnight / after lunch / before dinner / after school / after work"),
            },
            {
                WHO: ("who", "{past} the {instrument} [{hour}] ?"),
                "instrument": ("what", "did {who} {base} [{hour}] ?"),
                "hour": ("when", "did {who} {base} the {instrument} ?"),
            },
        ),
        Kind(
            "repaired",
            "repair",
            "the {thing} with a {tool}",
            {
                "thing": words("radio clock printer oven fan computer television engine"),
                "tool": words("hammer saw knife brush rope drill screw"),
            },
            {
                WHO: ("who", "{past} the {thing} [with a {tool}] ?"),
                "thing": ("what", "did {who} {base} [with a {tool}] ?"),
                "tool": ("with what", "did {who} {base} the {thing} ?"),
            },
        ),
        Kind(
            "became",
            "become",
            "a {job} {month}",
            {
                "job": words("pilot porter barber carpenter tailor butcher reporter singer lawyer judge sailor"),
                "month": phrases("in january / in march / in april / in june / in july / in august / in october"),
            },
            {
                WHO: ("who", "{past} a {job} [{month}] ?"),
                "job": ("what", "did {who} {base} [{month}] ?"),
                "month": ("when", "did {who} {base} a {job} ?"),
            },
        ),
    )


def _journeys() -> tuple[Kind, ...]:
    return (
        Kind(
            "went",
            "go",
            "to {city} {way}",
            {
                "city": lex.CITIES,
                "way": phrases("by train / by bus / by plane / by ferry / by car / by ship / on foot"),
            },
            {
                WHO: ("who", "{past} to {city} [{way}] ?"),
                "city": ("where", "did {who} {base} [{way}] ?"),
                "way": ("how", "did {who} {base} to {city} ?"),
            },
        ),
        Kind(
            "met",
            "meet",
            "the {person} {building}",
            {
                "person": words("doctor nurse driver mechanic dentist cook guard gardener farmer baker cleaner"),
                "building": phrases(
                    "at the airport / at the bank / at the cinema / at the station / at the museum / at the hotel / "
                    "at the stadium / at the library"
                ),
            },
            {
                WHO: ("who", "{past} the {person} [{building}] ?"),
                "person": ("whom", "did {who} {base} [{building}] ?"),
                "building": ("where", "did {who} {base} the {person} ?"),
            },
        ),
        Kind(
            "saw",
            "see",
            "a {animal} {nature}",
            {
                "animal": words("fox deer wolf bear swan rabbit hare badger crow beaver squirrel whale seal"),
                "nature": phrases(
                    "near the river / on the hill / near the lake / in the meadow / behind the barn / under the tree / "
                    "in the valley / near the cave"
                ),
            },
            {
                WHO: ("who", "{past} a {animal} [{nature}] ?"),
                "animal": ("what", "did {who} {base} [{nature}] ?"),
                "nature": ("where", "did {who} {base} a {animal} ?"),
            },
        ),
        Kind(
            "waited",
            "wait",
            "{span} for the {transport}",
            {
                "span": phrases("ten minutes / an hour / two hours / half an hour / all morning / forty minutes"),
                "transport": words("bus train taxi tram plane mail rain"),
            },
            {
                WHO: ("who", "{past} [{span}] for the {transport} ?"),
                "transport": ("what", "did {who} {base} for [{span}] ?"),
                "span": ("how long", "did {who} {base} for the {transport} ?"),
            },
        ),
    )


def subject(kind_of: Callable[[str], str], same_as: str) -> Node:
    """The subject of a statement: a name, or a pronoun where it is the subject of the statement before."""
    names = Cases(kind_of("sex"), {"she": Word(kind_of(WHO), same(lex.WOMEN)), "he": Word(kind_of(WHO), same(lex.MEN))})
    pronoun = Seq(Word(kind_of(WHO), {"": ""}), Word(kind_of("sex"), same(("she", "he"))))
    return Cases(same_as, {"new": names, "same": pronoun})
