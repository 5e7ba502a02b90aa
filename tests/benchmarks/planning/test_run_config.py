"""Choices: the command line beats the file, the file beats the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.planning.run_config import Choices, as_flags, gather


def write(folder: Path, text: str) -> str:
    path = folder / "run.toml"
    path.write_text(text)
    return str(path)


def test_defaults() -> None:
    assert gather({}) == Choices()


def test_the_file_beats_the_default_and_the_command_line_beats_the_file(tmp_path: Path) -> None:
    config = write(
        tmp_path, 'task = "detox"\nseed = 5\nseeds = 3\nsystem = ["gpt2", "mdlm"]\nsteps = 8\noffline = false\n'
    )
    chosen = gather({"seed": "0", "offline": None}, config=config)
    assert (chosen.task, chosen.seed, chosen.seeds, chosen.system) == ("detox", 0, 3, ("gpt2", "mdlm"))
    assert (chosen.steps, chosen.offline) == ((8,), False)
    assert gather({"setting": ["greedy", "mdlm:ancestral-32,x"]}).setting == ("greedy", "mdlm:ancestral-32", "x")
    assert gather({}, config=write(tmp_path, 'setting = "gpt2:greedy"\n')).setting == ("gpt2:greedy",)
    assert gather({"offline": True, "system": ["cosmos,gpt2", "mdlm"]}, config=config).offline is True
    assert gather({"system": ["cosmos,gpt2", "mdlm"]}, config=config).system == ("cosmos", "gpt2", "mdlm")


def test_tables_are_dotted_keys_and_set_beats_them(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        'budget = "5steps"\nbatch_size = 3\n[data]\ntrain = 7\ntest = 1\n[gpt2.recipe.training]\nbetas = [0, 1]\n',
    )
    assert gather({}, ["data.train=0", "budget=1steps"], config).changes == {
        "budget": "1steps",
        "batch_size": 3,
        "data.train": "0",
        "data.test": 1,
        "gpt2.recipe.training.betas": [0, 1],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('task = "detox"\nseed = = 3\n', "line 2"),
        ('sytem = ["gpt2"]\n', "did you mean system"),
        ("[cosmo.recipe]\nwidth = 3\n", "did you mean cosmos"),
        ('seed = "3"\n', "seed in "),
        ("limit = 0\n", "--limit must be at least 1"),
        ("limit = 2.5\n", "a whole number or none"),
        ("system = 3\n", "a list of values, each text"),
        ("offline = 1\n", "true or false"),
    ],
)
def test_a_broken_file_is_named_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        gather({}, config=write(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.toml"):
        gather({}, config=str(tmp_path / "nowhere.toml"))


def test_flags_make_the_same_choices_again(tmp_path: Path) -> None:
    config = write(tmp_path, '[gpt2.recipe]\nbetas = [0.5, 1]\nbias = false\n[data]\nword = "a b"\n')
    chosen = gather(
        {"task": "detox", "limit": "3", "steps": "1,2", "offline": False, "system": ["a", "b"], "setting": ["x,a:y"]},
        config=config,
    )
    words = as_flags(chosen)
    flags = {"offline": False if "--no-offline" in words else None}
    words.remove("--no-offline")
    pairs = list(zip(words[::2], words[1::2], strict=True))
    assignments = [value for flag, value in pairs if flag == "--set"]
    flags |= {flag[2:]: value for flag, value in pairs if flag != "--set"}
    again = gather(flags, assignments)
    assert {k: v for k, v in vars(again).items() if k != "changes"} == {
        k: v for k, v in vars(chosen).items() if k != "changes"
    }
    assert assignments == ["gpt2.recipe.betas=0.5,1", "gpt2.recipe.bias=false", "data.word=a b"]
