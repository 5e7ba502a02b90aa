"""No extra names what no code uses (dev and docs are programs), and what one names was tested in one version."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from benchmarks.trackers.names import TRACKERS

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OURS = ("cosmos", "baselines", "benchmarks", "reports")
MODULES = {"alt-profanity-check": "profanity_check", "mauve-text": "mauve"}  # others are called as they are imported


def packages(extra: str) -> list[str]:
    return [requirement.partition(">")[0].partition("=")[0] for requirement in EXTRAS[extra]]


def imported_by_us() -> set[str]:
    """Every module that a file of ours names in an import, and the trackers, which are imported by accelerate."""
    found = set(TRACKERS)
    for path in (path for package in OURS for path in ROOT.glob(f"{package}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"dev", "docs"}))
def test_each_package_of_an_extra_is_imported(extra: str) -> None:
    modules = {name: MODULES.get(name, name.replace("-", "_")) for name in packages(extra)}
    used = imported_by_us()
    assert modules and [name for name, module in modules.items() if module not in used] == []


def test_each_package_of_an_extra_has_a_tested_version() -> None:
    tested = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE))
    assert {name for extra in EXTRAS for name in packages(extra)} - tested == set()
