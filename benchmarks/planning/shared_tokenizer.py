"""One tokenizer for all systems of a run: that of the text encoder which some of them have.

With several, what one system cannot write another can, a token is not the same work to all, and no normal form is fair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from baselines import registry
from baselines.contract import DecidesTokenizer, System, UserError
from benchmarks.planning.overrides import keys

_FIELD = ".text_encoder"  # what the recipes of systems with an encoder call it


def choose(contestants: Mapping[str, tuple[type[System], Any]], usual: Sequence[str], preset: str) -> str | None:
    """Folder or cached name of the encoder whose tokenizer all systems share; None for the packaged one.

    Where no contestant has an encoder it is that of the task's usual systems at the preset, so that it makes no
    difference which systems of a run are begun with.

    Args:
        contestants: name -> class and recipe.
        usual: the systems that the task names.

    Raises:
        UserError: two contestants have unlike encoders.
    """
    if not any(issubclass(system, DecidesTokenizer) for system, _ in contestants.values()):
        named = {name: registry.find(name) for name in usual}
        contestants = {name: (s, s.presets[preset]) for name, s in named.items() if preset in s.presets}
    found = {
        name: system.shared_tokenizer(recipe)
        for name, (system, recipe) in contestants.items()
        if issubclass(system, DecidesTokenizer)
    }
    first = next(iter(found), None)
    for name, encoder in found.items():
        assert first is not None
        if encoder != found[first]:
            key = next((key for key in keys(contestants[name][1], f"{name}.recipe.") if key.endswith(_FIELD)), name)
            raise UserError(
                f"All systems of a run share the tokenizer of its text encoder, but {first} has "
                f"{_said(found[first])} and {name} has {_said(encoder)}; name one for all (--set {key}=...), or make "
                "a run of each."
            )
    return None if first is None else found[first]


def decided_by(changes: Iterable[str], system: str) -> tuple[str, ...]:
    """The keys of `--set` by which other systems decide what tokenizer one has that has no encoder itself."""
    if issubclass(registry.find(system), DecidesTokenizer):
        return ()
    return tuple(key for key in changes if key.endswith(_FIELD) and key.partition(".")[0] != system)


def _said(encoder: str | None) -> str:
    return "the packaged one" if encoder is None else f"'{encoder}'"
