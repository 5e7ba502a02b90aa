"""Tasks and sources: declarations that agree with what there is."""

from __future__ import annotations

import math
import statistics

import pytest

from baselines import registry
from baselines.contract import Limits, UserError
from benchmarks import metrics, tasks
from benchmarks.data import source as sources
from benchmarks.data import world
from benchmarks.data.built_in import World, WorldOptions
from benchmarks.data.source import SPLITS


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_names_only_what_there_is(name: str) -> None:
    task = tasks.find(name)
    assert task.name == name
    assert set(task.metrics) <= set(metrics.names())
    assert set(task.headline) <= set(task.metrics)
    assert set(task.sources) <= set(sources.names())
    assert {*task.systems, *task.floors} <= set(registry.names())
    assert task.floors[-1] == "reference"
    assert task.conditional == (task.limits.source_tokens > 0)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean detox"):
        tasks.find("detx")
    with pytest.raises(UserError, match="did you mean world"):
        sources.find("wolrd")
    with pytest.raises(UserError, match="known: hub, local, world"):
        sources.find("elsewhere")


def test_limits_are_those_of_the_real_sets() -> None:
    limits = {name: tasks.find(name).limits for name in ("story", "question", "summary", "detox")}
    assert limits == {
        "story": Limits(0, 80),
        "question": Limits(384, 40),
        "summary": Limits(512, 64),
        "detox": Limits(40, 40),
    }


def test_every_note_speaks_of_licence_and_harm() -> None:
    for name in ("story", "question", "summary", "detox"):
        note = tasks.find(name).note
        assert "Apache-2.0" in note
        assert "do not" in note


@pytest.mark.parametrize("task", ["story", "question", "summary", "detox"])
def test_the_world_gives_as_many_documents_as_asked_and_the_first_of_them(task: str) -> None:
    world = World(WorldOptions(train=7, validation=3, test=5, seed=1))
    documents = {split: world.load(task, split) for split in SPLITS}
    assert {split: len(part) for split, part in documents.items()} == {"train": 7, "validation": 3, "test": 5}
    assert all((d.source is not None) == tasks.find(task).conditional for d in documents["test"])
    assert world.load(task, "test", 2) == documents["test"][:2]
    assert world.load(task, "test", 99) == documents["test"]
    assert World(WorldOptions(test=9, seed=1)).load(task, "test")[:5] == documents["test"]
    assert World(WorldOptions(test=5, seed=2)).load(task, "test") != documents["test"]


@pytest.mark.parametrize("split", SPLITS)
def test_no_split_may_be_empty(split: str) -> None:
    with pytest.raises(UserError, match=f"data.{split} must be at least 1"):
        WorldOptions(**{split: 0})


def test_the_record_has_the_entropy_of_the_language() -> None:
    """The mean loss of the language itself on its test documents is what no model can be below."""
    source = World(WorldOptions())
    story = source.content("story")
    assert story["texts"] == world.distinct_stories() >= 10**12
    assert story["entropy_nats"] == world.story_entropy()
    for task, loss in (
        ("question", world.log_prob_question),
        ("summary", world.log_prob_summary),
        ("detox", world.log_prob_target),
    ):
        found = source.content(task)
        documents = source.load(task, "test")
        losses = [-loss(document.target, str(document.source)) for document in documents]
        error = math.hypot(found["entropy_nats_error"], statistics.stdev(losses) / math.sqrt(len(losses)))
        assert 0 < found["entropy_nats"] == pytest.approx(statistics.fmean(losses), abs=4 * error)
    assert World(WorldOptions(test=1)).content("detox")["entropy_nats_error"] is None


def test_a_task_the_world_does_not_have_is_refused() -> None:
    with pytest.raises(UserError, match="detox"):
        World(WorldOptions()).load("detoxx", "test")
