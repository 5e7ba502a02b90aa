"""The presets of nano are what the published tuning chose, and every system had the same trials in it."""

from __future__ import annotations

import json
import re
import statistics
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from baselines import registry
from benchmarks.planning.overrides import flatten, plain
from benchmarks.tracking import training_noise
from benchmarks.tuning.protocol import AS_IT_STANDS, stored
from benchmarks.tuning.space import AXES
from benchmarks.tuning.trial import TrialResult

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports" / "published" / "2026-11-30-tuning"
LAYERS = ROOT / "reports" / "published" / "2026-12-01-nano"
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


Scores = dict[tuple[str, str], dict[str, list[float]]]
"""System and setting -> what the folder of a run begins with -> `exact_j` of each training."""


def scores_in(archive: Path) -> Scores:
    scores: Scores = defaultdict(lambda: defaultdict(list))
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed}

        def read(name: str) -> bytes:
            file = packed.extractfile(members[name])
            assert file is not None
            return file.read()

        for name in sorted(name for name in members if name.endswith("header.json")):
            cell = json.loads(read(name))["cell"]
            lines = read(name.replace("header.json", "scores.jsonl")).splitlines()
            (value,) = [one["value"] for one in map(json.loads, lines) if one["metric"] == "exact_j"]
            scores[cell["system"], cell["setting"]][name.partition("-")[0]].append(value)
    assert all(len(values) == 3 for found in scores.values() for values in found.values())
    return scores


def told(values: list[float]) -> str:
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"


class Published(NamedTuple):
    """Scores of test documents: before and after the tuning, of one layer of the encoder, and the newest of each."""

    tuned: Scores
    one_layer: Scores

    @property
    def newest(self) -> dict[tuple[str, str], list[float]]:
        tuned = {entry: found["now"] for entry, found in self.tuned.items()}
        return tuned | {entry: found["layer"] for entry, found in self.one_layer.items()}


@pytest.fixture(scope="module")
def published() -> Published:
    """Read when a test asks, so that no archive is unpacked while tests are collected."""
    return Published(scores_in(PUBLISHED / "before-after.tar.xz"), scores_in(LAYERS / "one-layer.tar.xz"))


def test_tables_of_test_documents_are_of_the_records(published: Published) -> None:
    """Means and standard deviations in docs/tuning.md and the README are those of the scores kept, of three seeds."""
    assert {system for system, _ in published.tuned} == set(SYSTEMS)
    page, readme = (ROOT / "docs" / "tuning.md").read_text(), (ROOT / "README.md").read_text().splitlines()
    for (system, setting), found in published.tuned.items():
        assert f"| {system} | {setting} | {told(found['before'])} | {told(found['now'])} |" in page
    for (system, setting), found in published.one_layer.items():
        tuned = published.tuned.get((system, setting))
        before = told(tuned["now"]) if tuned else "not run"
        assert f"| {system} | {setting} | {before} | {told(found['layer'])} |" in page
    for (system, setting), values in published.newest.items():
        rows = [row for row in readme if row.startswith(f"| {system} | {setting} |")]
        assert rows in ([], [f"| {system} | {setting} | {told(values)} |"])


def test_training_noise_is_that_of_the_records(published: Published) -> None:
    deviations = {entry: round(statistics.stdev(v), 3) for entry, v in published.newest.items() if entry[0] in SYSTEMS}
    assert {(noise.system, noise.setting): noise.deviation for noise in training_noise.MEASURED} == deviations
    page = (ROOT / "docs" / "tracking.md").read_text()
    assert all(f"| {system}, {setting} | {value:.3f} |" in page for (system, setting), value in deviations.items())


def test_the_table_of_layers_is_of_the_sealed_trials() -> None:
    """What `nano` reads of the encoder is what was tried, and one number for all systems that have one."""
    tried = {(t.system, c.name): c.values for t in stored(LAYERS / "trials") for c in t.candidates}
    page = (ROOT / "docs" / "tuning.md").read_text()
    names = {
        AS_IT_STANDS: "all six",
        "2 layers": "two",
        "1 layer": "**one**",
        "0 layers": "none: tokens and places alone",
    }
    for name, row in names.items():
        found = [tried[system, name] for system in ("cosmos", "ld4lg", "tencdm")]
        cells = " | ".join(f"{value:.3f}" for (value,) in found)
        assert re.search(rf"^\| {re.escape(row)} \| [^|]*\| {re.escape(cells)} \|$", page, re.MULTILINE), row
    for system in ("cosmos", "cosmos-joint", "ld4lg", "tencdm"):
        (layers,) = [
            v for k, v in flatten(plain(registry.find(system).presets["nano"])) if k.endswith("encoder_layers")
        ]
        assert layers == 1


def test_the_table_of_few_calls_is_of_the_records() -> None:
    lines = (ROOT / "reports/published/2026-11-30-h200/few-calls/scores.jsonl").read_text().splitlines()
    page = (ROOT / "docs" / "few-calls.md").read_text()
    table = page[page.index("| calls | 1 | 2 | 4 | 8 | 21 | most |") : page.index("**Here eight calls")]
    told = sorted(float(number) for number in re.findall(r"\d+\.\d", table))
    assert told == sorted(round(json.loads(line)["bleu"], 1) for line in lines)


SMALL = ROOT / "reports" / "published" / "2026-12-01-h200" / "tuning-small" / "trials"
COLUMNS = (AS_IT_STANDS, "lr0.0006-batch256-dropout0.1", "lr0.0006-batch256-dropout0", "lr0.0012-batch256-dropout0")
LATENT = ("tencdm", "ld4lg", "cosmos-8")


@pytest.fixture(scope="module")
def of_small() -> dict[str, dict[str, TrialResult]]:
    """System and candidate -> its trial; where what stood is a point of the grid, under both names."""
    found: dict[str, dict[str, TrialResult]] = {}
    for one in stored(SMALL):
        trials = {candidate.name: candidate.results[0] for candidate in one.candidates}
        if one.system not in LATENT:
            trials[COLUMNS[1]] = trials[AS_IT_STANDS]
        found[one.system] = trials
    return found


def test_all_systems_had_four_recipes_in_common_at_small(of_small: dict[str, dict[str, TrialResult]]) -> None:
    assert set(of_small) == {"gpt2", "mdlm", "sedd", "duo", "diffuseq", *LATENT}
    assert all(set(COLUMNS) <= set(trials) for trials in of_small.values())
    assert {(t["n"], t["seed"], t["asked"]) for trials in of_small.values() for t in trials.values()} == {
        (344, 0, of_small["gpt2"][AS_IT_STANDS]["asked"])
    }


def test_the_preset_small_is_the_best_of_them_by_score_and_by_validation_loss(
    of_small: dict[str, dict[str, TrialResult]],
) -> None:
    for system, trials in of_small.items():
        scores = {name: trial["value"] or 0.0 for name, trial in trials.items()}
        losses = {name: trial["validation_loss"] or 0.0 for name, trial in trials.items()}
        best = max(COLUMNS, key=lambda name: scores[name])
        assert scores[best] == max(scores.values()), system
        assert losses[best] == min(losses.values()), system
        assert tuned(trials[best]["recipe"]) == tuned(plain(registry.find(system).presets["small"])), system


def test_the_table_of_small_is_of_the_sealed_trials(of_small: dict[str, dict[str, TrialResult]]) -> None:
    page = (ROOT / "docs" / "tuning.md").read_text().replace("**", "")
    for system, trials in of_small.items():
        decay = [trial for name, trial in trials.items() if "weight decay" in name]
        last = [trials[name] for name in ("lr0.0012-batch256-dropout0.1",) if name in trials] + decay
        cells = [f"{trial['value']:.3f}" for trial in [*(trials[name] for name in COLUMNS), *last]]
        assert f"| {' | '.join((system, *cells))} |" + " |" * (6 - len(cells)) in page, system


def test_what_dropout_does_at_small_is_told_of_those_it_did_it_to(of_small: dict[str, dict[str, TrialResult]]) -> None:
    gains: dict[str, dict[str, float]] = {"0.0006": {}, "0.0012": {}}
    losses = {}
    for rate, gained in gains.items():
        for system, trials in of_small.items():
            if some := trials.get(f"lr{rate}-batch256-dropout0.1"):
                none = trials[f"lr{rate}-batch256-dropout0"]
                gained[system] = (some["value"] or 0.0) - (none["value"] or 0.0)
                losses[rate, system] = (some["validation_loss"] or 0.0) - (none["validation_loss"] or 0.0)
    helped = {rate: {system for system, gain in gained.items() if gain > 0} for rate, gained in gains.items()}
    assert helped == {"0.0006": {"gpt2", "diffuseq", "cosmos-8"}, "0.0012": {"gpt2"}}
    lower = {system for (rate, system), added in losses.items() if rate == "0.0006" and added < 0}
    assert lower == {"gpt2", "cosmos-8"}
    lost = [-gained[system] for gained in gains.values() for system in ("mdlm", "duo")]
    page = (ROOT / "docs" / "tuning.md").read_text()
    assert "raises the scores of `gpt2`, `diffuseq` and `cosmos-8` at 6e-4, and of `gpt2` at 1.2e-3" in page
    assert f"`mdlm` and `duo` lose {min(lost):.2f} to {max(lost):.2f} by it" in page


def test_of_what_budget_the_trials_of_small_were_is_of_the_records() -> None:
    """600 seconds of a system by what earlier runs spent, as multiples of a trial's budget."""
    times: dict[str, list[int]] = defaultdict(list)
    best: set[str] = set()
    for archive in ("2026-11-28-h200/detox-480s", "2026-11-30-h200/story-600s"):
        with tarfile.open(ROOT / "reports" / "published" / archive / "records.tar.xz") as packed:
            for member in packed:
                file = packed.extractfile(member) if member.name.endswith("header.json") else None
                if file is not None:
                    header = json.load(file)
                    trained, system = header["training"], header["cell"]["system"].partition("-")[0]
                    if system in ("gpt2", "mdlm") and "detox" in archive:
                        losses = trained["notes"]["validation_losses"]
                        step, _ = min(losses, key=lambda pair: pair[1])
                        best.add(f"{trained['flops'] * step / trained['steps']:.0e}")
                    if trained["flops"]:
                        times[system].append(round(trained["flops"] * 600 / trained["seconds"] / 2.6e15))
    told = {system: " to ".join(map(str, sorted(set(found)))) for system, found in times.items()}
    page = (ROOT / "docs" / "tuning.md").read_text().replace("\n", " ")
    assert f"of `cosmos`, both stages, are {told['cosmos']} times that, of `mdlm` {told['mdlm']}, of `tencdm`" in page
    assert f"of `tencdm` {told['tencdm']} and of `gpt2` {told['gpt2']} times" in page
    assert best == {"3e+15"} and "were best after about 3e15 FLOPs" in page
