"""Folders of a package are layers: each imports only those below it. And one name is one thing.

Every import statement counts, also those inside functions, since a circle that hides there is still a circle.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the bottom up. A folder stands for all modules in it, a dot for the modules on top of the package.
LAYERS = {
    "cosmos": (
        "io", "config", "runtime", "text", "models", "pretrained", "training", "recipes", "joint_recipes",
        "diffusion", "data", "stages", "adaptation", "joint", "pipeline", "converted", "release", "train", "probes",
        "__init__", "cli", "__main__",
    ),
    "baselines": (
        "contract", "titles", "registry", "common", "autoregressive", "token_diffusion", "embedding_diffusion",
        "latent_diffusion", "reference",
    ),
    "benchmarks": (
        "tested_versions", "progress", "records", "evaluators", "tasks", "stats", "timing", "data", "metrics",
        "planning", "trackers", "running", "importing", "speed", "tuning", "tracking", "api", "__init__", "cli",
        "__main__",
    ),
    "reports": (
        "quantities", "names", "columns", "panels", "front", "significance", "table", "numbers", "examples",
        "provenance", "tuned_recipes", "legend", "findings", "tables", "templating", "curves", "figures", "study",
        "costs", "content", "pictures", "html", "markdown", "csv_files", "latex", "paper", "compact", "__init__",
        "speed", "comparison", "history", "publishing",
    ),
}  # fmt: skip
MOST_MODULES = 20
ONE_FOR_EACH_VERB = "benchmarks/cli"  # whose modules are found by the words of the command line


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name; a folder's `__init__` under the folder's own name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)] = path
    assert found, package
    return found


@functools.cache
def statements(path: Path) -> list[ast.Import | ast.ImportFrom | ast.ClassDef]:
    """All imports and classes of a file, which is read once for all tests."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef)]


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules among `known` that a file imports, anywhere in it."""
    names: list[str] = []
    for node in statements(path):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = [full if full in known else full.rpartition(".")[0] for full in names]
    return {name for name in ours if name in known}


def layer(module: str) -> str:
    """The folder below the package, or the module where it lies on top of it."""
    return module.split(".")[1]


@pytest.mark.parametrize("package", LAYERS)
def test_folders_import_only_downwards(package: str) -> None:
    order, known = LAYERS[package], modules(package)
    assert {layer(module) for module in known} | {"__init__"} == {*order, "__init__"}
    upward = [
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imported(path, known)
        if order.index(layer(other)) > order.index(layer(module))
    ]
    assert upward == []


def circle(needs: dict[str, set[str]]) -> list[str]:
    """What cannot be put into an order in which each comes after all that it needs; empty where there is one."""
    waiting = {name: needed - {name} for name, needed in needs.items()}
    while ready := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in ready:
            del waiting[name]
    return sorted(waiting)


@pytest.mark.parametrize("package", LAYERS)
def test_modules_import_each_other_in_no_circle(package: str) -> None:
    known = modules(package)
    assert circle({module: imported(path, known) for module, path in known.items()}) == []


@pytest.mark.parametrize("package", LAYERS)
def test_folders_within_folders_import_each_other_in_no_circle(package: str) -> None:
    """Of each folder: its modules and its folders, each folder as one."""
    known = modules(package)
    imports = {module: imported(path, known) for module, path in known.items()}
    for folder in (module for module, path in known.items() if path.name == "__init__.py" and module != package):
        within = f"{folder}."
        needs: dict[str, set[str]] = defaultdict(set)
        for module in (module for module in known if module.startswith(within)):
            part = module.removeprefix(within).partition(".")[0]
            others = (other.removeprefix(within) for other in imports[module] if other.startswith(within))
            needs[part] |= {other.partition(".")[0] for other in others}
        assert circle(needs) == [], folder


def test_no_folder_holds_too_much() -> None:
    folders = Counter(
        str(path.parent.relative_to(ROOT))
        for package in LAYERS
        for path in modules(package).values()
        if path.name != "__init__.py"
    )
    del folders[ONE_FOR_EACH_VERB]
    assert {folder: count for folder, count in folders.items() if count > MOST_MODULES} == {}


def test_a_class_name_is_one_thing() -> None:
    places = defaultdict(list)
    for package in LAYERS:
        for module, path in modules(package).items():
            for node in statements(path):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
