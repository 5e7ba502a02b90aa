"""The source hub: what it loads and records, and what is said where there is no network.

No test downloads anything: the loading itself is seen only with a stand-in for the package `datasets`.
"""

from __future__ import annotations

import dataclasses
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.data import hub, hub_rules
from benchmarks.data.hub import SETS, Hub, HubOptions
from benchmarks.data.source import SPLITS

sys.path.insert(0, str(Path(__file__).parent))
from hub_tables import SQUAD, STORIES


def test_article_lists_are_files_of_one_folder(tmp_path: Path) -> None:
    for split, text in (("train", "Tea\n"), ("dev", "Ice\n"), ("test", "Rome\n")):
        (tmp_path / f"doclist-{split}.txt").write_text(text)
    assert hub._articles(tmp_path) == {"tea": "train", "ice": "validation", "rome": "test"}
    with pytest.raises(UserError, match=r"doclist-train\.txt, doclist-dev\.txt, doclist-test\.txt"):
        hub._articles(tmp_path / "nowhere")


class Table:
    """A table as `datasets` gives it."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self.data = data
        self.column_names = list(data)
        self.cache_files = [{"filename": "/cache/set/default/0.0.0/abc123/set-train.arrow"}]

    def select_columns(self, names: list[str]) -> Table:
        return Table({name: self.data[name] for name in names})

    def to_dict(self) -> dict[str, list[Any]]:
        return self.data


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A stand-in for `datasets` and for the hub; holds the calls made."""
    calls: list[Any] = []

    def load_dataset(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        if args[0] == "rajpurkar/squad":
            raise ValueError("Bad split.\nmore")
        return {split: Table({**table, "more": [1] * len(table["prompt"])}) for split, table in STORIES.items()}

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(hub, "resolve", lambda repository, revision: f"commit of {revision}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return calls


def test_a_set_is_loaded_once_at_a_commit_and_recorded(library: list[Any]) -> None:
    source = Hub(HubOptions(train=5, test=1))
    assert len(source.load("story", "test")) == 1
    assert len(source.load("story", "validation")) == 2
    assert library == [(("Ximing/ROCStories", None), {"streaming": False, "revision": "commit of main"})]
    content = source.content("story")
    assert content["set"] == "rocstories"
    assert content["revision"] == "commit of main"
    assert content["rows"] == {"train": 1, "validation": 2, "test": 2}
    assert len(set(content["sha256"].values())) == 3


def test_the_revision_may_be_chosen_and_bad_sets_are_told(library: list[Any]) -> None:
    Hub(HubOptions(revision="v1")).load("story", "test")
    assert library[-1][1]["revision"] == "commit of v1"
    with pytest.raises(UserError, match=r"rajpurkar/squad cannot be loaded from the hub: Bad split\."):
        Hub(HubOptions()).load("question", "test")
    with pytest.raises(UserError, match="has no column document and no column summary and no column id"):
        Hub(HubOptions()).load("summary", "test")


def test_a_streamed_set_must_say_how_many(library: list[Any]) -> None:
    with pytest.raises(UserError, match=r"wikipedia is streamed, so say how many"):
        Hub(HubOptions(name="wikipedia", train=5)).load("story", "train")
    assert not library


def test_passages_are_streamed_beside_a_set(library: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    articles = [{"id": str(i), "text": f"Article {i} says this. " + "It goes on and on. " * 12} for i in range(50)]
    load = sys.modules["datasets"].load_dataset

    def load_dataset(name: str, *args: Any, streaming: bool, **kwargs: Any) -> Any:
        return {"train": articles} if streaming else load(name, *args, streaming=streaming, **kwargs)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    source = Hub(HubOptions(passages="wikipedia", passage_count=7))
    found = source.passages("story")
    assert len(found) == 7
    assert all(text.startswith("Article ") for text in found)
    content = source.content("story")["passages"]
    assert (content["repository"], content["revision"], content["rows"]) == ("wikimedia/wikipedia", "commit of main", 7)
    assert Hub(HubOptions()).passages("story") == []
    known = source.load("story", "test")[0].target
    articles.insert(0, {"id": "1", "text": known + " " * 3})
    monkeypatch.setattr(hub_rules, "passages", lambda text: [text.strip()])
    leaking = Hub(HubOptions(passages="wikipedia", passage_count=7, passage_revision="v2"))
    assert len(leaking.passages("story")) == 6
    assert leaking.content("story")["passages"]["left_out"] == 1
    assert leaking.content("story")["passages"]["revision"] == "commit of v2"
    with pytest.raises(UserError, match=r"streamed, so say how many passages with --set data\.passage_count=N"):
        HubOptions(passages="wikipedia")
    with pytest.raises(UserError, match=r"set of passages.*squad"):
        HubOptions(passages="squad")


def test_names_that_do_not_fit_are_told() -> None:
    with pytest.raises(UserError, match="did you mean squad"):
        HubOptions(name="sqaud")
    with pytest.raises(UserError, match="xsum is not for the task detox; use paradetox or paradetox-authors"):
        Hub(HubOptions(name="xsum")).load("detox", "test")
    with pytest.raises(UserError, match="articles is for the set squad"):
        Hub(HubOptions(articles="lists")).load("detox", "test")
    with pytest.raises(UserError, match=r"data\.train must be 0"):
        HubOptions(train=-1)


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_nothing_is_imported_and_nobody_is_asked(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    asked: list[object] = []
    for module in ("datasets", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, module, None)
    for function in ("getaddrinfo", "create_connection", "socket"):
        monkeypatch.setattr(socket, function, lambda *words, **_: asked.append(words))
    with pytest.raises(
        UserError, match=rf"EdinburghNLP/xsum is not in the cache .* \({variable} is set\).* --no-offline"
    ):
        Hub(HubOptions()).load("summary", "test")
    assert asked == []


def test_the_cache_is_used_offline(library: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    folder = tmp_path / "Ximing___roc_stories" / "default" / "0.0.0" / "abc123"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="not in the cache"):
        Hub(HubOptions()).load("story", "test")
    (folder / "roc_stories-train.arrow").touch()
    source = Hub(HubOptions())
    assert len(source.load("story", "test")) == 2
    assert library[-1] == (("Ximing/ROCStories", None), {"streaming": False})
    assert source.content("story")["revision"] == "abc123"


def test_tables_of_the_real_library_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder instead of a repository; everything after the download is as it is for the hub."""
    pytest.importorskip("datasets")
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set").mkdir()
    for split, table in SQUAD.items():
        pq.write_table(pa.table({**table, "extra": [1] * len(table["id"])}), tmp_path / "set" / f"{split}.parquet")
    monkeypatch.setattr(hub, "resolve", lambda repository, revision: "")
    monkeypatch.setattr(hub, "is_cached", lambda repository: True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub, "SETS", {"squad": dataclasses.replace(SETS["squad"], repository=str(tmp_path / "set"))})
    source = Hub(HubOptions())
    expected = hub_rules.questions(SQUAD)
    assert {split: sorted(d.id for d in source.load("question", split)) for split in SPLITS} == {
        split: sorted(d.id for d in found) for split, found in expected.items()
    }
    assert list(source.load("question", "test")) == expected["test"]
    assert len(source.content("question")["revision"]) > 8


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "resolve", lambda repository, revision: "abc")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"\[hub\]"):
        Hub(HubOptions()).load("detox", "test")


class Api:
    """The hub's API, which answers with an error."""

    error: Exception

    def dataset_info(self, *args: Any, **kwargs: Any) -> Any:
        assert kwargs["timeout"] <= 10
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("RepositoryNotFoundError", "The hub has no data set a/b, or it needs a login"),
        ("RevisionNotFoundError", "a/b has no revision v1"),
        ("GatedRepoError", "given out on request"),
        ("HfHubHTTPError", "The hub refused a/b: trouble"),
    ],
)
def test_what_the_hub_answers_becomes_one_sentence(error: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("huggingface_hub.errors")
    kind = getattr(errors, error)
    Api.error = kind.__new__(kind, "trouble")
    Exception.__init__(Api.error, "trouble")
    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    with pytest.raises(UserError, match=message) as caught:
        hub.resolve("a/b", "v1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ConnectionError", "TimeoutError", "transport"])
def test_an_unreachable_hub_is_one_sentence_with_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = pytest.importorskip("huggingface_hub.errors")
    kinds = {"ConnectionError": ConnectionError, "TimeoutError": TimeoutError}
    error = kinds.get(name, errors.HfHubHTTPError.__bases__[0])("trouble")
    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    Api.error = error
    with pytest.raises(UserError, match=r"cannot be reached \(\w+\) to get a/b; use --source local or world"):
        hub.resolve("a/b", "main")
    (tmp_path / "a___b" / "default" / "0.0.0" / "abc").mkdir(parents=True)
    (tmp_path / "a___b" / "default" / "0.0.0" / "abc" / "b-test.arrow").touch()
    with pytest.raises(UserError, match="it is in the cache, so use it as it is there with --offline"):
        hub.resolve("a/b", "main")
    Api.error = KeyError("a fault of ours")
    with pytest.raises(KeyError):
        hub.resolve("a/b", "main")


def test_every_set_serves_a_task_and_each_task_has_one() -> None:
    assert {task for known in SETS.values() for task in known.tasks} == {"story", "question", "summary", "detox"}
    usual = {task: Hub(HubOptions())._chosen(task)[0] for task in ("story", "question", "summary", "detox")}
    assert usual == {"story": "rocstories", "question": "squad", "summary": "xsum", "detox": "paradetox"}
