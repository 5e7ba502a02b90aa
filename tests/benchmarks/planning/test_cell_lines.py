"""A cell of a plan by its id: the nearest ones are named where none is meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.cell_lines import find

CELLS = {"12ab56cd78ef90ab": "greedy", "ffee12ab34cd56ef": "sample"}
PLAN: Any = SimpleNamespace(
    cells=[SimpleNamespace(cell=SimpleNamespace(id=i, system="gpt2", setting=s)) for i, s in CELLS.items()]
)


def test_a_mistyped_id_is_answered_with_the_nearest() -> None:
    assert find(PLAN, "12ab").cell.setting == "greedy"
    with pytest.raises(UserError, match=r"has the id 12ab57cd; did you mean 12ab56cd78ef90ab \(gpt2 greedy\)\? `plan`"):
        find(PLAN, "12ab57cd")
    for strange in ("NOSUCHID", "0" * 5000):
        with pytest.raises(UserError, match=rf"has the id {strange}; `plan` with the same flags"):
            find(PLAN, strange)
