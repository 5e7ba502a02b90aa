"""The sentences claim what the tests bear out, and no more."""

from dataclasses import replace

from reports import content


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
    assert "Cosmos loses: cosmos (fast) is significantly worse than gpt2 (greedy) (difference −0.2" in text
    assert "cosmos (fast) is significantly better than mdlm (steps-8) (difference +0.2" in text


def test_it_says_when_cosmos_wins(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.8, gpt2=0.5, mdlm=0.3), tmp_path)
    assert "cosmos (fast) has the best value" in text
    assert "significantly better than every other trained entry" in text
    assert "loses" not in text


def test_it_claims_no_difference_that_is_not_shown(fake_run, tmp_path):
    text = reading(trained(fake_run, cosmos=0.6, gpt2=0.6, mdlm=0.3), tmp_path)
    assert "it cannot be told from" in text
    assert "No difference could be shown between cosmos (fast) and gpt2 (greedy)" in text
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
    assert "comparisons across tracks, not a ranking: of cosmos and not of gpt2 and mdlm, some weights" in text
    for table in (section.glance, section.scores):
        titles = [(block.title, [row.title for row in block.rows]) for block in table.blocks]
        assert titles == [("Trained from scratch", ["gpt2", "mdlm"]), ("On weights learnt elsewhere", ["cosmos"])]
    assert "never ranked with those on weights learnt elsewhere" in " ".join(section.legend)


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
    assert "Every trained entry is significantly better than the floors copy." in reading(fake_run, tmp_path)


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
