"""Training seeds are a level of their own: in intervals, in tests, in what is said of both, and in a table."""

from dataclasses import replace

import numpy as np
import pytest

import reports
from benchmarks.stats import mean_interval
from reports import content, legend


def section_of(fake, folder):
    run = fake.write(folder)
    return content.build(run, run / "report").sections[0]


def trained(fake, skills, **others):
    """cosmos with a skill a seed, and gpt2 with as many seeds of one skill."""
    fake.with_encoder, fake.setting_bonus = (), 0.0
    for seed, skill in enumerate(skills):
        fake.skill |= {"cosmos": skill, "gpt2": 0.6, **others}
        fake.add("cosmos", "fast", seed)
        fake.add("gpt2", "greedy", seed)
    return fake


def quantity(section, system, metric="J"):
    [column] = [column for column in section.panel.columns if column.title == metric]
    [entry] = [entry for entry in section.panel.trained if entry.system == system]
    return column.scores[entry.key]


def test_the_interval_of_an_entry_holds_its_seeds(fake_run, tmp_path):
    section = section_of(trained(fake_run, (0.4, 0.6, 0.8)), tmp_path / "run")
    score = quantity(section, "cosmos")
    texts = mean_interval(list(score.per_text.values()))
    assert texts.high - texts.low < 0.06
    assert score.quantity.high == 1.0  # 0.2 apart, over root 3, times 4.3: seeds leave everything open
    assert score.quantity.low == pytest.approx(0.6 - 0.2 / 3**0.5 * 4.303, abs=0.03)
    assert score.from_texts == pytest.approx((texts.high - texts.low) / 2)


def test_seeds_that_end_alike_widen_little(fake_run, tmp_path):
    section = section_of(trained(fake_run, (0.6, 0.6, 0.6)), tmp_path / "run")
    score = quantity(section, "cosmos")
    assert (score.quantity.high - score.quantity.low) / 2 < 1.5 * score.from_texts


def test_a_lead_of_one_lucky_seed_is_not_significant(fake_run, tmp_path):
    """On texts alone the mean over seeds is far better."""
    section = section_of(trained(fake_run, (0.6, 0.62, 0.95)), tmp_path / "run")
    assert quantity(section, "cosmos").quantity.value > quantity(section, "gpt2").quantity.value + 0.08
    text = " ".join(section.reading)
    assert "No difference in J could be shown between cosmos (fast) and gpt2 (greedy)" in text
    assert "3 training seeds" in text


def test_what_seeds_alone_move_is_a_table(fake_run, tmp_path):
    fake_run = trained(fake_run, (0.5, 0.6, 0.7))
    run = fake_run.write(tmp_path / "run")
    section = content.build(run, run / "report").sections[0]
    assert [row.title for row in section.seeds.blocks[0].rows] == ["cosmos", "gpt2"]
    cell = section.seeds.blocks[0].rows[0].cells[0]
    values = [
        score.value for header, *_, scores in fake_run.cells for score in scores[:1] if header.cell.system == "cosmos"
    ]
    assert cell.value == pytest.approx(np.std(values, ddof=1))
    assert cell.text == f"{cell.value:.2g}"
    assert cell.interval == f"texts ± {quantity(section, 'cosmos').from_texts:.2g}"
    assert [column.title for column in section.seeds.columns] == ["J", "STA", "rudeness left", "BLEU", "Length"]
    written = reports.write(run)
    for text in (written["markdown"], written["html"], written["latex"].parent / "tables.tex"):
        assert "What training seeds alone move" in text.read_text()


def test_one_seed_has_no_such_table_and_says_what_it_leaves_out(fake_run, tmp_path):
    section = section_of(trained(fake_run, (0.6,)), tmp_path / "run")
    assert section.seeds is None
    said = "scores over the choice of test texts alone, not over training seeds, of which each entry has one"
    assert said in " ".join(section.legend)
    for table in (section.glance, section.scores):
        assert said in " ".join(table.remarks)
    assert said in " ".join(section.reading)
    assert said in " ".join(reports.terminal(tmp_path / "run", 100).split())


def test_it_is_said_where_some_entries_have_one_seed(fake_run, tmp_path):
    trained(fake_run, (0.6, 0.61, 0.62))
    fake_run.add("mdlm", "steps-8")
    legend = " ".join(section_of(fake_run, tmp_path / "run").legend)
    assert "over the choice of test texts and over training seeds where an entry has several" in legend
    assert "where one of two entries has one seed a test knows only the other's" in legend


def test_a_corpus_metric_has_its_seeds_in_its_interval(fake_run, tmp_path):
    section = section_of(trained(fake_run, (0.4, 0.6, 0.8)), tmp_path / "run")
    score = quantity(section, "cosmos", "BLEU")
    assert score.from_texts == pytest.approx(3.15)
    assert score.quantity.high - score.quantity.value == pytest.approx(np.hypot(3.1, 20 / 3**0.5 * 4.303), rel=0.05)


def few(fake, count):
    """Cut the corpus metric to so many texts."""
    for place, (header, samples, timings, scores) in enumerate(fake.cells):
        fake.cells[place] = (header, samples, timings, [replace(scores[3], n=count)])


@pytest.mark.parametrize(("count", "marked"), [(2, False), (29, False), (30, True)])
def test_corpus_metrics_of_few_texts_have_no_interval_and_no_mark(fake_run, tmp_path, count, marked):
    """Also those that an older record gives an interval: two test texts gave a star."""
    trained(fake_run, (0.9,))
    few(fake_run, count)
    section = section_of(fake_run, tmp_path / "run")
    best = section.glance.blocks[0].rows[0].cells[0]
    assert (best.mark == "best", best.interval != "") == (marked, marked)


def test_intervals_of_older_records_are_worked_out_anew(fake_run, tmp_path):
    """A column of ones had an interval without width."""
    fake_run.add("reference", "default")
    header, samples, timings, scores = fake_run.cells[0]
    fake_run.cells[0] = (header, samples, timings, [replace(scores[0], low=1.0, high=1.0), *scores[1:]])
    section = section_of(fake_run, tmp_path / "run")
    assert section.glance.blocks[0].rows[0].cells[0].interval == "[0.940, 1.000]"


def test_power_is_that_of_the_corrected_tests(fake_run, tmp_path):
    for system, settings in (("gpt2", ("greedy", "sampled")), ("mdlm", ("steps-8", "steps-32"))):
        for setting in settings:
            fake_run.add(system, setting)
    remarks = " ".join(section_of(fake_run, tmp_path / "run").glance.remarks)
    assert "With 60 texts, and Holm's correction for 6 tests, a difference in J of about" in remarks
    assert "bold, which is a lead over 3 others at once, needs one of about" in remarks


def test_settings_of_the_same_trainings_share_their_seeds(fake_run, tmp_path):
    """Trainings that differ much, and a setting that is better by as much in each: that is a difference."""
    fake_run.with_encoder, fake_run.setting_bonus = (), 0.05
    for seed, skill in enumerate((0.4, 0.6, 0.8)):
        fake_run.skill["cosmos"] = skill
        for setting in ("fast", "best"):
            fake_run.add("cosmos", setting, seed)
    section = section_of(fake_run, tmp_path / "run")
    assert [row.cells[0].mark for row in section.glance.blocks[0].rows] == ["", "best"]
    assert list(section.front.values()) == [1.0, 1.0]  # one is faster, the other better, whichever seeds are drawn


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_what_two_seeds_do_not_tell_is_said(fake_run, tmp_path, seeds):
    section = section_of(trained(fake_run, (0.4, 0.6, 0.8)[:seeds]), tmp_path / "run")
    assert ("in about nine of ten cases only, not in 95 %" in " ".join(section.legend)) == (seeds == 2)


def test_zeros_that_no_text_shows_are_said(fake_run, tmp_path):
    """Of scores that lie close together and far from 0, in as many texts as may well have no blank one by chance."""
    said = "when one text in fifty has 0, 60 texts without any come in 30 % of samples"
    panel = section_of(trained(fake_run, (0.9,)), tmp_path / "run").panel
    assert said in " ".join(legend._unseen(panel))
    [column] = [column for column in panel.columns if column.title == "J"]
    for per_text in (
        {"a": 0.0, "b": 0.9, "c": 0.91},
        {"a": 0.1, "b": 0.9},
        {str(n): 0.9 + n / 1e4 for n in range(200)},
    ):
        scores = {key: replace(score, per_text=per_text) for key, score in column.scores.items()}
        assert legend._unseen(replace(panel, columns=(replace(column, scores=scores),))) == ()
