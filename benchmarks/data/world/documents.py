"""Documents of the detox task, drawn from the language one after the other.

The split of a document is decided by a hash of the facts it states, so no meaning is in two splits: half of all
meanings are for training, a quarter each for validation and test. P(target | source) is therefore the language's own in
every split; P(source) within a split is the language's divided by the split's share.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from baselines.contract import Document, unknown
from benchmarks.data.world.detox import language
from benchmarks.data.world.draws import Stream, hashed
from benchmarks.data.world.judging import plain
from benchmarks.data.world.meaning import Facts

SPLITS = {"train": (0, 1), "validation": (2,), "test": (3,)}
_REFERENCES = 4


def split_of(facts: Facts) -> str:
    """The split that a meaning belongs to."""
    quarter = hashed("split", *(f"{role}={value}" for role, value in sorted(facts))) % 4
    return next(name for name, quarters in SPLITS.items() if quarter in quarters)


def stream(split: str, seed: int = 0) -> Iterator[Document]:
    """Documents of a split without end and without a source twice; equal arguments give equal bytes everywhere.

    Raises:
        UserError: the split is not "train", "validation" or "test".
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    draws = Stream("world-detox", split, seed)
    seen: set[str] = set()
    while True:
        frame, env = language().draw(draws)
        if split_of(frame.facts(env)) != split:
            continue
        source = plain(frame.draw_source(env, draws))
        if source in seen:
            continue
        target = plain(frame.draw_target(env, draws))
        ranked = sorted(frame.targets(env).items(), key=lambda item: (-item[1], item[0]))
        others = [text for text in (plain(tokens) for tokens, _ in ranked) if text != target]
        yield Document(f"world-detox-{split}-{len(seen):06d}", source, target, (target, *others[: _REFERENCES - 1]))
        seen.add(source)


def detox(split: str, count: int, seed: int = 0) -> list[Document]:
    """The first `count` documents of a split."""
    return list(islice(stream(split, seed), count))
