"""What other packages offer, and what is said where it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks import tasks
from benchmarks.data import source as sources
from benchmarks.metrics import registry as metrics

MODULE = """
from dataclasses import dataclass
from baselines.contract import Limits
from benchmarks.metrics.metric import Metric
from benchmarks.tasks import Task

TASK = Task("mine", "1", "Mine", False, Limits(0, 8), (), (), (), (), (), "")
METRIC = Metric("mine", "Mine.", "none")


@dataclass(frozen=True)
class Options:
    size: int = 3


class Good:
    Options, version = Options, "1"

    def load(self, task, split, limit=None):
        return []


class Unversioned:
    Options, load = Options, Good.load


class Plain:
    Options, version, load = int, "1", Good.load
"""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Offer `name = attribute` of an outside module in a group."""
    (tmp_path / "offered_things.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def offer(group: str, name: str, attribute: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cosmos_bench.{group}]\n{name} = offered_things:{attribute}\n")

    return offer


@pytest.mark.parametrize(
    ("group", "registry", "attribute"),
    [("tasks", tasks, "TASK"), ("metrics", metrics, "METRIC"), ("sources", sources, "Good")],
)
def test_what_another_package_offers_is_found(offer, group, registry, attribute) -> None:  # type: ignore[no-untyped-def]
    before = tuple(registry.names())
    offer(group, "mine", attribute)
    assert tuple(registry.names()) == (*before, "mine")
    assert registry.find("mine").__class__.__name__ in ("Task", "Metric", "type")


@pytest.mark.parametrize(
    ("group", "registry", "attribute", "message"),
    [
        ("tasks", tasks, "METRIC", "The task 'mine' .* offered_things:METRIC is no benchmarks.tasks.Task"),
        ("metrics", metrics, "Good", "The metric 'mine' .* is no benchmarks.metrics.metric.Metric"),
        ("sources", sources, "Unversioned", "The source 'mine' .* offered_things:Unversioned has no version"),
        ("sources", sources, "Plain", "has Options that are no dataclass"),
        ("sources", sources, "TASK", "has no Options and no load"),
        ("tasks", tasks, "NOTHING", "The task 'mine' of another package cannot be loaded"),
    ],
)
def test_what_cannot_be_used_is_told(offer, group, registry, attribute, message) -> None:  # type: ignore[no-untyped-def]
    offer(group, "mine", attribute)
    with pytest.raises(UserError, match=message):
        registry.find("mine")


@pytest.mark.parametrize(
    ("group", "registry", "name"),
    [("tasks", tasks, "detox"), ("metrics", metrics, "bleu"), ("sources", sources, "hub")],
)
def test_a_name_that_is_taken_is_refused(offer, group, registry, name) -> None:  # type: ignore[no-untyped-def]
    offer(group, name, "TASK")
    with pytest.raises(UserError, match=f"'{name}' of another package, offered_things:TASK, has a name that is taken"):
        registry.names()
