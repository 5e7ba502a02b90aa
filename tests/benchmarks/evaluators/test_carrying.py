"""Models carried in a folder are found on the other machine as they were, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks import evaluators
from benchmarks.cli import main as cli
from benchmarks.evaluators.cache_paths import MANIFEST, hub_root, own_folder

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Be on a machine of a name: caches of its own, with nothing in them at first."""

    def be(name: str) -> None:
        monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / name / "cosmos"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / name / "hub"))
        monkeypatch.setenv("NLTK_DATA", str(tmp_path / name / "nltk"))
        monkeypatch.setenv("HOME", str(tmp_path / name))

    be("first")
    return be


def on_the_hub(repository: str) -> Path:
    """A repository in the local cache, as the hub's library leaves it: links to blobs."""
    root = hub_root(repository)
    snapshot = root / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(REVISION)
    (root / "blobs").mkdir()
    for name, content in (("config.json", b"{}"), ("model.safetensors", b"weights")):
        (root / "blobs" / name).write_bytes(content)
        (snapshot / name).symlink_to(root / "blobs" / name)
    return snapshot


def made_here(name: str) -> Path:
    folder = own_folder(name)
    (folder / "deeper").mkdir(parents=True)
    (folder / "tiny.ckpt").write_bytes(b"checkpoint")
    (folder / "deeper" / "file").write_bytes(b"more")
    (folder / MANIFEST).write_text(json.dumps({"name": name, "files": {}}))
    return folder


def test_models_of_the_hub_and_of_our_own_arrive_as_they_were(machine, tmp_path: Path) -> None:
    on_the_hub("openai-community/gpt2-large")
    on_the_hub("somebody/judge")
    made_here("detoxify")
    names = ["gpt2-large", "somebody/judge", "detoxify"]
    states = [evaluators.locate_model(name).state for name in names]
    assert cli.main(["fetch", *names, "--to", str(tmp_path / "carried")]) == 0
    assert not any(path.is_symlink() for path in (tmp_path / "carried").rglob("*"))
    machine("second")
    assert [evaluators.locate_model(name) for name in names] == [None, None, None]
    assert cli.main(["fetch", "--from", str(tmp_path / "carried")]) == 0
    assert [evaluators.locate_model(name).state for name in names] == states
    assert evaluators.locate_model("gpt2-large").folder.name == REVISION  # known by the hub's name to every library
    assert (own_folder("detoxify") / "deeper" / "file").read_bytes() == b"more"
    assert cli.main(["fetch", "detoxify", "gpt2-large"]) == 0  # whole, and no network is asked
    assert cli.main(["fetch", "--from", str(tmp_path / "carried"), "detoxify"]) == 0  # once more


def test_the_hubs_library_finds_what_was_carried(machine, tmp_path: Path) -> None:
    on_the_hub("somebody/judge")
    evaluators.pack(["somebody/judge"], tmp_path / "carried", lambda text: None)
    machine("second")
    evaluators.unpack([], tmp_path / "carried", lambda text: None)
    code = "from huggingface_hub import snapshot_download as s; print(s('somebody/judge', local_files_only=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name == REVISION


def test_a_folder_that_nobody_packed_is_taken_by_its_name(machine, tmp_path: Path) -> None:
    plain = tmp_path / "stick" / "roberta-cola"
    plain.mkdir(parents=True)
    (plain / "config.json").write_text("{}")
    (plain / "model.safetensors").write_bytes(b"weights")
    evaluators.unpack(["roberta-cola"], tmp_path / "stick", lambda text: None)
    found = evaluators.locate_model("roberta-cola")
    assert found is not None and (found.folder / "model.safetensors").read_bytes() == b"weights"
    evaluators.fetch("roberta-cola", lambda text: None)
    (found.folder / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(UserError, match="is damaged"):
        evaluators.fetch("roberta-cola", lambda text: None)


def test_what_is_wrong_is_one_sentence(machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_here("detoxify")
    carried = tmp_path / "carried"
    for words, said in (
        (["minilm", "--to", str(carried)], "comes with a package"),
        (["--from", str(tmp_path / "nowhere")], "There is no folder"),
        (["--from", str(tmp_path)], "holds no model"),
        (["--from", "a", "--to", "b"], "not both"),
    ):
        assert cli.main(["fetch", *words]) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    evaluators.pack(["detoxify"], carried, lambda text: None)
    with pytest.raises(UserError, match="holds no gpt2-large; it holds detoxify"):
        evaluators.unpack(["gpt2-large"], carried, lambda text: None)
    (carried / "detoxify" / "tiny.ckpt").write_bytes(b"another")
    machine("second")
    with pytest.raises(UserError, match=r"tiny.ckpt is not what was packed; carry it again"):
        evaluators.unpack([], carried, lambda text: None)
    assert evaluators.locate_model("detoxify") is None
