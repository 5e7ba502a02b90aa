"""A run that is taken up again: other documents are refused, other code is said, and `--fresh` makes all again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import environment, store
from benchmarks.running import reuse, runner
from cosmos.text import round_trip

Make = Callable[..., Plan]
MADE = ("fit", "generate")

pytestmark = pytest.mark.usefixtures("no_power_cuts")


def give(monkeypatch: pytest.MonkeyPatch, plan: Plan, changed: str, passages: Sequence[str] = ("a", "b")) -> None:
    """Let the source of a plan give other texts in a split from now on."""
    load = type(plan.source).load

    def other(self: Any, task: str, split: str, limit: int | None = None) -> list[Document]:
        documents = list(load(self, task, split, limit))
        last = documents[-1]
        return [*documents[:-1], Document(last.id, last.source, "new", ("new",))] if split == changed else documents

    texts = ["a", "c"] if changed == "passages" else list(passages)
    monkeypatch.setattr(type(plan.source), "load", other)
    monkeypatch.setattr(type(plan.source), "passages", lambda self, task: texts, raising=False)


@pytest.mark.parametrize("split", ["train", "validation", "passages", "test"])
@pytest.mark.parametrize("system", ["toy", "moody"])
def test_other_documents_are_refused_for_old_systems_and_new_ones(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, system: str
) -> None:
    with monkeypatch.context() as patch:
        give(patch, planned(), "none")
        assert runner.run(planned(), quiet, MADE).exit_code == 0
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.is_file()}
        plan = planned(system=system)
        give(patch, plan, split)
        with pytest.raises(UserError, match=rf"The {reuse.SPLITS[split]} changed since .* choose another folder"):
            runner.run(plan, quiet)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.is_file()} == before


def test_other_documents_are_refused_where_training_was_interrupted(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(setting="fast")
    system = plan.cells[0].contestant.system
    with monkeypatch.context() as patch:

        def interrupted(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(system, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runner.run(plan, quiet)
    give(monkeypatch, plan, "train", ())
    with pytest.raises(UserError, match="The training documents changed"):
        runner.run(plan, quiet)


def files(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("stages", [("fit", "generate"), ("generate",)], ids=["fit", "generate"])
def test_a_tokenizer_of_the_same_name_and_another_content_is_refused(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: Any
) -> None:
    assert runner.run(planned(setting="fast"), quiet, MADE).exit_code == 0
    before = files(tmp_path / "run")
    other = round_trip.RoundTrip(round_trip.find(None).content + b"\n")
    monkeypatch.setattr(round_trip, "find", lambda name: other)
    with pytest.raises(
        UserError, match=r"^The tokenizer '.*' changed since .* choose another folder with --out, or .*"
    ):
        runner.run(planned(setting="default"), quiet, stages)
    assert files(tmp_path / "run") == before
    assert runner.run(planned(setting="fast"), quiet, MADE).exit_code == 0, "nothing is made with it"
    assert runner.run(planned(setting="fast"), quiet, MADE, fresh=True).exit_code == 0, "all is made with the new one"
    assert store.read_headers(tmp_path / "run")[0].tokenizer["sha256"] == other.sha256


def test_other_code_is_said_and_fresh_makes_all_again(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "commit", lambda: ("a" * 40, False))
    runner.run(planned(setting="fast"), quiet, MADE)
    runner.run(planned(setting="fast"), quiet, MADE)
    assert quiet.lines[-1].endswith(": generated already")
    monkeypatch.setattr(environment, "commit", lambda: ("b" * 40, False))
    other = "by commit aaaaaaaaaa, now commit bbbbbbbbbb"
    runner.run(planned(setting="fast"), quiet, MADE)
    assert quiet.lines[-1].endswith(f": generated already: {other}; --fresh makes it again")
    runner.run(planned(setting="default"), quiet, MADE)
    assert f"toy seed 0: trained already: {other}; --fresh trains it again" in quiet.lines
    plan = planned()
    training = tmp_path / "run" / "checkpoints"
    before = {path: path.stat().st_ino for path in training.rglob("*")}
    assert runner.run(plan, quiet, ("generate",), fresh=True).exit_code == 0
    assert {path: path.stat().st_ino for path in training.rglob("*")} == before
    headers = [record.header for record in store.read_run(tmp_path / "run")]
    assert [(header.commit[0], header.trained_with["commit"][0]) for header in headers if header.commit] == [
        ("b", "a")
    ] * 2
    assert runner.run(plan, quiet, fresh=True).exit_code == 0
    records = store.read_run(tmp_path / "run")
    assert {record.header.trained_with["commit"][0] for record in records} == {"b"}
    assert all(record.scores for record in records)


def test_fresh_trains_no_checkpoint_again_that_other_cells_have(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet, MADE)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.is_file()}
    with pytest.raises(UserError, match=r"toy default in .* name that setting too"):
        runner.run(planned(setting="fast"), quiet, fresh=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*") if path.is_file()} == before
    assert runner.run(planned(setting="fast"), quiet, ("generate",), fresh=True).exit_code == 0


def test_fresh_wants_a_checkpoint_to_generate_with(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(setting="fast"), quiet, MADE)
    next((tmp_path / "run" / "checkpoints").glob("*.json")).unlink()
    with pytest.raises(UserError, match="toy is not trained yet"):
        runner.run(planned(setting="fast"), quiet, ("generate",), fresh=True)
    assert len(store.read_run(tmp_path / "run")[0].samples) == 23


def test_uncommitted_changes_may_be_any(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"commit": "a" * 40, "dirty": True, "packages": {"torch": "2.1"}}
    assert reuse.other_code(one, {**one, "dirty": None, "commit": None}) == (
        "by commit aaaaaaaaaa with uncommitted changes, now an unknown commit"
    )
    assert reuse.other_code(one, one) == "by commit aaaaaaaaaa with uncommitted changes, now these or other changes"
    clean = {**one, "dirty": False}
    assert reuse.other_code(clean, clean) is None
    assert reuse.other_code(clean, {**clean, "packages": {"torch": "2.2"}}) == "with torch 2.1, now 2.2"
