"""The question language: passages of three to six facts, an answer in them, and the question it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Env, Mark, Node, Seq, Sides, Tokens, Value, Word
from benchmarks.data.world.language.lexicon import Words, canonical_value
from benchmarks.data.world.language.meaning import Chances, Facts, Frame, Language, Variable, even, fixed
from benchmarks.data.world.language.pairs import LanguagePairs
from benchmarks.data.world.language.phrases import same
from benchmarks.data.world.language.texts import tokens_of
from benchmarks.data.world.language.wording import Wording
from benchmarks.data.world.passages import WHO, Kind, kinds, subject

_SIZES = {3: 3, 4: 3, 5: 2, 6: 2}
"""Numbers of facts, with weights."""
_PEOPLE = {"she": frozenset(lex.WOMEN), "he": frozenset(lex.MEN)}


@cache
def language() -> Language:
    """One frame for each number of facts."""
    return Language(tuple(_passage(size, weight) for size, weight in _SIZES.items()))


_PAIRS = LanguagePairs(language, "passage with an answer")

log_prob_passage = _PAIRS.log_prob_source
log_prob_question = _PAIRS.log_prob_target
question_entropy = _PAIRS.target_entropy
draw_question = _PAIRS.draw_target
passage_meanings = _PAIRS.meanings


@dataclass(frozen=True, slots=True)
class QuestionJudgement:
    """An output as a question to a passage, whose answer should be the answer given.

    in_language: it is a question of the language. answerable: the passage answers it. right: with the answer given, and
    nothing else. kept, lost: of what every right question states (what happened, what is asked, who or what it was),
    how much the output states, and does not. invented: what it states and no right question would.
    """

    in_language: bool
    answerable: bool
    right: bool
    kept: int
    lost: int
    invented: int


def _passage(size: int, weight: int) -> Frame:
    """`size` facts. Fact 2 has the variables "2.kind", "2.same", "2.sex", "2.who", "2.0" and "2.1"."""
    slots = range(1, size + 1)
    answer = Cases("slot", {str(slot): _answer(slot) for slot in slots})
    asked = Cases("slot", {str(slot): _asked(slot) for slot in slots})
    passage = Seq(*(Seq(subject(_named(slot), f"{slot}.same"), _statement(slot)) for slot in slots))
    return Frame(
        f"{size} facts",
        weight,
        (
            *(variable for slot in slots for variable in _variables(slot)),
            fixed("slot", even(map(str, slots))),
            Variable(
                "asked",
                lambda slot, *facts: _roles(facts[int(slot) - 1], facts[size + int(slot) - 1]),
                ("slot", *(f"{slot}.kind" for slot in slots), *(f"{slot}.same" for slot in slots)),
            ),
        ),
        Sides(source=Mark(Seq("answer:", answer, "context:", passage)), target=asked),
        tuple(f"{slot}.{part}" for slot in slots for part in ("kind", WHO, "0", "1")),
    )


def _named(slot: int) -> Callable[[str], str]:
    return lambda part: f"{slot}.{part}"


def _variables(slot: int) -> Iterator[Variable]:
    before = range(1, slot)
    kind = f"{slot}.kind"
    yield Variable(kind, lambda *used: _unused_kinds(frozenset(used)), tuple(f"{at}.kind" for at in before))
    if slot == 1:
        yield fixed("1.same", even(("new",)))
        yield fixed("1.sex", even(("she", "he")))
    else:
        yield Variable(
            f"{slot}.same",
            lambda last: Chances({"new": 2, "same": 1}) if last == "new" else even(("new",)),
            (f"{slot - 1}.same",),
        )
        yield Variable(
            f"{slot}.sex",
            lambda linked, last: even((last,)) if linked == "same" else even(("she", "he")),
            (f"{slot}.same", f"{slot - 1}.sex"),
        )
    yield Variable(
        f"{slot}.who",
        lambda linked, sex, *used: even(("",)) if linked == "same" else _unused_names(sex, frozenset(used)),
        (f"{slot}.same", f"{slot}.sex", *(f"{at}.who" for at in before)),
    )
    yield Variable(f"{slot}.0", lambda name: _values(name, 0), (kind,))
    yield Variable(f"{slot}.1", lambda name: _values(name, 1), (kind,))


@cache
def _unused_kinds(used: frozenset[Value]) -> Chances:
    return even(name for name in kinds() if name not in used)


@cache
def _unused_names(sex: Value, used: frozenset[Value]) -> Chances:
    return even(name for name in (lex.WOMEN if sex == "she" else lex.MEN) if name not in used)


@cache
def _values(kind: Value, at: int) -> Chances:
    return even(tuple(kinds()[kind].roles.values())[at])


@cache
def _roles(kind: Value, linked: Value) -> Chances:
    """What may be asked of a fact: not who, where the passage says only `she` or `he`."""
    return even(role for role in kinds()[kind].asks if role != WHO or linked == "new")


def _role_names(slot: int, kind: Kind) -> Callable[[str], str]:
    """The variables of the roles of a fact."""
    names = {role: f"{slot}.{at}" for at, role in enumerate(kind.roles)}
    return {**names, WHO: f"{slot}.who", "asked": "asked"}.__getitem__


def _statement(slot: int) -> Node:
    return Cases(f"{slot}.kind", {name: kind.statement(_role_names(slot, kind)) for name, kind in kinds().items()})


def _answer(slot: int) -> Node:
    """The answer as the passage says it; which kind of fact it belongs to shows only there."""
    roles: dict[str, Node] = {WHO: Word(f"{slot}.who", same(lex.NAMES))}
    roles |= {role: Word(f"{slot}.{at}", same(values)) for role, (at, values) in _answers().items()}
    return Cases("asked", roles)


@cache
def _answers() -> Mapping[str, tuple[int, Words]]:
    """Role -> which of its fact's roles it is, and its values in facts of any kind."""
    roles: dict[str, tuple[int, Words]] = {}
    for kind in kinds().values():
        for at, (role, values) in enumerate(kind.roles.items()):
            place, earlier = roles.get(role, (at, ()))
            assert place == at, f"{role} is the first role of one kind and the second of another"
            roles[role] = (at, (*earlier, *values))
    return roles


def _asked(slot: int) -> Node:
    return Cases(
        f"{slot}.kind",
        {
            name: Cases(
                "asked",
                {
                    role: kind.question(role, _naming(slot), _role_names(slot, kind), f"{slot}.kind")
                    for role in kind.asks
                },
            )
            for name, kind in kinds().items()
        },
    )


def _naming(slot: int) -> Node:
    """The name of the subject, which the fact before may have said."""
    mine = Word(f"{slot}.who", same(lex.NAMES))
    return mine if slot == 1 else Cases(f"{slot}.same", {"new": mine, "same": _naming(slot - 1)})


@cache
def _questions() -> tuple[tuple[Node, Kind], ...]:
    """Questions as such, of no passage: variables are "kind", "asked", "who" and the roles by name."""
    who = Word(WHO, same(lex.NAMES))
    return tuple(
        (kind.question(role, who, lambda name: name, "kind"), kind) for kind in kinds().values() for role in kind.asks
    )


@cache
def _wording() -> Wording:
    return Wording((tree, ("kind", "asked", WHO, *kind.roles)) for tree, kind in _questions())


def question_facts(text: str) -> Facts | None:
    """What a question of the language states: what happened, what is asked, and the roles it names; None for others."""
    tokens = tokens_of(text)
    for tree, _ in _questions():
        for end, env, _, _ in tree.readings(tokens, 0, {}):
            if end == len(tokens):
                return _as_facts(env)
    return None


def is_question(text: str) -> bool:
    """Whether the text is a question of the language."""
    return question_facts(text) is not None


def passage_facts(source: str) -> tuple[Facts, ...]:
    """The facts of a passage, each as its kind, its subject and its roles.

    Raises:
        UserError: the text is no source of the language.
    """
    _, env = _PAIRS.meaning(source)
    return tuple(_as_facts(fact) for fact in _told(env))


def _told(env: Env) -> list[Mapping[str, Value]]:
    facts: list[Mapping[str, Value]] = []
    who = ""
    slot = 1
    while (name := env.get(f"{slot}.kind")) is not None:
        who = env[f"{slot}.who"] or who
        roles = {role: env[f"{slot}.{at}"] for at, role in enumerate(kinds()[name].roles)}
        facts.append({"kind": name, WHO: who, **roles})
        slot += 1
    return facts


def _as_facts(env: Mapping[str, Value]) -> Facts:
    return frozenset((name, canonical_value(value)) for name, value in env.items())


def judge_question(output: str, source: str) -> QuestionJudgement:
    """Judge any output as a question to a passage.

    A question of the language states what the grammar reads in it. Any other output is judged by its words, as in
    `judging.judge`, and answers nothing.

    Raises:
        UserError: the source is no source of the language.
    """
    _, env = _PAIRS.meaning(source)
    told = _told(env)
    fact, asked = told[int(env["slot"]) - 1], env["asked"]
    needed = _stating(fact, asked, kinds()[fact["kind"]].needed(asked))
    allowed = _stating(fact, asked, (role for role in fact if role not in ("kind", asked)))
    stated = question_facts(output)
    if stated is None:
        needed_stated, invented = _by_words(tokens_of(output), needed, allowed)
        return QuestionJudgement(False, False, False, needed_stated, len(needed) - needed_stated, invented)
    needed_stated, invented = len(needed & stated), len(stated - allowed)
    plain = frozenset(item for item in stated if item[0] != "asked")
    answerable = any(plain <= _as_facts(other) for other in told)
    right = needed_stated == len(needed) and not invented
    return QuestionJudgement(True, answerable, right, needed_stated, len(needed) - needed_stated, invented)


def _stating(fact: Mapping[str, Value], asked: str, roles: Iterable[str]) -> Facts:
    """What a question for `asked` states that names these roles."""
    return _as_facts({"kind": fact["kind"], "asked": asked, **{role: fact[role] for role in roles}})


def _by_words(tokens: Tokens, needed: Facts, allowed: Facts) -> tuple[int, int]:
    """How many needed facts any text states, and how many pieces of it state none that is allowed."""
    wording = _wording()
    return (
        sum(wording.states(tokens, fact) for fact in needed),
        sum(not piece_facts & allowed for piece_facts in wording.named(tokens).values()),
    )
