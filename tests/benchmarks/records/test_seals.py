"""Records that were changed after they were written are found out by whoever reads them, and lose nothing."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import seals, store
from benchmarks.running import runner
from reports import content

Make = Callable[..., Plan]

pytestmark = pytest.mark.usefixtures("no_power_cuts")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the run, which the first test makes and all take copies of."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def run(planned: Make, quiet: Any, tmp_path: Path, made: Path) -> Path:
    """A finished and scored run of one system with two settings."""
    if not (made / "run").exists():
        assert runner.run(planned("batch_size=10", out=str(made / "run")), quiet).exit_code == 0
    return shutil.copytree(made / "run", tmp_path / "run")


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def edit_json(path: Path, change: Callable[[Any], None]) -> Path:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=1) + "\n")
    return path


def cell(run: Path, place: int = 0) -> Path:
    plan = store.read_plan(run)
    assert plan is not None
    return store.cell_folder(run, plan["cells"][place])


def references(run: Path) -> Path:
    return edit(next((run / "documents").iterdir()), "word test 3", "word test 3 31")


def samples(run: Path) -> Path:
    return edit(cell(run) / "samples.jsonl", "word test 3 ", "word test 4 ")


def fast_timings(run: Path) -> Path:
    path = cell(run) / "timings.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({**row, "seconds": row["seconds"] / 100}, separators=(",", ":")) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def good_verdict(run: Path) -> Path:
    return edit_json(cell(run) / "header.json", lambda header: header["verdict"].update(valid=True, reasons=["none"]))


def cheap_training(run: Path) -> Path:
    return edit_json(cell(run) / "header.json", lambda header: header["training"].update(seconds=1e-9))


def other_documents(run: Path) -> Path:
    return edit_json(cell(run) / "header.json", lambda header: header["documents"]["train"].update(sha256="0" * 64))


def other_setting(run: Path) -> Path:
    return edit_json(cell(run) / "header.json", lambda header: header["cell"].update(setting="best"))


def unsealed_header(run: Path) -> Path:
    return edit_json(cell(run) / "header.json", lambda header: [header.pop(key, 0) for key in ("seal", "files")])


def scores(run: Path) -> Path:
    return edit(cell(run) / "scores.jsonl", '"value":', '"value":1')


def scores_of_others(run: Path) -> Path:
    path = cell(run) / "scores.jsonl"
    rows = [json.loads(line) | {"samples.jsonl": "0" * 64} for line in path.read_text().splitlines()]
    for row in rows:
        row.pop("seal")
    path.write_text("".join(map(seals.sealed_line, rows)))
    return path


def another_cell(run: Path) -> Path:
    for path in cell(run, 1).iterdir():
        shutil.copy(path, cell(run) / path.name)
    return cell(run)


def headline(run: Path) -> Path:
    return edit_json(run / "plan.json", lambda plan: plan["task"].update(headline=["length"]))


FORGERIES = (
    references, samples, fast_timings, good_verdict, cheap_training, other_documents, other_setting, unsealed_header,
    scores, scores_of_others, another_cell, headline,
)  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_changed_record_is_refused_by_every_reader(run: Path, forge: Callable[[Path], Path], command: Any) -> None:
    path = forge(run)
    before = {each: each.read_bytes() for each in run.rglob("*") if each.is_file()}
    out = ("--out", str(run))
    said = [command(verb, *out) for verb in ("report", "score")] + [command("show", "toy", *out)]
    said.append(command("run", "--task", "echo", "--set", "batch_size=10", "--device", "cpu", *out))
    for done in said:
        assert done.returncode == 2, done.args
        assert str(path) in done.stderr, done.args
        assert done.stderr.count("\n") == 1
    after = {each: each.read_bytes() for each in run.rglob("*") if each.is_file()}
    assert {each: data for each, data in after.items() if each.name != ".lock"} == {
        each: data for each, data in before.items() if each.name != ".lock"
    }


def test_an_unchanged_run_is_read_by_all_and_sealed(run: Path, quiet: Any, planned: Make) -> None:
    for record in store.read_run(run):
        assert set(record.header.files) == set(store.SEALED) - {store.LIKELIHOODS}  # which the toy does not give
        assert record.scores
    assert runner.run(planned("batch_size=10"), quiet).exit_code == 0


def unlearn(run: Path) -> Path:
    path = next((run / "learnt").iterdir())
    path.write_bytes(gzip.compress(b'"word test 1"\n' * 6, mtime=0))
    return path


def test_changed_texts_to_learn_from_are_not_scored_by(run: Path, command: Any) -> None:
    path = unlearn(run)
    (cell(run) / "scores.jsonl").unlink()
    done = command("score", "--out", str(run))
    assert (done.returncode, str(path) in done.stderr) == (2, True)


def begun(run: Path) -> Path:
    """The first cell as an interrupt would leave it: ten texts with their timing, three without."""
    folder = cell(run)
    lines = (folder / "samples.jsonl").read_text().splitlines(keepends=True)
    (folder / "samples.jsonl").write_text("".join(lines[:13]))
    rows = [line for line in (folder / "timings.jsonl").read_text().splitlines(keepends=True) if '"batch"' in line]
    (folder / "timings.jsonl").write_text(rows[0])
    header = store.read_header(folder)
    assert header is not None
    store.write_header(folder, dataclasses.replace(header, status="started", files={}))
    return folder


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("samples.jsonl", "word test 3 ", "word test 4 "), ("timings.jsonl", '"seconds":', '"seconds":9')],
)
def test_what_an_interrupted_cell_has_is_verified_before_it_goes_on(
    run: Path, planned: Make, quiet: Any, name: str, old: str, new: str
) -> None:
    folder = begun(run)
    path = folder / name
    whole = path.read_bytes()
    edit(path, old, new)
    with pytest.raises(UserError, match="was changed after it was written"):
        runner.run(planned("batch_size=10"), quiet)
    path.write_bytes(whole)
    assert runner.run(planned("batch_size=10"), quiet).exit_code == 0
    assert len(store.read_cell(folder).samples) == 23


def exchange(folder: Path) -> None:
    edit(folder / "weights.json", '"seed": 0', '"seed": 1')


def other_words(folder: Path) -> None:
    (folder / "vocabulary.json").write_text('{"pieces": ["other"]}')


@pytest.mark.parametrize(("forge", "name"), [(exchange, "weights.json"), (other_words, "vocabulary.json")])
def test_a_checkpoint_is_used_only_as_training_left_it(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: Any, name: str
) -> None:
    """All files of a checkpoint count, whatever a system calls them; one whose texts are there is not looked at."""
    plan = planned(setting="fast")
    fit = plan.cells[0].contestant.system.fit

    def with_vocabulary(self: Any, corpus: Any, budget: Any, workdir: Path, **rest: Any) -> Any:
        (workdir / "vocabulary.json").write_text("{}")
        return fit(self, corpus, budget, workdir, **rest)

    monkeypatch.setattr(plan.cells[0].contestant.system, "fit", with_vocabulary)
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    folder = store.checkpoint_folder(tmp_path / "run", plan.cells[0].cell.checkpoint_id)
    forge(folder)
    assert runner.run(plan, quiet, ("generate",)).exit_code == 0
    with pytest.raises(UserError, match=rf"^{folder / name} was changed"):
        runner.run(planned(setting="default"), quiet, ("generate",))


def test_an_edited_cost_of_training_is_refused(run: Path, planned: Make, quiet: Any) -> None:
    path = next((run / "checkpoints").glob("*.json"))
    edit_json(path, lambda record: record["training"].update(seconds=1e-9))
    with pytest.raises(UserError, match=rf"{path} was changed"):
        runner.run(planned("batch_size=10"), quiet)


def unseal(run: Path) -> None:
    """Make of a run what the version before seals left."""
    for path in [run / "plan.json", *run.rglob("header.json"), *(run / "checkpoints").glob("*.json")]:
        edit_json(path, lambda data: [data.pop(key, 0) for key in ("seal", "files")] + [data.update(schema=3)])
    for path in [*run.rglob("scores.jsonl"), *run.rglob("timings.jsonl")]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            del row["seal"]
            row.pop("samples.jsonl", None)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_records_of_before_seals_are_read_and_the_report_says_so(run: Path, planned: Make, quiet: Any) -> None:
    sealed = [record.scores for record in store.read_run(run)]
    unseal(run)
    assert [record.scores for record in store.read_run(run)] == sealed
    facts = {fact.name: fact.values for fact in content.build(run, run / "report").facts}
    assert [said.partition(":")[0] for said in facts["Seals"]] == ["none"]
    assert runner.run(planned("batch_size=10"), quiet).exit_code == 0


def test_scores_of_old_records_are_bound_to_their_samples(run: Path, command: Any, planned: Make, quiet: Any) -> None:
    unseal(run)
    for path in run.rglob("scores.jsonl"):
        path.unlink()
    assert runner.run(planned("batch_size=10"), quiet, ("score",)).exit_code == 0
    path = samples(run)
    done = command("report", "--out", str(run))
    assert (done.returncode, str(path) in done.stderr) == (2, True)


def test_a_report_does_without_what_was_not_published(run: Path, command: Any) -> None:
    shutil.rmtree(run / "documents")
    (cell(run) / "samples.jsonl").unlink()
    report = content.build(run, run / "report")
    facts = {fact.name: fact.values for fact in report.facts}
    assert facts["Not here"] == ("test documents, so no examples are shown", "texts of 1 cell")
    assert report.sections[0].examples == ()
    shown = command("show", "toy", "--out", str(run))
    assert shown.returncode == 0
    assert "without sources and references" in shown.stdout


def test_a_seal_is_of_everything_in_an_object() -> None:
    value = seals.sealed({"a": 1.5, "b": {"c": [1, "é\ud800"]}})
    assert seals.opened(json.loads(json.dumps(value)), "it", "mend it", wanted=True) == {
        "a": 1.5,
        "b": {"c": [1, "é\ud800"]},
    }
    for other in ({**value, "a": 1.25}, {**value, "d": None}, {**value, "a": float("nan")}, {**value, "seal": None}):
        with pytest.raises(UserError, match=r"^it was changed after it was written; mend it\.$"):
            seals.opened(other, "it", "mend it", wanted=False)
    with pytest.raises(UserError, match="lost its seal"):
        seals.opened({"a": 1}, "it", "mend it", wanted=True)
    assert seals.opened({"a": 1}, "it", "mend it", wanted=False) == {"a": 1}
