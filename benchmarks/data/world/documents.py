"""Documents of every task, drawn from its language one after the other.

The split of a document is decided by a hash of what it means, so no meaning is in two splits: half of all meanings are
for training, a quarter each for validation and test. What counts as the meaning: for detox and stories, all facts; for
questions, those of the passage, so that no passage is in two splits; for summaries, those of the salient event, so that
no summary is. P(target | source) is therefore the language's own in every split; P(source), or P(story), within a split
is the language's divided by the split's share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from baselines.contract import Document, unknown
from benchmarks.data.world import question, story, summary
from benchmarks.data.world.detox import language as detox_language
from benchmarks.data.world.language.draws import Stream, hashed
from benchmarks.data.world.language.grammar import Env
from benchmarks.data.world.language.meaning import Facts, Frame, Language
from benchmarks.data.world.language.texts import plain

SPLITS = {"train": (0, 1), "validation": (2,), "test": (3,)}
_REFERENCES = 4


def split_of(facts: Facts) -> str:
    """The split that a meaning belongs to."""
    quarter = hashed("split", *(f"{role}={value}" for role, value in sorted(facts))) % 4
    return next(name for name, quarters in SPLITS.items() if quarter in quarters)


def stream(split: str, seed: int = 0) -> Iterator[Document]:
    """Documents of detox without end and without a source twice; equal arguments give equal bytes everywhere.

    Raises:
        UserError: the split is not "train", "validation" or "test".
    """
    return _pairs("detox", detox_language(), Frame.facts, split, seed)


def detox(split: str, count: int, seed: int = 0) -> list[Document]:
    """The first `count` documents of a split: a rude sentence and a neutral one that states the same."""
    return list(islice(stream(split, seed), count))


def stories(split: str, count: int, seed: int = 0) -> list[Document]:
    """The first `count` stories of a split, none twice; without a source."""
    return list(islice(_texts("story", story.language(), split, seed), count))


def questions(split: str, count: int, seed: int = 0) -> list[Document]:
    """The first `count` documents of a split: a passage with an answer in it, and the question that it answers."""
    return list(islice(_pairs("question", question.language(), Frame.facts, split, seed), count))


def summaries(split: str, count: int, seed: int = 0) -> list[Document]:
    """The first `count` documents of a split: a report and its salient event in one sentence."""
    return list(islice(_pairs("summary", summary.language(), summary.event_facts, split, seed), count))


def _meanings(
    language: Language, facts: Callable[[Frame, Env], Facts], split: str, draws: Stream
) -> Iterator[tuple[Frame, Env]]:
    while True:
        frame, env = language.draw(draws)
        if split_of(facts(frame, env)) == split:
            yield frame, env


def _draws(task: str, split: str, seed: int) -> Stream:
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return Stream(f"world-{task}", split, seed)


def _pairs(
    task: str, language: Language, facts: Callable[[Frame, Env], Facts], split: str, seed: int
) -> Iterator[Document]:
    draws = _draws(task, split, seed)
    seen: set[str] = set()
    for frame, env in _meanings(language, facts, split, draws):
        source = plain(frame.draw_source(env, draws))
        if source in seen:
            continue
        target = plain(frame.draw_target(env, draws))
        ranked = sorted(frame.targets(env).items(), key=lambda item: (-item[1], item[0]))
        others = [text for text in (plain(tokens) for tokens, _ in ranked) if text != target]
        references = (target, *others[: _REFERENCES - 1])
        yield Document(f"world-{task}-{split}-{len(seen):06d}", source, target, references)
        seen.add(source)


def _texts(task: str, language: Language, split: str, seed: int) -> Iterator[Document]:
    draws = _draws(task, split, seed)
    seen: set[str] = set()
    for frame, env in _meanings(language, Frame.facts, split, draws):
        text = plain(frame.draw_target(env, draws))
        if text not in seen:
            yield Document(f"world-{task}-{split}-{len(seen):06d}", None, text, (text,))
            seen.add(text)
