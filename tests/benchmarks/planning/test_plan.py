"""The plan: cells, identities, the space of keys, and everything that is refused before a weight is loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from baselines import registry
from baselines.contract import Budget, DeclaresOneText, UserError
from benchmarks.planning import estimate, plan_file
from benchmarks.planning.generation_settings import available, change, choose, with_steps
from benchmarks.planning.plan import Plan, check_names, make, unequal_budgets
from benchmarks.planning.run_config import Choices, gather
from benchmarks.running import runner


@dataclass(frozen=True)
class Sampling:
    schedule: str
    steps: int


Make = Callable[..., Plan]


def names(plan: Plan) -> list[tuple[str, str, int]]:
    return [(p.cell.system, p.cell.setting, p.cell.seed) for p in plan.cells]


def test_cells_are_systems_by_seeds_by_settings(planned: Make) -> None:
    assert names(planned(system="toy,knowing", seed="4", seeds="2")) == [
        ("toy", "default", 4),
        ("toy", "fast", 4),
        ("toy", "default", 5),
        ("toy", "fast", 5),
        ("knowing", "default", 4),
        ("knowing", "default", 5),
    ]


def test_floors_join_every_run_once(toys: None) -> None:
    plan = make(gather({"task": "detox", "system": "toy,copy"}), "cpu")
    systems = list(dict.fromkeys(p.cell.system for p in plan.cells))
    assert systems == ["toy", "copy", "delete", "unigram", "retrieval", "reference"]
    assert {p.cell.preset for p in plan.cells if p.cell.system != "toy"} == {"any"}
    assert {p.cell.budget for p in plan.cells if p.cell.system != "toy"} == {"none"}
    assert str(plan.folder) == "runs/detox-world-nano"


def test_steps_make_a_cell_each_and_identical_cells_one(planned: Make) -> None:
    plan = planned(steps="1,3")
    assert names(plan) == [
        ("toy", "default-1", 0),
        ("toy", "default", 0),
        ("toy", "fast", 0),
        ("toy", "fast-3", 0),
    ]
    ids = {p.cell.setting: p.cell.id for p in planned().cells}
    assert {p.cell.setting: p.cell.id for p in plan.cells}.items() >= ids.items()
    assert names(planned(system="toy,toy", steps="3,3")) == names(planned(steps="3"))


def test_a_name_that_says_its_steps_says_the_new_ones() -> None:
    settings = {"tan-3": Sampling("tan", 3), "tan-8": Sampling("tan", 8), "plain": Sampling("plain", 5)}
    made = with_steps(settings, (3, 8))
    assert made == {
        "tan-3": Sampling("tan", 3),
        "tan-8": Sampling("tan", 8),
        "plain-3": Sampling("plain", 3),
        "plain-8": Sampling("plain", 8),
    }
    assert with_steps(settings, ()) == settings
    other = with_steps({"tan-3": Sampling("tan", 3), "tan-8": Sampling("other", 8)}, (8,))
    assert other == {"tan-3-8": Sampling("tan", 8), "tan-8": Sampling("other", 8)}


def test_steps_need_a_system_that_has_them(planned: Make) -> None:
    with pytest.raises(UserError, match="leave out --steps"):
        planned(system="knowing", steps="3")


def test_settings_that_are_named_are_run_and_no_others(planned: Make) -> None:
    def made(*words: str, **flags: str) -> list[tuple[str, str]]:
        return [(system, setting) for system, setting, _ in names(planned(*words, **flags))]

    everyone = "toy,moody,knowing"
    assert made(system=everyone, setting="slow-9,fast") == [
        ("toy", "slow-9"), ("toy", "fast"), ("moody", "slow-9"), ("moody", "fast"), ("knowing", "default"),
    ]  # fmt: skip
    assert made(system=everyone, setting="toy:slow-9") == [
        ("toy", "slow-9"), ("moody", "default"), ("moody", "fast"), ("knowing", "default"),
    ]  # fmt: skip
    assert made("toy.settings.slow-9.steps=2", setting="slow-9") == [("toy", "slow-2")]
    assert made(setting="slow-9", steps="9,4") == [("toy", "slow-9"), ("toy", "slow-4")]
    usual = {p.cell.setting: p.cell.id for p in planned().cells}
    assert {p.cell.setting: p.cell.id for p in planned(setting="fast").cells} == {"fast": usual["fast"]}


def test_a_setting_is_not_called_by_steps_it_no_longer_has() -> None:
    class Sampler:
        settings: ClassVar = {"tan-3": Sampling("tan", 3), "other-8": Sampling("other", 8), "plain": Sampling("p", 5)}

    def changed(**changes: Any) -> list[str]:
        chosen = choose("s", Sampler, (), conditional=True)  # type: ignore[arg-type]
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        return list(change("s", Sampler, chosen, dotted))  # type: ignore[arg-type]

    assert changed(setting__steps=6) == ["tan-6", "other-6", "plain"]
    assert changed(setting__schedule="x") == ["tan-3", "other-8", "plain"]
    Sampler.settings = {"tan-3": Sampling("tan", 3), "tan-8": Sampling("tan", 8)}
    assert changed(setting__steps=8) == ["tan-8"]
    Sampler.settings = {"tan-3": Sampling("tan", 3), "tan-8": Sampling("other", 8)}
    assert changed(setting__steps=8) == ["tan-3-8", "tan-8"]


def test_settings_share_a_checkpoint_and_nothing_else_does(planned: Make) -> None:
    cells = [p.cell for p in planned(seeds="2", system="toy,moody").cells]
    assert len({cell.checkpoint_id for cell in cells}) == 4
    assert len({cell.id for cell in cells}) == 8
    changed = {p.cell.checkpoint_id for p in planned("data.train=7").cells}
    assert not changed & {cell.checkpoint_id for cell in cells}
    assert {p.cell.checkpoint_id for p in planned("batch_size=2", limit="3").cells} <= {c.checkpoint_id for c in cells}


def test_keys_reach_what_they_name(planned: Make) -> None:
    plan = planned(
        "toy.recipe.rate.start=0.5", "toy.setting.pause_seconds=0.25", "toy.settings.fast.steps=2", "data.test=4",
        "batch_size=9", system="toy,moody",
    )  # fmt: skip
    cell = {(p.cell.system, p.cell.setting): p.cell for p in plan.cells}
    assert cell["toy", "fast"].recipe["rate"] == {"start": 0.5, "betas": [0.9, 0.98]}
    assert cell["moody", "fast"].recipe["rate"]["start"] == 0.1
    assert cell["toy", "fast"].setting_values == {"steps": 2, "pause_seconds": 0.25}
    assert cell["toy", "default"].setting_values == {"steps": 3, "pause_seconds": 0.25}
    assert cell["toy", "default"].data == {"train": 6, "test": 4, "word": "word", "version": "1"}
    assert {p.cell.batch_size for p in plan.cells} == {9}


def test_one_budget_for_all_and_another_for_one(planned: Make) -> None:
    plan = planned("toy.recipe.budget=7steps", "budget=3seconds", system="toy,moody")
    budgets = {p.cell.system: (p.cell.budget, p.cell.recipe["budget"]) for p in plan.cells}
    assert budgets == {"toy": ("7steps", "7steps"), "moody": ("3seconds", "3seconds")}
    assert plan.cells[0].contestant.budget == Budget(7, "steps")


@pytest.mark.parametrize(
    ("words", "flags", "said"),
    [
        ((), {"task": "ecko"}, "Unknown task 'ecko'; did you mean echo?"),
        ((), {"system": "toyy"}, "Unknown system 'toyy'; did you mean toy"),
        ((), {"preset": "smal"}, "Unknown preset of toy 'smal'; did you mean small?"),
        ((), {"source": "line"}, "Unknown source 'line'; did you mean lines?"),
        (("data.tran=3",), {}, "did you mean data.train"),
        (("data.train=many",), {}, "data.train must be a whole number"),
        (("budgets=3steps",), {}, "did you mean budget"),
        (("budget=3",), {}, "300steps"),
        (("budget=-3steps",), {}, "must be positive"),
        (("budget.amount=3",), {}, "Unknown key of --set"),
        (("batch_size=0",), {}, "batch_size must be at least 1"),
        (("batch_size=x",), {}, "batch_size must be a whole number"),
        (("moody.recipe.width=3",), {}, "Unknown key of --set 'moody.recipe.width'"),
        (("toy.recip.width=3",), {}, "did you mean toy.recipe.width"),
        (("toy.recipe=3",), {}, "Unknown key of --set"),
        (("toy.recipe.with=3",), {}, "did you mean toy.recipe.width"),
        (("toy.recipe.width=0",), {}, "width must be at least 1"),
        (("toy.recipe.width=a",), {}, "toy.recipe.width must be a whole number"),
        (("toy.setting.step=3",), {}, "did you mean toy.setting.steps"),
        (("toy.settings.fats.steps=3",), {}, "did you mean fast"),
        (("toy.settings.fast.stepps=3",), {}, "did you mean toy.settings.fast.steps"),
        (("data=3",), {}, "Unknown key of --set"),
        ((), {"setting": "fats"}, "Unknown setting 'fats'; did you mean fast"),
        ((), {"setting": "toy:slow"}, "Unknown setting of toy 'slow'; did you mean slow-9?"),
        ((), {"setting": "moody:fast"}, "Unknown system of --setting 'moody'"),
        (("toy.settings.slow-9.steps=3",), {}, "slow-9 of toy is not run; add --setting toy:slow-9"),
        (("toy.settings.fast.steps=3",), {"setting": "default"}, "fast of toy is not run"),
    ],
)
def test_mistakes_are_answered_with_the_nearest(
    planned: Make, words: tuple[str, ...], flags: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        planned(*words, **flags)
    assert said in str(caught.value)


@pytest.mark.parametrize("said", ["gpt2", ("gpt2", None), [""], None])
def test_weights_without_names_are_refused(said: Any, planned: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.find("toy"), "external_weights", staticmethod(lambda recipe: said))
    with pytest.raises(UserError, match="external_weights of the system 'toy' must return names"):
        planned()


def test_names_are_checked_without_loading_a_system(toys: None) -> None:
    with pytest.raises(UserError, match="gpt2"):
        check_names(Choices(task="detox", system=("gpt3",)))
    check_names(Choices(task="echo", system=("toy",)))
    assert "toy_contestants" in sys.modules  # the task is there
    with pytest.raises(UserError, match="--task"):
        check_names(Choices())


def test_joining_keeps_what_was_there(planned: Make, tmp_path: Path) -> None:
    old, new = plan_file.describe(planned()), plan_file.describe(planned(system="moody", seed="1"))
    joined = plan_file.join(old, new, tmp_path)
    assert joined["cells"] == [*old["cells"], *new["cells"]]
    assert set(joined["systems"]) == {"toy", "moody"}
    assert plan_file.join(joined, old, tmp_path) == joined
    assert plan_file.join(None, old, tmp_path) == old


def test_a_field_that_a_later_version_added_is_a_difference(planned: Make, tmp_path: Path) -> None:
    old = plan_file.describe(planned())
    del old["systems"]["toy"]["recipe"]["width"]
    with pytest.raises(UserError, match=r"no toy\.recipe\.width.*the command and the version of cosmos-bench"):
        plan_file.join(old, plan_file.describe(planned()), tmp_path)


def test_the_estimate_rests_on_records_or_on_budgets_and_says_so(planned: Make, quiet: Any) -> None:
    said = " ".join(estimate.sentences(planned("budget=90seconds", seeds="2")))
    assert "4 cells, 4 to do; 2 checkpoints to make." in said
    assert "Estimate: 3.0 minutes at least, from budgets in seconds." in said
    assert "lack of an earlier record in this run: generating with toy, and disk." in said
    assert "training toy" in " ".join(estimate.sentences(planned()))
    runner.run(planned(), quiet)
    said = " ".join(estimate.sentences(planned(seeds="61")))
    assert "122 cells, 120 to do; 60 checkpoints" in said
    assert "0.5 minutes, " in said  # a fit of the toy takes half a second
    assert said.endswith("from earlier records of this run.")
    assert list(estimate.sentences(planned())) == ["2 cells, 0 to do; 0 checkpoints to make."]


def test_a_budget_in_flops_is_estimated_at_a_measured_speed(planned: Make) -> None:
    said = " ".join(estimate.sentences(planned("budget=1e15flops")))
    rate = float(said.partition("FLOPs at ")[2].partition(" GFLOP/s")[0]) * 1e9
    minutes = float(said.partition("Estimate: ")[2].partition(" minutes")[0])
    assert minutes == pytest.approx(1e15 / rate / 60, rel=0.5)
    assert rate > 1e8


def test_unequal_budgets_are_said(planned: Make) -> None:
    assert unequal_budgets(planned(system="toy,moody,knowing")) is None
    said = unequal_budgets(planned("moody.recipe.budget=3steps", system="toy,moody,knowing"))
    assert said == "budgets are not equal: toy 10steps, moody 3steps"


def test_dtype_capture_and_sweep_are_for_all(planned: Make) -> None:
    cell = planned("sweep=8,512,8").cells[0].cell
    assert (cell.sweep, cell.dtype) == ((8, 512), "float32")
    assert planned("dtype=bfloat16").cells[0].cell.dtype == "bfloat16"
    for given, said in (
        ("sweep=0", "at least 1"),
        ("dtype=float16", "bfloat16"),
        ("sweep=bst", "or 'best', to search"),
    ):
        with pytest.raises(UserError, match=said):
            planned(given)
    detox = gather({"task": "detox", "system": "cosmos,gpt2"}, ["capture=compile"])
    assert {p.setting.capture for p in make(detox, "cpu").cells if hasattr(p.setting, "capture")} == {"compile"}
    assert {p.cell.dtype for p in make(detox, "cuda").cells} == {"bfloat16"}


def test_without_a_source_no_default_has_one_text_for_all_seeds() -> None:
    def run(task: str, *named: str) -> set[str]:
        plan = make(gather({"task": task, "system": ["gpt2", "mdlm"], "setting": list(named) or None}), "cpu")
        return {f"{p.cell.system}:{p.cell.setting}" for p in plan.cells if p.contestant.budget}

    varied = {"gpt2:sample", "gpt2:nucleus-0.9", "mdlm:cached-32"}
    assert run("story") == varied
    assert run("detox") == varied | {"gpt2:greedy", "mdlm:confidence-24"}
    assert run("story", "gpt2:greedy", "mdlm:threshold-24") == {"gpt2:greedy", "mdlm:threshold-24"}
    one = {
        f"{name}:{setting}"
        for name in registry.names()
        for setting, values in available(registry.find(name)).items()
        if isinstance(values, DeclaresOneText) and values.one_text
    }
    assert one == {
        "gpt2:greedy", "gpt2:beam-4", "gpt2:generate-greedy", "hf:greedy", "hf:beam-4", "mdlm:confidence-24",
        "mdlm:threshold-24",
    }  # fmt: skip


def test_an_outside_system_refuses_the_settings_that_are_run(planned: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, setting: Any) -> None:
        if setting.steps > 5:
            raise UserError("A toy has no more than five steps.")

    monkeypatch.setattr(planned(system="toy").cells[0].contestant.system, "check_setting", refuse, raising=False)
    assert planned(system="toy").cells
    with pytest.raises(UserError, match=r"The setting .* of toy cannot be run\. A toy has no"):
        planned(system="toy", steps="3,7")


@pytest.mark.parametrize(("system", "setting"), [("cosmos", "guided-20"), ("tencdm", "euler-guided-50")])
def test_guidance_is_there_where_sources_were_withheld(system: str, setting: str) -> None:
    plan = make(gather({"task": "detox", "preset": "small", "system": [system], "setting": [setting]}), "cpu")
    assert (system, setting, 0) in names(plan)
    with pytest.raises(UserError, match="sources withheld"):
        make(gather({"task": "detox", "system": [system], "setting": [setting], "steps": ["7"]}), "cpu")
