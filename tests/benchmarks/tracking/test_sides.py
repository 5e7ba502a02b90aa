"""From a user's words to records: folders, trees, archives, commits, systems; every kind of mistake is one sentence."""

from __future__ import annotations

import dataclasses
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from made_runs import COMMITS, MadeRun, documents, per_text

from baselines.contract import UserError
from benchmarks.records import store
from benchmarks.records.archive import RECORDS
from benchmarks.tracking.pairs import entries, match, summed_up
from benchmarks.tracking.sides import Side, read_side

QUALITY = per_text("quality", [0.5] * 6)


def run(folder: Path, *systems: tuple[str, str], **more: Any) -> Path:
    made = MadeRun(documents(6))
    for system, setting in systems or [("gpt2", "greedy")]:
        made.add(system, setting, QUALITY, **more)
    return made.write(folder)


def named(side: Side) -> list[str]:
    return [entry.name for entry in entries(side)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of any repository, whose commits words could mean."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def test_a_folder_is_a_run_or_a_tree_of_runs(tmp_path: Path) -> None:
    run(tmp_path / "tree" / "one", ("gpt2", "greedy"))
    run(tmp_path / "tree" / "deep" / "two", ("mdlm", "fast"))
    assert named(read_side("tree/one")) == ["gpt2 greedy"]
    assert sorted(named(read_side("tree"))) == ["gpt2 greedy", "mdlm fast"]


def test_published_records_are_read_from_their_archive(tmp_path: Path) -> None:
    folder = run(tmp_path / "made", ("gpt2", "greedy"))
    home = tmp_path / "published" / "one"
    home.mkdir(parents=True)
    with tarfile.open(home / RECORDS, "w:xz") as packed:
        packed.add(folder, arcname="made")
    for text in ("published", "published/one", f"published/one/{RECORDS}"):
        assert named(read_side(text)) == ["gpt2 greedy"]


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / RECORDS).write_bytes(b"not an archive")
    with pytest.raises(UserError, match=r"records.tar.xz is no archive of records, or is damaged; restore it"):
        read_side(RECORDS)


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("x")
    with tarfile.open(tmp_path / RECORDS, "w:xz") as packed:
        packed.add(tmp_path / "evil.txt", arcname="../../evil.txt")
    with pytest.raises(UserError, match="or is damaged"):
        read_side(RECORDS)


def test_a_commit_means_the_runs_that_its_code_made(tmp_path: Path) -> None:
    run(tmp_path / "runs" / "old", ("gpt2", "greedy"))
    run(tmp_path / "runs" / "new", ("gpt2", "greedy"), ("mdlm", "fast"), header={"commit": COMMITS[1]})
    assert named(read_side(COMMITS[0])) == ["gpt2 greedy"]
    assert sorted(named(read_side(COMMITS[1][:8]))) == ["gpt2 greedy", "mdlm fast"]
    assert named(read_side(f"{COMMITS[1][:8]}:mdlm")) == ["mdlm fast"]
    with pytest.raises(
        UserError, match=r"No run below runs was made by the commit abcdef1; there are runs of 0123456789"
    ):
        read_side("abcdef1")


def test_records_of_uncommitted_changes_do_not_pass_for_those_of_the_commit(tmp_path: Path) -> None:
    run(tmp_path / "runs" / "dirty", ("gpt2", "greedy"), header={"dirty": True, "finished": "2027-01-01T00:00:00Z"})
    alone = read_side(COMMITS[0])
    assert named(alone) == ["gpt2 greedy"] and "uncommitted changes, which its hash" in alone.notes[0]
    run(tmp_path / "runs" / "clean", ("gpt2", "greedy"))
    both = read_side(COMMITS[0])
    assert [cell.run for cell in both.cells] == [Path("runs/clean")]
    assert both.notes == (f"1 cell of {COMMITS[0]} with uncommitted changes is left out.",)


def test_a_name_that_git_knows_is_a_commit_too(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    run(tmp_path / "runs" / "one", header={"commit": head})
    assert named(read_side("HEAD")) == ["gpt2 greedy"]


def test_a_system_and_a_setting_narrow_a_side(tmp_path: Path) -> None:
    run(tmp_path / "run", ("gpt2", "greedy"), ("gpt2", "sample"), ("mdlm", "fast"))
    assert named(read_side("run:gpt2")) == ["gpt2 greedy", "gpt2 sample"]
    assert named(read_side("run:gpt2/sample")) == ["gpt2 sample"]
    assert read_side("run:gpt2/sample").systems == ("gpt2",)


def test_a_folder_with_a_colon_is_a_folder(tmp_path: Path) -> None:
    run(tmp_path / "run:gpt2", ("mdlm", "fast"))
    assert named(read_side("run:gpt2")) == ["mdlm fast"]


def test_the_last_of_several_records_of_a_cell_counts(tmp_path: Path) -> None:
    run(tmp_path / "tree" / "late", header={"finished": "2026-02-01T00:00:00Z", "commit": COMMITS[1]})
    run(tmp_path / "tree" / "early", header={"finished": "2026-01-01T00:00:00Z"})
    side = read_side("tree")
    assert [cell.header.commit for cell in side.cells] == [COMMITS[1]]
    assert side.notes == ("1 older record of the same cells is left out.",)


def test_cells_that_are_not_done_are_left_out_and_said(tmp_path: Path) -> None:
    made = MadeRun(documents(6)).add("gpt2", "greedy", QUALITY)
    made.add("mdlm", "fast", header={"status": "failed", "reason": "no memory"})
    side = read_side(str(made.write(tmp_path / "run")))
    assert named(side) == ["gpt2 greedy"] and side.notes == (
        f"1 cell of {tmp_path / 'run'} is not done, and is left out.",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("nowhere/at/all", "neither a folder nor a git commit"),
        ("--all", "neither a folder nor a git commit"),
        ("äöü ☃", "neither a folder nor a git commit"),
        ("empty", "holds no run"),
        ("file", "is no archive of records, or is damaged"),
        ("run:gpt3", "did you mean gpt2"),
        ("run:gpt2/gredy", "did you mean greedy"),
        ("run:", "Unknown system of run"),
        ("nowhere:gpt2", "neither a folder nor a git commit"),
        ("0123456", "is no folder, and the runs of the commit 0123456 are looked for"),
        ("damaged", "damaged"),
        ("unfinished", "No cell of unfinished is done"),
        ("a\0b", "is empty"),
    ],
)
def test_words_that_mean_nothing_are_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    run(tmp_path / "run")
    run(tmp_path / "unfinished", header={"status": "started"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    damaged = run(tmp_path / "damaged")
    [header] = damaged.glob("cells/*/header.json")
    header.write_text(header.read_text()[:40])
    with pytest.raises(UserError, match=r"^[^\n]*$") as raised:
        read_side(text)
    assert said in str(raised.value)


def test_a_record_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    [samples] = folder.glob(f"cells/*/{store.SAMPLES}")
    samples.write_text(samples.read_text().replace("gpt2", "gpt3"))
    with pytest.raises(UserError, match="changed"):
        read_side("run")


def test_entries_pair_by_system_and_setting(tmp_path: Path) -> None:
    a = read_side(str(run(tmp_path / "a", ("gpt2", "greedy"), ("gpt2", "sample"), ("mdlm", "fast"))))
    b = read_side(str(run(tmp_path / "b", ("mdlm", "fast"), ("gpt2", "sample"), ("sedd", "x"))))
    pairs, refused = match(a, b)
    assert [pair.name for pair in pairs] == ["gpt2 sample", "mdlm fast"]
    assert refused == (
        f"GPT-2 (greedy, 8 steps) of detox on world stands only in {a.text}.",
        f"SEDD (x, 8 steps) of detox on world stands only in {b.text}.",
    )
    said = (*refused, "Another reason.", f"GPT-2 (nucleus) of detox on world stands only in {a.text}.")
    assert summed_up(said) == (
        "Another reason.",
        f"Only {a.text} has GPT-2 (greedy, 8 steps) of detox on world, GPT-2 (nucleus) of detox on world.",
        f"Only {b.text} has SEDD (x, 8 steps) of detox on world.",
    )


def test_two_systems_pair_by_setting_or_where_there_is_one_each(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", ("gpt2", "one"), ("gpt2", "two"), ("mdlm", "one"), ("mdlm", "two"), ("sedd", "x"))
    both, _ = match(read_side(f"{folder}:gpt2"), read_side(f"{folder}:mdlm"))
    assert [pair.name for pair in both] == ["mdlm one against gpt2 one", "mdlm two against gpt2 two"]
    each, refused = match(read_side(f"{folder}:sedd"), read_side(f"{folder}:gpt2"))
    assert [pair.name for pair in each] == ["gpt2 one against sedd x", "gpt2 two against sedd x"] and refused == ()
    [single], _ = match(read_side(f"{folder}:gpt2/two"), read_side(f"{folder}:sedd"))
    assert single.name == "sedd x against gpt2 two"
    assert "system “gpt2” against “sedd”" in single.differs


def test_of_several_configurations_those_pair_that_differ_least(tmp_path: Path) -> None:
    def sized(folder: Path, *widths: int) -> Side:
        made = MadeRun(documents(6))
        for width in widths:
            made.add("gpt2", "greedy", QUALITY, cell={"recipe": {"width": width}})
        return read_side(str(made.write(folder)))

    pairs, refused = match(sized(tmp_path / "a", 64, 128), sized(tmp_path / "b", 128, 64))
    assert [pair.differs for pair in pairs] == [(), ()] and refused == ()
    pairs, refused = match(sized(tmp_path / "c", 64), sized(tmp_path / "d", 96, 128))
    assert pairs == () and "2 in" in refused[0] and "cannot be told" in refused[0]


def test_an_option_that_is_left_off_is_as_one_that_older_records_have_not(tmp_path: Path) -> None:
    def of(name: str, recipe: dict[str, Any]) -> Side:
        return read_side(str(run(tmp_path / name, cell={"recipe": recipe})))

    old, off, on = of("old", {"width": 64}), of("off", {"width": 64, "gate": None}), of("on", {"width": 64, "gate": 2})
    assert [pair.differs for pair in match(old, off)[0]] == [()]
    for other in (old, off):
        assert [pair.differs for pair in match(other, on)[0]] == [("recipe.gate “not set” against “2”",)]


def test_documents_that_no_record_names_are_compared_with_none(tmp_path: Path) -> None:
    side = read_side(str(run(tmp_path / "run")))
    [cell] = side.cells
    bare = dataclasses.replace(cell.record, header=dataclasses.replace(cell.header, documents={}))
    nameless = dataclasses.replace(side, cells=(dataclasses.replace(cell, record=bare),))
    pairs, refused = match(nameless, nameless)
    assert pairs == () and "does not say which test documents" in refused[0]


def test_what_is_packed_is_named_by_where_the_archive_lies() -> None:
    place = Path(__file__).parents[2] / "historic/schema-6"
    assert read_side(str(place)).about.folders == (str(place),)
    assert read_side(str(place / "records.tar.xz")).about.folders == (str(place),)
