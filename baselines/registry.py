"""Names of things that are imported only when asked for, and where each contestant lives: name -> "module:class".

Packages outside this one add systems by the entry-point group `cosmos_bench.systems`, for example in their
pyproject.toml

    [project.entry-points."cosmos_bench.systems"]
    mine = "my_package.my_module:MySystem"

and tasks, metrics and sources by groups of their own. Standard library and the contract only: a plan or a help text
can read names without loading a framework.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from baselines.contract import Budget, System, UserError, unknown

_DECLARE = (
    "does not say which weights learnt elsewhere it uses, which decides whom it is ranked with; add to the class "
    "`@staticmethod def external_weights(recipe): return ()` if all it has is trained from scratch, or return the names"
)
_METHODS = ("fit", "check", "load", "networks", "generate")


@dataclass(frozen=True)
class Family:
    """Names that say what they stand for, so that none needs a line of its own.

    Attributes:
        form: how such names look, for people.
        pattern: a regular expression that all of such a name matches.
        target: "module:function", of which the function makes what a name stands for.
    """

    form: str
    summary: str
    pattern: str
    target: str


@dataclass(frozen=True)
class Registry:
    """Name -> "module:attribute": what is built in, and what other packages offer as entry points of `group`.

    Attributes:
        fault: what is wrong with something from outside, as the end of a sentence; None where it can be used.
        families: names that are found without being listed.
        summaries: what each of the built-in ones is, in a line.
    """

    kind: str
    group: str
    built_in: Mapping[str, str]
    fault: Callable[[Any], str | None]
    families: tuple[Family, ...] = field(default=())
    summaries: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """All names, built-in ones first, then those of outside packages in alphabetical order.

        Raises:
            UserError: an outside package takes a name that is already taken.
        """
        return tuple(self._places())

    def has(self, name: str) -> bool:
        """Whether `find` knows the name; errors as in `names`."""
        return name in self._places() or self._family(name) is not None

    def summary(self, name: str) -> str:
        """What a listed name is, or which package offers it; imports nothing. Errors as in `names`."""
        _, package = self._places()[name]
        return self.summaries.get(name, "") if package is None else f"offered by the package {package}"

    def find(self, name: str) -> Any:
        """Import what the name stands for.

        Raises:
            UserError: the name is unknown (the nearest ones are given) or taken twice, or says what cannot be, or what
                an outside package offers cannot be imported or is something else.
        """
        places = self._places()
        if name not in places:
            if (family := self._family(name)) is None:
                raise unknown(self.kind, name, places)
            module, _, function = family.target.partition(":")
            return getattr(importlib.import_module(module), function)(name)
        target, package = places[name]
        module, _, attribute = target.partition(":")
        if package is None:
            return getattr(importlib.import_module(module), attribute)
        offered = f"The {self.kind} '{name}' of the package {package}"
        try:
            outside = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{offered} cannot be loaded: {error}.") from error
        if (fault := self.fault(outside)) is not None:
            raise UserError(f"{offered} cannot be used: {target} {fault}.")
        return outside

    def _family(self, name: str) -> Family | None:
        return next((family for family in self.families if re.fullmatch(family.pattern, name)), None)

    def _places(self) -> dict[str, tuple[str, str | None]]:
        """Where each name lives, and the outside package that offers it (None: this one)."""
        places: dict[str, tuple[str, str | None]] = {name: (target, None) for name, target in self.built_in.items()}
        for name, target, package in installed(self.group, tuple(sys.path)):
            taken = places.get(name)
            if taken is not None and taken != (target, package):
                owner = "is built in" if taken[1] is None else f"also comes from the package {taken[1]}"
                raise UserError(
                    f"The package {package} offers a {self.kind} named '{name}', which {owner}; "
                    "uninstall the package or rename its entry point."
                )
            places[name] = (target, package)
        return places


@cache
def installed(group: str, folders: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """What packages offer while `sys.path` is `folders`, by name: (name, "module:attribute", package). Read once."""
    from importlib.metadata import entry_points  # a few milliseconds that `--help` need not pay

    offered = entry_points(group=group)
    return tuple(
        sorted((point.name, point.value, point.dist.name if point.dist else "an unnamed package") for point in offered)
    )


def _fault(outside: Any) -> str | None:
    """What of the contract an outside class does not meet, or None."""
    if not inspect.isclass(outside):
        return "is not a class"
    missing = [method for method in _METHODS if not callable(getattr(outside, method, None))]
    if missing:
        return f"has no method {' or '.join(missing)}"
    trained, presets = getattr(outside, "trained", None), getattr(outside, "presets", {})
    if not isinstance(trained, bool):
        return "has a class attribute 'trained' that is not True or False"
    for attribute in ("presets", "settings"):
        values = getattr(outside, attribute, None)
        if not isinstance(values, Mapping) or not values:
            return f"has a class attribute '{attribute}' that is not a mapping with at least one entry"
        if not all(isinstance(key, str) and _frozen(value) for key, value in values.items()):
            return f"has a class attribute '{attribute}' that maps something else than names to frozen dataclasses"
    if trained and not all(isinstance(getattr(preset, "budget", None), Budget) for preset in presets.values()):
        return "has a preset without a default 'budget'"
    return None if _declares_weights(outside) else _DECLARE


def _declares_weights(outside: type[Any]) -> bool:
    """Whether a class says which weights learnt elsewhere it uses, by a function that needs no instance. What a trained
    one inherits from a class of this package does not count: it cannot know what another adds."""
    said_by = next((base for base in outside.__mro__ if "external_weights" in vars(base)), None)
    if said_by is None or not isinstance(vars(said_by)["external_weights"], staticmethod | classmethod):
        return False
    return not outside.trained or said_by.__module__.partition(".")[0] != __name__.partition(".")[0]


def _frozen(value: Any) -> bool:
    return not inspect.isclass(value) and hasattr(value, "__dataclass_params__") and value.__dataclass_params__.frozen


SYSTEMS = Registry(
    "system",
    "cosmos_bench.systems",
    {
        "cosmos": "baselines.latent_diffusion.cosmos:CosmosSystem",
        "cosmos-8": "baselines.latent_diffusion.cosmos:Cosmos8System",
        "cosmos-16": "baselines.latent_diffusion.cosmos:Cosmos16System",
        "cosmos-32": "baselines.latent_diffusion.cosmos:Cosmos32System",
        "cosmos-64": "baselines.latent_diffusion.cosmos:Cosmos64System",
        "cosmos-128": "baselines.latent_diffusion.cosmos:Cosmos128System",
        "cosmos-full": "baselines.latent_diffusion.cosmos:CosmosFullSystem",
        "cosmos-joint": "baselines.latent_diffusion.cosmos_joint:CosmosJointSystem",
        "gpt2": "baselines.autoregressive.gpt2:GPT2System",
        "hf": "baselines.autoregressive.hf:HFSystem",
        "mdlm": "baselines.token_diffusion.mdlm:MDLMSystem",
        "sedd": "baselines.token_diffusion.sedd:SEDDSystem",
        "duo": "baselines.token_diffusion.duo:DuoSystem",
        "tencdm": "baselines.latent_diffusion.tencdm:TEncDMSystem",
        "ld4lg": "baselines.latent_diffusion.ld4lg:LD4LGSystem",
        "diffuseq": "baselines.embedding_diffusion.diffuseq:DiffuSeqSystem",
        "copy": "baselines.reference.trivial:CopySystem",
        "delete": "baselines.reference.trivial:DeleteSystem",
        "lead": "baselines.reference.trivial:LeadSystem",
        "unigram": "baselines.reference.trivial:UnigramSystem",
        "retrieval": "baselines.reference.trivial:RetrievalSystem",
        "reference": "baselines.reference.trivial:ReferenceSystem",
        "oracle": "baselines.reference.oracle:OracleSystem",
        "null": "baselines.reference.trivial:NullSystem",
    },
    _fault,
    (
        Family(
            "cosmos-N, cosmos-NxW",
            "cosmos with N latents (a number, or full), each W wide, such as cosmos-12 or cosmos-16x64",
            r"cosmos-([1-9]\d{0,5}|full)(x[1-9]\d{0,5})?",
            "baselines.latent_diffusion.cosmos_sizes:sized",
        ),
    ),
    {
        "cosmos": "latent diffusion in a compressed, smooth space: a text becomes a few latents, one pass decodes them",
        "cosmos-8": "cosmos with 8 latents",
        "cosmos-16": "cosmos with 16 latents",
        "cosmos-32": "cosmos with 32 latents",
        "cosmos-64": "cosmos with 64 latents",
        "cosmos-128": "cosmos with 128 latents",
        "cosmos-full": "cosmos without compression: a latent for every position",
        "cosmos-joint": "the networks of cosmos trained in one stage, after LDLM",
        "gpt2": "an autoregressive transformer of the GPT-2 architecture, with a key-value cache; may be pretrained",
        "hf": "any causal or sequence-to-sequence model of Hugging Face, tuned or as it is (docs/checkpoints.md)",
        "mdlm": "masked diffusion over tokens (MDLM)",
        "sedd": "diffusion over tokens by ratios of probabilities (SEDD)",
        "duo": "diffusion over tokens from uniform noise, distilled at the end (Duo)",
        "tencdm": "diffusion of token states of a frozen encoder, without compression (TEncDM)",
        "ld4lg": "diffusion of latents that an autoregressive decoder reads (LD4LG)",
        "diffuseq": "diffusion of word embeddings (DiffuSeq)",
        "copy": "floor: the source, unchanged",
        "delete": "floor: the source without its rude words",
        "lead": "floor: the first sentence of the source",
        "unigram": "floor: words drawn one by one from all training targets",
        "retrieval": "floor: the target of the nearest training source",
        "reference": "for scale: the right answer itself",
        "oracle": "for scale: a draw from the built-in source's own distribution",
        "null": "nothing, at once: measures the harness",
    },
)
names = SYSTEMS.names
has = SYSTEMS.has


def find(name: str) -> type[System]:
    """The class of a system; see `Registry.find`."""
    system: type[System] = SYSTEMS.find(name)
    return system
