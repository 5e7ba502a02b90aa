"""The sentences claim what the tests bear out, and no more."""

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
    assert "the front of quality and speed among entries trained from scratch is gpt2 (greedy) and mdlm" in text
    assert not any("front of quality" in sentence and "cosmos" in sentence for sentence in section.reading)
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
    assert "speed among entries on weights learnt elsewhere is mdlm (steps-8); mdlm (steps-8) is at least as" in text
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
    assert "cosmos" not in text
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
    assert "the front of quality and speed is" in text
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
    assert "the front of quality and speed is gpt2 (greedy) and mdlm (steps-8)" in text
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
    assert "cosmos (fast), gpt2 (greedy) and mdlm (steps-8) share the best value, 0.0 [0.0, 0.0]" in text
    assert "has the best value" not in text
    assert "cannot be told from" not in text
    assert "p = 1.00)" in text
    assert "can show one of about" not in text
