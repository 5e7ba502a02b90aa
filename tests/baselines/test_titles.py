"""What systems and settings are called: all that is built in has words, which are true of changed values too."""

import pytest

from baselines import registry
from baselines.titles import SETTINGS, SYSTEMS, setting_title, system_title, weights_name
from benchmarks.planning import plan as planning
from benchmarks.planning.generation_settings import available, declared_as, with_steps
from benchmarks.planning.overrides import CliValue, override, plain
from benchmarks.planning.run_config import Choices


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


HASH = "0f7a2b3c4d5e6f708192a3b4c5d6e7f809182736"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("weights/first", "first"),
        ("/data/weights/second/", "second"),
        ("openai-community/gpt2", "gpt2"),
        ("gpt2", "gpt2"),
        (f"/cache/hub/models--A--B/snapshots/{HASH}", "B"),
        (f"models--A--B-1.5/snapshots/{HASH}/", "B-1.5"),
        (f"/cache/models--gpt2/snapshots/{HASH}", "gpt2"),
        ("a, b", "a b"),  # commas stand between the parts of a title
        ("", ""),
    ],
)
def test_weights_are_called_by_their_folder(folder, name):
    assert weights_name(folder) == name


@pytest.mark.parametrize("system", ["cosmos", "mdlm", "sedd", "duo"])
def test_other_released_weights_are_another_title(system):
    titles = {system_title(system, {"released": folder}) for folder in ("out/first", "out/second")}
    assert titles == {f"{SYSTEMS[system]}, released weights {name}" for name in ("first", "second")}


def test_a_snapshot_is_called_by_its_model():
    snapshot = {"model": f"/cache/hub/models--A--B/snapshots/{HASH}"}
    assert system_title("hf", snapshot) == "B" and system_title("hf", {**snapshot, "tuned": False}) == "B, not tuned"


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
        ("cosmos", "distilled-4", {"steps": 4, "method": "moments"}, "distilled, by moments, 4 steps"),
        ("tencdm", "distilled-8", {"steps": 8, "method": None}, "distilled, 8 steps"),
        ("cosmos", "release-200", {"steps": 200}, "released sampler, 200 steps"),
        ("cosmos", "guided-20", {"steps": 20, "guidance": 2.5}, "guidance 2.5, 20 steps"),
        ("gpt2", "nucleus-0.9", {"top_p": 0.9, "temperature": 1.0}, "nucleus 0.9"),
        ("gpt2", "nucleus-0.9", {"top_p": 0.8, "temperature": 0.7}, "nucleus 0.8, temperature 0.7"),
        ("gpt2", "greedy", {"greedy": True, "temperature": 0.7}, "greedy, temperature 0.7"),
        ("cosmos", "dpmpp_2m-20", {"steps": 20, "guidance": 2.0}, "guidance 2, 20 steps"),
        ("cosmos", "release-200", {"steps": 200, "guidance": 3.0}, "released sampler, guidance 3, 200 steps"),
        ("cosmos", "no_estimate-20", {"steps": 20, "self_conditioned": False}, "no self-conditioning, 20 steps"),
        ("gpt2", "sample", {"greedy": False, "top_p": 0.8}, "sampled, nucleus 0.8"),
        ("mdlm", "remdm_cap-64", {"steps": 64, "top_p": 0.9}, "ReMDM-cap, 64 steps"),
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


def varied(name):
    """Each setting of a system, as declared and with every field in turn changed, each as name, values, usual."""
    for setting, declared in available(registry.find(name)).items():
        usual = plain(declared)
        yield setting, usual, usual
        for key, value in usual.items():
            for other in another(value):
                yield setting, {**usual, key: other}, usual


def another(value):
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value + 2.5 if isinstance(value, float) else value + 3]
    return [[0.25, 0.75]] if isinstance(value, list) else ["something_else"]


@pytest.mark.parametrize("name", registry.names())
def test_settings_that_differ_in_any_value_have_titles_that_differ(name):
    values_of = {}
    for setting, values, usual in varied(name):
        title = setting_title(name, setting, values, None, usual)
        texts = {key: value for key, value in values.items() if key != "capture"}  # which decides no text
        assert values_of.setdefault(title, texts) == texts, (title, setting)
    declared = {setting: plain(values) for setting, values in available(registry.find(name)).items()}
    for setting, values in declared.items():  # a record alone says the same of what nobody changed
        assert setting_title(name, setting, values) == setting_title(name, setting, values, None, values)


@pytest.mark.parametrize("name", registry.names())
def test_what_a_setting_declares_is_found_whatever_its_number_of_steps(name):
    own = available(registry.find(name))
    for setting, values in own.items():
        assert declared_as(registry.find(name), setting) == values
        if hasattr(values, "steps"):
            for named in with_steps({setting: values}, (7,)):
                found = plain(declared_as(registry.find(name), named))
                assert {**found, "steps": 7} == {**plain(values), "steps": 7}
    assert declared_as(registry.find(name), "none_such") is None


def test_a_plan_calls_a_changed_setting_by_its_values():
    choices = Choices(task="detox", source="world", system=("cosmos",), changes={"cosmos.setting.solver": "ddim"})
    [cell] = planning.make(choices, "cpu").cells[:1]
    assert cell.contestant.titles(cell.cell)["setting"] == "solver ddim, 20 steps"


def test_students_of_two_methods_are_told_apart_in_one_plan():
    recipe = {"share": 0.2, "calls": "4,2", "further_methods": "moments,consistency"}
    changes = {f"tencdm.recipe.distillation.{key}": CliValue(value) for key, value in recipe.items()}
    methods = {"distilled-4": "moments", "distilled-2": "progressive"}
    changes |= {f"tencdm.settings.{name}.method": CliValue(method) for name, method in methods.items()}
    chosen = tuple(f"tencdm:{name}" for name in methods)
    choices = Choices(task="detox", source="world", system=("tencdm",), setting=chosen, changes=changes)
    cells = [p for p in planning.make(choices, "cpu").cells if p.cell.system == "tencdm"]
    titles = {p.cell.setting: p.contestant.titles(p.cell)["setting"] for p in cells}
    assert titles == {
        "distilled-4": "distilled, by moments, 4 steps",
        "distilled-2": "distilled, by progressive, 2 steps",
    }
    usual = setting_title("tencdm", "distilled-4", {"steps": 4})
    assert usual not in titles.values() and len({p.cell.checkpoint_id for p in cells}) == 1


def test_other_numbers_of_steps_are_said():
    for name, setting in with_steps(registry.find("mdlm").settings, (7,)).items():
        assert setting_title("mdlm", name, plain(setting)).endswith(", 7 steps")


def test_what_a_class_declares_goes_first():
    assert system_title("gpt2", {"layers": 3}, "My net, {layers} layers") == "My net, 3 layers"
    assert system_title("my_net", {}, "My net, {layers} layers") == "my net"
    declared = {"greedy": "without noise", "sweep": "{passes} passes"}
    assert setting_title("gpt2", "greedy", {"greedy": True}, declared) == "without noise"
    assert setting_title("mine", "sweep-8", {"steps": 8, "passes": 2}, declared) == "2 passes, 8 steps"
