"""The tokenizer of a run: kept with it, told in headers and signatures, and what it takes from the references."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reports
from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import run_texts, store
from benchmarks.running import runner, scoring
from cosmos.text import round_trip

Make = Callable[..., Plan]
CASED = "data.word=Wörd"  # as the toys' source writes, and no system with an uncased tokenizer can


@pytest.fixture(autouse=True)
def _read_again() -> None:
    scoring._round_trip.cache_clear()


def only(run: Path, system: str = "knowing") -> Path:
    [found] = [r.header.cell for r in store.read_run(run) if r.header.cell.system == system]
    return store.cell_folder(run, found.id)


def header(folder: Path) -> Any:
    found = store.read_header(folder)
    assert found is not None
    return found


def test_a_perfect_answer_is_perfect_whatever_letters_it_has(planned: Make, quiet: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert runner.run(planned(CASED, system="knowing", metric="usual,chrf"), quiet).exit_code == 0
    folder = only(run)
    trip = round_trip.find(None)
    assert header(folder).tokenizer == {"name": round_trip.PACKAGED, "sha256": trip.sha256}
    assert run_texts.read_tokenizer(run, trip.sha256) == trip.content
    found = {score.metric: score for score in store.read_scores(folder)}
    assert found["chrf"].value == pytest.approx(100.0)
    assert {score.signature.form for score in found.values()} == {trip.form}
    lost = store.read_as_written(folder)  # of what an accent changes: no word is longer or shorter for it
    values = [(score.metric, score.value) for score in lost]
    assert [metric for metric, _ in values] == ["copy_rate", "copy_rate", "chrf", "chrf"]
    assert [value for _, value in values][:3] == [1.0, 0.0, pytest.approx(100.0)]
    assert values[3][1] is not None and values[3][1] < 70.0
    forms = [score.signature.form for score in lost]
    assert forms == 2 * ["as written", f"{trip.form}, against as written"]
    text = reports.write(run)["markdown"].read_text(encoding="utf-8")
    assert "What the tokenizer takes from the references" in text
    assert "| reference through the tokenizer |" in text
    assert f"went through the tokenizer of the run ({round_trip.PACKAGED})" in text
    assert f"- **Tokenizer:** {round_trip.PACKAGED}, sha256 {trip.sha256}" in text


def test_where_nothing_is_taken_nothing_is_said(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(system="knowing,toy", metric="chrf"), quiet)
    for record in store.read_run(tmp_path / "run"):
        assert record.as_written == ()
    text = reports.write(tmp_path / "run")["markdown"].read_text(encoding="utf-8")
    assert "What the tokenizer takes" not in text


def test_scores_of_texts_as_they_were_written_are_taken_again(planned: Make, quiet: Any, tmp_path: Path) -> None:
    """Those of earlier versions of this project, whose headers do not say a tokenizer either."""
    run = tmp_path / "run"
    runner.run(planned(CASED, system="knowing"), quiet)
    folder = only(run)
    new = store.read_scores(folder)
    old = [dataclasses.replace(s, signature=dataclasses.replace(s.signature, options={}), value=0.5) for s in new]
    store.write_scores(folder, old)
    store.write_header(folder, dataclasses.replace(header(folder), tokenizer={}))
    shutil.rmtree(run / "tokenizers")
    runner.run(planned(CASED, system="knowing"), quiet)
    assert store.read_scores(folder) == new


def test_a_lost_tokenizer_is_found_on_the_machine_or_missed(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    runner.run(planned(CASED, system="knowing"), quiet)
    folder, trip = only(run), round_trip.find(None)
    [path] = (run / "tokenizers").iterdir()
    kept = path.read_bytes()
    path.unlink()
    assert scoring.normaliser_of(run, header(folder)).form == trip.form
    scoring._round_trip.cache_clear()
    other = round_trip.RoundTrip(trip.content + b" ")
    monkeypatch.setattr(scoring.round_trip, "find", lambda name: other)
    with pytest.raises(UserError, match=r"has lost its tokenizer .*; copy it from where the run was made"):
        scoring.normaliser_of(run, header(folder))
    for damaged, said in ((kept[:-9], "is damaged; restore"), (gzip.compress(b"{}"), "holds another tokenizer")):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=said):
            run_texts.read_tokenizer(run, trip.sha256)


def test_an_encoder_that_is_not_here_ends_a_run_before_anything_is_made(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(system="toy,knowing")
    cells = [
        dataclasses.replace(one, cell=dataclasses.replace(one.cell, tokenizer="no-such-encoder")) for one in plan.cells
    ]
    with pytest.raises(UserError, match="'no-such-encoder' is neither a folder nor in the local Hugging Face cache"):
        runner.run(dataclasses.replace(plan, cells=tuple(cells)), quiet)
    assert not (tmp_path / "run" / "cells").exists()
