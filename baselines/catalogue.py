"""Where each contestant lives: name -> "module:class", imported only when it is asked for.

Packages outside this one add systems by the entry-point group `cosmos_bench.systems`, for example in their
pyproject.toml

    [project.entry-points."cosmos_bench.systems"]
    mine = "my_package.my_module:MySystem"

Standard library and the contract only: a plan or a help text can read names without loading a framework.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from types import MappingProxyType

from baselines.contract import Budget, System, UserError, unknown

GROUP = "cosmos_bench.systems"

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "cosmos": "baselines.cosmos:CosmosSystem",
        "cosmos-8": "baselines.cosmos:Cosmos8System",
        "cosmos-16": "baselines.cosmos:Cosmos16System",
        "cosmos-32": "baselines.cosmos:Cosmos32System",
        "cosmos-full": "baselines.cosmos:CosmosFullSystem",
        "gpt2": "baselines.gpt2:GPT2System",
        "mdlm": "baselines.mdlm:MDLMSystem",
        "sedd": "baselines.sedd:SEDDSystem",
        "duo": "baselines.duo:DuoSystem",
        "tencdm": "baselines.tencdm:TEncDMSystem",
        "ld4lg": "baselines.ld4lg:LD4LGSystem",
        "diffuseq": "baselines.diffuseq:DiffuSeqSystem",
        "copy": "baselines.floors:CopySystem",
        "lead": "baselines.floors:LeadSystem",
        "unigram": "baselines.floors:UnigramSystem",
        "retrieval": "baselines.floors:RetrievalSystem",
        "reference": "baselines.floors:ReferenceSystem",
        "oracle": "baselines.oracle:OracleSystem",
        "null": "baselines.floors:NullSystem",
    }
)

_DECLARE = (
    "it does not say which weights learnt elsewhere it uses, which decides whom it is ranked with; add to the class "
    "`@staticmethod def external_weights(recipe): return ()` if all it has is trained from scratch, or return the names"
)
_METHODS = ("fit", "check", "load", "networks", "generate")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a system's class is, and the outside package that offers it (None: this one)."""

    target: str
    package: str | None


def names() -> tuple[str, ...]:
    """The names of all systems, built-in ones first, then those of outside packages in alphabetical order.

    Raises:
        UserError: an outside package takes a name that is already taken.
    """
    return tuple(_places())


def find(name: str) -> type[System]:
    """The class of a system.

    Raises:
        UserError: the name is unknown or taken twice, or an outside class cannot be loaded or breaks the contract.
    """
    places = _places()
    if name not in places:
        raise unknown("system", name, places)
    place = places[name]
    module, _, attribute = place.target.partition(":")
    if place.package is None:
        found: type[System] = getattr(importlib.import_module(module), attribute)
        return found
    try:
        outside = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"The system '{name}' of the package {place.package} cannot be loaded: {error}.") from error
    fault = _fault(outside)
    if fault is not None:
        raise UserError(f"The system '{name}' of the package {place.package} does not meet the contract: {fault}.")
    checked: type[System] = outside
    return checked


def _places() -> dict[str, _Place]:
    """All systems by name; a name offered twice is refused rather than resolved by luck."""
    from importlib.metadata import entry_points  # a few milliseconds that `--help` need not pay

    places = {name: _Place(target, None) for name, target in BUILT_IN.items()}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        package = point.dist.name if point.dist is not None else "an unnamed package"
        taken = places.get(point.name)
        if taken is not None and (taken.target, taken.package) != (point.value, package):
            owner = "is built in" if taken.package is None else f"also comes from the package {taken.package}"
            raise UserError(
                f"The package {package} offers a system named '{point.name}', which {owner}; "
                "uninstall the package or rename its entry point."
            )
        places[point.name] = _Place(point.value, package)
    return places


def _fault(outside: object) -> str | None:
    """What of the contract an outside class does not meet, or None."""
    if not isinstance(outside, type):
        return "it is not a class"
    missing = [method for method in _METHODS if not callable(getattr(outside, method, None))]
    if missing:
        return f"it has no method {' or '.join(missing)}"
    if not isinstance(getattr(outside, "trained", None), bool):
        return "its class attribute 'trained' is not True or False"
    for attribute in ("presets", "settings"):
        values = getattr(outside, attribute, None)
        if not isinstance(values, Mapping) or not values:
            return f"its class attribute '{attribute}' is not a mapping with at least one entry"
        if not all(isinstance(key, str) and _frozen(value) for key, value in values.items()):
            return f"its class attribute '{attribute}' maps something else than names to frozen dataclasses"
    if outside.trained and not all(isinstance(getattr(p, "budget", None), Budget) for p in outside.presets.values()):
        return "one of its presets has no default 'budget'"
    return None if _declares_weights(outside) else _DECLARE


def _declares_weights(outside: type) -> bool:
    """Whether a class says which weights learnt elsewhere it uses, by a function that needs no instance.

    What a trained one inherits from a class of this package is said of that class alone, which cannot know what another
    adds to it.
    """
    said_by = next((base for base in outside.__mro__ if "external_weights" in vars(base)), None)
    if said_by is None or not isinstance(vars(said_by)["external_weights"], staticmethod | classmethod):
        return False
    return not outside.trained or said_by.__module__.partition(".")[0] != __name__.partition(".")[0]


def _frozen(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type) and value.__dataclass_params__.frozen
