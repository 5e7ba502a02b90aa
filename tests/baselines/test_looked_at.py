"""Looking where the time of a system goes: its work is that of networks it shows, its phases are those it has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planning.generation_settings import available
from benchmarks.timing.clock import Clock
from benchmarks.timing.phases import can_look, looking, uncaptured
from benchmarks.timing.protocol import timed

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import FEW_LATENT_STEPS, REQUESTS, SYSTEMS, few


@pytest.mark.parametrize("name", few(SYSTEMS))
def test_no_system_works_outside_of_its_networks(name: str, trained: Callable[[str], Any]) -> None:
    system = trained(name).system
    networks, clock = system.networks(), Clock("cpu")
    assert can_look(networks)
    latent = "denoiser" in networks
    named = available(SYSTEMS[name].system).values()
    setting = FEW_LATENT_STEPS if latent else uncaptured(next(iter(named)))
    with looking(networks, clock.now) as phases:
        timed(system, networks, REQUESTS[:3], setting, clock)
    assert phases.unnamed == set()
    assert phases.seconds["calls"] > 0 and phases.seconds["detokenise"] > 0
    assert (phases.seconds["decoder"] > 0) == latent
