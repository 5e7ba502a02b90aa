"""A study of how many latents, and how wide: every combination as a contestant of one run.

Nothing but names is made here: `cosmos-16x64` is a system like any other, so a study is a run of such systems, is taken
up again as one, and is reported as one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from baselines.contract import UserError
from benchmarks.planning.overrides import CliValue, convert
from benchmarks.planning.plan import default_folder
from benchmarks.planning.run_config import Choices
from cosmos.io.errors import check_range

BASE = "cosmos"
FULL = "full"
MOST_LATENTS = 65_536
# Keys that the flags of a study set, by how they end.
_SAID = {
    "recipe.full": "--latents",
    "recipe.model.autoencoder.latents": "--latents",
    "recipe.model.denoiser.latents": "--latents",
    "recipe.model.autoencoder.latent_width": "--latent-width",
    "recipe.model.denoiser.latent_width": "--latent-width",
}


def contestants(latents: str, widths: str | None = None) -> tuple[str, ...]:
    """Names of all combinations, numbers of latents before widths, from `8,16,full` and `32,64`.

    Without widths, latents are as wide as the preset has them.

    Raises:
        UserError: no number, or one that cannot be.
    """
    numbers = _listed("--latents", latents, FULL)
    ends = [""] if widths is None else [f"x{width}" for width in _listed("--latent-width", widths)]
    return tuple(f"{BASE}-{number}{end}" for end in ends for number in numbers)


def choose(choices: Choices, names: Sequence[str]) -> Choices:
    """The choices of a run that has these contestants, and besides them the systems that were named.

    Keys and settings of `cosmos` are meant for each contestant, unless `cosmos` itself is named as a system: then they
    are its own. Those of one contestant beat them.

    Raises:
        UserError: a key says what the study's own flags say.
    """
    changes: dict[str, Any] = {}
    for key, value in choices.changes.items():
        system, _, rest = key.partition(".")
        if system in (BASE, *names) and rest in _SAID:
            raise UserError(f"A study takes no --set {key}: {_SAID[rest]} says which there are.")
        if system == BASE and BASE not in choices.system:
            changes |= {f"{name}.{rest}": value for name in names if f"{name}.{rest}" not in choices.changes}
        else:
            changes[key] = value
    settings = tuple(part for word in choices.setting for part in _spread(word, choices, names))
    systems = tuple(dict.fromkeys((*names, *choices.system)))
    chosen = dataclasses.replace(choices, system=systems, setting=settings, changes=changes)
    if chosen.out is None:
        chosen = dataclasses.replace(chosen, out=f"{default_folder(chosen)}-study")
    return chosen


def _spread(word: str, choices: Choices, names: Sequence[str]) -> Iterator[str]:
    system, colon, setting = word.partition(":")
    if colon and system == BASE and BASE not in choices.system:
        yield from (f"{name}:{setting}" for name in names)
    else:
        yield word


def _listed(flag: str, typed: str, *words: str) -> list[str]:
    """The numbers of a list, each once; `words` may stand among them."""
    parts = [part.strip() for part in typed.split(",") if part.strip()]
    if not parts:
        raise UserError(f"{flag} names no number; write some, such as {flag} 8,16.")
    found = []
    for part in parts:
        if part not in words:
            number = convert(CliValue(part), int, f"each of {flag}")
            check_range(flag, number, 1, MOST_LATENTS)
            part = str(number)
        found.append(part)
    return list(dict.fromkeys(found))
