"""The detox language: rude sentences and their neutral wordings, as one mixture of clauses."""

from __future__ import annotations

from functools import cache

from benchmarks.data.world import clauses
from benchmarks.data.world.meaning import Language


@cache
def language() -> Language:
    """All clauses; built once."""
    return Language(
        (
            clauses.placing(),
            clauses.damage(),
            clauses.thing_opinion(),
            clauses.person_opinion(),
            clauses.waiting(),
            clauses.order(),
        )
    )
