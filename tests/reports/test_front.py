"""The front of quality and speed comes with the share of draws in which an entry is on it, wherever it is shown."""

from dataclasses import replace

import numpy as np
import pytest

import reports
from reports import content, front


def section_of(fake, folder):
    run = fake.write(folder)
    return content.build(run, run / "report").sections[0]


def by_name(section):
    names = {entry.key: entry.name for entry in section.panel.entries}
    return {names[key]: share for key, share in section.front.items()}


@pytest.fixture
def near(fake_run):
    """Three systems of one track: mdlm is fastest, cosmos a little slower, gpt2 slow; their scores are set by tests."""
    fake_run.with_encoder, fake_run.setting_bonus = (), 0.0
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy"), ("mdlm", "steps-8")):
        fake_run.add(system, setting)
    return fake_run


def scored(fake, **values):
    """Give systems scores of each text, as the first metric."""
    for place, (header, samples, timings, scores) in enumerate(fake.cells):
        each = values.get(header.cell.system)
        if each is not None:
            first = replace(scores[0], value=float(np.mean(each)), values=tuple(map(float, each)))
            fake.cells[place] = (header, samples, timings, [first, *scores[1:]])


def test_a_lead_within_the_noise_is_not_sure(near, tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.normal(0.5, 0.1, 60)
    spread = rng.permutation(np.linspace(-0.1, 0.1, 60))
    scored(near, cosmos=hard + spread + 0.008, mdlm=hard, gpt2=hard + 0.3)
    shares = by_name(section_of(near, tmp_path / "run"))
    assert shares["gpt2 (greedy)"] == 1.0
    assert shares["mdlm (steps-8)"] == 1.0  # nothing is as fast
    # cosmos is on it where its mean is above that of mdlm on the drawn texts: 0.008 at a standard error of 0.0076
    assert shares["cosmos (fast)"] == pytest.approx(0.855, abs=0.03)


def test_texts_are_drawn_once_for_all(near, tmp_path):
    """What all find hard decides nothing between them, however much it varies."""
    hard = np.random.default_rng(0).random(60)
    scored(near, cosmos=hard, mdlm=hard - 0.001, gpt2=hard + 0.001)
    assert by_name(section_of(near, tmp_path / "run"))["cosmos (fast)"] == 1.0


def test_timings_are_drawn_too(near, tmp_path):
    """Equal scores, and durations from one distribution: each is the faster one in part of the draws."""
    scored(near, **{system: [0.5] * 60 for system in ("cosmos", "mdlm", "gpt2")})
    rng = np.random.default_rng(3)
    for place, (header, samples, timings, scores) in enumerate(near.cells):
        drawn = [replace(t, seconds=rng.uniform(0.9, 1.1)) if t.kind == "batch" else t for t in timings]
        near.cells[place] = (header, samples, drawn, scores)
    shares = by_name(section_of(near, tmp_path / "run"))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares.values()) < 0.999


def test_seeds_are_drawn_too(near, tmp_path):
    """One seed is far below mdlm, two are above it: on the texts alone cosmos would be sure."""
    near.cells = near.cells[1:]
    for seed, skill in ((0, 0.9), (1, 0.9), (2, 0.35)):
        near.skill["cosmos"] = skill
        near.add("cosmos", "fast", seed)
    section = section_of(near, tmp_path / "run")
    assert 0.5 < by_name(section)["cosmos (fast)"] < 0.97


def test_a_corpus_metric_is_drawn_from_its_interval(near, tmp_path):
    for place, (header, samples, timings, scores) in enumerate(near.cells):
        bleu = {"cosmos": 50.0, "mdlm": 49.0, "gpt2": 70.0}[header.cell.system]
        score = replace(scores[3], value=bleu, low=bleu - 1.96, high=bleu + 1.96)
        near.cells[place] = (header, samples, timings, [score])
    shares = by_name(section_of(near, tmp_path / "run"))
    assert shares["cosmos (fast)"] == pytest.approx(0.76, abs=0.03)  # P(N(1, 2) > 0)


def test_it_is_shown_in_every_form(near, tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.normal(0.5, 0.1, 60)
    scored(near, cosmos=hard + rng.permutation(np.linspace(-0.1, 0.1, 60)) + 0.008, mdlm=hard, gpt2=hard + 0.3)
    run = near.write(tmp_path / "run")
    section = content.build(run, run / "report").sections[0]
    share = f"{100 * by_name(section)['cosmos (fast)']:.0f}"
    column = [column.title for column in section.glance.columns].index("On the front")
    assert {row.title: row.cells[column].text for row in section.glance.blocks[0].rows}["cosmos"] == share
    written = reports.write(run)
    assert f"fast, {share} %" in written["figure"].read_text()
    tables = (written["latex"].parent / "tables.tex").read_text()
    for text in (written["markdown"].read_text(), written["html"].read_text(), tables):
        assert "On the front: the share of draws" in text
        assert share in text
    assert "seeds and timed batches in which it is on the front" in written["latex"].read_text()
    assert "front" in reports.terminal(run, 200).splitlines()[1]


def test_a_doubtful_timing_and_an_entry_alone_have_no_share(near, tmp_path):
    header, *rest = near.cells[0]
    near.cells[0] = (replace(header, verdict={"valid": False, "reasons": ["unsteady"]}), *rest)
    near.declare(1, "some/encoder")
    section = section_of(near, tmp_path / "run")
    assert section.front == {}
    assert "On the front" not in [column.title for column in section.glance.columns]


def test_the_same_records_give_the_same_shares(near, tmp_path):
    panel = section_of(near, tmp_path / "run").panel
    assert front.shares_on_front(panel) == front.shares_on_front(panel)
