"""The first screen: the question, the answer with its size, what it holds for, in at most five sentences."""

import json
import re
from dataclasses import replace

import pytest

import reports
from reports.content import build
from reports.significance import judge


def answered(fake, tmp_path):
    return build(fake.write(tmp_path / "run"), tmp_path / "out").sections[0]


@pytest.fixture
def three(fake_run):
    """Cosmos with two settings, and two rivals."""
    for system, setting in (("cosmos", "fast"), ("cosmos", "best"), ("gpt2", "greedy"), ("mdlm", "steps-8")):
        fake_run.add(system, setting)
    return fake_run


def test_it_asks_answers_with_a_size_explains_and_says_what_it_holds_for(three, tmp_path):
    scores = three.cells[0][3]
    scores[0] = replace(scores[0], summary="Mean of what is wanted. Blind to style.")
    section = answered(three, tmp_path)
    question, quality, meaning, speed, scope = section.answer
    assert question == "Is cosmos better or faster than gpt2 and mdlm at detox?"
    pair = pair_of(section)
    assert pair.outcome == "worse" and pair.low <= pair.difference <= pair.high < 0
    assert re.fullmatch(
        r"cosmos \(best\) has J 0\.\d+ \[.*\], significantly worse than the best rival, gpt2 \(greedy\), with 0\.\d+ "
        r"\[.*\]: the difference is −0\.\d+ \[−0\.\d+, −0\.\d+\], p (<|=) 0\.\d+\.",
        quality,
    )
    assert meaning == "J: mean of what is wanted; higher is better."
    assert re.fullmatch(
        r"It writes [\d.,]+ \[.*\] texts/s, and gpt2 \(greedy\) with .* is [\d.]+ times as fast\.", speed
    ) or re.fullmatch(r"It writes .* times as many as gpt2 \(greedy\) with .*\.", speed)
    assert scope.startswith(
        f"This holds for {three.texts} test texts of detox from the built-in world, preset nano, 1 training seed, "
        "a budget of 60 s each, on An ordinary CPU in float32;"
    )


def pair_of(section):
    """Cosmos's best against the best rival, as the tables have it."""
    panel = section.panel
    keys = {entry.name: entry.key for entry in panel.entries}
    return judge(panel.headline, panel.trained).pair(keys["cosmos (best)"], keys["gpt2 (greedy)"])


def test_the_size_of_speed_is_the_ratio_of_what_is_said(three, tmp_path):
    section = answered(three, tmp_path)
    named = {entry.name: entry.throughput for entry in section.panel.entries}
    ours, theirs = named["cosmos (best)"], named["gpt2 (greedy)"]
    ratio = max(ours.value / theirs.value, theirs.value / ours.value)
    (said,) = re.findall(r"([\d.]+) times as", section.answer[3])
    assert abs(float(said) - ratio) < 0.06 * ratio


def test_a_doubtful_speed_is_not_told(three, tmp_path):
    header, *rest = three.cells[1]
    three.cells[1] = (replace(header, verdict={"valid": False, "reasons": ["the machine was busy"]}), *rest)
    assert answered(three, tmp_path).answer[3] == (
        "Of speed nothing is said here, for there is no valid one of cosmos (best)."
    )


def test_without_cosmos_or_rival_it_asks_how_good(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    section = answered(fake_run, tmp_path)
    assert section.answer[0] == "How good and how fast is gpt2 at detox?"
    assert section.answer[1].endswith("and there is no rival with a score to hold it to.")


def test_without_a_score_nothing_is_said_of_quality(fake_run, tmp_path):
    fake_run.add("cosmos", "best")
    header, samples, timings, _ = fake_run.cells[0]
    fake_run.cells[0] = (header, samples, timings, [])
    section = answered(fake_run, tmp_path)
    said = [sentence for sentence in (*section.answer, *section.reading) if "has a score that ranks" in sentence]
    assert (
        said == [section.answer[1]] == ["No trained system has a score that ranks, so nothing can be said of quality."]
    )


def test_what_the_numbers_hold_for_is_of_what_was_trained_here(three, tmp_path):
    """Texts from elsewhere came without a preset, a budget or a machine."""
    before = answered(three, tmp_path / "before")
    three.add("mdlm", "steps-32", imported={"file": "a.jsonl", "sha256": "ab" * 32, "seconds": None}, device={})
    three.change(-1, system="Theirs", preset="elsewhere", budget="none", recipe={}, dtype="bfloat16")
    after = answered(three, tmp_path / "after")
    assert any(entry.imported for entry in after.panel.trained)
    for section in (before, after):
        (first,) = [sentence for sentence in section.answer if "holds for" in sentence]
        (all_of,) = [sentence for sentence in section.reading if "All this holds for" in sentence]
        assert "a budget of 60 s each, on An ordinary CPU in float32;" in first
        assert all_of.partition(";")[0] == first.partition(";")[0].replace("This", "All this")
    assert after.answer[-1] == before.answer[-1]


def test_task_and_source_are_called_by_words(three, tmp_path):
    run = three.write(tmp_path / "run")
    plan = {**three.plan(), "task": {"title": "Detoxification: rewrite politely"}}
    (run / "plan.json").write_text(json.dumps(plan))
    section = build(run, tmp_path)
    said = [text for text in (*section.sections[0].answer, *section.sections[0].reading) if "holds for" in text]
    assert len(said) == 2 and all(
        "test texts of detoxification from the built-in world, preset" in text for text in said
    )


def test_other_tracks_are_no_ranking(three, tmp_path):
    three.declare(0, "an-encoder")
    three.declare(1, "an-encoder")
    assert "so this is no ranking" in answered(three, tmp_path).answer[-1]


def test_it_stands_first_and_the_rest_is_folded(run_report, run_folder):
    section = build(run_folder, run_folder / "report").sections[0]
    assert len(section.answer) <= 5
    page = run_report["html"].read_text()
    places = [page.index("All that the numbers say"), page.index("How to read the tables")]
    assert page.index("Is cosmos better or faster than") < places[0] < places[1]
    text = run_report["markdown"].read_text()
    assert text.index("Is cosmos better or faster than") < text.index("<details>") < text.index("\n- ")
    assert "Is cosmos better or faster than" in run_report["latex"].read_text()
    assert reports.terminal(run_folder)


def test_each_column_has_one_number_of_decimals(run_folder):
    for table in build(run_folder, run_folder / "report").sections[0].tables:
        if table.name.startswith(("glance", "scores", "batches", "costs")):
            for place, column in enumerate(table.columns):
                texts = [row.cells[place].text for block in table.blocks for row in block.rows]
                numbers = [text for text in texts if re.fullmatch(r"[−≤ ]*[\d,]+(\.\d+)?", text)]
                assert len({len(text.partition(".")[2]) for text in numbers}) <= 1, (table.name, column.title, texts)


def test_each_metric_is_explained_in_the_first_table_it_stands_in(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    said = [replace(score, summary=f"What {score.metric} is.") for score in scores]
    fake_run.cells[0] = (header, samples, timings, said)
    section = answered(fake_run, tmp_path)
    assert "J: What J is." in section.glance.remarks and "J: What J is." not in section.scores.remarks
    assert "BLEU: What BLEU is." in section.scores.remarks and "BLEU: What BLEU is." not in section.glance.remarks
