"""Parts that clauses share: people, things, insults and comments, each with its rude and its neutral side.

Variables of a person called `who`: `who` (the person) and `who.owner` ("my", "the", "" for names).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.data.world import lexicon as lex
from benchmarks.data.world.grammar import Cases, Mark, Node, Pick, Seq, Sides, Value, Word, maybe, one_of
from benchmarks.data.world.meaning import Chances, Variable, dependent, even, fixed

NAMES = (*lex.WOMEN, *lex.MEN)
KIN = tuple(word for words in lex.RELATIVES.values() for word in words)
NOBODY = "someone"
STRANGER = "stranger"
PEOPLE = Chances(
    dict.fromkeys(NAMES, 5) | dict.fromkeys(KIN, 7) | dict.fromkeys(lex.ROLES, 5) | {NOBODY: 25, STRANGER: 25}
)
KNOWN = Chances(dict.fromkeys(NAMES, 5) | dict.fromkeys(KIN, 7) | dict.fromkeys(lex.ROLES, 5))
_OWNERS = {
    **{name: even([""]) for name in NAMES},
    **{word: Chances({"my": 5, "our": 3, "your": 2}) for word in KIN},
    **{word: even(["the"]) for word in lex.ROLES},
    NOBODY: even(["some"]),
    STRANGER: even(["that"]),
}
_PRONOUNS = {
    **{name: even(["she"]) for name in (*lex.WOMEN, *lex.RELATIVES["she"])},
    **{name: even(["he"]) for name in (*lex.MEN, *lex.RELATIVES["he"])},
    **{name: even(["he", "she"]) for name in (*lex.RELATIVES[""], *lex.ROLES)},
}


def rude(part: Node | str) -> Node:
    """Words that only the rude side has."""
    return Sides(source=Mark(part), target="")


def swap(rude_part: Node | str, *neutral: tuple[int, str]) -> Node:
    """Rude words and their neutral counterparts, with weights."""
    return Sides(source=Mark(rude_part), target=Pick(*neutral))


def slur(chance: int, *texts: str) -> Node:
    """Perhaps a rude word (chance in tenths) that the neutral side drops."""
    return Sides(source=maybe(chance, Mark(one_of(*texts))), target="")


def same(words: Iterable[str]) -> Mapping[Value, str]:
    """Each value is its own form."""
    return {word: word for word in words}


def person(who: str, chances: Chances = PEOPLE) -> tuple[Variable, ...]:
    """The variables of a person."""
    return fixed(who, chances), dependent(f"{who}.owner", who, _OWNERS)


def pronoun(who: str) -> Variable:
    """"he" or "she" for a person of `KNOWN`."""
    return dependent(f"{who}.pronoun", who, _PRONOUNS)


def person_phrase(who: str, chance: int = 4) -> Node:
    """The person as a subject or an object; `chance` in tenths of an insult before a known person."""
    noun = slur(chance, *lex.PERSON_ADJECTIVES)
    return Cases(
        f"{who}.owner",
        {
            "": Seq(slur(chance, *(f"that {insult}" for insult in lex.INSULTS)), Word(who, same(NAMES))),
            "my": Seq("my", noun, Word(who, same(KIN))),
            "our": Seq("our", noun, Word(who, same(KIN))),
            "your": Seq("your", noun, Word(who, same(KIN))),
            "the": Seq("the", noun, Word(who, same(lex.ROLES))),
            "some": Seq(
                swap(Seq("some", one_of(*lex.INSULTS)), (3, "someone"), (2, "somebody")), Word(who, {NOBODY: ""})
            ),
            "that": Seq(
                "that",
                swap(one_of(*lex.INSULTS), (2, "man"), (1, "person")),
                Word(who, {STRANGER: ""}),
            ),
        },
    )


def person_facts(env: Mapping[str, Value], who: str) -> set[tuple[str, str]]:
    """The person, and whose he or she is where that is said."""
    facts = {(who, lex.canonical_value(str(env[who])))}
    if env[f"{who}.owner"] in ("my", "our", "your"):
        facts.add((f"{who}.owner", str(env[f"{who}.owner"])))
    return facts


def thing_slur(chance: int = 4) -> Node:
    """Perhaps a rude adjective before a thing."""
    return slur(chance, *lex.THING_ADJECTIVES)


COMMENT = "comment"
COMMENTS = Chances({"": 11, "unwise": 5, "unkind": 4, "annoying": 3})


def comment() -> Variable:
    """What the speaker thinks of what happened, if anything."""
    return fixed(COMMENT, COMMENTS)


def comment_phrase() -> Node:
    """The opinion as a closing clause."""
    return Cases(
        COMMENT,
        {
            "": "",
            "unwise": Seq(
                ", which was",
                swap(
                    Pick((2, "stupid as hell"), (2, "damn stupid"), (1, "bloody dumb")),
                    (4, "not wise"),
                    (3, "a mistake"),
                    (2, "not a good idea"),
                ),
            ),
            "unkind": swap(
                Seq(", what a", one_of("jerk", "creep", "clown", "moron")),
                (4, ", which was not kind"),
                (3, ", which was not nice"),
                (2, ", which was unfair"),
            ),
            "annoying": swap(
                Pick((2, ", which really sucks"), (1, ", which is total crap"), (1, ", damn it all")),
                (4, ", which is annoying"),
                (3, ", which is too bad"),
            ),
        },
    )


def comment_facts(env: Mapping[str, Value]) -> set[tuple[str, str]]:
    """The opinion, if there is one."""
    return {(COMMENT, str(env[COMMENT]))} if env[COMMENT] else set()
