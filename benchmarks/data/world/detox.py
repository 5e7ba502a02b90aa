"""The detox language: rude sentences and their neutral wordings, as one mixture of clauses."""

from __future__ import annotations

from functools import cache

from benchmarks.data.world.clauses import events, opinions, remarks, requests, trouble
from benchmarks.data.world.language.meaning import Language


@cache
def language() -> Language:
    """All clauses; built once."""
    return Language(
        (
            events.placing(),
            events.damage(),
            trouble.waiting(),
            events.giving(),
            trouble.arriving(),
            trouble.mishap(),
            opinions.thing_opinion(),
            opinions.person_opinion(),
            remarks.reported(),
            remarks.refusal(),
            remarks.price(),
            remarks.weather(),
            trouble.performance(),
            requests.order(),
            requests.question(),
            requests.wish(),
            requests.habit(),
        )
    )
