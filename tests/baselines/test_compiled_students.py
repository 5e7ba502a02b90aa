"""Whoever is distilled is known to have the network that was compiled before it, in every system that has students."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from cosmos.runtime import compilation
from cosmos.training import preparation, step
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import LIMITS, SYSTEMS, few, fit, make, with_training


@pytest.mark.parametrize("name", [*few(("cosmos", "tencdm", "duo")), "ld4lg"])  # the last trains two at once
def test_students_have_the_network_that_was_compiled(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine so slow that compiling always pays; nothing is compiled here."""
    known: list[Collection[int] | None] = []

    def noted(*given: Any, **more: Any) -> preparation.Preparation:
        known.append(more["known"])
        return preparation.prepare(*given, **more)

    monkeypatch.setattr(step, "prepare", noted)
    monkeypatch.setattr(preparation, "FLOPS_PER_SECOND", 1.0)
    monkeypatch.setattr(OptimiserStep, "can_compile", lambda step: step.config.compile is not False)
    monkeypatch.setattr(compilation, "compile_blocks", lambda *_, **__: [])
    monkeypatch.setattr(compilation, "_compiled_function", lambda function, *_: function)
    recipe = with_training(make(name, encoder_folder).recipe, compile="auto")
    fit(SYSTEMS[name].system(recipe, LIMITS), tmp_path)
    found = dict(zip(SYSTEMS[name].stages, known, strict=True))
    students = {stage: lengths for stage, lengths in found.items() if "distil" in stage}
    assert len(students) >= 2 and None not in students.values()
    assert next(iter(found.values())) is None  # nothing was, before the first stage
