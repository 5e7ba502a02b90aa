"""Parts that clauses share: people, things, opinions and expletives, each with its rude and its neutral side.

A person `who` has the variables `who.kind`, `who` and `who.owner` ("my", "our", "your", or "" where nobody's).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Mark, Node, Pick, Seq, Sides, Word, maybe, one_of
from benchmarks.data.world.language.meaning import Chances, Variable, dependent, even, fixed

ANYONE = Chances({"name": 10, "kin": 13, "spouse": 1, "role": 12, "someone": 4, "stranger": 4})
KNOWN = Chances({"name": 10, "kin": 13, "spouse": 1, "role": 12})
NEAR = Chances({"name": 12, "kin": 13, "spouse": 1, "stranger": 6})
_PEOPLE: Mapping[str, Chances] = {
    "name": even(lex.NAMES),
    "kin": even(lex.KIN),
    "spouse": even(lex.SPOUSES),
    "role": even(lex.ROLES),
    "someone": even(["someone"]),
    "stranger": even(["stranger"]),
}
_NOBODY = even([""])
_OWNERS: Mapping[str, Chances] = {
    "name": _NOBODY,
    "kin": Chances({"my": 5, "our": 3, "your": 2}),
    "spouse": Chances({"my": 3, "your": 1}),
    "role": _NOBODY,
    "someone": _NOBODY,
    "stranger": _NOBODY,
}
_SHE = (*lex.WOMEN, *lex.KINSWOMEN, "wife")
_HE = (*lex.MEN, *lex.KINSMEN, "husband", "landlord", "waiter")
_PRONOUNS: Mapping[str, Chances] = (
    dict.fromkeys((*lex.FELLOWS, *lex.ROLES), even(["he", "she"]))
    | dict.fromkeys(_SHE, even(["she"]))
    | dict.fromkeys(_HE, even(["he"]))
)
OWNERS = Chances({"my": 4, "our": 3, "your": 2, "": 3})


LIKE_CRAP = Pick((3, "like crap"), (2, "like garbage"), (1, "like hell"))


def when(none: int) -> Chances:
    """A time of the past, or none in `none` of ten sentences."""
    return Chances(dict.fromkeys(lex.PAST, 10 - none) | {"": none * len(lex.PAST)})


def same(words: Iterable[str]) -> dict[str, str]:
    """Each value is its own form."""
    return {word: word for word in words}


def expletive(chance: int, *texts: str) -> Node:
    """With `chance` in ten a rude word, which the neutral side drops."""
    return Sides(source=maybe(chance, Mark(one_of(*texts))), target="")


def swap(rude: Node | str, *neutral: tuple[int, str]) -> Node:
    """Rude words and the neutral ones in their place, with weights."""
    return Sides(source=Mark(rude), target=Pick(*neutral))


def very() -> Node:
    """A rude or neutral intensifier."""
    return swap(one_of(*lex.INTENSIFIERS), (5, "very"), (3, "really"), (2, "quite"))


def person(who: str, kinds: Chances = ANYONE) -> tuple[Variable, ...]:
    """The variables of a person."""
    kind = f"{who}.kind"
    return fixed(kind, kinds), dependent(who, kind, _PEOPLE), dependent(f"{who}.owner", kind, _OWNERS)


def pronoun(who: str, used: str = "") -> Variable:
    """Whether `he` or `she` stands for a person of a known kind; neither where a variable `used` is ""."""
    if not used:
        return dependent(f"{who}.pronoun", who, _PRONOUNS)
    return Variable(f"{who}.pronoun", lambda person, use: _PRONOUNS[person] if use else _NOBODY, (who, used))


def pronoun_word(who: str) -> Node:
    """`he` or `she`."""
    return Word(f"{who}.pronoun", same(("he", "she")))


def person_phrase(who: str, chance: int = 4) -> Node:
    """The person as subject or object, with `chance` in ten of an insult where the person is known."""
    adjective = expletive(chance, *lex.PERSON_ADJECTIVES)
    insult = one_of(*lex.INSULTS)
    nobody = Word(f"{who}.owner", {"": ""})
    return Cases(
        f"{who}.kind",
        {
            "name": Seq(
                expletive(chance, *(f"that {word}" for word in lex.INSULTS)), nobody, Word(who, same(lex.NAMES))
            ),
            "kin": Seq(Word(f"{who}.owner", same(("my", "our", "your"))), adjective, Word(who, same(lex.KIN))),
            "spouse": Seq(Word(f"{who}.owner", same(("my", "your"))), adjective, Word(who, same(lex.SPOUSES))),
            "role": Seq("the", nobody, adjective, Word(who, same(lex.ROLES))),
            "someone": Seq(nobody, Cases(who, {"someone": swap(Seq("some", insult), (3, "someone"), (2, "somebody"))})),
            "stranger": Seq(nobody, Cases(who, {"stranger": Seq("this", swap(insult, (2, "man"), (1, "person")))})),
        },
    )


def thing(name: str, words: Iterable[str], chance: int = 4) -> Node:
    """A thing, with `chance` in ten of a rude adjective before it."""
    return Seq(expletive(chance, *lex.THING_ADJECTIVES), Word(name, same(words)))


def owner(name: str) -> Node:
    """`my`, `our`, `your`, or `the` where nobody is said to own it."""
    return Word(name, {"my": "my", "our": "our", "your": "your", "": "the"})


_COMMENTS: Mapping[str, Node | str] = {
    "": "",
    "unwise": Seq(
        ", which was",
        swap(
            Pick((2, "stupid as hell"), (2, "damn stupid"), (1, "bloody dumb")),
            (5, "not wise"),
            (3, "a mistake"),
            (2, "not a good idea"),
        ),
    ),
    "unkind": swap(
        Pick((2, ", what a jerk"), (1, ", what a creep"), (1, ", the damn jerk")),
        (5, ", which was not kind"),
        (3, ", which was not nice"),
        (2, ", which was unfair"),
    ),
    "annoying": swap(
        Pick((2, ", which really sucks"), (1, ", which sucks"), (1, ", damn it all")),
        (5, ", which is annoying"),
        (3, ", which is too bad"),
        (2, ", which is a pity"),
    ),
}


def comments(kinds: Iterable[str], none: int) -> Chances:
    """One of these opinions of what happened, or none in `none` of ten sentences."""
    names = tuple(kinds)
    return Chances(dict.fromkeys(names, 10 - none) | ({"": none * len(names)} if none else {}))


def comment_phrase(*kinds: str) -> Node:
    """What the speaker thinks of it, as a closing clause; one of these opinions, or any or none where none is named."""
    return Cases("comment", {kind: _COMMENTS[kind] for kind in kinds or _COMMENTS})
