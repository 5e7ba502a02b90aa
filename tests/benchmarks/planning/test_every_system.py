"""Every system that is built in can be planned at every preset it has, for every task, and made of its recipe."""

from __future__ import annotations

import re

import pytest

from baselines import registry
from baselines.contract import UserError, ValidatesSetting
from benchmarks import tasks
from benchmarks.planning.generation_settings import available
from benchmarks.planning.plan import make
from benchmarks.planning.run_config import gather

NEEDS_A_SOURCE = {"copy", "delete", "lead", "retrieval"}
EVERY = [(name, preset) for name in registry.SYSTEMS.built_in for preset in registry.find(name).presets]


def refusal(task: str, system: str) -> str | None:
    """What is rightly said of a system that has nothing to do for a task."""
    asked = tasks.find(task)
    if system in NEEDS_A_SOURCE and not asked.conditional:
        return f"The system '{system}' needs a source, and this task has none; leave it out."
    latents = re.fullmatch(r"cosmos-(\d+)", system)
    positions = asked.limits.target_tokens
    if latents and int(latents[1]) > positions:
        return f"{latents[1]} latents of '{system}' are more than the {positions} positions of a text"
    return None


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize(("system", "preset"), EVERY)
def test_it_is_planned(task: str, system: str, preset: str) -> None:
    words = {"task": task, "system": [system], "source": "world"}
    choices = gather(words if preset == "any" else words | {"preset": preset})
    said = refusal(task, system)
    if said is not None:
        with pytest.raises(UserError, match=re.escape(said)):
            make(choices, "cpu")
        return
    cells = [planned for planned in make(choices, "cpu").cells if planned.cell.system == system]
    assert cells and {planned.cell.preset for planned in cells} == {preset}
    assert all(planned.cell.id and planned.cell.checkpoint_id for planned in cells)
    # A plan passes over a fault of a system, with which its cells would be marked: here it is met.
    contestant = cells[0].contestant
    made = contestant.system(contestant.recipe, tasks.find(task).limits)
    if isinstance(made, ValidatesSetting):
        for setting in contestant.settings.values():
            made.check_setting(setting)
    assert contestant.settings.keys() <= available(contestant.system).keys()
