"""Entries are ranked within their track, and what some learnt elsewhere is told."""

import sys
from dataclasses import replace
from pathlib import Path

import reports
from reports import content
from reports.figures import quality
from reports.figures.sizes import PAGE

sys.path.insert(0, str(Path(__file__).parent))
from sentences import reading, trained


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
    drawn = quality.against_speed(["detox"], [section.panel], [section.front], PAGE)
    texts = " ".join(text.get_text() for text in drawn.figure.axes[0].texts)
    assert all(tag in texts for entry in section.panel.trained for tag in entry.tags)


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


def test_a_corpus_score_overlaps_within_its_track(fake_run, tmp_path):
    trained(fake_run, gpt2=0.8, mdlm=0.3)
    fake_run.declare(0, "some/encoder")
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        fake_run.cells[place] = (header, samples, timings, [scores[3]])
    assert "its interval overlaps that of no other entry trained from scratch." in reading(fake_run, tmp_path)
