"""The built-in source `world`: a probabilistic grammar of everyday English whose every probability is known exactly.

One world of people, things and places, and one engine, serve four tasks. Detox documents are pairs of a rude sentence
and a neutral one that states the same facts; stories are five linked sentences; questions ask for an answer in a
passage; summaries give the one salient event of a report. A text is read into facts by the grammar that made it, so
membership, probability and facts kept are exact, not estimated.

`JUDGES` holds one function for each task, `judge(output, source)`, and `LAWS` one, `draw(source, stream)`, that draws a
target from P(target | source), the language's own; stories have no source, so None is given. `LOG_PROBABILITIES` says
how likely a target is, `log_probability(target, source)`, and `ENTROPIES` the entropy of that distribution, given the
source, both in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from benchmarks.data.world.documents import detox, questions, stories, stream, summaries
from benchmarks.data.world.judging import (
    DetoxJudgement,
    draw_polite,
    facts,
    is_member,
    is_neutral,
    judge,
    log_prob_source,
    log_prob_target,
    rudeness,
    target_entropy,
)
from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.language.texts import canonical
from benchmarks.data.world.measures import distinct_pairs
from benchmarks.data.world.question import (
    QuestionJudgement,
    draw_question,
    is_question,
    judge_question,
    log_prob_passage,
    log_prob_question,
    passage_facts,
    question_entropy,
    question_facts,
)
from benchmarks.data.world.story import (
    StoryJudgement,
    distinct_stories,
    draw_story,
    is_story,
    judge_story,
    log_prob_story,
    story_entropy,
    story_facts,
)
from benchmarks.data.world.summary import (
    SummaryJudgement,
    draw_summary,
    is_summary,
    judge_summary,
    log_prob_report,
    log_prob_summary,
    report_facts,
    summary_entropy,
    summary_facts,
)

VERSION = "1"

JUDGES: Mapping[str, Callable[[str, Any], DetoxJudgement | StoryJudgement | QuestionJudgement | SummaryJudgement]] = (
    MappingProxyType(
        {
            "story": lambda output, source: judge_story(output),
            "question": judge_question,
            "summary": judge_summary,
            "detox": judge,
        }
    )
)

LAWS: Mapping[str, Callable[[str | None, Stream], str]] = MappingProxyType(
    {"story": draw_story, "question": draw_question, "summary": draw_summary, "detox": draw_polite}
)

LOG_PROBABILITIES: Mapping[str, Callable[[str, Any], float]] = MappingProxyType(
    {
        "story": lambda target, source: log_prob_story(target),
        "question": log_prob_question,
        "summary": log_prob_summary,
        "detox": log_prob_target,
    }
)

ENTROPIES: Mapping[str, Callable[[Any], float]] = MappingProxyType(
    {
        "story": lambda source: story_entropy(),
        "question": question_entropy,
        "summary": summary_entropy,
        "detox": target_entropy,
    }
)

__all__ = [
    "ENTROPIES",
    "JUDGES",
    "LAWS",
    "LOG_PROBABILITIES",
    "VERSION",
    "DetoxJudgement",
    "QuestionJudgement",
    "StoryJudgement",
    "SummaryJudgement",
    "canonical",
    "detox",
    "distinct_pairs",
    "distinct_stories",
    "facts",
    "is_member",
    "is_neutral",
    "is_question",
    "is_story",
    "is_summary",
    "judge",
    "judge_question",
    "judge_story",
    "judge_summary",
    "log_prob_passage",
    "log_prob_question",
    "log_prob_report",
    "log_prob_source",
    "log_prob_story",
    "log_prob_summary",
    "log_prob_target",
    "passage_facts",
    "question_entropy",
    "question_facts",
    "questions",
    "report_facts",
    "rudeness",
    "stories",
    "story_entropy",
    "story_facts",
    "stream",
    "summaries",
    "summary_entropy",
    "summary_facts",
    "target_entropy",
]
