"""What of the catalogue is on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.evaluators.catalogue import MODELS, ROLES
from benchmarks.evaluators.locate import command, locate_model


@dataclass(frozen=True)
class Standing:
    """One model of the catalogue: whether it is here, where or how to get it, and the roles it takes by default."""

    name: str
    summary: str
    here: bool
    text: str
    roles: tuple[str, ...]
    megabytes: int
    licence: str


def status() -> list[Standing]:
    """Every model of the catalogue; imports nothing heavy, reads no weights, asks no network."""
    standings = []
    for model in MODELS.values():
        located = locate_model(model.name)
        text = str(located.folder) if located else f"{model.summary}; add it with: {command(model.name)}"
        roles = tuple(role.name for role in ROLES.values() if role.default == model.name)
        standings.append(
            Standing(model.name, model.summary, located is not None, text, roles, model.megabytes, model.licence)
        )
    return standings
