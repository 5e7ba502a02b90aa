"""The sentences claim what the tests bear out, and no more."""

import re
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.records.dataframes import read_run
from benchmarks.records.validity import throughput
from reports import content
from reports.panels import panels

sys.path.insert(0, str(Path(__file__).parent))
from sentences import reading, trained


def test_it_says_when_cosmos_loses(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.5, gpt2=0.8, mdlm=0.3), tmp_path)
    assert "gpt2 (greedy) has the best value" in text
    assert "Cosmos loses on J: cosmos (fast) is significantly worse than gpt2 (greedy) (difference −0.2" in text
    assert "On J, cosmos (fast) is significantly better than mdlm (steps-8) (difference +0.2" in text


def test_it_says_when_cosmos_wins(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.8, gpt2=0.5, mdlm=0.3), tmp_path)
    assert "cosmos (fast) has the best value" in text
    assert "significantly better than every other trained entry" in text
    assert "loses" not in text


def test_it_claims_no_difference_that_is_not_shown(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.6, gpt2=0.6, mdlm=0.3), tmp_path)
    assert "it cannot be told from" in text
    assert "No difference in J could be shown between cosmos (fast) and gpt2 (greedy)" in text
    assert "60 texts can show one of about" in text


def test_the_best_cosmos_speaks_for_all(fake_run, tmp_path):
    fake_run.setting_bonus = 0.0
    for system, skill in (("cosmos-8", 0.5), ("cosmos-full", 0.9)):
        fake_run.skill["cosmos"] = skill
        fake_run.add("cosmos", "fast")
        fake_run.change(-1, system=system)
    fake_run.add("gpt2", "greedy")
    text = reading(fake_run, tmp_path)
    assert "among entries on weights learnt elsewhere, cosmos-full (fast) has the best value" in text
    assert "cosmos-full (fast) is significantly better than gpt2 (greedy) (" in text
    assert "loses" not in text
    assert "The comparison with gpt2 (greedy) is across tracks" in text


def test_what_a_system_declares_and_not_its_name_makes_it_cosmos(fake_run, tmp_path):
    trained(fake_run, cosmos=0.5, gpt2=0.8)
    for place, name in ((0, "mine"), (1, "cosmos-like")):
        fake_run.change(place, system=name)
    text = reading(fake_run, tmp_path)
    assert "Cosmos loses on J: mine (fast) is significantly worse than cosmos-like (greedy) (" in text


def test_without_cosmos_no_word_of_it(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    assert "osmos" not in reading(fake_run, tmp_path)


def test_speed_is_claimed_only_beyond_the_noise(fake_run, tmp_path):
    trained(fake_run)
    slow = [replace(timing, seconds=timing.seconds) for timing in fake_run.cells[2][2]]
    fake_run.cells[0] = (*fake_run.cells[0][:2], slow, fake_run.cells[0][3])  # cosmos as fast as mdlm
    assert "is within the noise of the timing" in reading(fake_run, tmp_path)


def test_a_doubtful_throughput_never_ranks_and_the_others_do(fake_run, tmp_path):
    trained(fake_run)
    for place, (header, *rest) in enumerate(fake_run.cells):
        if header.cell.system == "mdlm":  # the fastest
            fake_run.cells[place] = (replace(header, verdict={"valid": False, "reasons": ["unsteady"]}), *rest)
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    text = " ".join(section.reading)
    assert "Of those whose throughput is valid, cosmos (fast) makes the most texts per second" in text
    speeds = [
        [column.title for column in section.glance.columns].index(t) for t in ("Latency of one text", "Throughput")
    ]
    rows = {row.title: [row.cells[place] for place in speeds] for row in section.glance.blocks[0].rows}
    assert all(cell.doubtful and not cell.mark for cell in rows["mdlm"])
    assert [cell.mark for cell in rows["cosmos"]] == ["best", "best"]


def test_a_doubtful_latency_does_not_void_a_good_throughput(fake_run, tmp_path):
    """The fastest and best entry lost its throughput to five shaky single texts; another was named as the fastest."""
    trained(fake_run)
    for place, (header, *rest) in enumerate(fake_run.cells):
        if header.cell.system == "mdlm":  # the fastest
            doubt = {"valid": False, "reasons": ["stalls: 3 of 5 calls"]}
            quantities = {"latency": doubt, throughput(header.batch_size): {"valid": True, "reasons": []}}
            verdict = {"valid": False, "reasons": ["latency: stalls: 3 of 5 calls"], "quantities": quantities}
            fake_run.cells[place] = (replace(header, verdict=verdict), *rest)
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    assert any(sentence.startswith("mdlm (steps-8) makes the most texts per second") for sentence in section.reading)
    latency, rate = next(row for row in section.glance.blocks[0].rows if row.title == "mdlm").cells[1:3]
    assert latency.doubtful and "not valid: stalls: 3 of 5 calls" in latency.notes
    assert not rate.doubtful and rate.mark == "best"


def test_a_call_that_stalled_counts_in_no_speed(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, samples, timings, scores = fake_run.cells[0]
    slow = replace(next(t for t in timings if t.kind == "batch"), index=90, seconds=20.0)
    again = replace(slow, kind="sweep", index=0, seconds=timings[1].seconds)
    stalled = {"stalled": [{"kind": "batch", "index": 90, "reason": "20 s, of which it worked 1 s"}]}
    speed = []
    for verdict in ({"valid": True}, {"valid": True, **stalled}):
        fake_run.cells[0] = (replace(header, verdict=verdict), samples, [slow, *timings, again], scores)
        [record] = read_run(fake_run.write(tmp_path / f"run{len(speed)}")).records
        [entry] = panels([record])[0].entries
        speed.append((entry.throughput.n, entry.throughput.value, dict(entry.sweep)))
    whole = len([t for t in timings if t.kind == "batch"])
    assert (speed[0][0], speed[1][0]) == (whole + 2, whole + 1)
    assert speed[1][1] > 2 * speed[0][1]
    assert speed[0][2] == speed[1][2] == {}


def test_the_front(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.5, gpt2=0.8, mdlm=0.6), tmp_path)
    assert "the front of J and speed is gpt2 (greedy) and mdlm (steps-8), in 100 % and 100 % of draws" in text
    assert "mdlm (steps-8) is at least as good and as fast as cosmos (fast)" in text


def test_the_scope_is_always_said(fake_run, tmp_path):
    text = reading(trained(fake_run), tmp_path)
    assert "60 test texts of detox from the built-in world, preset nano, 1 training seed, a budget of 60 s each" in text
    assert "each, on An ordinary CPU in float32" in text
    assert "Budgets" not in text


def test_budgets_that_differ_are_said(fake_run, tmp_path):
    trained(fake_run)
    header, *rest = fake_run.cells[0]
    fake_run.cells[0] = (replace(header, cell=replace(header.cell, budget="300 s")), *rest)
    assert "Budgets of training differ: 300 s and 60 s." in reading(fake_run, tmp_path)


def test_an_equal_best_is_shared_and_no_power_is_claimed_without_spread(fake_run, tmp_path):
    trained(fake_run)
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        nothing = [
            replace(score, value=0.0, low=0.0, high=0.0, values=(0.0,) * 60) if score.values else score
            for score in scores
        ]
        fake_run.cells[place] = (header, samples, timings, nothing)
    text = reading(fake_run, tmp_path)
    assert "cosmos (fast), gpt2 (greedy) and mdlm (steps-8) share the best value, 0.000 [0.000, 0.060]" in text
    assert "has the best value" not in text
    assert "cannot be told from" not in text
    assert "p = 1.00)" in text
    assert "can show one of about" not in text


def test_it_says_when_all_texts_of_an_entry_are_nearly_one(fake_run, tmp_path):
    trained(fake_run)
    assert "nearly all the same" not in reading(fake_run, tmp_path)
    header, samples, *rest = fake_run.cells[1]
    count = max(1, len(samples) // 10)
    fake_run.cells[1] = (header, [replace(s, text=f"once {n % count}") for n, s in enumerate(samples)], *rest)
    said = f"The texts of gpt2 (greedy) are nearly all the same, {count} distinct text{'s' * (count > 1)} of"
    assert f"{said} {len(samples)}:" in reading(fake_run, tmp_path / "again")
    fake_run.cells[1] = (header, [replace(s, text=f"once {n % (count + 2)}") for n, s in enumerate(samples)], *rest)
    assert "nearly all the same" not in reading(fake_run, tmp_path / "varied")


def test_no_difference_that_excludes_zero_stands_beside_no_difference(fake_run, tmp_path):
    """Many near misses: each alone would be significant, none is after the correction."""
    fake_run.with_encoder, fake_run.setting_bonus = (), 0.0
    for system, settings in (("cosmos", ("fast", "best")), ("gpt2", ("greedy", "sampled")), ("mdlm", ("steps-8",))):
        for setting in settings:
            fake_run.skill[system] = 0.6 if system == "cosmos" else 0.62
            fake_run.add(system, setting)
    text = reading(fake_run, tmp_path)
    beside = text.partition("No difference in J could be shown between")[2].partition("All this holds")[0]
    limits = re.findall(r"difference [+−][\d.]+ \[([−\d.]+), ([−\d.]+)\]", beside)
    assert limits
    for low, high in limits:
        assert float(low.replace("−", "-")) <= 0 <= float(high.replace("−", "-"))


def test_a_sentence_says_what_intervals_are_over(fake_run, tmp_path):
    text = reading(trained(fake_run), tmp_path)
    assert "Intervals (95 %): scores over the choice of test texts alone, not over training seeds" in text
