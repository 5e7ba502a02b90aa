"""What the compiler makes lies in the folder for caches, unless the user or the machine says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch import Tensor, nn

from cosmos.runtime import compilation
from cosmos.runtime.compilation import FOLDER, compile_blocks, keep_compilations


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, "nowhere")  # so that it is as before afterwards
    monkeypatch.delenv(FOLDER)


def test_it_lies_in_the_folder_for_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cache"))
    keep_compilations()
    assert os.environ[FOLDER] == str(tmp_path / "cache" / "compiled")
    assert (tmp_path / "cache" / "compiled").is_dir()


def test_what_the_user_says_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(FOLDER, str(tmp_path / "mine"))
    keep_compilations()
    assert os.environ[FOLDER] == str(tmp_path / "mine") and not (tmp_path / "cache").exists()


def test_where_nothing_can_be_written_it_lies_where_torch_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "file"))
    keep_compilations()
    assert FOLDER not in os.environ


class Part(nn.Module):
    compiles = ("around",)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))

    def around(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("training", [False, True])
def test_what_lies_around_layers_is_compiled_too(
    training: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path))
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    whole = nn.ModuleDict({"part": Part()})
    names = [(type(module).__name__, name) for module, name, _ in compile_blocks({"": whole}, training=training)]
    assert names == [("Linear", "forward")] * 3 + [("Part", "around")]
