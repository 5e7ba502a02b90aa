"""What is published: the README's tables and the index are those of the records, and a run is packed as it is."""

import re
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.records.archive import found_runs
from benchmarks.records.dataframes import read_run
from benchmarks.records.results import load
from reports.publishing import __main__ as command
from reports.publishing import excerpts, index
from reports.publishing.pack import pack

NUMBER = re.compile(r"[(≤ ]*[−-]?[\d,]*\.?\d+[)?%]?( \\?\[.*\])?")


@pytest.fixture(scope="module")
def entries():
    return index.published(command.PUBLISHED)


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text: rows of cells."""
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        for block in blocks
    ]


@pytest.mark.parametrize("path", command.TEXTS, ids=lambda path: path.name)
def test_every_table_of_numbers_is_that_of_its_records(path: Path):
    text = path.read_text(encoding="utf-8")
    assert excerpts.fill(text, command.PUBLISHED) == text, "write it again: python -m reports.publishing"
    others = re.sub(r"<!-- table [\w-]+ -->\n.*?<!-- end of table -->", "", text, flags=re.DOTALL)
    for table in tables(others):
        assert not [cell for row in table for cell in row[1:] if NUMBER.fullmatch(cell)], "numbers without a record"


def test_the_numbers_are_those_that_load_gives():
    """By another way than the one that wrote them."""
    made = excerpts.excerpts(command.PUBLISHED)["detox-480s"]
    table = excerpts.build("detox-480s", made, command.PUBLISHED)
    frame = load(command.PUBLISHED / made.records)
    seen = 0
    for block in table.blocks:
        for row in block.rows:
            own = frame[frame["cell"] == row.cell_id]
            for metric, cell in zip(made.columns[:2], row.cells, strict=False):
                (value,) = own[own["metric"] == metric]["value"]
                places = len(cell.text.partition(".")[2])
                assert abs(float(cell.text) - value) <= 0.5 * 10**-places + 1e-12
                seen += 1
    assert seen == 2 * len(made.rows)


def test_the_speeds_are_those_of_the_records():
    made = excerpts.excerpts(command.PUBLISHED)["speed-base"]
    table = excerpts.build("speed-base", made, command.PUBLISHED)
    rows = [row for block in table.blocks for row in block.rows]
    assert len(rows) == len(made.rows)
    for row in rows:
        assert abs(row.cells[2].value * row.cells[1].value / 1e3 - 512) < 0.01  # texts/s times seconds


def test_the_index_is_that_of_the_records(entries):
    written = (command.PUBLISHED / "README.md").read_text(encoding="utf-8")
    readmes = index.described(command.PUBLISHED)
    assert index.markdown(entries, readmes) == written, "write it again: python -m reports.publishing"
    page = (command.PUBLISHED / "index.html").read_text(encoding="utf-8")
    for entry in entries:
        assert f'href="{entry.link}' in page
        assert all((command.PUBLISHED / place).exists() for place in (entry.link, *entry.pages))
    assert {Path(path).parent.name for path in readmes} == {p.name for p in command.PUBLISHED.iterdir() if p.is_dir()}
    assert all(f"]({path})" in written and f'href="{path}"' in page for path in readmes)
    assert any("on paradetox (local)" in entry.asked for entry in entries)
    archives = {path.parent for path in command.PUBLISHED.rglob("records.tar.xz")}
    assert archives <= {command.PUBLISHED / entry.link for entry in entries}


def test_a_table_without_records_has_no_number(tmp_path):
    (tmp_path / "tables.toml").write_text('[mine]\nrecords = "nowhere"\nrows = ["a"]\ncolumns = ["b"]\n')
    text = "x\n<!-- table mine -->\n| a | 0.5 |\n<!-- end of table -->\ny\n"
    assert excerpts.fill(text, tmp_path) == "x\n<!-- table mine -->\n<!-- end of table -->\ny\n"


def test_what_is_not_there_is_said(tmp_path, fake_run):
    fake_run.add("gpt2", "greedy")
    fake_run.write(tmp_path / "run")
    (tmp_path / "tables.toml").write_text('[mine]\nrecords = "run"\nrows = ["gpt2 gredy"]\ncolumns = ["J"]\n')
    with pytest.raises(UserError, match="gpt2 greedy"):
        excerpts.fill("<!-- table mine -->\n<!-- end of table -->", tmp_path)
    with pytest.raises(UserError, match="mine"):
        excerpts.fill("<!-- table mien -->\n<!-- end of table -->", tmp_path)
    (tmp_path / "tables.toml").write_text('[mine]\nrows = ["gpt2 greedy"]\n')
    with pytest.raises(UserError, match=r"tables\.toml"):
        excerpts.fill("", tmp_path)


def test_a_packed_run_says_the_same(tmp_path, fake_run):
    fake_run.add("gpt2", "greedy")
    run = fake_run.write(tmp_path / "run")
    (run / "checkpoints" / "abc").mkdir(parents=True)
    (run / "checkpoints" / "abc" / "weights.safetensors").write_bytes(b"0" * 1000)
    archive = pack(run, tmp_path / "one")
    assert archive.read_bytes() == pack(run, tmp_path / "two").read_bytes()
    (found,) = found_runs(tmp_path / "one")
    assert read_run(found.folder).records == read_run(run).records
    assert not list(found.folder.rglob("*.safetensors"))


def test_an_unfinished_run_is_not_packed(tmp_path, fake_run):
    fake_run.add("gpt2", "greedy")
    fake_run.end("mdlm", "steps-8", "failed", "no memory")
    with pytest.raises(UserError, match="mdlm"):
        pack(fake_run.write(tmp_path / "run"), tmp_path / "out")
