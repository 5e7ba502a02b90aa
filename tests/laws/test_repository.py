"""What stands in several files of the repository is the same in all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

import cosmos

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("cosmos", "baselines", "benchmarks", "reports")


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def required(extra: str) -> set[str]:
    """Names of packages that an extra asks for."""
    return {re.split(r"[<>=]", line)[0] for line in PROJECT["project"]["optional-dependencies"][extra]}


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == cosmos.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])


def test_the_changelog_begins_with_this_version_and_its_day() -> None:
    heading = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert heading == f"## {cosmos.__version__} ({read_yaml('CITATION.cff')['date-released']})"


def test_hooks_call_the_tools_that_tox_calls_from_the_pinned_environment() -> None:
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert repository["repo"] == "local" and all(hook["language"] == "system" for hook in hooks.values())
    tools = {hook["entry"].split()[0] for hook in hooks.values()}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().split()}
    assert tools == {"ruff", "mypy"} and tools <= required("dev") & pinned
    assert hooks["mypy"]["entry"] == "mypy" and not hooks["mypy"]["pass_filenames"]  # the files of pyproject.toml


def test_the_workflow_runs_every_python_that_the_package_names() -> None:
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    named = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == named == ["3.11", "3.12", "3.13"]
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"


def test_the_workflow_runs_environments_that_tox_has() -> None:
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    has = re.findall(r"^\[testenv:(\w+)\]", (ROOT / "tox.ini").read_text(), re.MULTILINE)
    assert {"lint", "type", "docs", "build"} == set(jobs["checks"]["strategy"]["matrix"]["environment"]) <= set(has)


def test_every_page_is_named_on_the_first() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "index.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_pages_link_to_pages_that_are_there() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert "://" in target or (page.parent / target).resolve().is_file(), (page.name, target)
            assert "://" in target or not target.startswith(".."), f"{page.name}: {target} is not part of the site"


def test_what_is_read_first_links_to_files_and_headings_that_are_there() -> None:
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *(ROOT / "reports/published").glob("*/README.md"),
    ):
        for place, heading in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", page.read_text()):
            target = (page.parent / place).resolve() if place else page
            assert target.exists(), (page.name, place)
            if heading:
                titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
                slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
                assert heading in slugs, (page.name, place, heading)


def test_every_package_is_typed_and_says_so_in_the_wheel() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    assert all((ROOT / name / "py.typed").is_file() and "py.typed" in data[name] for name in PACKAGES)


def test_a_wheel_carries_every_file_that_is_not_code() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    carried = {path for name in PACKAGES for pattern in data[name] for path in (ROOT / name).glob(pattern)}
    other = {path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    other = {path for path in other if path.suffix not in (".py", ".pyc") and "published" not in path.parts}
    assert other == {path for path in carried if path.is_file()}


def test_the_image_is_made_of_what_is_not_ignored() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == kept and set(PACKAGES) <= names and all((ROOT / name).exists() for name in names)
