"""Published reports are written from what is published, anew, the same each time, and for readers of the repository."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from benchmarks.cli.main import main
from cosmos.io.files import cache_folder
from reports.publishing import __main__ as command
from reports.publishing import pages
from reports.publishing.pack import pack


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def published(tmp_path, fake_run):
    """A folder in which a run of one cell is published, with a page of older code."""
    fake_run.add("gpt2", "greedy")
    place = tmp_path / "published" / "one"
    pack(fake_run.write(tmp_path / "run"), place)
    (place / "report").mkdir()
    (place / "report" / "older.svg").write_text("old")
    return tmp_path / "published"


def test_a_report_is_written_from_the_archive(published, monkeypatch, capsys):
    assert pages.write(published, published.parent) == [published / "one" / "report"]
    first = files(published)
    assert "one/report/older.svg" not in first and not list(published.rglob(".report"))
    cache = str(cache_folder()).encode()
    assert not [name for name, content in first.items() if cache in content]
    assert b'href="../records.tar.xz"' in first["one/report/report.html"]
    text = first["one/report/report.md"].decode()
    assert "](../records.tar.xz)" in text and "../cells" not in text
    (shown,) = [line for line in text.splitlines() if "benchmarks show" in line]
    monkeypatch.chdir(published.parent)
    assert main(shlex.split(shown.split("`")[1])[3:]) == 0
    assert "gpt2" in capsys.readouterr().out


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(published):
    pages.write(published, published.parent)
    first = files(published)
    pages.write(published, published.parent)
    assert files(published) == first


@pytest.mark.slow
def test_the_committed_pages_are_what_the_code_writes():
    before = files(command.PUBLISHED)
    command.write()
    after = files(command.PUBLISHED)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    assert not changed, "the pages were older than the code; what lies there now is new"
