"""The sentences claim what the tests bear out, and no more."""

import re
from dataclasses import replace

import reports
from reports import content, figures


def reading(fake, tmp_path) -> str:
    folder = fake.write(tmp_path / "run")
    return " ".join(content.build(folder, folder / "report").sections[0].reading)


def trained(fake, **skill):
    """Three trained systems of one track."""
    fake.with_encoder = ()
    fake.skill |= skill
    fake.setting_bonus = 0.0
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy"), ("mdlm", "steps-8")):
        fake.add(system, setting)
    return fake


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


def test_tracks_are_ranked_apart_and_compared_as_such(fake_run, tmp_path):
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy"), ("mdlm", "steps-8")):
        fake_run.add(system, setting)
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    text = " ".join(section.reading)
    assert "among entries trained from scratch, gpt2 (greedy) has the best value" in text
    assert "significantly better than every other entry trained from scratch" in text
    assert "there is no other entry on weights learnt elsewhere with a score to rank it with" in text
    assert (
        "The comparison with gpt2 (greedy) and mdlm (steps-8) is across tracks, not a ranking: cosmos (fast) stands "
        "among entries on weights learnt elsewhere, not among those trained from scratch."
    ) in text
    assert "the front of J and speed among entries trained from scratch is gpt2 (greedy) and mdlm" in text
    assert not any("the front of" in sentence and "cosmos" in sentence for sentence in section.reading)
    for table in (section.glance, section.scores):
        titles = [(block.title, [row.title for row in block.rows]) for block in table.blocks]
        assert titles == [("Trained from scratch", ["gpt2", "mdlm"]), ("On weights learnt elsewhere", ["cosmos"])]
    legend = " ".join(section.legend)
    assert "never ranked with those on weights learnt elsewhere. Speed is marked over both." in legend
    foot = " ".join(reports.terminal(folder, 200).split())
    assert "*: better than all other entries of its block, in speed than trained entries of every block." in foot


def tuned(fake, system="gpt2", setting="greedy"):
    """A cell of a system that began with the weights of another model."""
    fake.add(system, setting)
    fake.change(-1, recipe={"begin": "gpt2-medium"})
    fake.declare(-1, "some/folder/gpt2-medium/")


def test_the_front_is_that_of_a_track(fake_run, tmp_path):
    trained(fake_run, cosmos=0.5, gpt2=0.8, mdlm=0.6)
    for place in (0, 2):  # mdlm is better and faster than cosmos, as above
        fake_run.declare(place, "some/encoder")
    text = reading(fake_run, tmp_path)
    assert "J and speed among entries on weights learnt elsewhere is mdlm (steps-8), in 100 % of draws; mdlm" in text
    assert "speed among entries trained from scratch" not in text  # one entry is no front


def test_only_what_was_compared_across_tracks_is_called_so(fake_run, tmp_path):
    trained(fake_run, cosmos=0.5, gpt2=0.8, mdlm=0.3)
    fake_run.add("gpt2", "sampled")
    for place in (0, 1):
        fake_run.change(place, recipe={"begin": "some/encoder"})
        fake_run.declare(place, "some/encoder")
    header, samples, timings, scores = fake_run.cells[2]
    other = [replace(sample, id=f"x{sample.id}") for sample in samples]  # mdlm shares no text with the others
    fake_run.cells[2] = (header, other, timings, scores)
    text = reading(fake_run, tmp_path)
    assert "significantly worse than gpt2 (greedy) (" in text
    assert "and gpt2 (sampled) (" in text  # a system's best of each track
    assert "The comparison with gpt2 (sampled) is across tracks" in text


def test_a_tuned_and_a_scratch_system_do_not_hide_each_other(fake_run, tmp_path):
    fake_run.with_encoder = ()
    fake_run.add("cosmos", "fast")
    tuned(fake_run)
    fake_run.add("gpt2", "greedy")
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    [name] = [entry.name for entry in section.panel.tracks["on weights learnt elsewhere"]]
    [_, scratch] = [entry.name for entry in section.panel.tracks["trained from scratch"]]
    [loses] = [sentence for sentence in section.reading if sentence.startswith("Cosmos loses on J")]
    assert name in loses
    assert scratch in loses
    assert f"The comparison with {name} is across tracks" in " ".join(section.reading)
    legend = " ".join(section.legend)
    assert f"an advantage of {name} over systems that have none: gpt2-medium, frozen or to begin with." in legend
    drawn = figures.draw(["detox"], [section.panel], [section.front])
    labels = [label for label, _ in figures._lines(section.panel)]
    assert labels[0] == "cosmos"
    assert len(set(labels)) == 3
    assert all(label.startswith("gpt2 (") for label in labels[1:])
    assert all(label in drawn.svg for label in labels)


def test_who_learnt_from_another_corpus_is_named(fake_run, tmp_path):
    fake_run.add("cosmos", "fast")
    fake_run.add("gpt2", "greedy")
    assert "pieces of" not in " ".join(legend_of(fake_run, tmp_path / "without"))
    header, *rest = fake_run.cells[0]
    training = replace(header.training, notes={**header.training.notes, "passages": 1234})
    fake_run.cells[0] = (replace(header, training=training), *rest)
    for place in range(2):
        fake_run.change(place, data={"passages": "wiki"})
    said = " ".join(legend_of(fake_run, tmp_path / "with"))
    assert "The first stage of cosmos learnt from 1,234 pieces of wiki too, which rivals have not seen, and" in said


def test_a_first_stage_from_elsewhere_is_told_once_and_beside_each_entry(fake_run, tmp_path):
    for name, setting in (("cosmos", "fast"), ("cosmos", "best"), ("gpt2", "greedy")):
        fake_run.add(name, setting)
    stage = {
        "name": "ae",
        "preset": "small",
        "seed": 3,
        "spent": {"steps": 9, "seconds": 900.0, "flops": 2.5e17, "device": "H200", "texts_seen": 512_000},
        "corpora": [{"name": "wiki/train.parquet", "sha256": "ab" * 32, "weight": 0.5, "texts": 44_484}],
        "reached": {},
    }
    for place in range(2):
        header, *rest = fake_run.cells[place]
        read = {"texts": 60, "told": 50, "read": 2}
        notes = {**header.training.notes, "first_stage": stage, "held_out_read": read}
        fake_run.cells[place] = (replace(header, training=replace(header.training, notes=notes)), *rest)
    run = fake_run.write(tmp_path)
    section = content.build(run, run / "report").sections[0]
    said = [sentence for sentence in section.legend if "was trained once" in sentence]
    assert len(said) == 1
    assert "The first stage of cosmos (fast) and cosmos (best) (ae, preset small, seed 3)" in said[0]
    assert "2.5e+17 FLOP in 900 s on H200, 512,000 texts seen of 44,484 of wiki/train.parquet" in said[0]
    assert "Of 50 held-out texts (10 more are too short to tell), 2 stood in these corpora" in said[0]
    noted = {
        (row.title, row.detail): any("once and elsewhere" in note for cell in row.cells for note in cell.notes)
        for block in section.glance.blocks
        for row in block.rows
    }
    assert sorted(noted.values()) == [False, True, True], noted
    assert all(name == "cosmos" for (name, _), told in noted.items() if told)


def legend_of(fake, folder):
    """The legend of the one section of a report."""
    run = fake.write(folder)
    return content.build(run, run / "report").sections[0].legend


def test_a_track_without_scores(fake_run, tmp_path):
    trained(fake_run)
    fake_run.declare(0, "some/encoder")
    header, samples, timings, _ = fake_run.cells[0]
    fake_run.cells[0] = (header, samples, timings, [])
    text = reading(fake_run, tmp_path)
    assert "among entries trained from scratch, gpt2 (greedy) has the best value" in text
    assert "better than every other entry trained from scratch" in text
    assert "cosmos (fast) has no J, so nothing here speaks of it." in text
    assert text.count("cosmos") == 1
    assert "across tracks" not in text


def test_all_entries_on_weights_learnt_elsewhere_are_one_track(fake_run, tmp_path):
    trained(fake_run)
    fake_run.with_encoder = ("cosmos", "gpt2", "mdlm")
    for place in range(3):
        fake_run.declare(place, "some/encoder")
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    text = " ".join(section.reading)
    assert [block.title for block in section.glance.blocks] == ["On weights learnt elsewhere"]
    assert "(higher is better), gpt2 (greedy) has the best value" in text
    assert "significantly better than every other trained entry" in text
    assert "the front of J and speed is" in text
    assert "among entries" not in text
    assert "Scores are marked within a track" not in " ".join(section.legend)


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


def test_a_corpus_score_overlaps_within_its_track(fake_run, tmp_path):
    trained(fake_run, gpt2=0.8, mdlm=0.3)
    fake_run.declare(0, "some/encoder")
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        fake_run.cells[place] = (header, samples, timings, [scores[3]])
    assert "its interval overlaps that of no other entry trained from scratch." in reading(fake_run, tmp_path)


def test_only_floors_have_no_preset_and_no_seed(fake_run, tmp_path):
    fake_run.add("copy", "default")
    fake_run.change(0, preset="any")
    text = reading(fake_run, tmp_path)
    assert "All this holds for 60 test texts of detox from world, on An ordinary CPU in float32;" in text
    assert "preset" not in text
    assert "training seed" not in text


def test_without_cosmos_no_word_of_it(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    fake_run.add("mdlm", "steps-8")
    assert "osmos" not in reading(fake_run, tmp_path)


def test_a_system_that_clears_no_floor_is_named(fake_run, tmp_path):
    trained(fake_run, cosmos=0.6, gpt2=0.05, copy=0.05)
    fake_run.add("copy", "default")
    fake_run.add("retrieval", "default")
    text = reading(fake_run, tmp_path)
    assert "gpt2 (greedy) is not shown to be better than copy and retrieval: on J it has not learnt the task." in text
    assert "cosmos (fast) is not shown" not in text


def test_entries_below_the_same_floors_are_named_together(fake_run, tmp_path):
    trained(fake_run, cosmos=0.05, gpt2=0.06, mdlm=0.3, copy=0.05)
    fake_run.add("copy", "default")
    text = reading(fake_run, tmp_path)
    assert "cosmos (fast) and gpt2 (greedy) are not shown to be better than copy: on J they have not learnt" in text


def test_all_floors_cleared(fake_run, tmp_path):
    trained(fake_run)
    fake_run.add("copy", "default")
    fake_run.add("reference", "default")
    assert "Every trained entry is significantly better on J than the floors copy." in reading(fake_run, tmp_path)


def test_speed_is_claimed_only_beyond_the_noise(fake_run, tmp_path):
    trained(fake_run)
    slow = [replace(timing, seconds=timing.seconds) for timing in fake_run.cells[2][2]]
    fake_run.cells[0] = (*fake_run.cells[0][:2], slow, fake_run.cells[0][3])  # cosmos as fast as mdlm
    assert "is within the noise of the timing" in reading(fake_run, tmp_path)


def test_a_doubtful_timing_keeps_others_from_being_called_the_fastest(fake_run, tmp_path):
    trained(fake_run)
    for place, (header, *rest) in enumerate(fake_run.cells):
        if header.cell.system == "mdlm":  # the fastest
            fake_run.cells[place] = (replace(header, verdict={"valid": False, "reasons": ["unsteady"]}), *rest)
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    text = " ".join(section.reading)
    assert "Of those whose timing is valid, cosmos (fast) makes the most texts per second" in text
    speeds = [
        [column.title for column in section.glance.columns].index(t) for t in ("Latency of one text", "Throughput")
    ]
    rows = {row.title: [row.cells[place] for place in speeds] for row in section.glance.blocks[0].rows}
    assert not any(cell.mark for cells in rows.values() for cell in cells)
    assert all(cell.doubtful for cell in rows["mdlm"])


def test_the_front(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.5, gpt2=0.8, mdlm=0.6), tmp_path)
    assert "the front of J and speed is gpt2 (greedy) and mdlm (steps-8), in 100 % and 100 % of draws" in text
    assert "mdlm (steps-8) is at least as good and as fast as cosmos (fast)" in text


def test_the_scope_is_always_said(fake_run, tmp_path):
    text = reading(trained(fake_run), tmp_path)
    assert "60 test texts of detox from world, preset nano, 1 training seed, on An ordinary CPU in float32" in text
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


def test_the_oracle_and_texts_from_elsewhere_are_no_floors(fake_run, tmp_path):
    """Whoever is below a draw from the source itself has not failed to learn the task."""
    trained(fake_run, cosmos=0.6, gpt2=0.7)
    fake_run.skill |= {"oracle": 0.95, "imported": 0.9}
    for name in ("copy", "oracle", "imported", "reference"):
        fake_run.add(name, "default")
    folder = fake_run.write(tmp_path / "run")
    section = content.build(folder, folder / "report").sections[0]
    text = " ".join(section.reading)
    assert "Every trained entry is significantly better on J than the floors copy." in text
    assert "not learnt" not in text
    assert [row.title for row in section.glance.blocks[-1].rows] == ["copy", "oracle", "imported", "reference"]
    legend = " ".join(section.legend)
    assert "there are the floors copy, and oracle, imported and reference, which are none of the floors" in legend


def test_floors_are_those_that_the_task_declares(fake_run, tmp_path, monkeypatch):
    trained(fake_run, cosmos=0.6, gpt2=0.7)
    fake_run.skill["mine"] = 0.9
    for name in ("copy", "mine", "reference"):
        fake_run.add(name, "default")
    plan = fake_run.plan()
    monkeypatch.setattr(fake_run, "plan", lambda: {**plan, "task": {"floors": ["mine", "reference"]}})
    text = reading(fake_run, tmp_path)
    assert "are not shown to be better than mine: on J they have not learnt the task." in text
    assert "copy" not in text


def test_sentences_on_floors_follow_the_score_they_were_tested_on(fake_run, tmp_path, monkeypatch):
    """By the headline all clear all floors; by the other one retrieval is better than cosmos."""
    trained(fake_run, cosmos=0.6, gpt2=0.7, mdlm=0.65)
    for name in ("copy", "retrieval"):
        fake_run.add(name, "default")
    plan = fake_run.plan()
    monkeypatch.setattr(fake_run, "plan", lambda: {**plan, "task": {"headline": ["J", "STA"]}})
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        level = {"cosmos": 0.3, "gpt2": 0.8, "mdlm": 0.7, "copy": 0.1, "retrieval": 0.5}[header.cell.system]
        values = tuple(level + 0.1 * value for value in scores[1].values)
        other = replace(scores[1], values=values, value=sum(values) / len(values))
        fake_run.cells[place] = (header, samples, timings, [scores[0], other, *scores[2:]])
    text = reading(fake_run, tmp_path)
    assert "Every trained entry is significantly better on J than the floors copy and retrieval." in text
    assert "cosmos (fast) is not shown to be better than retrieval on STA." in text
    assert "on STA than the floors" not in text


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
