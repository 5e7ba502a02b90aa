"""The runner: stages, resuming, failures, what headers say."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning import plan_file
from benchmarks.planning.plan import Plan
from benchmarks.records import environment, run_texts, seals, store
from benchmarks.running import fitting, runner
from benchmarks.running.seeds import request_seed
from reports.panels import panels

Make = Callable[..., Plan]

pytestmark = pytest.mark.usefixtures("no_power_cuts")


def cells_of(folder: Path) -> dict[tuple[str, str, int], Any]:
    return {(r.header.cell.system, r.header.cell.setting, r.header.cell.seed): r for r in store.read_run(folder)}


def test_a_run_leaves_texts_timings_scores_and_a_full_header(planned: Make, quiet: Any, tmp_path: Path) -> None:
    plan = planned(system="toy,knowing", seeds="2")
    assert runner.run(plan, quiet).exit_code == 0
    cells = cells_of(tmp_path / "run")
    assert set(cells) == {
        *(("toy", setting, seed) for setting in ("default", "fast") for seed in (0, 1)),
        ("knowing", "default", 0),
        ("knowing", "default", 1),
    }
    record = cells["toy", "default", 1]
    assert record.header.status == "done"
    assert [sample.id for sample in record.samples] == [f"test-{n}" for n in range(23)]
    assert [sample.seed for sample in record.samples] == [request_seed(1, f"test-{n}") for n in range(23)]
    assert {sample.calls["network"] for sample in record.samples} == {3}
    assert record.header.training.notes == {"texts": 6}
    assert record.header.networks["network"].parameters == 0
    assert set(record.header.documents) == {"train", "validation", "passages", "test"}
    assert record.header.documents["test"]["count"] == 23
    assert {score.metric for score in record.scores} == {"copy_rate", "length"}
    kinds = [timing.kind for timing in record.timings]
    assert kinds.count("batch") == 1
    assert kinds.count("latency") == 10
    assert kinds.count("warmup") >= 2
    assert record.header.verdict["singles_equal"] == 10
    assert kinds.count("sweep") == 5  # the one batch lent its texts to be made alone, so it counts in no throughput
    assert record.header.verdict["valid"], record.header.verdict["reasons"]
    assert all(s.text == f"word test {n}" for n, s in enumerate(cells["knowing", "default", 0].samples))


def test_reports_rank_by_what_a_system_declares_of_its_weights(planned: Make, quiet: Any, tmp_path: Path) -> None:
    tracks = {}
    for kind in ("plain", "fancy"):
        folder = tmp_path / kind
        assert runner.run(planned(f"toy.recipe.kind={kind}", out=str(folder), setting="fast"), quiet).exit_code == 0
        header = cells_of(folder)["toy", "fast", 0].header
        assert (header.method, header.external_weights) == ("toy", ("a-company/fancy",) if kind == "fancy" else ())
        (panel,) = panels(store.read_run(folder))
        tracks[kind] = list(panel.tracks)
    assert tracks == {"plain": ["trained from scratch"], "fancy": ["on weights learnt elsewhere"]}


def test_systems_are_shown_the_first_validation_documents(planned: Make, quiet: Any, tmp_path: Path) -> None:
    plan = planned("data.train=300", system="toy", setting="fast")
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    (record,) = store.read_run(tmp_path / "run")
    shown = plan.source.load("echo", "validation")
    assert len(shown) == 300
    assert record.header.documents["validation"] == run_texts.digest(shown[: fitting.VALIDATION_DOCUMENTS])
    assert record.header.documents["train"]["count"] == 300


def test_settings_share_a_checkpoint_and_seeds_do_not(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(seeds="2"), quiet)
    assert len(list((tmp_path / "run" / "checkpoints").glob("*.json"))) == 2


def test_a_finished_run_is_not_made_again(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").rglob("*.*")}
    quiet.lines.clear()
    runner.run(planned(), quiet)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").rglob("*.*")} == before
    assert [line.split(": ")[1] for line in quiet.lines[1:]] == ["generated already"] * 2


def test_more_systems_settings_and_seeds_join_a_run(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet)
    runner.run(planned(system="moody", seed="7", steps="5"), quiet)
    cells = cells_of(tmp_path / "run")
    assert set(cells) == {
        ("toy", "default", 0),
        ("toy", "fast", 0),
        ("moody", "default-5", 7),
        ("moody", "fast-5", 7),
    }


@pytest.mark.parametrize(
    ("words", "flags", "said"),
    [
        (("data.word=other",), {}, "data.word = word, and this command says data.word = other"),
        (("toy.recipe.rate.start=0.2",), {}, "--set toy.recipe.rate.start=0.1"),
        (("toy.setting.steps=9",), {}, "toy.settings.default.steps = 3"),
        (("budget=11steps",), {}, "--set toy.recipe.budget=10steps"),
        (("batch_size=3",), {}, "batch_size = 25"),
        ((), {"limit": "3"}, "limit = none, and this command says limit = 3: go on with no --limit"),
        ((), {"preset": "small"}, "go on with --preset nano"),
    ],
)
def test_other_settings_are_refused_and_named(
    planned: Make, quiet: Any, tmp_path: Path, words: tuple[str, ...], flags: dict[str, str], said: str
) -> None:
    runner.run(planned(), quiet, ("fit",))
    kept = (tmp_path / "run" / "plan.json").read_bytes()
    with pytest.raises(UserError) as caught:
        runner.run(planned(*words, **flags), quiet)
    assert said in str(caught.value)
    assert "--out" in str(caught.value)
    assert (tmp_path / "run" / "plan.json").read_bytes() == kept


def test_a_failing_cell_does_not_end_the_sweep(planned: Make, quiet: Any, tmp_path: Path) -> None:
    outcome = runner.run(planned(system="broken,fussy,toy"), quiet)
    cells = cells_of(tmp_path / "run")
    assert outcome.exit_code == 1
    assert (len(outcome.failed), len(outcome.refused)) == (2, 2)
    assert cells["broken", "default", 0].header.status == "failed"
    assert cells["broken", "default", 0].header.reason == "RuntimeError: no memory left"
    assert cells["fussy", "fast", 0].header.status == "refused"
    assert cells["fussy", "fast", 0].header.reason == "The toy is not to be loaded."
    assert cells["toy", "default", 0].header.status == "done"
    trace = store.cell_folder(tmp_path / "run", cells["broken", "default", 0].header.cell.id) / "error.txt"
    assert "Traceback" in trace.read_text()


def test_a_system_that_cannot_even_be_made_does_not_end_the_sweep(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmade(*_: Any) -> None:
        raise RuntimeError("a library is missing")

    monkeypatch.setattr(planned(system="broken").cells[0].contestant.system, "__init__", unmade)
    outcome = runner.run(planned(system="broken,toy"), quiet)
    cells = cells_of(tmp_path / "run")
    assert outcome.exit_code == 1
    assert cells["broken", "default", 0].header.reason == "RuntimeError: a library is missing"
    assert cells["toy", "default", 0].header.status == "done"


def test_a_trace_goes_when_the_cell_is_made_after_all(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(system="broken")
    assert runner.run(plan, quiet).exit_code == 1
    assert list((tmp_path / "run" / "cells").glob("*/error.txt"))
    system = plan.cells[0].contestant.system
    monkeypatch.setattr(system, "generate", system.__mro__[1].generate)
    assert runner.run(plan, quiet).exit_code == 0
    assert not list((tmp_path / "run" / "cells").glob("*/error.txt"))


@pytest.mark.parametrize("commit", [None, "f" * 40])
def test_texts_that_other_code_began_are_said(planned: Make, quiet: Any, tmp_path: Path, commit: str | None) -> None:
    runner.run(planned("batch_size=10"), quiet, ("fit", "generate"))
    folder = next(iter((tmp_path / "run" / "cells").iterdir()))
    whole = (folder / "samples.jsonl").read_bytes()
    (folder / "samples.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:10]))
    header = store.read_header(folder)
    assert header is not None
    begun = dataclasses.replace(header, status="started", commit=commit or header.commit)
    store.write_header(folder, begun)
    runner.run(planned("batch_size=10"), quiet, ("fit", "generate"))
    ended = store.read_header(folder)
    assert ended is not None
    assert (folder / "samples.jsonl").read_bytes() == whole
    assert [made["commit"] for made in ended.earlier] == ([commit] if commit else [])
    said = "taken up again with other code or on another machine"
    assert (said in ended.verdict["reasons"]) == bool(commit)


def test_what_trained_a_cell_is_kept_apart_from_what_generated_it(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "commit", lambda: ("a" * 40, True))
    runner.run(planned(), quiet, ("fit",))
    monkeypatch.setattr(environment, "commit", lambda: ("b" * 40, False))
    runner.run(planned(), quiet, ("generate",))
    header = cells_of(tmp_path / "run")["toy", "default", 0].header
    assert (header.commit, header.dirty) == ("b" * 40, False)
    assert (header.trained_with["commit"], header.trained_with["dirty"]) == ("a" * 40, True)
    assert header.trained_with["packages"] == header.packages
    assert header.earlier == ()  # there were no texts yet


def test_only_floors_are_told_the_answers(planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    plan = planned(system="toy,knowing")
    for p in plan.cells:
        name = p.cell.system
        monkeypatch.setattr(p.contestant.system, "answers", lambda self, known, n=name: told.append(n), raising=False)
        monkeypatch.setattr(
            p.contestant.system, "known", dict.fromkeys([f"test-{n}" for n in range(23)], "x"), raising=False
        )
    runner.run(plan, quiet, ("fit", "generate"))
    assert told == ["knowing"]


def test_refusals_alone_give_exit_code_2(planned: Make, quiet: Any) -> None:
    assert runner.run(planned(system="fussy"), quiet).exit_code == 2


def test_a_text_that_depends_on_its_batch_mates_makes_the_timing_invalid(
    planned: Make, quiet: Any, tmp_path: Path
) -> None:
    runner.run(planned(system="moody"), quiet)
    verdict = cells_of(tmp_path / "run")["moody", "default", 0].header.verdict
    assert not verdict["valid"]
    assert "latency: audit: 10 of 10 texts differ when generated alone" in verdict["reasons"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run is kept that is made once."""
    return tmp_path_factory.mktemp("undisturbed") / "run"


@pytest.mark.parametrize(
    ("samples", "batches"), [(0, 0), (1, 0), (9, 0), (10, 0), (10, 1), (11, 1), (20, 1), (22, 2), (23, 2), (23, 3)]
)
def test_resumed_samples_are_those_of_an_undisturbed_run(
    planned: Make, quiet: Any, undisturbed: Path, tmp_path: Path, samples: int, batches: int
) -> None:
    if not undisturbed.exists():
        runner.run(planned("batch_size=10", out=str(undisturbed), setting="default"), quiet, ("fit", "generate"))
    shutil.copytree(undisturbed, tmp_path / "run")
    folder = next(iter((tmp_path / "run" / "cells").iterdir()))
    whole = (folder / "samples.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (folder / "samples.jsonl").write_bytes(b"".join(lines[:samples]) + b'{"id":"te')
    timings = [line for line in (folder / "timings.jsonl").read_bytes().splitlines(keepends=True) if b'"batch"' in line]
    (folder / "timings.jsonl").write_bytes(b"".join(timings[:batches]))
    header = store.read_header(folder)
    assert header is not None
    store.write_header(folder, dataclasses.replace(header, status="started"))
    runner.run(planned("batch_size=10", setting="default"), quiet, ("fit", "generate"))
    assert (folder / "samples.jsonl").read_bytes() == whole
    assert [t.index for t in store.read_timings(folder) if t.kind == "batch"] == [0, 1, 2]


def test_samples_of_other_requests_are_refused(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet, ("fit", "generate"))
    folder = next(iter((tmp_path / "run" / "cells").iterdir()))
    header = store.read_header(folder)
    assert header is not None
    written = (folder / "samples.jsonl").read_text()
    rows = re.sub(r'"seed":(\d+)', lambda seed: f'"seed":{(int(seed[1]) + 1) % 2**63}', written)
    (folder / "samples.jsonl").write_text(rows)
    (folder / "timings.jsonl").unlink()  # which would tell that they were changed
    store.write_header(folder, dataclasses.replace(header, status="started"))
    assert runner.run(planned(), quiet).exit_code == 2


def test_a_damaged_checkpoint_is_refused_before_anything_is_loaded(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet)
    weights = next((tmp_path / "run" / "checkpoints").glob("*/weights.json"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:5])
    with pytest.raises(UserError, match=r"truncated.*delete"):
        runner.run(planned(), quiet)
    weights.write_bytes(kept.replace(b'"width": 4', b'"width": 5'))
    with pytest.raises(UserError, match="has width 5"):
        runner.run(planned(), quiet)
    weights.write_bytes(kept)
    fit = next((tmp_path / "run" / "checkpoints").glob("*.json"))
    stored = json.loads(fit.read_text())
    fit.write_text(json.dumps(seals.sealed({**stored, "inputs": {**stored["inputs"], "budget": "9steps"}})))
    with pytest.raises(UserError, match="of another budget"):
        runner.run(planned(), quiet)


def test_lost_samples_are_made_again(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned("batch_size=10"), quiet)
    path = next((tmp_path / "run").rglob("samples.jsonl"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    runner.run(planned("batch_size=10"), quiet)
    assert path.read_bytes() == whole


def test_generate_wants_a_trained_system(planned: Make, quiet: Any) -> None:
    with pytest.raises(UserError, match="toy is not trained yet"):
        runner.run(planned(), quiet, ("generate",))
    runner.run(planned(), quiet, ("fit",))
    assert runner.run(planned(), quiet, ("generate",)).exit_code == 0


def test_changed_documents_are_refused(planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.run(planned(), quiet)
    plan = planned()
    load = type(plan.source).load
    monkeypatch.setattr(type(plan.source), "load", lambda *a: load(*a)[1:])
    with pytest.raises(UserError, match="test documents changed"):
        runner.run(plan, quiet)


def test_an_interrupt_leaves_a_run_that_can_go_on(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run(planned("batch_size=5", out=str(tmp_path / "whole")), quiet)
    plan = planned("batch_size=5")
    system = plan.cells[0].contestant.system
    generate, calls = system.generate, []

    def interrupted(self: Any, requests: Any, setting: Any) -> Any:
        calls.append(1)
        if len(calls) == 18:  # in the second turn
            raise KeyboardInterrupt
        return generate(self, requests, setting)

    with monkeypatch.context() as patch:
        patch.setattr(system, "generate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runner.run(plan, quiet)
    first = plan.cells[0].cell
    folder = store.cell_folder(tmp_path / "run", first.id)
    assert store.read_cell(folder).header.status == "started"
    assert 0 < len(store.read_samples(folder)) < 23
    runner.run(dataclasses.replace(plan), quiet)
    assert (folder / "samples.jsonl").read_bytes() == (
        store.cell_folder(tmp_path / "whole", first.id) / "samples.jsonl"
    ).read_bytes()


def test_the_command_in_a_header_makes_the_same_cell(planned: Make, quiet: Any, toys: None) -> None:
    from benchmarks.cli.flags import BenchmarksParser, add_run_flags, choices_of, parse
    from benchmarks.planning.plan import make

    plan = planned(
        "toy.recipe.width=5", "data.test=4", "moody.recipe.width=3", system="toy,moody", steps="2,4", seed="3",
        setting="toy:slow-9,moody:fast,default",
    )  # fmt: skip
    assert {p.cell.setting for p in plan.cells if p.cell.system == "toy"} == {
        "slow-2", "slow-4", "default-2", "default-4",
    }  # fmt: skip
    for planned_cell in plan.cells:
        words = plan_file.command_of_cell(plan, planned_cell.cell).split()
        parser = BenchmarksParser("run", "")
        add_run_flags(parser)
        again = make(choices_of(parse(parser, words[4:])), "cpu")
        assert planned_cell.cell in [p.cell for p in again.cells]


def test_the_stored_plan_names_every_cell_in_order(planned: Make, quiet: Any, tmp_path: Path) -> None:
    plan = planned(system="toy,moody")
    runner.run(plan, quiet, ("fit",))
    stored = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert stored["cells"] == [p.cell.id for p in plan.cells]
    assert stored["task"]["headline"] == ["copy_rate"]
    assert {k: v for k, v in stored.items() if k not in ("schema", "seal")} == plan_file.describe(plan)


def test_a_score_is_tried_again_only_where_its_evaluator_was_not_there(
    planned: Make, quiet: Any, tmp_path: Path
) -> None:
    runner.run(planned(), quiet)
    folder = next(iter((tmp_path / "run" / "cells").iterdir()))
    whole = store.read_scores(folder)
    for reason, values in (("missing evaluator: none here", [True, True]), ("failed: it broke", [True, False])):
        null = [dataclasses.replace(s, value=None, reason=reason) if s.metric == "length" else s for s in whole]
        store.write_scores(folder, null)
        runner.run(planned(), quiet)
        assert [score.value is not None for score in store.read_scores(folder)] == values
