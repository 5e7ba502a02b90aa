"""What a first stage says of itself is what its training wrote, or nobody believes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmos.io.artifact import read_artifact, write_artifact
from cosmos.io.errors import UserError

ABOUT: dict[str, Any] = {
    "kind": "tencdm",
    "preset": "small",
    "seed": 0,
    "text_encoder": "abc",
    "sizes": {"max_tokens": 12},
    "spent": {"steps": 8, "seconds": 2.5, "flops": 24204226560.0, "device": "cpu", "texts_seen": 64},
    "corpora": [{"name": "a.txt", "sha256": "ab" * 32, "weight": 1.0, "texts": 24}],
    "reached": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"123")
    (tmp_path / "openings.bin").write_bytes(bytes(128))
    write_artifact(tmp_path, ABOUT)
    return tmp_path


def test_what_was_written_is_read(folder: Path) -> None:
    about: dict[str, Any] = {**read_artifact(folder, "tencdm")}
    assert {name: about[name] for name in ABOUT} == ABOUT
    assert list(about["files"]) == ["weights"] and len(about["openings"]) == 64 and "seal" not in about


@pytest.mark.parametrize(
    ("was", "now"),
    [("24204226560.0", "1.0"), ('"texts": 24', '"texts": 23'), ('"small"', '"base"'), ('"max_tokens": 12', '"n": 12')],
)
def test_what_was_changed_is_refused(folder: Path, was: str, now: str) -> None:
    path = folder / "artifact.json"
    before = path.read_text()
    assert was in before
    path.write_text(before.replace(was, now))
    with pytest.raises(UserError, match=r"artifact.json was changed after it was written; restore it from a copy"):
        read_artifact(folder, "tencdm")


def test_what_lost_its_seal_or_is_of_another_version_is_refused(folder: Path) -> None:
    path = folder / "artifact.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in stored.items() if key != "seal"}))
    with pytest.raises(UserError, match="has lost its seal"):
        read_artifact(folder, "tencdm")
    for version, said in ((1, "an earlier version of this package, unsealed; train it again"), (99, "newer version")):
        path.write_text(json.dumps({**stored, "version": version}))
        with pytest.raises(UserError, match=said):
            read_artifact(folder, "tencdm")
