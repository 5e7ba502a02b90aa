"""The presets of nano are what the published tuning chose, and every system had the same trials in it."""

from __future__ import annotations

import json
import re
import statistics
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from baselines import registry
from benchmarks.planning.overrides import flatten, plain
from benchmarks.tracking import training_noise
from benchmarks.tuning.protocol import AS_IT_STANDS, stored
from benchmarks.tuning.space import AXES

PUBLISHED = Path(__file__).parents[2] / "reports" / "published" / "2026-11-30-tuning"
SYSTEMS = json.loads((PUBLISHED / "tuning.json").read_text())["systems"]
SECOND = json.loads((PUBLISHED / "second-round.json").read_text())["systems"]


def tuned(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe that are on the axes of the grid."""
    return {
        key: value
        for key, value in flatten(recipe)
        if key.rpartition(".")[2] in AXES and not key.startswith("distillation.")
    }


def chosen(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(candidate for candidate in one["candidates"] if candidate["name"] == one["chosen"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_preset_is_what_was_chosen(system: str) -> None:
    """By the second round, with three seeds."""
    preset = plain(registry.find(system).presets["nano"])
    assert tuned(preset) == tuned(chosen(SECOND[system])["recipe"])


@pytest.mark.parametrize("system", SECOND)
def test_the_second_round_is_that_of_the_best_of_the_first(system: str) -> None:
    """Three recipes of three seeds each: the one that the first round chose, and those that came next to it."""
    first = sorted(SYSTEMS[system]["candidates"], key=lambda c: c["trials"]["0"]["value"], reverse=True)
    best = [_point(c["recipe"]) for c in first if c["name"] != AS_IT_STANDS or _point(c["recipe"]) == _best(system)][:3]
    tried = SECOND[system]["candidates"]
    assert sorted(_point(c["recipe"]) for c in tried) == sorted(best)
    assert all(set(c["trials"]) == {"0", "1", "2"} for c in tried)


@pytest.mark.parametrize("system", SECOND)
def test_the_best_mean_was_chosen(system: str) -> None:
    means = {
        c["name"]: statistics.fmean(t["value"] for t in c["trials"].values()) for c in SECOND[system]["candidates"]
    }
    assert means[SECOND[system]["chosen"]] == max(means.values())


def test_the_second_round_is_of_the_trials_that_are_kept() -> None:
    """Every score of it stands in a sealed trial."""
    found = {(t.system, c.name): c.values for t in stored(PUBLISHED / "trials") for c in t.candidates}
    for system, one in SECOND.items():
        for c in one["candidates"]:
            assert found[system, c["name"]] == [trial["value"] for _, trial in sorted(c["trials"].items())]


def _best(system: str) -> tuple[Any, ...]:
    return _point(chosen(SYSTEMS[system])["recipe"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_best_score_was_chosen(system: str) -> None:
    scores = {c["name"]: c["trials"]["0"]["value"] for c in SYSTEMS[system]["candidates"]}
    assert scores[SYSTEMS[system]["chosen"]] == max(scores.values())


def test_every_system_had_the_same_points() -> None:
    def points(system: str) -> set[tuple[Any, ...]]:
        grid = [c["recipe"] for c in SYSTEMS[system]["candidates"] if c["name"] != AS_IT_STANDS]
        stood = [c["recipe"] for c in SYSTEMS[system]["candidates"] if c["name"] == AS_IT_STANDS]
        return {_point(recipe) for recipe in grid} | {_point(recipe) for recipe in stood if _point(recipe) in GRID}

    assert set(SYSTEMS) == {"cosmos", "gpt2", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq"}
    found = {system: points(system) for system in SYSTEMS}
    assert found == dict.fromkeys(SYSTEMS, GRID)


GRID = {
    (rate, batch, dropout)
    for rate in (1e-3, 2e-3, 4e-3, 8e-3)
    for batch in (8, 16, 32)
    for dropout in (0.0, 0.1)
    if (rate, batch) not in ((1e-3, 8), (8e-3, 32))
}


def _point(recipe: Mapping[str, Any]) -> tuple[Any, ...]:
    """The one value on each axis, or all of them where parts of a recipe differ."""
    by_axis: dict[str, set[Any]] = {axis: set() for axis in AXES}
    for key, value in tuned(recipe).items():
        by_axis[key.rpartition(".")[2]].add(value)
    return tuple(values.pop() if len(values) == 1 else tuple(sorted(values)) for values in by_axis.values())


def test_the_table_of_before_and_after_is_of_the_records() -> None:
    """Means and standard deviations in docs/tuning.md and the README are those of the scores kept, of three seeds, and
    so is what comparisons say of training noise."""
    scores = defaultdict[tuple[str, str], dict[str, list[float]]](lambda: {"before": [], "now": []})
    with tarfile.open(PUBLISHED / "before-after.tar.xz") as archive:
        members = {member.name: member for member in archive}
        for name in sorted(name for name in members if name.endswith("header.json")):
            cell = json.load(archive.extractfile(members[name]))["cell"]
            lines = archive.extractfile(members[name.replace("header.json", "scores.jsonl")]).read().splitlines()
            (value,) = [one["value"] for one in map(json.loads, lines) if one["metric"] == "exact_j"]
            scores[cell["system"], cell["setting"]][name.partition("-")[0]].append(value)
    assert {system for system, _ in scores} == set(SYSTEMS)
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
    readme = (Path(__file__).parents[2] / "README.md").read_text().splitlines()
    for (system, setting), found in scores.items():
        told = [f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}" for values in found.values()]
        assert all(len(values) == 3 for values in found.values())
        assert f"| {system} | {setting} | {told[0]} | {told[1]} |" in page
        told_first = [row for row in readme if row.startswith(f"| {system} | {setting} |")]
        assert told_first in ([], [f"| {system} | {setting} | {told[1]} |"])
    deviations = {entry: round(statistics.stdev(found["now"]), 3) for entry, found in scores.items()}
    assert {(noise.system, noise.setting): noise.deviation for noise in training_noise.MEASURED} == deviations
    page = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
    assert all(f"| {system}, {setting} | {value:.3f} |" in page for (system, setting), value in deviations.items())


def test_the_table_of_few_calls_is_of_the_records() -> None:
    root = Path(__file__).parents[2]
    lines = (root / "reports/published/2026-11-30-h200/few-calls/scores.jsonl").read_text().splitlines()
    page = (root / "docs" / "few-calls.md").read_text()
    table = page[page.index("| calls | 1 | 2 | 4 | 8 | 21 | most |") : page.index("**Here eight calls")]
    told = sorted(float(number) for number in re.findall(r"\d+\.\d", table))
    assert told == sorted(round(json.loads(line)["bleu"], 1) for line in lines)
