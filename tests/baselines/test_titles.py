"""What systems and settings are called: all that is built in has words, which are true of changed values too."""

import pytest

from baselines import registry
from baselines.titles import SETTINGS, SYSTEMS, setting_title, system_title
from benchmarks.planning.generation_settings import available, with_steps
from benchmarks.planning.overrides import override, plain


@pytest.mark.parametrize("name", registry.names())
def test_every_system_and_setting_has_words_of_its_own(name):
    system = registry.find(name)
    assert name in SYSTEMS or name.startswith("cosmos-")
    titles = {setting: setting_title(name, setting, plain(values)) for setting, values in available(system).items()}
    assert len(set(titles.values())) == len(titles)
    for setting, values in available(system).items():
        stem = setting.removesuffix(f"-{getattr(values, 'steps', None)}")
        known = [key for key in SETTINGS if stem == key or stem.startswith(f"{key}-")]
        assert known or titles[setting] == ""


def test_no_words_are_declared_for_nothing():
    stems = set()
    for name in registry.names():
        for setting, values in available(registry.find(name)).items():
            stems.add(setting.removesuffix(f"-{getattr(values, 'steps', None)}"))
    stems |= {stem.rpartition("-")[0] for stem in stems}  # "nucleus-0.9", "beam-4"
    assert set(SETTINGS) <= stems
    assert set(SYSTEMS) <= set(registry.names())


@pytest.mark.parametrize(
    ("name", "preset", "title"),
    [
        ("cosmos", "small", "Cosmos, 16 latents"),
        ("cosmos-8", "nano", "Cosmos, 8 latents"),
        ("cosmos-1", "nano", "Cosmos, 1 latent"),
        ("cosmos-16x64", "base", "Cosmos, 16 latents of width 64"),
        ("cosmos-full", "nano", "Cosmos, uncompressed"),
        ("cosmos-fullx64", "nano", "Cosmos, uncompressed, width 64"),
        ("cosmos-joint", "base", "Cosmos, trained in one stage, 16 latents"),
        ("gpt2", "nano", "GPT-2"),
        ("retrieval", "any", "Retrieval"),
    ],
)
def test_systems_are_called_by_what_their_recipe_says(name, preset, title):
    assert system_title(name, plain(registry.find(name).presets[preset])) == title


def test_a_changed_recipe_changes_the_words():
    recipe = override(registry.find("cosmos").presets["small"], {"model.autoencoder.latents": 24}, "cosmos.recipe")
    assert system_title("cosmos", plain(recipe)) == "Cosmos, 24 latents"


def test_records_that_say_nothing_of_the_recipe_are_called_by_the_identifier():
    assert system_title("cosmos-12", {}) == "Cosmos, 12 latents"
    assert system_title("cosmos", {}) == "Cosmos"
    assert system_title("one_shot", {}) == "one shot"
    assert system_title("small-7b", {}) == "small-7b"
    assert system_title("Their model, v2", {}) == "Their model, v2"


@pytest.mark.parametrize(
    ("system", "setting", "values", "title"),
    [
        ("cosmos", "dpmpp_2m-20", {"steps": 20}, "20 steps"),
        ("cosmos", "distilled-1", {"steps": 1}, "distilled, 1 step"),
        ("cosmos", "release-200", {"steps": 200}, "released sampler, 200 steps"),
        ("cosmos", "guided-20", {"steps": 20, "guidance": 2.5}, "guidance 2.5, 20 steps"),
        ("gpt2", "nucleus-0.9", {"top_p": 0.9, "temperature": 1.0}, "nucleus 0.9"),
        ("gpt2", "nucleus-0.9", {"top_p": 0.8, "temperature": 0.7}, "nucleus 0.8, temperature 0.7"),
        ("gpt2", "greedy", {"greedy": True, "temperature": 0.7}, "greedy"),
        ("gpt2", "beam-4", {"beams": 8}, "8 beams"),
        ("mine", "fast_path-3", {}, "fast path 3"),
        ("mine", "twice-16", {"steps": 16}, "twice, 16 steps"),
        ("mine", "default", {}, ""),
        ("cosmos", "dpmpp_2m-20", {}, "20 steps"),  # where the name is all that is known
        ("gpt2", "nucleus-0.9", {}, "nucleus 0.9"),
        ("gpt2", "beam-4", {}, "beam 4"),
        ("cosmos", "guided-20", {"steps": 20}, "guided, 20 steps"),  # a value that the words need is not there
    ],
)
def test_settings_are_called_by_their_values(system, setting, values, title):
    assert setting_title(system, setting, values) == title


def test_other_numbers_of_steps_are_said():
    for name, setting in with_steps(registry.find("mdlm").settings, (7,)).items():
        assert setting_title("mdlm", name, plain(setting)).endswith(", 7 steps")


def test_what_a_class_declares_goes_first():
    assert system_title("gpt2", {"layers": 3}, "My net, {layers} layers") == "My net, 3 layers"
    assert system_title("my_net", {}, "My net, {layers} layers") == "my net"
    declared = {"greedy": "without noise", "sweep": "{passes} passes"}
    assert setting_title("gpt2", "greedy", {"greedy": True}, declared) == "without noise"
    assert setting_title("mine", "sweep-8", {"steps": 8, "passes": 2}, declared) == "2 passes, 8 steps"
