"""The summary language: reports of five sentences with one salient event, and that event in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Cases, Env, Mark, Node, Pick, Seq, Sides, Tokens, Value, Word
from benchmarks.data.world.language.lexicon import canonical_value
from benchmarks.data.world.language.meaning import Chances, Facts, Frame, Language, Variable, even, fixed
from benchmarks.data.world.language.pairs import LanguagePairs
from benchmarks.data.world.language.phrases import same
from benchmarks.data.world.language.templates import choices
from benchmarks.data.world.language.texts import tokens_of
from benchmarks.data.world.language.wording import Wording
from benchmarks.data.world.report_events import CLOCK, DAYS, WEATHER, Event, events, minor

_ORDERS = {"sefab": 3, "efsab": 3, "saefb": 2, "sabef": 2, "asefb": 2, "absef": 1}
"""Orders of scene, event, aftermath and the two pieces of small news, with weights: the event leads in three of 13."""
_MINOR = ("weather", "hour", "other", "after", "first", "second")


@cache
def language() -> Language:
    """One frame for each kind of event."""
    return Language(tuple(_report(event) for event in events()))


_PAIRS = LanguagePairs(language, "report")

log_prob_report = _PAIRS.log_prob_source
log_prob_summary = _PAIRS.log_prob_target
summary_entropy = _PAIRS.target_entropy
draw_summary = _PAIRS.draw_target
report_meanings = _PAIRS.meanings


@dataclass(frozen=True, slots=True)
class SummaryJudgement:
    """An output as the summary of a report.

    in_language: it is a summary of the language. right: of this report. kept, lost: facts of the salient event (what
    happened, to whom, where, when) that the output states, and does not. minor: pieces of the report that it holds and
    that do not belong in a summary. invented: what it states and the report does not say in any sense.
    """

    in_language: bool
    right: bool
    kept: int
    lost: int
    minor: int
    invented: int


def _report(event: Event) -> Frame:
    first, parts = minor("first")
    second, _ = minor("second")
    sentences = {
        "s": Seq(
            "it was a",
            Word("weather", same(WEATHER)),
            Word("day", same(DAYS)),
            "in",
            Word("city", same(lex.CITIES)),
            ".",
        ),
        "e": Seq(event.telling(), "."),
        "f": choices("after", event.after, {}),
        "a": choices("first", first, parts),
        "b": choices("second", second, parts),
    }
    return Frame(
        event.name,
        1,
        (
            fixed("event", even((event.name,))),
            *(fixed(role, even(values)) for role, values in event.roles.items()),
            fixed("city", even(lex.CITIES)),
            fixed("day", even(DAYS)),
            fixed("weather", even(WEATHER)),
            fixed("after", even(event.after)),
            fixed("first", even(first)),
            fixed("hour", even(CLOCK)),
            fixed("second", even(second)),
            Variable("other", _elsewhere, ("city",)),
            fixed("order", Chances(_ORDERS)),
        ),
        Sides(
            source=Mark(Cases("order", {order: Seq(*(sentences[at] for at in order)) for order in _ORDERS})),
            target=_summary(event),
        ),
        ("event", *event.roles, "city", "day", *_MINOR),
    )


@cache
def _elsewhere(city: Value) -> Chances:
    return even(other for other in lex.CITIES if other != city)


def _summary(event: Event) -> Node:
    telling = event.telling()
    place, time = Seq("in", Word("city", same(lex.CITIES))), Seq("on", Word("day", same(DAYS)))
    return Pick((3, Seq(telling, place, time, ".")), (2, Seq(time, telling, place, ".")))


def event_facts(frame: Frame, env: Env) -> Facts:
    """What a summary states of a meaning."""
    return frozenset(fact for fact in frame.facts(env) if fact[0] not in _MINOR)


@cache
def _wording() -> Wording:
    return Wording((tree, frame.stated) for frame in language().frames for tree in (frame.source, frame.target))


def summary_facts(text: str) -> Facts | None:
    """What a summary of the language states; None for other texts."""
    tokens = tokens_of(text)
    for frame in language().frames:
        for end, env, _, _ in frame.target.readings(tokens, 0, {}):
            if end == len(tokens):
                return frozenset((name, canonical_value(value)) for name, value in env.items())
    return None


def is_summary(text: str) -> bool:
    """Whether the text is a summary of the language."""
    return summary_facts(text) is not None


def report_facts(source: str) -> Facts:
    """All facts of a report.

    Raises:
        UserError: the text is no report of the language.
    """
    frame, env = _PAIRS.meaning(source)
    return frame.facts(env)


def judge_summary(output: str, source: str) -> SummaryJudgement:
    """Judge any output as the summary of a report.

    A summary of the language states what the grammar reads in it. Any other output is judged by its words, as in
    `judging.judge`.

    Raises:
        UserError: the source is no report of the language.
    """
    frame, env = _PAIRS.meaning(source)
    everything, asked = frame.facts(env), event_facts(frame, env)
    stated = summary_facts(output)
    if stated is not None:
        asked_stated, invented = len(asked & stated), len(stated - asked)
        right = asked_stated == len(asked) and not invented
        return SummaryJudgement(True, right, asked_stated, len(asked) - asked_stated, 0, invented)
    tokens, source_tokens = tokens_of(output), tokens_of(source)
    others = [
        (piece, piece_facts) for piece, piece_facts in _wording().named(tokens).items() if not piece_facts & asked
    ]
    aside = sum(bool(piece_facts & everything) or _contains(source_tokens, piece) for piece, piece_facts in others)
    asked_stated = sum(_wording().states(tokens, fact) for fact in asked)
    return SummaryJudgement(False, False, asked_stated, len(asked) - asked_stated, aside, len(others) - aside)


def _contains(tokens: Tokens, piece: Tokens) -> bool:
    return any(tokens[at : at + len(piece)] == piece for at in range(len(tokens) - len(piece) + 1))
