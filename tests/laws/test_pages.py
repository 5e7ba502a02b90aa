"""What the README and docs/ tell people to type is understood: each command, its verb, its flags and their values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.cli.flags import BenchmarksParser, parse
from benchmarks.cli.main import VERBS, module_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:-m benchmarks|cosmos-bench) ([a-z][^`\n]*)")
OTHERS = ("tests/gpu", "$", "...")  # what is filled in by a shell, or left out


def commands(page: Path) -> list[list[str]]:
    """The words after the program's name, of blocks, tables and sentences alike."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for match in COMMAND.finditer(text):
        line = re.split(r"\s(?:#|\||&&|>|;)|;|\s{3,}", match[1])[0]
        if any(other in line for other in OTHERS) or line.count("'") % 2 or line.count('"') % 2:
            continue
        words = shlex.split(line)
        if words[0] in VERBS:
            found.append(words)
    return found


ALL = [(page.name, words) for page in PAGES for words in commands(page)]


def test_pages_name_most_verbs() -> None:
    assert len(ALL) > 80
    assert {words[0] for _, words in ALL} == set(VERBS)


@pytest.mark.parametrize(("page", "words"), ALL, ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_every_command_of_the_pages_is_understood(page: str, words: list[str]) -> None:
    module = module_of(words[0])
    parser = BenchmarksParser(words[0], module.__doc__ or "")
    module.add_arguments(parser)
    assert vars(parse(parser, words[1:]))
    with pytest.raises(UserError, match="--no-such-flag"):
        parse(parser, [*words[1:], "--no-such-flag"])
