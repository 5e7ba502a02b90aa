"""What the report says that few calls keep of the quality of many."""

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.stats import ratio_interval
from reports import content

SETTINGS = {
    "release-200": 200,
    "student-8": 8,
    "one": 1,
    "twenty": 20,
}  # and their calls; of unlike lengths, so that scores differ


@pytest.fixture
def sampled(fake_run, monkeypatch):
    """One checkpoint of cosmos under settings of many and of few calls."""
    monkeypatch.setitem(sys.modules[type(fake_run).__module__].CALLS, "cosmos", SETTINGS)
    for setting in SETTINGS:
        fake_run.add("cosmos", setting)
    return fake_run


def kept(fake, tmp_path) -> list[str]:
    folder = fake.write(tmp_path / "run")
    return [said for said in content.build(folder, folder / "report").sections[0].reading if "same checkpoint" in said]


def scores_of(fake, setting: str) -> list[float]:
    [found] = [scores for header, _, _, scores in fake.cells if header.cell.setting == setting]
    return next(score.values for score in found if score.metric == "J")


def test_it_says_what_each_setting_of_few_calls_keeps(sampled, tmp_path):
    [said] = kept(sampled, tmp_path)
    assert said.startswith("Of the J that cosmos (release-200) has with 200 calls, the same checkpoint keeps")
    parts = re.findall(r"(\d+) % \[(\d+) %, (\d+) %\] with (\d+) \((\S+)\)", said)
    assert [(calls, setting) for *_, calls, setting in parts] == [("8", "student-8"), ("1", "one")]
    whole = scores_of(sampled, "release-200")
    for share, low, high, _, setting in parts:
        own = scores_of(sampled, setting)
        limits = ratio_interval(own, whole)
        assert int(share) == round(100 * sum(own) / sum(whole))
        assert (int(low), int(high)) == (round(100 * limits.low), round(100 * limits.high))


def test_settings_of_other_checkpoints_are_not_held_to_it(sampled, tmp_path):
    for place, setting in enumerate(SETTINGS):
        if setting == "student-8":
            sampled.change(place, recipe={"width": 256})
    [said] = kept(sampled, tmp_path)
    assert "one" in said and "student-8" not in said


def test_without_a_setting_of_many_calls_nothing_is_said(sampled, tmp_path):
    sampled.cells = [cell for cell in sampled.cells if cell[0].cell.setting != "release-200"]
    assert not kept(sampled, tmp_path)


def test_texts_that_never_differ_are_not_said_to_be_equal_for_sure(sampled, tmp_path):
    for place, (header, samples, timings, scores) in enumerate(sampled.cells):
        if header.cell.setting == "one":
            own = [replace(s, values=scores_of(sampled, "release-200")) if s.metric == "J" else s for s in scores]
            sampled.cells[place] = (header, samples, timings, own)
    [said] = kept(sampled, tmp_path)
    low, high = re.search(r"100 % \[(\d+) %, (\d+) %\] with 1 ", said).groups()
    assert int(low) < 100 < int(high)


@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_a_collapse_is_said_with_an_upper_limit(sampled, tmp_path, unit):
    """One call of which nothing is right keeps nothing; that of 60 texts none is says that few are, and no more."""
    for place, (header, samples, timings, scores) in enumerate(sampled.cells):
        nothing = header.cell.setting == "one"
        own = [
            replace(s, values=tuple(0.0 if nothing else unit * value for value in s.values)) if s.metric == "J" else s
            for s in scores
        ]
        sampled.cells[place] = (header, samples, timings, own)
    [said] = kept(sampled, tmp_path)
    low, high = re.search(r" and 0 % \[(\d+) %, (\d+) %\] with 1 \(one\)", said).groups()
    whole = scores_of(sampled, "release-200")
    share = 1 - 0.025 ** (1 / 60)  # at which none of 60 has a chance of 2.5 %
    most = max(1.0, *whole)
    assert (int(low), int(high)) == (0, round(100 * share * most * 60 / sum(whole)))
    assert 5 < int(high) < 12


@pytest.mark.parametrize("agree", [0.5, 0.9])
def test_the_interval_of_a_share_of_right_answers_holds_the_truth(agree):
    """Answers of two settings that are right or wrong, and alike in part."""
    rng = np.random.default_rng(0)
    hits, rounds, n = 0, 400, 200
    for _ in range(rounds):
        many = rng.random(n) < 0.6
        few = np.where(rng.random(n) < agree, many, rng.random(n) < 0.5)
        true = (agree * 0.6 + (1 - agree) * 0.5) / 0.6
        limits = ratio_interval(few.astype(float), many.astype(float))
        hits += limits.low <= true <= limits.high
    assert hits / rounds == pytest.approx(0.95, abs=0.03)
