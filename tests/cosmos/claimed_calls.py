"""How often the solvers of latent and embedding diffusion should call their network, worked out apart from them."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos.config import SamplerSetting
from cosmos.diffusion.samplers import _time_of_noise, make_grid
from cosmos.diffusion.schedule import Schedule


def network_calls(setting: SamplerSetting, schedule: Schedule) -> int:
    """How often `sample` calls the network under a setting, guidance of both kinds included."""
    grid, twice = make_grid(schedule, setting), setting.solver == "heun"
    first = [*grid.t[:1], *(grid.t[1:2] if twice else ())]  # which are given no estimate
    later = [*grid.t[1:-1], *(grid.t[2:] if twice else ()), *(grid.t[-1:] if setting.final_x0 else ())]
    low, high = (_time_of_noise(schedule, noise) for noise in setting.guidance_window)

    def calls(times: Sequence[float]) -> int:
        return len(times) + (0 if setting.guidance == 1.0 else sum(low <= t <= high for t in times))

    return calls(first) + calls(later) * (1 if setting.self_guidance == 1.0 else 2)
