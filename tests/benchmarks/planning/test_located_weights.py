"""A first stage from elsewhere that is not there, or of another method, is refused by `plan` as by `run`, and so are
more layers than an encoder has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli.main import main
from benchmarks.planning import located_weights, plan
from benchmarks.planning.run_config import gather
from benchmarks.records import store
from cosmos.io.artifact import MODEL, OPENINGS, write_artifact

SMALL = ("--task", "detox", "--device", "cpu", "--limit", "2", "--set", "data.train=20", "--set", "budget=1steps")


def first_stage(folder: Path, kind: str) -> Path:
    """The header of a first stage."""
    (folder / MODEL).mkdir(parents=True)
    (folder / OPENINGS).write_bytes(b"")
    spent: dict[str, Any] = {"steps": 1, "seconds": 1.0, "flops": 1.0, "device": "cpu", "texts_seen": 1}
    about = {"preset": "nano", "seed": 0, "text_encoder": "none", "sizes": {}, "spent": spent}
    write_artifact(folder, {"kind": kind, **about, "corpora": [], "reached": {}})
    return folder


@pytest.mark.parametrize(
    ("system", "key", "named", "said"),
    [
        ("tencdm", "decoder", "empty", "holds no finished first stage"),
        ("tencdm", "decoder", "file", "holds no finished first stage"),
        ("tencdm", "decoder", "nowhere", "holds no finished first stage"),
        ("tencdm", "decoder", "ld4lg", "holds a first stage of ld4lg, and tencdm needs one of its own"),
        ("tencdm", "decoder", "tencdm", "was trained on another text encoder"),
        ("tencdm", "encoder_layers", "9", "has 6 layers, not 9; ask for at most 6"),
        ("cosmos", "model.encoder_layers", "9", "has 6 layers, not 9; ask for at most 6"),
        ("cosmos", "autoencoder", "tencdm", "holds a first stage of tencdm, and cosmos needs one of its own"),
    ],
)
def test_plan_refuses_what_run_refuses(
    system: str,
    key: str,
    named: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").write_text("x")
    for kind in ("ld4lg", "tencdm"):
        first_stage(Path(kind), kind)
    words = (*SMALL, "--system", f"gpt2,{system}", "--set", f"{system}.recipe.{key}={named}", "--out", "run")
    told = []
    for verb in ("plan", "run"):
        assert main([verb, *words]) == 2, verb
        shown = capsys.readouterr()
        assert shown.out == ""
        told.append(shown.err)
        assert not Path("run", "cells").exists() and not Path("run", "checkpoints").exists()
    assert said in told[0] and told[0].count("\n") == 1 and told[0] == told[1]


def test_what_is_trained_already_needs_no_first_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = {"task": "detox", "system": "tencdm", "out": "run"}
    made = plan.make(gather(flags, ["tencdm.recipe.decoder=gone"]), "cpu")
    for planned in made.cells:
        path = store.fit_file(made.folder, planned.cell.checkpoint_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    located_weights.check_plan(made)
